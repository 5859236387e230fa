"""Coarse to fine: the list of sizes, and how a picture grows from one to the next.

Statistics of features see windows of fixed size in pixels. On a small picture those windows are
large parts of it: there the optimiser lays out the big shapes; at full size it adds the fine
strokes (Gatys et al. 2017, section 6; Crowson's style-transfer-pytorch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from impasto.image.wrap import Axes, on_grid, resized

# Below this VGG's fifth stage has two positions: nothing to take statistics of.
SMALLEST = 32


@dataclass(frozen=True)
class Level:
    """One level of a pyramid: its size in pixels and how many steps are made there."""

    height: int
    width: int
    steps: int


def plan(
    height: int, width: int, steps: Sequence[int], ratio: float = 2.0, axes: Axes = ()
) -> list[Level]:
    """Levels for a picture of ``height`` x ``width``, coarsest first, one for each of ``steps``.

    Each is ``ratio`` times smaller than the next. A level with a short side under 32 pixels (or
    that of the picture, if it is smaller) is left out, its steps with it. Lengths along ``axes``,
    which go round, are multiples of 16 (see :mod:`impasto.image.wrap`).

    >>> plan(384, 512, (150, 100))
    [Level(height=192, width=256, steps=150), Level(height=384, width=512, steps=100)]
    """
    levels = []
    for distance, count in zip(range(len(steps) - 1, -1, -1), steps, strict=True):
        h, w = round(height / ratio**distance), round(width / ratio**distance)
        if distance == 0 or min(h, w) >= SMALLEST:
            levels.append(Level(*on_grid(h, w, axes), count))
    return levels


def grow(tensor: Tensor, level: Level, *, positive: bool = False, axes: Axes = ()) -> Tensor:
    """``(1, C, h, w)`` at the size of ``level``; bicubic, or bilinear where it must stay positive.

    Serves the picture and Adam's two moments alike: the first may be of either sign, the second may
    not (Crowson warm-starts each scale with both). Borders along ``axes`` meet.
    """
    size = (level.height, level.width)
    if tuple(tensor.shape[-2:]) == size:
        return tensor
    mode = "bilinear" if positive else "bicubic"

    def interpolate(tensor: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(tensor, size=size, mode=mode, align_corners=False)

    larger = resized(tensor, size, axes, interpolate)
    return larger.clamp_min(0) if positive else larger
