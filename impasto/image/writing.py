"""Picture files, written: from arrays of samples to the bytes of a file.

Pillow does the work. Added here: PNG and TIFF of 16 bits per channel, which Pillow has not in
colour, and one kind of error.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from impasto.errors import ResourceError
from impasto.image.metadata import load_exif
from impasto.image.profiles import srgb_profile
from impasto.image.samples import Samples

__all__ = ["WRITABLE", "Format", "encode"]


@dataclass(frozen=True)
class Format:
    """What an output format can hold."""

    name: str
    depths: tuple[int, ...]
    alpha: bool
    longest: int  # pixels per side, at most


_JPEG = Format("JPEG", (8,), alpha=False, longest=65500)
_TIFF = Format("TIFF", (8, 16), alpha=True, longest=2**31 - 1)
WRITABLE = {
    ".png": Format("PNG", (8, 16), alpha=True, longest=2**31 - 1),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WebP", (8,), alpha=True, longest=16383),
    ".avif": Format("AVIF", (8,), alpha=True, longest=65536),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
"""File name suffix -> the format written under it."""

_STRIP_BYTES = 2**20  # of a TIFF, before compression; libvips refuses strips of 50 MB or more


def encode(
    samples: Samples,
    kind: Format,
    *,
    parameters: str = "",
    exif: bytes = b"",
    quality: int = 95,
) -> bytes:
    """Encode uint8 or uint16 sRGB samples (H, W, 3 or 4) as a file with an sRGB profile.

    ``parameters`` is written to PNG only, as a text under the key ``impasto``; other formats carry
    it in ``exif``. ``quality`` (1 to 100) is for the lossy formats. Raises ``ResourceError`` when
    memory runs out or the encoder fails.
    """
    try:
        if kind.name == "TIFF":
            return _encode_tiff(samples, exif)
        if samples.dtype == np.uint16:
            return _encode_png16(samples, parameters, exif)
        texts = PngImagePlugin.PngInfo()
        if parameters:
            texts.add_itxt("impasto", parameters, zip=len(parameters) > 2000)
        chroma = "4:4:4" if quality >= 90 else "4:2:0"  # painted edges are full of colour
        options: dict[str, dict[str, Any]] = {
            "PNG": {"pnginfo": texts},
            "JPEG": {"quality": quality, "subsampling": chroma},
            # Pillow's speed of 6 takes twice the time for 8 % smaller files.
            "AVIF": {"quality": quality, "subsampling": chroma, "speed": 8},
            # exact: keep the colours under transparent pixels.
            "WebP": {"quality": quality, "lossless": quality >= 100, "exact": True, "method": 4},
        }
        common = {"icc_profile": srgb_profile(), "exif": exif}
        buffer = io.BytesIO()
        Image.fromarray(samples).save(buffer, kind.name.upper(), **common, **options[kind.name])
        return buffer.getvalue()
    except MemoryError:
        height, width = samples.shape[:2]
        raise ResourceError(
            f"memory ran out while a {kind.name} of {height}x{width} was written",
            "choose a smaller size",
        ) from None
    except (OSError, ValueError) as error:
        raise ResourceError(f"the {kind.name} encoder failed: {error}", "save as .png") from None


def _encode_png16(samples: Samples, parameters: str, exif: bytes) -> bytes:
    """A PNG with 16 bits per channel, which Pillow does not write (PNG 3rd edition, 5 and 11)."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # filter "up": each byte less the one above it
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))]
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if parameters:
        text = zlib.compress(parameters.encode())
        chunks.append((b"iTXt", b"impasto\0\1\0\0\0" + text))
    chunks += [(b"IDAT", zlib.compress(filtered.data, 6)), (b"IEND", b"")]
    buffer = io.BytesIO()
    buffer.write(b"\x89PNG\r\n\x1a\n")
    for kind, body in chunks:
        PngImagePlugin.putchunk(buffer, kind, body)
    return buffer.getvalue()


def _encode_tiff(samples: Samples, exif: bytes) -> bytes:
    """A TIFF with 8 or 16 bits per channel, deflated in strips (TIFF 6.0, 8 and 14)."""
    height, width, channels = samples.shape
    rows = min(height, max(1, _STRIP_BYTES // samples[0].nbytes))  # per strip
    strips = [_tiff_strip(samples[top : top + rows]) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    tags = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    carried = load_exif(exif)
    for tag, value in carried.items():
        tags[tag] = value
    if 0x8769 in carried:
        tags[0x8769] = dict(carried.get_ifd(0x8769))
    layout: dict[int, Any] = {
        256: width,
        257: height,
        258: (samples.itemsize * 8,) * channels,
        259: 8,  # compression: deflate
        262: 2,  # photometric interpretation: RGB
        273: tuple(accumulate(sizes[:-1], initial=0)),  # the writer adds the directory's length
        277: channels,
        278: rows,
        279: tuple(sizes),
        284: 1,  # the samples of a pixel lie together
        317: 2,  # predictor: horizontal differences
        34675: srgb_profile(),
    }
    if channels == 4:
        layout[338] = 2  # the extra sample is alpha, and colours are not multiplied by it
    for tag, value in layout.items():
        tags[tag] = value
    buffer = io.BytesIO()
    tags.save(buffer)
    for strip in strips:
        buffer.write(strip)
    return buffer.getvalue()


def _tiff_strip(samples: Samples) -> bytes:
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.astype(samples.dtype.newbyteorder("<")), 6)
