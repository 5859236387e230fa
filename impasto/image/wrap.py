"""Pictures that go round: what leaves them on one side comes in on the other, so that copies laid
side by side show no seam (textures), or left and right meet (panoramas).

``axes`` are those of ``(N, C, H, W)`` that go round: none, ``(3,)`` or ``(2, 3)``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import torch
from torch import Tensor

Axes = tuple[int, ...]
Resize = Callable[[Tensor, tuple[int, int]], Tensor]

AXES: dict[str, Axes] = {"off": (), "horizontal": (3,), "both": (2, 3)}
"""The setting ``wrap`` -> the axes that go round."""

# The poolings before VGG's fifth stage halve a picture four times. Each halving drops an odd row or
# column, and with it the neighbours across the seam: lengths are multiples of this.
GRID = 16
MARGIN = 8  # pixels that a bicubic resize looks at beyond the border, at most, at half size


def on_grid(height: int, width: int, axes: Axes) -> tuple[int, int]:
    """The size, each length along ``axes`` rounded to a multiple of 16.

    >>> on_grid(100, 100, (3,))
    (100, 96)
    """
    lengths = (height, width)
    snapped = [
        max(GRID, round(length / GRID) * GRID) if axis in axes else length
        for axis, length in zip((2, 3), lengths, strict=True)
    ]
    return snapped[0], snapped[1]


def window(image: Tensor, bounds: tuple[int, int, int, int], axes: Axes) -> Tensor:
    """The pixels from ``top`` to ``bottom`` and ``left`` to ``right``, which may lie beyond the
    borders along ``axes``; a view where they do not."""
    top, bottom, left, right = bounds
    for axis, first, last in ((2, top, bottom), (3, left, right)):
        length = image.shape[axis]
        if axis in axes and (first < 0 or last > length):
            image = image.index_select(axis, _round(first, last, length, image))
        else:
            image = image.narrow(axis, first, last - first)
    return image


def add_to_window(
    image: Tensor, bounds: tuple[int, int, int, int], axes: Axes, values: Tensor
) -> None:
    """Add ``values`` to the pixels that :func:`window` gives, in place."""
    top, bottom, left, right = bounds
    height, width = image.shape[-2:]
    if not axes or (top >= 0 and bottom <= height and left >= 0 and right <= width):
        image[..., top:bottom, left:right].add_(values)
        return
    rows = _round(top, bottom, height, image)
    columns = _round(left, right, width, image)
    folded = image.new_zeros(*image.shape[:2], bottom - top, width)
    folded.index_add_(3, columns, values)
    image.index_add_(2, rows, folded)


def resized(image: Tensor, size: tuple[int, int], axes: Axes, resize: Resize) -> Tensor:
    """``resize(image, size)`` of a picture that goes round along ``axes``.

    It is resized with a margin from its other side, which is then cut off. The margin is a whole
    number of pixels before and after, so nothing is shifted.
    """
    if not axes or tuple(image.shape[-2:]) == size:
        return resize(image, size)
    bounds, cut, wanted = [], [], []
    for axis, new in zip((2, 3), size, strict=True):
        old = image.shape[axis]
        unit = old // gcd(old, new)  # pixels of the old that are whole pixels of the new
        least = MARGIN * max(1, -(-old // new))
        margin = -(-least // unit) * unit if axis in axes else 0
        bounds += [-margin, old + margin]
        cut.append(margin * new // old)
        wanted.append(new + 2 * cut[-1])
    larger = resize(window(image, tuple(bounds), axes), (wanted[0], wanted[1]))  # type: ignore[arg-type]  # four of them
    return larger[..., cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]].contiguous()


def _round(first: int, last: int, length: int, like: Tensor) -> Tensor:
    return torch.arange(first, last, device=like.device) % length
