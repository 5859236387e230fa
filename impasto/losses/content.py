"""What keeps the subject: distances of deep features, position by position."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import AdditiveLoss, Sums, Windows, cut, layer_weights

CONTENT_FORMS = ("mean", "gatys", "relative")


class FeatureLoss(AdditiveLoss):
    """Squared distance of features at the same position (Gatys et al. 2016, eq. 1).

    ``target`` maps layers to the content's features ``(N, C, h, w)``; ``weights`` gives each layer
    its weight (default: equal, sum 1). ``form`` is the normalisation:

    - ``mean``: mean over channels and positions;
    - ``gatys``: ``1/2 * sum``, as printed in the paper;
    - ``relative``: the sum over the target's own, so that 1 means "as far as an empty picture",
      whatever the layer, the encoder or the size.

    ``position_weight`` ``{layer: (N, 1, h, w)}`` lets positions count less (transparent ones: 0).
    Raises ConfigError for an unknown form or layer.
    """

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        form: str = "mean",
        position_weight: Features | None = None,
    ) -> None:
        if form not in CONTENT_FORMS:
            raise ConfigError(f"form is '{form}'", f"use one of: {', '.join(CONTENT_FORMS)}")
        self.target = {name: features.detach() for name, features in target.items()}
        self.weights = layer_weights(target, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.form = form
        self.position_weight = position_weight or {}
        self.factor = {name: self._factor(name) for name in self.layers}

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """The squared distance at each layer."""
        sums = {}
        for name in self.layers:
            target = cut(self.target[name], name, windows)
            if features[name].shape != target.shape:
                raise ConfigError(
                    f"features at {name} are {tuple(features[name].shape)}, the content's "
                    f"{tuple(target.shape)}",
                    "give picture and content the same size",
                )
            sums[name] = self._squared_norm(features[name] - target, name, windows)
        return sums

    def judge(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar per layer."""
        return {name: self.factor[name] * sums[name] for name in self.layers}

    def _squared_norm(self, x: Tensor, layer: str, windows: Windows | None = None) -> Tensor:
        squares = x.square()
        if (weight := self.position_weight.get(layer)) is not None:
            squares = squares * cut(weight, layer, windows).to(squares.dtype)
        return squares.sum(dtype=torch.float32 if x.dtype != torch.float64 else None)

    def _factor(self, layer: str) -> float:
        weight = self.weights[layer]
        if self.form == "mean":
            return weight / self.target[layer].numel()
        if self.form == "gatys":
            return weight / 2
        return weight / (float(self._squared_norm(self.target[layer], layer)) + 1e-8)
