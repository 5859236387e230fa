"""What makes a style: statistics of features that forget where things are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.losses.base import (
    Loss,
    LossOptions,
    StyleSource,
    Sums,
    TileableLoss,
    Windows,
    crop_to_window,
    layer_weights,
)
from impasto.losses.functional import EPSILON, count, mean_std_of, moment_sums

STYLE_NORMALIZATIONS = ("mean", "gatys", "relative")


class StatisticLoss(TileableLoss):
    """Squared distance of a statistic of the picture's features from that of the style's.

    ``target`` maps layers to the style's features ``(N, C, h, w)``, any h and w; ``weights`` gives
    each layer its weight w_l (default: equal, sum 1). ``target_weight`` and ``position_weight``
    ``{layer: (N, 1, h, w)}`` say how much each position of the style and of the picture counts
    (transparent ones: 0). The forms are the subclasses'. Raises ConfigError for an unknown
    normalization, for no layer with a weight, and for a weight of a layer without a target.

    :meth:`from_target_sums` builds one from what :meth:`measure` found in the tiles of a style.
    """

    role = "style"
    normalizations: ClassVar[tuple[str, ...]] = STYLE_NORMALIZATIONS
    weighs_positions = True

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        target_weight: Features | None = None,
        position_weight: Features | None = None,
    ) -> None:
        with torch.no_grad():
            sums = self.measure(target, target_weight or {})
        self._build(sums, weights, normalization, position_weight)

    @classmethod
    def from_styles(
        cls, styles: Sequence[StyleSource], weights: Mapping[str, float], options: LossOptions
    ) -> list[Loss]:
        """One loss, for sums blend."""
        sums = cls.blend([(style.share, style.measure(cls)) for style in styles])
        loss = cls.from_target_sums(
            sums,
            {layer: weight for layer, weight in weights.items() if layer in sums},
            normalization=options.normalization,
            position_weight=options.position_weight,
        )
        return [loss]

    @classmethod
    def from_target_sums(
        cls,
        sums: Sums,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        position_weight: Features | None = None,
    ) -> StatisticLoss:
        """The loss whose target has these sums."""
        loss = cls.__new__(cls)
        loss._build(sums, weights, normalization, position_weight)
        return loss

    @classmethod
    def measure(cls, features: Features, masks: Features) -> Sums:
        """What adds up over positions, and how many there are, for each layer of ``features``."""
        sums = {}
        for name, f in features.items():
            sums[name] = cls.add_up(f, masks.get(name))
            sums[count_key(name)] = count(f, masks.get(name))
        return sums

    @staticmethod
    def blend(measured: Sequence[tuple[float, Sums]]) -> Sums:
        """The sums of a mixture of styles, each with its weight; all weights of a layer sum to one.

        The moments of a mixture are the weighted mean of its parts' moments, whatever their sizes:
        as if the styles hung side by side on areas in the proportion of the weights. A layer that
        only some of them hold is a mixture of those.
        """
        mixture: Sums = {}
        for name in dict.fromkeys(x for _, sums in measured for x in sums if count_key(x) in sums):
            parts = [(weight, sums) for weight, sums in measured if weight and name in sums]
            total = sum(weight for weight, _ in parts)
            if len(parts) == 1:
                mixture |= {key: parts[0][1][key] for key in (name, count_key(name))}
            elif parts:
                means = [(w / total, s[name] / (s[count_key(name)] + EPSILON)) for w, s in parts]
                mixture[name] = torch.stack([w * mean for w, mean in means]).sum(0)
                mixture[count_key(name)] = torch.ones_like(parts[0][1][count_key(name)])
        return mixture

    @staticmethod
    @abstractmethod
    def add_up(features: Tensor, weight: Tensor | None) -> Tensor:
        """The sums over positions that the statistic is made of."""

    @staticmethod
    def statistic(means: Tensor) -> Tensor:
        """The statistic from :meth:`add_up` divided by the number of positions."""
        return means

    @staticmethod
    def terms(target: Tensor) -> int:
        """Over how many squares ``normalization="mean"`` takes the mean."""
        return target.numel()

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """:meth:`measure` for the layers that this loss reads."""
        masks = {
            name: crop_to_window(mask, name, windows) for name, mask in self.position_weight.items()
        }
        return self.measure({name: features[name] for name in self.layers}, masks)

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar per layer."""
        losses = {}
        for name in self.layers:
            difference = self._statistic(sums, name) - self.target[name]
            losses[name] = self.factor[name] * difference.square().sum()
        return losses

    def _build(
        self,
        sums: Sums,
        weights: Mapping[str, float] | None,
        normalization: str,
        position_weight: Features | None,
    ) -> None:
        self.check_normalization(normalization)
        names = [name for name in sums if count_key(name) in sums]
        self.target = {name: self._statistic(sums, name) for name in names}
        self.weights = layer_weights(self.target, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.normalization = normalization
        self.position_weight = position_weight or {}
        self.factor = {name: self._factor(name) for name in self.layers}

    def _statistic(self, sums: Sums, layer: str) -> Tensor:
        return self.statistic(sums[layer] / (sums[count_key(layer)] + EPSILON))

    def _factor(self, layer: str) -> float:
        target, weight = self.target[layer], self.weights[layer]
        if self.normalization == "relative":
            return weight / (float(target.square().sum()) + 1e-8)
        return weight / self.terms(target) / (4 if self.normalization == "gatys" else 1)


class MeanStdLoss(StatisticLoss):
    """Squared distance of channel means and standard deviations (Huang & Belongie 2017, eq. 13).

    Arguments as for :class:`StatisticLoss`; per layer the mean over channels of both squared
    differences, where the paper takes the norm of each; with ``normalization="relative"`` their sum
    over that of the target's own squares. (``gatys`` has no meaning here: ConfigError.)
    """

    name, scale = "mean-std", 4.0
    normalizations = ("mean", "relative")

    add_up = staticmethod(moment_sums)

    @staticmethod
    def statistic(means: Tensor) -> Tensor:
        """Means and standard deviations ``(N, 2, C)``."""
        return torch.stack(mean_std_of(means), 1)

    @staticmethod
    def terms(target: Tensor) -> int:
        """As many as channels: a mean and a deviation make one term."""
        return target.numel() // 2


def count_key(layer: str) -> str:
    """Under which name the number of positions of ``layer`` is kept."""
    return f"{layer} count"
