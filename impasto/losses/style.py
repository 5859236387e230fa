"""What makes a style: statistics of features that forget where things are."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import Loss, layer_weights
from impasto.losses.functional import gram, mean_std

STYLE_FORMS = ("mean", "gatys", "relative")


class GramLoss(Loss):
    """Squared distance of Gram matrices (Gatys et al. 2016, eq. 3 to 5).

    ``target`` maps layers to the style's features ``(N, C, h, w)``, any h and w; ``weights`` gives
    each layer its weight w_l (default: equal, sum 1). With G the Gram matrix *per position* (see
    :func:`impasto.losses.functional.gram`), N channels and M positions, ``form`` is:

    - ``mean``: mean over the N² entries, ``1/N² |G - A|²``;
    - ``gatys``: ``1/(4 N²) |G - A|²``. The paper's ``1/(4 N² M²)`` on Gram matrices that sum over
      positions is the same where style and picture have equally many; where they have not, the
      paper compares a sum over M with one over another M', which no implementation does;
    - ``relative``: ``|G - A|² / |A|²``, so that layers, encoders and sizes weigh alike.

    ``target_weight`` and ``position_weight`` ``{layer: (N, 1, h, w)}`` say how much each position
    of the style and of the picture counts (transparent ones: 0).
    """

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        form: str = "mean",
        target_weight: Features | None = None,
        position_weight: Features | None = None,
    ) -> None:
        if form not in STYLE_FORMS:
            raise ConfigError(f"form is '{form}'", f"use one of: {', '.join(STYLE_FORMS)}")
        masks = target_weight or {}
        self.target = {name: gram(f, masks.get(name)).detach() for name, f in target.items()}
        self.weights = layer_weights(target, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.form = form
        self.position_weight = position_weight or {}
        self.factor = {name: self._factor(name) for name in self.layers}

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar per layer."""
        losses = {}
        for name in self.layers:
            difference = gram(features[name], self.position_weight.get(name)) - self.target[name]
            losses[name] = self.factor[name] * difference.square().sum()
        return losses

    def _factor(self, layer: str) -> float:
        target, weight = self.target[layer], self.weights[layer]
        if self.form == "relative":
            return weight / (float(target.square().sum()) + 1e-8)
        return weight / target.numel() / (4 if self.form == "gatys" else 1)


class MeanStdLoss(Loss):
    """Squared distance of channel means and standard deviations (Huang & Belongie 2017, eq. 13).

    Arguments as for :class:`GramLoss`; per layer the mean over channels of both squared
    differences, where the paper takes the norm of each; with ``form="relative"`` their sum over
    that of the target's own squares. (``gatys`` has no meaning here: ConfigError.)
    """

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        form: str = "mean",
        target_weight: Features | None = None,
        position_weight: Features | None = None,
    ) -> None:
        if form not in ("mean", "relative"):
            raise ConfigError(f"form is '{form}'", "use one of: mean, relative")
        masks = target_weight or {}
        self.target = {name: mean_std(f.detach(), masks.get(name)) for name, f in target.items()}
        self.weights = layer_weights(target, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.form = form
        self.position_weight = position_weight or {}

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar per layer."""
        losses = {}
        for name in self.layers:
            ours = mean_std(features[name], self.position_weight.get(name))
            theirs = self.target[name]
            distance = (ours.mean - theirs.mean).square() + (ours.std - theirs.std).square()
            if self.form == "mean":
                losses[name] = self.weights[name] * distance.mean()
            else:
                size = (theirs.mean.square() + theirs.std.square()).sum() + 1e-8
                losses[name] = self.weights[name] * distance.sum() / size
        return losses


STYLE_LOSSES: dict[str, type[GramLoss] | type[MeanStdLoss]] = {
    "gram": GramLoss,
    "mean-std": MeanStdLoss,
}
