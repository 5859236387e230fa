"""What excites a network: losses that are small where features are large.

The other losses come close to a target. These climb: their value is the negative of what is to
grow, so that the optimiser, which only knows how to make numbers small, makes it large.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.config.layers import Selection
from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import Sums, TileableLoss, Windows, layer_weights

ACTIVATION_NORMALIZATIONS = ("relative", "square", "mean")
EPSILON = 1e-8
CHUNK = 2**22  # similarities at a time
MOST_MATCHES = 2048  # positions of a guide that are looked at


class ActivationLoss(TileableLoss):
    """How little layers are excited; made small, the picture fills with what excites them.

    ``reference`` maps layers to features ``(1, C, h, w)``: those of the picture to begin with, any
    h and w. ``weights`` gives each layer its weight w_l (default: equal, sum 1; a negative one
    calms the layer); ``channels`` picks some of a layer's (default: all). With ``m`` the mean over
    positions and those channels, ``normalization`` is

    - ``relative``: ``-w_l/2 log(m(f²) / m(f_reference²))``. 0 for the reference itself, -1 where
      the features are e times as large, so that layers and encoders weigh alike, and no layer runs
      away from the others: the more it is excited already, the less a little more of it counts;
    - ``square``: ``-w_l/2 m(f²)``, whose gradient is the features themselves, which is how
      DeepDream was written (Mordvintsev et al. 2015);
    - ``mean``: ``-w_l m(f)``, for single channels (Olah et al. 2017).

    Raises ConfigError for an unknown normalization, layer or channel.
    """

    normalizations = ACTIVATION_NORMALIZATIONS

    def __init__(
        self,
        reference: Features,
        weights: Mapping[str, float] | None = None,
        *,
        channels: Mapping[str, Iterable[int]] | None = None,
        normalization: str = "relative",
    ) -> None:
        self.check_normalization(normalization)
        self.normalization = normalization
        self.weights = layer_weights(reference, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.channels = {
            layer: _checked(layer, wanted, reference[layer].shape[1])
            for layer, wanted in (channels or {}).items()
            if layer in reference
        }
        with torch.no_grad():
            sums = self.sums(reference)
            self.reference = {name: float(self._mean(sums, name)) for name in self.layers}

    @classmethod
    def of(
        cls,
        selections: Iterable[Selection],
        reference: Features,
        *,
        normalization: str = "relative",
    ) -> ActivationLoss:
        """The loss for layers, channels and weights as :mod:`impasto.config.layers` reads them."""
        chosen = tuple(selections)
        return cls(
            reference,
            {item.layer: item.weight for item in chosen},
            channels={s.layer: s.channels for s in chosen if s.channels is not None},
            normalization=normalization,
        )

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """The sum over positions and channels, and over how many."""
        found: Sums = {}
        for name in self.layers:
            f = features[name]
            if name in self.channels:
                f = f[:, self.channels[name]]
            f = f if f.dtype == torch.float64 else f.float()
            found[name] = f.sum() if self.normalization == "mean" else f.square().sum()
            found[f"{name} count"] = f.new_tensor(float(f.numel()))
        return found

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar for each layer; negative where it is more excited than the reference."""
        values = {}
        for name in self.layers:
            mean, weight = self._mean(sums, name), self.weights[name]
            if self.normalization == "relative":
                start = self.reference[name] + EPSILON
                values[name] = -weight / 2 * ((mean + EPSILON) / start).log()
            else:
                values[name] = -weight * mean * (0.5 if self.normalization == "square" else 1.0)
        return values

    def _mean(self, sums: Sums, layer: str) -> Tensor:
        return sums[layer] / sums[f"{layer} count"]


