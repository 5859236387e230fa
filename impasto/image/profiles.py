"""Colour profiles: from the colours of an embedded ICC profile to sRGB.

Most profiles in pictures (Adobe RGB, Display P3, ProPhoto, all kinds of sRGB, grey gammas) are
three curves and a 3x3 matrix, or one curve. These are computed here in float, which keeps 16 bits
intact; all others (CMYK, tables) go through LittleCMS, which Pillow offers in 8 bits only. A
broken profile is ignored: a picture with slightly wrong colours is of more use than none.
"""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

__all__ = ["CurveProfile", "convert_with_lcms", "lab_to_srgb", "parse_profile", "srgb_profile"]

FloatArray = NDArray[np.float32]

# Linear sRGB to XYZ under D50, the profile connection space: the Bradford-adapted colorants that
# every sRGB profile holds.
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_ROWS_AT_ONCE = 256  # bounds the temporary arrays of a large picture
# More than any profile in use: a curve for 16-bit samples has 65,536 entries.
_MOST_BYTES, _MOST_ENTRIES = 16 * 2**20, 2**20


@functools.cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile, the same bytes at every call.

    >>> srgb_profile()[36:40]
    b'acsp'
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # LittleCMS writes the current time and a checksum into the header; the same picture should
    # give the same file tomorrow.
    profile[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    profile[84:100] = bytes(16)
    return bytes(profile)


@dataclass(frozen=True)
class CurveProfile:
    """A profile of one curve per channel and, for RGB, a matrix.

    ``curves`` are tables of linear light in [0, 1] at equidistant inputs from 0 to 1. ``matrix`` is
    (3, 3), from linear device RGB to linear sRGB; None for grey.
    """

    curves: tuple[NDArray[np.float64], ...]
    matrix: NDArray[np.float64] | None

    @property
    def is_srgb(self) -> bool:
        """Whether the conversion would change nothing visible.

        Such a picture is taken as it is, so that impasto reads its own files back bit for bit.
        """
        at = np.linspace(0, 1, 256)
        curves_fit = all(
            np.abs(np.interp(at, np.linspace(0, 1, len(curve)), curve) - _decoded(at)).max() < 1e-3
            for curve in self.curves
        )
        return curves_fit and (
            self.matrix is None or bool(np.abs(self.matrix - np.eye(3)).max() < 2e-3)
        )

    def to_srgb(self, samples: NDArray[Any]) -> FloatArray:
        """Convert integer samples (H, W, C), C curves, to sRGB (H, W, C) float32 in [0, 1].

        Colours outside sRGB are clipped, as in a relative colorimetric transform.
        """
        levels = np.linspace(0, 1, np.iinfo(samples.dtype).max + 1)
        tables = [
            np.interp(levels, np.linspace(0, 1, len(curve)), curve).astype(np.float32)
            for curve in self.curves
        ]
        result = np.empty(samples.shape, np.float32)
        for top in range(0, len(samples), _ROWS_AT_ONCE):
            rows = slice(top, top + _ROWS_AT_ONCE)
            linear = np.stack([t.take(samples[rows, :, i]) for i, t in enumerate(tables)], axis=-1)
            if self.matrix is not None:
                linear = linear @ self.matrix.T.astype(np.float32)
            result[rows] = _encoded(np.clip(linear, 0, 1, out=linear))
        return result


def parse_profile(profile: bytes) -> CurveProfile | None:
    """Parse a profile of curves and a matrix (ICC.1:2022); None for other kinds and broken ones."""
    try:
        if len(profile) > _MOST_BYTES:
            return None
        tags = _tags(profile)
        space = profile[16:20]
        if any(tag in tags for tag in (b"A2B0", b"A2B1", b"A2B2")):
            return None  # tables take precedence over the matrix
        if space == b"GRAY":
            return CurveProfile((_curve(tags[b"kTRC"]),), None)
        if space == b"RGB " and profile[20:24] == b"XYZ ":
            curves = tuple(_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC"))
            columns = [_xyz(tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]
            matrix = np.linalg.inv(_SRGB_TO_XYZ) @ np.stack(columns, axis=1)
            return CurveProfile(curves, matrix)
    except (KeyError, ValueError, struct.error, OverflowError, FloatingPointError):
        return None
    return None


def convert_with_lcms(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert an 8-bit L, RGB or CMYK image from its profile to sRGB, mode RGB.

    None when the profile is broken or belongs to another mode.
    """
    modes = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
    if len(profile) > _MOST_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # LittleCMS trusts the layout it is told, so the mode must be the profile's own.
        if modes.get(source.profile.xcolor_space.strip()) != image.mode:
            return None
        return _transformed(image, source, ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image of mode LAB (CIELAB under D50, 8 bits) to sRGB, mode RGB."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB", 5000))
    return _transformed(image, lab, ImageCms.Intent.RELATIVE_COLORIMETRIC)


def _transformed(
    image: Image.Image, source: ImageCms.ImageCmsProfile, intent: ImageCms.Intent
) -> Image.Image:
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    transform = ImageCms.buildTransform(source, target, image.mode, "RGB", intent)
    result = ImageCms.applyTransform(image, transform)
    if result is None:  # for in-place transforms only
        raise ValueError("no image came back")
    return result


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The profile's tags, signature -> data (ICC.1:2022, 7.3)."""
    if profile[36:40] != b"acsp":
        raise ValueError("not an ICC profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100:  # tags may overlap: each could be as large as the file
        raise ValueError("too many tags")
    tags = {}
    for i in range(count):
        signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        tags[signature] = profile[offset : offset + size]
    return tags


def _xyz(data: bytes) -> NDArray[np.float64]:
    if data[:4] != b"XYZ ":
        raise ValueError("not an XYZ tag")
    return np.array(struct.unpack_from(">3i", data, 8)) / 65536


def _curve(data: bytes) -> NDArray[np.float64]:
    """A tone curve as a table (ICC.1:2022, 10.6 curveType, 10.18 parametricCurveType)."""
    x = np.linspace(0, 1, 65536)
    x[0] = 1e-9  # a damaged profile may have a negative exponent
    if data[:4] == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        if count == 0:
            return np.array([0.0, 1.0])
        if count > _MOST_ENTRIES:
            raise ValueError("too many entries")
        values = np.frombuffer(data, ">u2", count, 12).astype(np.float64)
        return np.asarray(x ** (values[0] / 256) if count == 1 else values / 65535).clip(0, 1)
    if data[:4] != b"para":
        raise ValueError("not a curve")
    (kind,) = struct.unpack_from(">H", data, 8)
    number = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    numbers = [value / 65536 for value in struct.unpack_from(f">{number}i", data, 12)]
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - number)
    if kind == 0:
        return np.asarray(x**g).clip(0, 1)
    power = np.maximum(a * x + b, 1e-9) ** g
    if kind in (1, 2):  # the power where a x + b >= 0; c is added everywhere
        below = a * x + b < 0
        return np.asarray(np.where(below, 0, power) + (c if kind == 2 else 0)).clip(0, 1)
    return np.asarray(np.where(x >= d, power + e, c * x + f)).clip(0, 1)


def _decoded(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _encoded(linear: FloatArray) -> FloatArray:
    curve: FloatArray = linear ** np.float32(1 / 2.4)
    curve *= np.float32(1.055)  # in place: this runs on 100 megapixels
    curve -= np.float32(0.055)
    np.multiply(linear, np.float32(12.92), out=curve, where=linear <= 0.0031308)
    return curve
