"""The built-in styles: pictures that ship with impasto, so that a first run needs only a photo.

The pictures lie in ``impasto/assets/swatches``; the code that painted them, in
``training/swatches``.
"""

from __future__ import annotations

import io
import operator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from impasto.errors import ConfigError, UnknownNameError
from impasto.image.codecs import decode

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SIDE", "SWATCHES", "Swatch", "render_swatch", "swatch"]

SIDE = 1024
"""Height and width of the pictures, in pixels."""


@dataclass(frozen=True)
class Swatch:
    """One built-in style: its name, its title, and what it shows."""

    name: str
    title: str
    description: str

    def read_bytes(self) -> bytes:
        """The picture's WebP file."""
        folder = resources.files("impasto") / "assets" / "swatches"
        return (folder / f"{self.name}.webp").read_bytes()

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        buffer = io.BytesIO()
        render_swatch(self.name, size=256).save(buffer, "PNG")
        return buffer.getvalue()


SWATCHES: dict[str, Swatch] = {
    entry.name: entry
    for entry in (
        Swatch("impasto", "Impasto", "A garden in thick, broken strokes of oil"),
        Swatch("night", "Night", "Moon and stars swirling over a lake, in oil"),
        Swatch("fauve", "Fauve", "A harbour in pure colours with blue contours"),
        Swatch("pointillism", "Pointillism", "A river bank in dots of pure colour"),
        Swatch("watercolour", "Watercolour", "A lake in wet washes with dark edges"),
        Swatch("pastel", "Pastel", "Haystacks at dusk in chalk on toothed paper"),
        Swatch("hatching", "Hatching", "A tower on a crag, cross-hatched in sepia ink"),
        Swatch("woodcut", "Woodcut", "Mountains and pines in black gouge marks over tints"),
        Swatch("waves", "Waves", "Striped Prussian-blue waves with clawed foam"),
        Swatch("nouveau", "Nouveau", "Poppies and whiplash stems before a gold halo"),
        Swatch("mosaic", "Mosaic", "A diving fish in tilted stone tesserae"),
        Swatch("stained-glass", "Stained glass", "A rose over hills in glowing leaded glass"),
        Swatch("facets", "Facets", "A figure in overlapping shaded cubist planes"),
    )
}


def swatch(name: str, *, size: int | tuple[int, int] = 512) -> Tensor:
    """One of the built-in styles: (1, 3, H, W) float32 sRGB in [0, 1].

    ``size`` is (height, width) in pixels, or one number for a square, each side from 1 to 1024.
    The picture, 1024 x 1024, is cropped at its centre to that aspect ratio, then resized (bicubic,
    antialiased, 8 bits per channel).

    Raises ``UnknownNameError`` for a name that is not in ``SWATCHES``, ``ConfigError`` for a
    size out of range.

    >>> swatch("waves", size=(32, 48)).shape
    torch.Size([1, 3, 32, 48])
    """
    import torch  # here, so that swatches can be listed and written without waiting for torch

    from impasto.machine.devices import own_modes

    samples = np.asarray(render_swatch(name, size=size), np.float32) / 255  # (H, W, 3)
    with own_modes():
        return torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)))[None]


def render_swatch(name: str, *, size: int | tuple[int, int] = 512) -> Image.Image:
    """What :func:`swatch` returns, as an 8-bit PIL image; torch is not needed.

    >>> render_swatch("waves", size=(32, 48)).size
    (48, 32)
    """
    if name not in SWATCHES:
        raise UnknownNameError("swatch", name, SWATCHES)
    height, width = _checked(size)
    picture = Image.fromarray(
        decode(SWATCHES[name].read_bytes(), name, max_pixels=SIDE * SIDE).colors
    )
    scale = SIDE / max(height, width)
    left, top = (SIDE - width * scale) / 2, (SIDE - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return picture.resize((width, height), Image.Resampling.BICUBIC, box=box)


def _checked(size: int | tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = map(operator.index, (size, size) if isinstance(size, int) else size)
    except (TypeError, ValueError):
        raise ConfigError(
            f"size is {size!r}; the size of a swatch is a whole number or (height, width)",
            "for example size=512 or size=(480, 640)",
        ) from None
    if not (1 <= height <= SIDE and 1 <= width <= SIDE):
        raise ConfigError(
            f"a swatch of {height}x{width} pixels was asked for; each side may be from 1 to {SIDE}",
            "choose a size in that range",
        )
    return height, width
