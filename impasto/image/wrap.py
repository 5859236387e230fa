"""Pictures that wrap around: one border continues at the opposite one, so that copies laid side by
side show no seam (textures), or left and right meet (panoramas).

``axes`` are those of ``(N, C, H, W)`` that wrap around: none, ``(3,)`` or ``(2, 3)``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import torch
from torch import Tensor

Axes = tuple[int, ...]
Resize = Callable[[Tensor, tuple[int, int]], Tensor]

AXES: dict[str, Axes] = {"off": (), "horizontal": (3,), "both": (2, 3)}
"""Value of the setting ``wrap`` -> the axes that wrap around."""

# The poolings before VGG's fifth stage halve a picture four times. Each halving drops an odd row or
# column and so breaks the seam: lengths are multiples of this.
GRID = 16
MARGIN = 8  # pixels beyond the border that a bicubic resize to half size reads, at most


def on_grid(height: int, width: int, axes: Axes) -> tuple[int, int]:
    """The size with each length along ``axes`` rounded to a multiple of ``GRID``.

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
    """Pixels ``(N, C, bottom - top, right - left)`` of ``image`` ``(N, C, H, W)``.

    ``bounds`` are ``(top, bottom, left, right)`` in pixels and may lie beyond the borders along
    ``axes``. The result is a view where they do not.
    """
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
    """Add ``values`` in place to the pixels that :func:`window` returns (its transpose)."""
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
    """``resize(image, size)`` for a picture that wraps around along ``axes``.

    The picture is resized with a margin taken from its opposite border, which is then cut off. The
    margin is a whole number of pixels before and after, so nothing is shifted.
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
