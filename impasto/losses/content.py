"""What keeps the subject: distances of deep features, position by position."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import (
    Loss,
    LossOptions,
    Sums,
    TileableLoss,
    Windows,
    crop_to_window,
    layer_weights,
)

CONTENT_NORMALIZATIONS = ("mean", "gatys", "relative")

# Added to a mean of powers before its root, whose slope at nothing would be infinite.
NEARLY_NOTHING = 1e-9
# Where features are float64 (QuantizedFeatures), a position's share is rounded to multiples of
# this, so that sums of them have no rounding.
GRAIN = 2.0**-26


class FeatureLoss(TileableLoss):
    """Squared distance of features at the same position (Gatys et al. 2016, eq. 1).

    ``target`` maps layers to the content's features ``(N, C, h, w)``; ``weights`` gives each layer
    its weight (default: equal, sum 1). ``normalization`` is:

    - ``mean``: mean over channels and positions;
    - ``gatys``: ``1/2 * sum``, as printed in the paper;
    - ``relative``: the sum over the target's own, so that 1 means "as far as an empty picture",
      whatever the layer, the encoder or the size.

    ``position_weight`` ``{layer: (N, 1, h, w)}`` lets positions count less (transparent ones: 0).
    ``power`` p above 1, with ``relative`` only, lets places that have moved far count for
    more: with d the relative squared distance at a position, the loss is ``(mean d^p)^(1/p)``
    instead of the mean. So no small thing, such as a face, is given up for the rest.

    Raises ConfigError for an unknown normalization or layer, and for a power with another one than
    ``relative``.
    """

    name, role, least = "features", "content", 1.0
    normalizations = CONTENT_NORMALIZATIONS
    weighs_positions = True

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        position_weight: Features | None = None,
        power: float = 1.0,
    ) -> None:
        self.check_normalization(normalization)
        if not power >= 1 or (power > 1 and normalization != "relative"):
            raise ConfigError(
                f"power is {power} with normalization '{normalization}'",
                "use 1, or more with the normalization relative",
            )
        self.target = {name: features.detach() for name, features in target.items()}
        self.weights = layer_weights(target, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.normalization, self.power = normalization, power
        self.position_weight = position_weight or {}
        self.factor = {name: self._factor(name) for name in self.layers}
        self.counted = {name: self._counted(name) for name in self.layers}

    @classmethod
    def from_content(
        cls, features: Features, weights: Mapping[str, float], options: LossOptions
    ) -> Loss:
        """The loss that keeps the content's features."""
        return cls(
            {layer: features[layer] for layer in weights},
            weights,
            normalization=options.normalization,
            position_weight=options.position_weight,
            power=options.power,
        )

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """The squared distance at each layer; with a power, the sum of its positions' powers."""
        sums = {}
        for name in self.layers:
            target = crop_to_window(self.target[name], name, windows)
            if features[name].shape != target.shape:
                raise ConfigError(
                    f"features at {name} are {tuple(features[name].shape)}, the content's "
                    f"{tuple(target.shape)}",
                    "give picture and content the same size",
                )
            moved = features[name] - target
            if self.power == 1:
                sums[name] = self._squared_norm(moved, name, windows)
            else:
                sums[name] = self._powers(moved, name, windows)
        return sums

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar per layer."""
        if self.power == 1:
            return {name: self.factor[name] * sums[name] for name in self.layers}
        found, nothing = {}, NEARLY_NOTHING ** (1 / self.power)
        for name in self.layers:
            mean = sums[name] / self.counted[name]
            found[name] = self.weights[name] * (
                (mean + NEARLY_NOTHING) ** (1 / self.power) - nothing
            )
        return found

    def _squared_norm(self, x: Tensor, layer: str, windows: Windows | None = None) -> Tensor:
        squares = x.square()
        if (weight := self.position_weight.get(layer)) is not None:
            squares = squares * crop_to_window(weight, layer, windows).to(squares.dtype)
        return squares.sum(dtype=torch.float32 if x.dtype != torch.float64 else None)

    def _powers(self, x: Tensor, layer: str, windows: Windows | None) -> Tensor:
        """The sum over positions of the power of each one's squared norm, against the mean one of
        the target."""
        exact = x.dtype == torch.float64
        squares = x.square().sum(1, keepdim=True, dtype=x.dtype if exact else torch.float32)
        distance = squares * (self.factor[layer] / self.weights[layer] * self.counted[layer])
        # A plain product where it will do: a power's last bit depends on its place in the tensor.
        shares = distance * distance if self.power == 2 else distance**self.power
        if (weight := self.position_weight.get(layer)) is not None:
            shares = shares * crop_to_window(weight, layer, windows).to(shares.dtype)
        if exact:
            shares = shares + ((shares / GRAIN).round() * GRAIN - shares).detach()
        return shares.sum()

    def _counted(self, layer: str) -> float:
        """The sum of the positions' weights."""
        n, _, height, width = self.target[layer].shape
        weight = self.position_weight.get(layer)
        if weight is None:
            return float(n * height * width)
        return float(weight.cpu().expand(n, 1, height, width).sum(dtype=torch.float64)) + 1e-8

    def _factor(self, layer: str) -> float:
        weight = self.weights[layer]
        if self.normalization == "mean":
            return weight / self.target[layer].numel()
        if self.normalization == "gatys":
            return weight / 2
        return weight / (float(self._squared_norm(self.target[layer], layer)) + 1e-8)
