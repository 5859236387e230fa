"""The built-in styles: pictures painted by code, so that the first run needs no download.

``SWATCHES`` is the table, ``swatch(name)`` paints one::

    sheet.py   the sheet to paint on: size, seed, noise, a few things to do with fields
    brush.py   a loaded brush: strokes with bristles and thick paint
    oils.py    impasto, night, fauve
    dots.py    pointillism
    paper.py   watercolour, pastel, hatching
    tiles.py   mosaic, stained glass, facets
    prints.py  woodcut, waves, nouveau

A painter is a function from a sheet to colours (H, W, 3); it draws its scene small, takes
colour and direction from that scene, and makes its marks at full size.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from impasto.errors import ConfigError, UnknownNameError
from impasto.swatches import dots, oils, paper, prints, tiles
from impasto.swatches.sheet import Array, Sheet

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LARGEST", "SMALLEST", "SWATCHES", "Swatch", "swatch"]

SMALLEST, LARGEST = 32, 8192  # pixels, each side


@dataclass(frozen=True)
class Swatch:
    """One built-in style: its name, how to show it, and the function that paints it.

    ``painter`` takes a ``Sheet`` and gives sRGB colours (H, W, 3), which may stray a little
    outside [0, 1].
    """

    name: str
    title: str
    description: str
    painter: Callable[[Sheet], Array]


SWATCHES: dict[str, Swatch] = {
    entry.name: entry
    for entry in (
        Swatch("impasto", "Impasto", "A garden in thick, broken strokes of oil", oils.impasto),
        Swatch("night", "Night", "Moon and stars swirling over a lake, in oil", oils.night),
        Swatch("fauve", "Fauve", "A harbour in pure colours with blue contours", oils.fauve),
        Swatch(
            "pointillism", "Pointillism", "A river bank in dots of pure colour", dots.pointillism
        ),
        Swatch(
            "watercolour", "Watercolour", "A lake in wet washes with dark edges", paper.watercolour
        ),
        Swatch("pastel", "Pastel", "Haystacks at dusk in chalk on toothed paper", paper.pastel),
        Swatch(
            "hatching", "Hatching", "A tower on a crag, cross-hatched in sepia ink", paper.hatching
        ),
        Swatch(
            "woodcut",
            "Woodcut",
            "Mountains and pines in black gouge marks over tints",
            prints.woodcut,
        ),
        Swatch("waves", "Waves", "Striped Prussian-blue waves with clawed foam", prints.waves),
        Swatch(
            "nouveau", "Nouveau", "Poppies and whiplash stems before a gold halo", prints.nouveau
        ),
        Swatch("mosaic", "Mosaic", "A diving fish in tilted stone tesserae", tiles.mosaic),
        Swatch(
            "stained-glass",
            "Stained glass",
            "A rose over hills in glowing leaded glass",
            tiles.stained_glass,
        ),
        Swatch("facets", "Facets", "A figure in overlapping shaded cubist planes", tiles.facets),
    )
}


def swatch(name: str, *, size: int | tuple[int, int] = 512, seed: int = 0) -> Tensor:
    """Paint one of the built-in styles: (1, 3, H, W) float32 sRGB in [0, 1].

    ``size`` is (height, width) in pixels, one number for a square, each side from 32 to 8192.
    The same name, size and ``seed`` give the same pixels; another seed another painting of
    the same kind; another size the same composition with its strokes scaled along.

    Raises ``UnknownNameError`` for a name that is not in ``SWATCHES``, ``ConfigError`` for a
    size or seed out of range.

    >>> swatch("waves", size=(32, 48)).shape
    torch.Size([1, 3, 32, 48])
    """
    if name not in SWATCHES:
        raise UnknownNameError("swatch", name, SWATCHES)
    try:
        height, width = map(operator.index, (size, size) if isinstance(size, int) else size)
        seed = operator.index(seed)
    except (TypeError, ValueError):
        raise ConfigError(
            f"size is {size!r} and seed {seed!r}; the size of a swatch is a whole number or "
            "(height, width), its seed a whole number",
            "for example size=512 or size=(480, 640)",
        ) from None
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise ConfigError(
            f"a swatch of {height}x{width} pixels was asked for; each side may be from "
            f"{SMALLEST} to {LARGEST}",
            "choose a size in that range",
        )
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; it may not be negative", "choose 0 or more")
    import torch  # here, so that the table of names can be read without waiting for torch

    colours = SWATCHES[name].painter(Sheet(height, width, seed))
    pixels = np.clip(colours, 0, 1).astype(np.float32).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels))[None]
