"""From a mask in image space to one per layer.

A feature sees far more pixels than those it stands for: at relu5_1 of VGG-19 a window of 156. Where
that window crosses the border of a region, its statistics tell of both sides, and one style leaks
into the other's region. So only positions whose whole window lies inside count (``inside_masks``);
what is merely transparent has no other side, and counts by its area (``layer_masks``).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import Features

# Of what a window of its full size leaves of a region, so much must remain; else it is narrowed.
LEAST_INSIDE = 0.25
NARROWINGS = (1.0, 0.75, 0.5, 0.25, 0.0)

# How much of its theoretical window a feature heeds: what lies beyond a quarter of the reach has
# about a sixth of the influence on each side (a Gaussian's tail beyond one deviation, which for a
# stack of 3x3 kernels at relu4_1 is 10 of 30 pixels; Luo et al. 2016, "Understanding the effective
# receptive field").
EFFECTIVE = 0.25
GUIDANCES = {"inside": 1.0, "effective": EFFECTIVE, "simple": 0.0}
"""How a position is said to be inside a region -> how much of its reach must be."""


def layer_masks(mask: Tensor, sizes: Mapping[str, tuple[int, int]]) -> Features:
    """``(N, 1, H, W)`` in [0, 1] -> ``{layer: (N, 1, h, w)}`` for ``sizes`` ``{layer: (h, w)}``.

    Averages over the pixels that a position stands for (Gatys et al. 2017 call plain resizing
    "simple" guidance).
    """
    return {name: F.interpolate(mask, size=size, mode="area") for name, size in sizes.items()}


def inside_masks(
    mask: Tensor, windows: Mapping[str, tuple[int, int]], share: float = 1.0
) -> Features:
    """``(1, 1, H, W)`` in [0, 1] -> ``{layer: (1, 1, h, w)}``, by whole receptive fields.

    ``windows`` is ``{layer: (stride, reach)}``: a position stands for ``stride`` pixels a side and
    sees ``reach`` more on each side (see ``Encoder.stride`` and ``Encoder.receptive_field``). Its
    weight is the least that the mask has in what it sees, or in that ``share`` of its reach; beyond
    the picture's border there is nothing to see.

    This is the "inside" propagation of guidance channels of Gatys et al. (2017, "Controlling
    perceptual factors in neural style transfer", section 4), for soft masks. Deep windows can be as
    large as a region: where less than a quarter of its area would be left, the reach is narrowed in
    quarters until as much is left, down to the pixels that a position stands for.

    >>> import torch
    >>> half = torch.zeros(1, 1, 8, 8)
    >>> half[..., 4:] = 1
    >>> inside_masks(half, {"relu2_1": (2, 1)})["relu2_1"][0, 0, 0]
    tensor([0., 0., 0., 1.])
    """
    result = {}
    for name, (stride, reach) in windows.items():
        for narrowing in NARROWINGS:
            result[name] = _least(mask, stride, round(narrowing * share * reach))
            if result[name].mean() >= LEAST_INSIDE * mask.mean():
                break
        if result[name].sum() == 0:  # thinner than a position: all that is left to count by is area
            result[name] = F.avg_pool2d(mask, stride)
    return result


def _least(mask: Tensor, stride: int, reach: int) -> Tensor:
    """The minimum over windows of ``stride + 2 * reach`` pixels a side, ``stride`` apart."""
    size = stride + 2 * reach
    rows = F.max_pool2d(-mask, (size, 1), (stride, 1), (reach, 0))
    return -F.max_pool2d(rows, (1, size), (1, stride), (0, reach))
