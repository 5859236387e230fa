"""File formats: from the bytes of a picture file to arrays of samples, and back.

Pillow does the work, restricted to ``READABLE`` and ``WRITABLE`` formats. Added here: 16 bits per
channel (Pillow has 8 in colour), scaling of modes that Pillow clips, profiles, orientation, and one
kind of error. Why no other library: docs/decisions/0018-pillow-stays-the-decoder.md.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from impasto.errors import ImageTooLargeError, ImpastoError, InvalidImageError, ResourceError
from impasto.image.profiles import convert_with_lcms, lab_to_srgb, parse_profile, srgb_profile

__all__ = [
    "READABLE",
    "WRITABLE",
    "Decoded",
    "Format",
    "Samples",
    "check_pixels",
    "decode",
    "decode_image",
    "encode",
    "open_image",
]

Samples: TypeAlias = NDArray[Any]  # uint8, uint16 or float32; mypy cannot say that usefully

# MPO (several JPEGs in one file) comes through the JPEG opener; it has none of its own.
READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000")
"""Pillow's names of the formats that are read; all others are refused before decoding."""


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

_ORIENTATION = 0x0112
_STRIP_BYTES = 2**20  # of a TIFF, before compression; libvips refuses strips of 50 MB or more


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


def decode(data: bytes, name: str, *, max_pixels: int) -> Decoded:
    """Decode the bytes of a picture file; ``name`` stands for the file in error messages.

    Raises ``InvalidImageError`` for files that cannot be decoded and ``ImageTooLargeError``, found
    from the header alone, for more than ``max_pixels``.
    """
    with open_image(data, name, max_pixels=max_pixels) as image:
        raw_modes = _wide_raw_modes(image)
        if raw_modes is not None:
            return _decoded(image, _samples_of_16_bit_color(image, data, raw_modes))
        _load(image)
        return _decoded(image, None)


def decode_image(image: Image.Image, name: str, *, max_pixels: int) -> Decoded:
    """Decode an image that the caller opened or made with Pillow; raises what ``decode`` raises."""
    with _pillow_lock(), _errors(name):
        check_pixels(image.height, image.width, max_pixels, name)
        _load(image)
        return _decoded(image, None)


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


@contextlib.contextmanager
def open_image(data: bytes, name: str, *, max_pixels: int | None) -> Iterator[ImageFile.ImageFile]:
    """Open a file with Pillow: the header only, no pixels yet. One thread at a time.

    Raises what ``decode`` raises, also from the body of the ``with`` statement.
    """
    with _pillow_lock(), _errors(name), Image.open(io.BytesIO(data), formats=READABLE) as image:
        if max_pixels is not None:
            check_pixels(image.height, image.width, max_pixels, name)
        yield image


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


# --- opening ------------------------------------------------------------------------------------

_lock = threading.RLock()


@contextlib.contextmanager
def _pillow_lock() -> Iterator[None]:
    """Hold Pillow for one thread, with its pixel limit, warnings and log switched off.

    All three are state of the whole process, hence the lock. Our own limit is an argument, and is
    strict where Pillow only warns (89 to 179 megapixels). The warnings (odd EXIF, ...) tell users
    nothing that they could act on.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        log = logging.getLogger("PIL.TiffImagePlugin")  # its errors are raised as well
        was_disabled, log.disabled = log.disabled, True
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            log.disabled = was_disabled


@contextlib.contextmanager
def _errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one line that names the file."""
    try:
        yield
    except ImpastoError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(READABLE)
        raise InvalidImageError(
            f"{name} is not a picture that impasto reads, or its header is broken",
            f"convert it to PNG or JPEG; these are read: {known}",
        ) from None
    except Exception as error:
        # On 8,313 hostile files decoders raised twelve types, from SyntaxError to struct.error and
        # MemoryError; all of them mean that the file is broken.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidImageError(
            f"{name} cannot be decoded: {reason}", "open it in an image editor and save it again"
        ) from None


def _load(image: Image.Image) -> None:
    with _stderr_silenced() if image.format == "TIFF" else contextlib.nullcontext():
        image.load()


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Discard what libtiff writes to file descriptor 2, past Python."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


# --- samples ------------------------------------------------------------------------------------


def _decoded(
    image: Image.Image,
    colors_alpha: tuple[Samples, Samples | None] | None,
) -> Decoded:
    exif = _exif(image)
    orientation = exif.get(_ORIENTATION)
    profile = image.info.get("icc_profile") or b""
    if colors_alpha is not None:
        colors, alpha = colors_alpha
    elif image.mode.startswith("I") or image.mode == "F":
        colors, alpha = _samples_of_deep_grey(image)
    else:
        if image.mode == "CMYK":
            image = convert_with_lcms(image, profile) or image.convert("RGB")
            profile = b""
        elif image.mode == "LAB":
            image, profile = lab_to_srgb(image), b""
        colors, alpha = _samples_of_8_bit(image)
    depth = 16 if colors.dtype == np.uint16 else 8
    if profile:
        colors, depth = _in_srgb(colors, profile, depth)
    colors = _apply_orientation(colors, orientation)
    alpha = None if alpha is None else _apply_orientation(alpha, orientation)
    if alpha is not None and int(alpha.min()) == np.iinfo(alpha.dtype).max:
        alpha = None
    return Decoded(colors, alpha, depth, exif)


def _exif(image: Image.Image) -> Image.Exif:
    try:
        exif = image.getexif()
        exif.get(_ORIENTATION)  # parses the tags, which may raise
        return exif
    except Exception:  # of any type; broken EXIF is no reason to refuse the pixels
        return Image.Exif()


