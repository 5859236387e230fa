"""What keeps the subject without holding on to its colours: likeness within the picture, edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import IMAGE, Features, pad_to_multiple
from impasto.errors import ConfigError
from impasto.losses.base import Loss, LossOptions
from impasto.losses.patches import normalize
from impasto.losses.sampled import SampledLoss, WeightedSamples

STENCIL = ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0))


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

    name, role, scale = "self-similarity", "content", 19.0

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


class LaplacianLoss(Loss):
    """Squared distance of the Laplacians of the picture and of the content: edges stay.

    Li, Xu, Nie & Liu (2017): ``Σ (D(pool(x)) - D(pool(c)))²``, the pooling an average over
    ``pool`` x ``pool`` pixels (each of several sizes, if several are given), D the four-neighbour
    Laplacian. Reads the layer ``image`` and no network, so it can be had beside tiles.

    ``target`` is ``{"image": (N, 3, H, W)}``. ``mean`` is the mean over channels and positions,
    ``relative`` the sum over the content's own. ``position_weight`` ``{"image": (N, 1, H, W)}``: a
    position counts as much as the least pixel that it sees. Where we differ: channels apart, and
    borders are repeated.
    """

    layers = (IMAGE,)
    name, role, scale = "laplacian", "content", 20.0
    normalizations = ("mean", "relative")
    weighs_positions = True
    tileable = True  # it reads no features

    def __init__(
        self,
        target: Features,
        *,
        pool: Sequence[int] = (4,),
        normalization: str = "mean",
        position_weight: Features | None = None,
    ) -> None:
        if normalization not in self.normalizations:
            raise ConfigError(
                f"normalization is '{normalization}'",
                f"use one of: {', '.join(self.normalizations)}",
            )
        content = target[IMAGE].detach()
        self.normalization, self.size = normalization, content.shape
        self.pools = tuple(max(1, min(size, *content.shape[-2:])) for size in pool)
        mask = (position_weight or {}).get(IMAGE)
        self.target = [laplacian(content, size) for size in self.pools]
        self.weight = [None if mask is None else _least_weight(mask, x) for x in self.pools]

    @classmethod
    def from_content(
        cls, features: Features, weights: Mapping[str, float], options: LossOptions
    ) -> Loss:
        """The loss that keeps the content's edges, whatever the layers."""
        mask = options.position_weight
        return cls(features, normalization=options.normalization, position_weight=mask)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar, under ``image``."""
        image = features[IMAGE]
        if image.shape != self.size:
            raise ConfigError(
                f"the picture is {tuple(image.shape)}, the content {tuple(self.size)}",
                "give picture and content the same size",
            )
        total = image.new_zeros(())
        for size, target, weight in zip(self.pools, self.target, self.weight, strict=True):
            w = 1.0 if weight is None else weight.to(target)
            distance = ((laplacian(image, size) - target).square() * w).sum()
            own = (
                (target.square() * w).sum() if self.normalization == "relative" else target.numel()
            )
            total = total + distance / (own + 1e-8) / len(self.pools)
        return {IMAGE: total}


def similarity(rows: WeightedSamples) -> Tensor:
    """Cosine distances of all pairs, each column divided by its sum: ``(n, C)`` -> ``(n, n)``.

    Rows count by their weight, so positions that hardly count hardly matter to the others.
    """
    x = normalize(rows.vectors)
    distances = (1 - x @ x.t()).clamp_min(0) * rows.weight[:, None]
    return distances / (distances.sum(0) + 1e-8 * rows.weight.mean())


def laplacian(image: Tensor, pool: int) -> Tensor:
    """The Laplacian of averages over ``pool`` x ``pool`` pixels: ``(N, C, H, W)`` -> smaller.

    >>> laplacian(torch.arange(16.0).view(1, 1, 4, 4), 1)[0, 0, 1:3, 1:3]
    tensor([[0., 0.],
            [0., 0.]])
    """
    channels = image.shape[1]
    small = F.pad(F.avg_pool2d(_whole(image, pool), pool), (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor(STENCIL, dtype=image.dtype, device=image.device)
    return F.conv2d(small, kernel.expand(channels, 1, 3, 3), groups=channels)


def _least_weight(mask: Tensor, pool: int) -> Tensor:
    """The least weight among the pixels that a position of :func:`laplacian` sees."""
    return -F.max_pool2d(F.max_pool2d(-_whole(mask, pool), pool), 3, stride=1, padding=1)


def _whole(image: Tensor, pool: int) -> Tensor:
    """``image`` with a mirrored border below and to the right, to multiples of ``pool``: else its
    last rows and columns would belong to no window, and nothing would hold them."""
    return pad_to_multiple(image, pool, "reflect")
