"""The painters of the built-in styles.

``PAINTERS`` is the table; ``paint_swatches.py`` beside this folder writes the pictures::

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

from collections.abc import Callable

import numpy as np

from swatches import dots, oils, paper, prints, tiles
from swatches.sheet import Array, Sheet

PAINTERS: dict[str, Callable[[Sheet], Array]] = {
    "impasto": oils.impasto,
    "night": oils.night,
    "fauve": oils.fauve,
    "pointillism": dots.pointillism,
    "watercolour": paper.watercolour,
    "pastel": paper.pastel,
    "hatching": paper.hatching,
    "woodcut": prints.woodcut,
    "waves": prints.waves,
    "nouveau": prints.nouveau,
    "mosaic": tiles.mosaic,
    "stained-glass": tiles.stained_glass,
    "facets": tiles.facets,
}
"""Name -> painter; its colours may stray a little outside [0, 1]."""


def paint(name: str, size: int, seed: int = 0) -> Array:
    """A square swatch, (size, size, 3) uint8 sRGB; another seed is another painting."""
    colours = np.clip(PAINTERS[name](Sheet(size, size, seed)), 0, 1)
    return np.asarray((colours * 255).round().astype(np.uint8))
