"""What keeps the subject without holding on to its colours: which places are like which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import Loss, LossOptions
from impasto.losses.patches import normalize
from impasto.losses.sampled import SampledLoss, WeightedSamples


class SelfSimilarityLoss(SampledLoss):
    """Which places of the content are like which, kept, whatever they look like.

    Kolkin, Salavon & Shakhnarovich (2019, STROTSS): with D the cosine distances between the
    features at pairs of positions, of the picture and of the content (D')::

        1/n Σ_ij | D_ij / Σ_i D_ij - D'_ij / Σ_i D'_ij |

    ``target`` maps layers to the content's features ``(N, C, h, w)``; ``weights``,
    ``position_weight`` and ``seed`` as for :class:`~impasto.losses.sampled.SampledLoss`. Between 0
    and 2, whatever the form; 1024 positions at a time, as in the paper, on a moving grid. Where we
    differ: layer by layer, and each of the n columns counts 1/n as in the paper's code (the paper
    prints 1/n²). Raises ConfigError where picture and content differ in size.
    """

    name, role, scale, reach = "self-similarity", "content", 19.0, 0.3

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        position_weight: Features | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            target, weights, normalization=normalization, position_weight=position_weight, seed=seed
        )
        self.content = {name: target[name].detach() for name in self.layers}

    @classmethod
    def from_content(
        cls, features: Features, weights: Mapping[str, float], options: LossOptions
    ) -> Loss:
        """The loss that keeps what is like what in the content."""
        target = {layer: features[layer] for layer in weights}
        return cls(target, weights, position_weight=options.position_weight, seed=options.seed)

    def draw_target(
        self, layer: str, pictures: Sequence[tuple[Tensor, Tensor | None]]
    ) -> WeightedSamples:
        """No rows: the content is read at the positions at which the picture is."""
        nothing = pictures[0][0].new_empty(0)
        return WeightedSamples(nothing, nothing)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar for each layer, already with the layer's weight; their sum is the loss."""
        for name in self.layers:
            if features[name].shape != self.content[name].shape:
                raise ConfigError(
                    f"features at {name} are {tuple(features[name].shape)}, the content's "
                    f"{tuple(self.content[name].shape)}",
                    "give picture and content the same size",
                )
        return super().__call__(features)

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``."""
        with torch.no_grad():
            theirs = self.on_grid(layer, self.content[layer], self.position_weight.get(layer))
        difference = similarity(ours) - similarity(theirs)
        return (ours.weight * difference.abs().sum(0)).sum()


def similarity(rows: WeightedSamples) -> Tensor:
    """Cosine distances of all pairs, each column divided by its sum: ``(n, C)`` -> ``(n, n)``.

    Rows count by their weight, so positions that hardly count hardly matter to the others.
    """
    x = normalize(rows.vectors)
    distances = (1 - x @ x.t()).clamp_min(0) * rows.weight[:, None]
    return distances / (distances.sum(0) + 1e-8 * rows.weight.mean())