class ChannelLoss(TileableLoss):
    """One channel for each picture of a batch: picture n shall excite channel n of ``channels``.

    ``layer`` is the layer's name. The value is ``-sum_n mean_p f[n, channel_n, p]`` (the "channel
    objective" of Olah et al. 2017), over a window in the middle if ``center`` is a fraction below
    one of the map's side ("neuron objective", as it becomes small).
    """

    def __init__(self, layer: str, channels: Iterable[int], *, center: float = 1.0) -> None:
        self.layers, self.channels = (layer,), tuple(channels)
        if not self.channels:
            raise ConfigError("no channels to look at", "name at least one")
        if not 0 < center <= 1:
            raise ConfigError(f"center is {center}", "use a fraction above 0, up to 1")
        self.center = center

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """Each picture's sum over positions, and how many they are."""
        if windows is not None and self.center < 1:
            raise ConfigError("the middle of a picture is not in every tile", "leave out the tiles")
        f = features[self.layers[0]]
        if len(f) != len(self.channels) or max(self.channels) >= f.shape[1]:
            raise ConfigError(
                f"{len(f)} pictures and {f.shape[1]} channels for the channels {self.channels}",
                "give one picture for each channel, and channels that there are",
            )
        own = f[torch.arange(len(f)), list(self.channels)].float()  # (N, h, w)
        if self.center < 1:
            height, width = (max(1, round(self.center * side)) for side in own.shape[-2:])
            top, left = (own.shape[-2] - height) // 2, (own.shape[-1] - width) // 2
            own = own[:, top : top + height, left : left + width]
        return {"sum": own.sum(), "count": own.new_tensor(float(own[0].numel()))}

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar for the layer."""
        return {self.layers[0]: -sums["sum"] / sums["count"]}


class GuideLoss(TileableLoss):
    """How little a picture excites what a guide picture excites; made small, it dreams of that.

    Each position looks among those of the guide for the one whose features match its own best, by
    their inner product, and then grows towards it: ``-w_l mean_p max_q <f_p, g_q> / mean_q |g_q|²``
    (the guided dreams of Mordvintsev et al. 2015, in whose notebook the gradient at p is g_q). With
    ``normalization="cosine"`` it is the cosine of the best match by cosine, which is bounded:
    nothing grows, it only turns.

    ``guide`` maps layers to features ``(1, C, h, w)``, any h and w, of which 2048 positions, evenly
    spread, are looked at; ``weights`` as for the other losses.
    """

    normalizations = ("product", "cosine")

    def __init__(
        self,
        guide: Features,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "product",
    ) -> None:
        self.check_normalization(normalization)
        self.normalization = normalization
        self.weights = layer_weights(guide, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.guide = {name: self._prepared(_spread(guide[name])) for name in self.layers}
        self.size = {
            name: float(g.float().square().sum(1).mean()) + EPSILON
            for name, g in self.guide.items()
        }

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """The inner products with the best matches, and of how many positions."""
        found: Sums = {}
        for name in self.layers:
            ours = self._prepared(features[name].permute(0, 2, 3, 1).flatten(0, 2))  # (P, C)
            best = self._matches(ours.detach(), self.guide[name])
            found[name] = (ours * self.guide[name][best]).sum(dtype=torch.float32)
            found[f"{name} count"] = found[name].new_tensor(float(len(ours)))
        return found

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar for each layer."""
        return {
            name: -self.weights[name] / self.size[name] * sums[name] / sums[f"{name} count"]
            for name in self.layers
        }

    def _prepared(self, rows: Tensor) -> Tensor:
        return F.normalize(rows, dim=1) if self.normalization == "cosine" else rows

    @staticmethod
    def _matches(ours: Tensor, guide: Tensor) -> Tensor:
        """For each row of ``ours`` ``(P, C)`` the row of ``guide`` ``(Q, C)`` that matches best."""
        step = max(1, CHUNK // len(guide))
        parts = [(rows @ guide.T).argmax(1) for rows in torch.split(ours, step)]
        return torch.cat(parts)


def _checked(layer: str, channels: Iterable[int], count: int) -> list[int]:
    wanted = list(channels)
    if bad := [c for c in wanted if not 0 <= c < count]:
        raise ConfigError(f"{layer} has no channel {bad[0]}", f"its channels are 0 to {count - 1}")
    if not wanted:
        raise ConfigError(f"no channels of {layer}", "name at least one, or leave them out")
    return wanted


def _spread(features: Tensor) -> Tensor:
    """``(1, C, h, w)`` -> ``(Q, C)``, evenly spread over the positions."""
    rows = features.detach().permute(0, 2, 3, 1).flatten(0, 2)
    if len(rows) > MOST_MATCHES:
        step = len(rows) / MOST_MATCHES
        rows = rows[[int(i * step) for i in range(MOST_MATCHES)]]
    return rows.contiguous()
