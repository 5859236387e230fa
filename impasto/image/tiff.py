"""TIFF layouts that Pillow does not read: tifffile does, one page of it.

These are samples of 32 and 64 bits, signed, or floats, in colour or with alpha, and planes of
grey and alpha. Compressed with deflate or PackBits, or not at all.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from PIL import Image

from impasto.errors import ImpastoError, InvalidImageError
from impasto.image.samples import (
    Decoded,
    Samples,
    check_pixels,
    finish,
    floats_in_16_bits,
    unmultiplied,
)

__all__ = ["decode_tiff"]

_DEFLATE = (8, 32946)
_READ = (1, 32773, *_DEFLATE)  # compressions that tifffile undoes by itself
_MINISWHITE, _MINISBLACK, _RGB = 0, 1, 2
_MOST_SAMPLES = 8  # of a pixel


def decode_tiff(data: bytes, name: str, *, max_pixels: int) -> Decoded:
    """Decode the first page; raises ``InvalidImageError`` that says which layout is not read."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            assert isinstance(page, tifffile.TiffPage)
            height, width, count = page.imagelength, page.imagewidth, page.samplesperpixel
            check_pixels(height, width, max_pixels, name)
            color, packing = (getattr(x, "name", x) for x in (page.photometric, page.compression))
            told = f"{page.dtype} {color} in {count} samples, {packing}"
            if (
                page.photometric not in (_MINISWHITE, _MINISBLACK, _RGB)
                or page.compression not in _READ
                or page.dtype is None
                or not 1 <= count <= _MOST_SAMPLES
                or page.imagedepth != 1
                or (page.photometric == _RGB) != (count >= 3)
            ):
                raise InvalidImageError(
                    f"{name} is a TIFF of a layout that is not read ({told})",
                    "convert it to 8 or 16 bits per channel",
                )
            _check_segments(data, page)
            samples = page.asarray(maxworkers=1)
            if page.planarconfig == 2 and count > 1:
                samples = np.moveaxis(samples.reshape(count, height, width), 0, -1)
            samples = samples.reshape(height, width, count)
            extra = tuple(int(x) for x in page.extrasamples)
            profile = page.iccprofile or b""
            white_is_zero = page.photometric == _MINISWHITE
            exif = _exif(page)
    except ImpastoError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidImageError(
            f"{name} cannot be decoded: {reason}", "open it in an image editor and save it again"
        ) from None
    wide = _in_16_bits(samples)
    colors = wide[..., : 3 if count >= 3 else 1]
    if white_is_zero:
        colors = np.uint16(65535) - colors
    alpha: Samples | None = None
    if extra[:1] in ((1,), (2,)) and count > colors.shape[2]:
        alpha = wide[..., colors.shape[2]]
        if extra[0] == 1:
            colors = unmultiplied(colors, alpha)
    depth8 = samples.dtype.itemsize == 1
    if depth8:
        colors = (colors >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    return finish(colors, alpha, profile, exif)


def _check_segments(data: bytes, page: Any) -> None:
    """Raise ValueError unless each strip or tile lies in the file and unpacks to no more than the
    page holds: what is missing would be black, and what is packed might be without end."""
    most = page.nbytes + 2**20
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not 0 < offset <= offset + size <= len(data):
            raise ValueError("image file is truncated")
        if page.compression in _DEFLATE:
            inflater = zlib.decompressobj()
            inflater.decompress(data[offset : offset + size], most)
            if inflater.unconsumed_tail:
                raise ValueError("a strip holds more than the picture")


def _in_16_bits(samples: Samples) -> Samples:
    """White is the largest number of the type; 1, 255 or 65535 for floats, whichever fits."""
    if samples.dtype.kind == "f":
        return floats_in_16_bits(samples)
    top = np.iinfo(samples.dtype).max
    if samples.dtype.kind == "u":
        bits = samples.dtype.itemsize * 8
        high: Samples = (samples >> max(0, bits - 16)).astype(np.uint16)
        return high * np.uint16(257) if bits == 8 else high
    scaled: Samples = np.rint(samples.clip(0, None) * (65535 / top)).astype(np.uint16)
    return scaled


def _exif(page: Any) -> Image.Exif:
    """What of the page's tags EXIF has as well: credits, orientation."""
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0112, 0x0132, 0x013B, 0x8298):
        found = page.tags.get(tag)
        if found is None or not isinstance(found.value, str | int):
            continue
        exif[tag] = found.value
        if isinstance(found.value, str):  # as Pillow reads it; tifffile guesses an encoding
            file = page.parent.filehandle
            file.seek(found.valueoffset)
            exif[tag] = file.read(found.count).rstrip(b"\0").decode("latin-1")
    return exif
