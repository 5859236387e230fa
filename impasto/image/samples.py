"""Decoded samples, whatever decoded them: upright, in sRGB, and no more of them than allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import ImageTooLargeError, InvalidImageError
from impasto.image.profiles import convert_with_lcms, parse_profile

__all__ = [
    "Decoded",
    "Samples",
    "check_pixels",
    "finish",
    "floats_in_16_bits",
    "unmultiplied",
]

Samples: TypeAlias = NDArray[Any]  # uint8, uint16 or float32; mypy cannot say that usefully

ORIENTATION = 0x0112


@dataclass(frozen=True)
class Decoded:
    """A decoded picture, sRGB and upright.

    ``colors`` is (H, W, 1) for grey or (H, W, 3), ``alpha`` (H, W) or None when opaque. Samples
    are uint8 or uint16 over their whole range, or float32 in [0, 1] (after a profile). ``depth``
    is the number of bits per channel that were read, 8 or 16.
    """

    colors: Samples
    alpha: Samples | None
    depth: int
    exif: Image.Exif


def check_pixels(height: int, width: int, max_pixels: int, name: str) -> None:
    """Raise ``InvalidImageError`` for no pixels, ``ImageTooLargeError`` for too many."""
    if height < 1 or width < 1:
        raise InvalidImageError(f"{name} has {height}x{width} pixels", "give a picture")
    if height * width > max_pixels:
        raise ImageTooLargeError(
            f"{name} is {height}x{width}, {height * width:,} pixels; "
            f"at most {max_pixels:,} are allowed",
            "make it smaller, or raise max_pixels",
        )


def finish(colors: Samples, alpha: Samples | None, profile: bytes, exif: Image.Exif) -> Decoded:
    """What is the same for all formats: from the profile to sRGB, upright, alpha only if needed."""
    orientation = exif.get(ORIENTATION)
    depth = 16 if colors.dtype == np.uint16 else 8
    if profile:
        colors, depth = _in_srgb(colors, profile, depth)
    colors = _apply_orientation(colors, orientation)
    alpha = None if alpha is None else _apply_orientation(alpha, orientation)
    if alpha is not None and int(alpha.min()) == np.iinfo(alpha.dtype).max:
        alpha = None
    return Decoded(colors, alpha, depth, exif)


def floats_in_16_bits(values: Samples) -> Samples:
    """White is 1, unless the largest value is above 4 (brighter than any highlight): then 255 or
    65535, the first that is large enough, or else the largest value."""
    if values.dtype == np.float16:  # which does not reach to 65535
        values = values.astype(np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    top = float(values.max())
    limits = [(4.0, 1.0), (255.0, 255.0), (65535.0, 65535.0)]
    full = next((white for limit, white in limits if top <= limit), top)
    scaled: Samples = np.rint((values / full).clip(0, 1) * 65535).astype(np.uint16)
    return scaled


def unmultiplied(colors: Samples, alpha: Samples) -> Samples:
    """uint16 colours (H, W, C) that were multiplied by ``alpha`` (H, W), divided by it."""
    divided = colors / (np.maximum(alpha, 1)[..., None] / np.float32(65535))
    rounded: Samples = np.rint(divided.clip(0, 65535)).astype(np.uint16)
    return rounded


def _apply_orientation(samples: Samples, orientation: object) -> Samples:
    """A view of (H, W, ...) samples, upright (EXIF 2.32, 4.6.4); odd values change nothing."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _in_srgb(colors: Samples, profile: bytes, depth: int) -> tuple[Samples, int]:
    """Convert colours from the file's profile to sRGB; also returns the bits per channel left."""
    grey = colors.shape[2] == 1
    curves = parse_profile(profile)
    if curves is None:
        narrow = colors[..., 0] if grey else colors
        if colors.dtype == np.uint16:  # Pillow offers LittleCMS in 8 bits only
            narrow = ((narrow.astype(np.uint32) + 128) // 257).astype(np.uint8)
        converted = convert_with_lcms(Image.fromarray(narrow), profile)
        return (colors, depth) if converted is None else (np.asarray(converted), 8)
    if curves.is_srgb or (curves.matrix is None and not grey):
        return colors, depth
    if curves.matrix is not None and grey:
        colors = colors.repeat(3, axis=2)
    return curves.to_srgb(colors), depth