def _apply_orientation(samples: Samples, orientation: object) -> Samples:
    """A view of (H, W, ...) samples, upright (EXIF 2.32, 4.6.4); odd values change nothing."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _samples_of_8_bit(image: Image.Image) -> tuple[Samples, Samples | None]:
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode == "LA":
        both = np.asarray(image)
        return both[..., :1], both[..., 1]
    if image.has_transparency_data:  # RGBA, a palette with alpha, or a transparent colour
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None], None
    return np.asarray(image.convert("RGB")), None


def _samples_of_deep_grey(image: Image.Image) -> tuple[Samples, Samples | None]:
    """Modes I;16, I (32-bit integers) and F (floats) as uint16, scaled where Pillow would clip.

    White is 65535 for 32-bit integers, or 2^31 - 1 if any value is larger. White is 1 for floats,
    unless the largest value is above 4 (brighter than any highlight): then 255 or 65535, the first
    that is large enough, or else the largest value.
    """
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
        top = float(values.max())
        limits = [(4.0, 1.0), (255.0, 255.0), (65535.0, 65535.0)]
        full = next((white for limit, white in limits if top <= limit), top)
    elif image.mode == "I":
        signed = tags.get(339) == (2,) and tags.get(258) == (16,)
        full = 32767.0 if signed else 65535.0 if values.max() <= 65535 else float(2**31 - 1)
    else:
        full = 4095.0 if tags.get(258) == (12,) else 65535.0
    grey: Samples
    if full == 65535.0 and image.mode.startswith("I;16"):
        grey = values.astype(np.uint16)
    else:
        grey = np.rint((values / full).clip(0, 1) * 65535).astype(np.uint16)
    if tags.get(262) == 0:  # white is zero
        grey = np.uint16(65535) - grey
    key = image.info.get("transparency")
    if isinstance(key, int):
        return grey[..., None], np.where(grey == key, 0, 65535).astype(np.uint16)
    return grey[..., None], None


def _wide_raw_modes(image: ImageFile.ImageFile) -> tuple[str, str] | None:
    """The raw modes that give the high and the low bytes of 16-bit colour; None for other images.

    Pillow's decoders hand rows of 16-bit samples to its unpackers, which keep one of the two
    bytes: the first (";16B") or the second (";16L"). Decoding twice, once with each, gives both,
    at the speed and with the robustness of Pillow. A mode that begins with ";" is appended to each
    tile's own, because separate planes have one tile per band.
    """
    if image.format == "PNG":
        raw_mode = image.tile[0].args if image.tile else None
        if raw_mode in ("RGB;16B", "RGBA;16B"):
            return raw_mode, raw_mode[:-1] + "L"
        return (_GREY_ALPHA, _GREY_ALPHA) if raw_mode == "LA;16B" else None
    tags: Any = getattr(image, "tag_v2", {})
    bits: Any = tags.get(258)
    is_rgb: bool = image.format == "TIFF" and image.mode in ("RGB", "RGBA") and tags.get(262) == 2
    if not is_rgb or bits not in ((16,) * 3, (16,) * 4):
        return None
    by_libtiff = image.tile[0].codec_name == "libtiff"
    planes = tags.get(284) == 2
    if planes and by_libtiff:  # Pillow ignores the raw mode here: the file is read as 8 bit
        return None
    # libtiff swaps samples to this machine's byte order.
    low_first = sys.byteorder == "little" if by_libtiff else tags.prefix == b"II"
    base = "" if planes else "RGBX" if image.mode == "RGB" and len(bits) == 4 else image.mode
    first, second = base + ";16B", base + ";16L"
    return (second, first) if low_first else (first, second)


_GREY_ALPHA = "RGBA"  # grey and alpha of 16 bits are four bytes: one decoding gives them all


def _load_bytes(image: ImageFile.ImageFile, raw_mode: str) -> Samples:
    """Decode with the unpacker ``raw_mode``: one byte of each sample, (H, W, C) uint16."""
    tiles = []
    for tile in image.tile:
        old: Any = (tile.args,) if isinstance(tile.args, str) else tile.args
        new = f"{old[0]}{raw_mode}" if raw_mode.startswith(";") else raw_mode
        tiles.append(tile._replace(args=(new, *old[1:]) if len(old) > 1 else new))
    image.tile = tiles
    _load(image)
    return np.asarray(image).astype(np.uint16)


def _samples_of_16_bit_color(
    image: ImageFile.ImageFile, data: bytes, raw_modes: tuple[str, str]
) -> tuple[Samples, Samples | None]:
    high = _load_bytes(image, raw_modes[0])
    if raw_modes[0] == _GREY_ALPHA:
        return high[..., :1] << 8 | high[..., 1:2], high[..., 2] << 8 | high[..., 3]
    with Image.open(io.BytesIO(data), formats=READABLE) as again:
        samples = high << 8 | _load_bytes(again, raw_modes[1])
    if samples.shape[2] == 4:
        colors, alpha = samples[..., :3], samples[..., 3]
        if getattr(image, "tag_v2", {}).get(338) == (1,):  # colours are multiplied by alpha
            unmultiplied = colors / (np.maximum(alpha, 1)[..., None] / np.float32(65535))
            colors = np.rint(unmultiplied.clip(0, 65535)).astype(np.uint16)
        return colors, alpha
    key = image.info.get("transparency")
    if isinstance(key, tuple):  # the colour that a PNG declares transparent
        return samples, np.where((samples == key).all(2), 0, 65535).astype(np.uint16)
    return samples, None


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


# --- writing ------------------------------------------------------------------------------------


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
    carried = Image.Exif()
    carried.load(exif)
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
