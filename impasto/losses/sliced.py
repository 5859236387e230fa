"""Distributions compared along a line, where the best way to move one onto the other is known: sort
both, and move the k-th smallest to the k-th smallest.

The *remap* R of a picture's values has the style's distribution and the picture's order. The
squared 2-Wasserstein distance on a line is the mean of ``(x - R(x))²``; its gradient moves each
value straight to where it belongs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.losses.sampled import SampledLoss, WeightedSamples
from impasto.machine.devices import has_float64


class HistogramLoss(SampledLoss):
    """Squared distance of each channel from itself with the style's histogram.

    Risser, Wilmot & Barnes (2017): ``|F - R(F)|²``, R the histogram matching of each
    channel, taken as constant in the gradient. Arguments as for
    :class:`~impasto.losses.sampled.SampledLoss`. ``mean`` is the mean over channels and positions,
    ``relative`` the mean over positions against the style's mean square, ``|s|²``.

    Where we differ: exact quantiles of at most 4096 positions, not 256 bins; the paper adds it to
    Gram matrices at relu1_1 and relu4_1, which here is a matter of settings.

    Raises ConfigError as :class:`~impasto.losses.sampled.SampledLoss` does.
    """

    name, scale = "histogram", 3.3
    limit = 4096

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``."""
        style = self.target[layer]
        distance = distance_on_lines(ours.vectors, ours.weight, style.vectors, style.weight).sum()
        if self.normalization == "relative":
            return distance / (mean_square(style) + 1e-8)
        return distance / ours.vectors.shape[1]


class SlicedLoss(SampledLoss):
    """Sliced Wasserstein distance: that of the projections on lines in random directions.

    Heitz et al. (2021): ``E_v |sort(F v) - sort(S v)|²``, which is 0 only where the
    whole distributions agree, not just their moments. Arguments as for
    :class:`~impasto.losses.sampled.SampledLoss`. At most 32 directions, drawn anew at each step
    (the paper: as many as channels) and perpendicular to one another (the paper: independent), so
    that with all C directions lengths are kept. ``mean`` is the mean over directions, ``relative``
    that against the style's mean square in a random direction, ``|s|² / C``.

    Raises ConfigError as :class:`~impasto.losses.sampled.SampledLoss` does.
    """

    name, scale = "sliced", 3.5
    limit = 4096
    directions = 32

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``."""
        style = self.target[layer]
        channels = ours.vectors.shape[1]
        v = directions(channels, self.directions, self.generator(layer, self.step)).to(
            style.vectors
        )
        distance = distance_on_lines(
            ours.vectors @ v, ours.weight, style.vectors @ v, style.weight
        ).mean()
        if self.normalization == "relative":
            return distance / (mean_square(style) / channels + 1e-8)
        return distance


def distance_on_lines(x: Tensor, x_weight: Tensor, y: Tensor, y_weight: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance of each column: ``(n, k)``, ``(m, k)`` -> ``(k,)``.

    The weights ``(n,)`` and ``(m,)`` each sum to one. Exact for as many equal weights on both
    sides; else y's quantiles are interpolated. The gradient is that with respect to x.

    >>> x, y = torch.tensor([[1.0], [5.0]]), torch.tensor([[7.0], [2.0]])
    >>> half = torch.tensor([0.5, 0.5])
    >>> distance_on_lines(x, half, y, half)
    tensor([2.5000])
    """
    values, order = x.t().sort(1)  # (k, n)
    goals = quantiles(_middles(x_weight, order), y, y_weight)
    return ((values - goals).square() * x_weight[order]).sum(1)


@torch.no_grad()
def quantiles(ranks: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """The values of each column of y ``(m, k)`` at ``ranks`` in [0, 1], ``(k, n)`` or ``(1, n)``:
    ``(k, n)``. Linear between the middles of neighbouring values, constant beyond the ends."""
    values, order = y.t().sort(1)
    places = _middles(weight, order).expand(len(ranks), -1).contiguous()
    ranks = ranks.expand(len(places), -1).contiguous()
    last = places.shape[1] - 1
    above = torch.searchsorted(places, ranks).clamp(min(1, last), last)
    below = (above - 1).clamp_min(0)
    low, high = places.gather(1, below), places.gather(1, above)
    share = ((ranks - low) / (high - low).clamp_min(1e-12)).clamp(0, 1).to(values.dtype)
    if len(ranks) == 1:  # the same in all columns
        return torch.lerp(values[:, below[0]], values[:, above[0]], share)
    return torch.lerp(values.gather(1, below), values.gather(1, above), share)


def mean_square(rows: WeightedSamples) -> Tensor:
    """The weighted mean of ``|s|²``."""
    return (rows.vectors.square().sum(1) * rows.weight).sum()


def directions(channels: int, count: int, draw: torch.Generator) -> Tensor:
    """``min(count, channels)`` perpendicular unit vectors, ``(channels, count)``."""
    gaussian = torch.randn(channels, min(count, channels), generator=draw, dtype=torch.float64)
    found: Tensor = torch.linalg.qr(gaussian).Q
    return found


def _middles(weight: Tensor, order: Tensor) -> Tensor:
    """Where the middle of each value lies in the cumulative distribution, for values sorted by
    ``order`` ``(k, n)``: ``(k, n)``, or ``(1, n)`` where all weigh the same. Added up in float64,
    for there are many; on the CPU where the device has none, and then handed back as float32."""
    device, precise = weight.device, has_float64(weight.device)
    if not precise:
        weight, order = weight.cpu(), order.cpu()
    sorted_weight = weight[None] if weight.min() == weight.max() else weight[order]
    sorted_weight = sorted_weight.double()
    middles = sorted_weight.cumsum(1) - 0.5 * sorted_weight
    return middles if precise else middles.float().to(device)
