"""File formats: from the bytes of a picture file to arrays of samples.

Pillow does the work, restricted to ``READABLE`` formats (why: docs/decisions/0018).
Added here: 16 bits per channel (Pillow has 8 in colour), scaling of modes that Pillow clips,
profiles, orientation, which frame is taken, and one kind of error.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from impasto.errors import ImpastoError, InvalidImageError
from impasto.image.containers import is_heic, jpeg2000_profile, lean_png, webp_size
from impasto.image.profiles import convert_with_lcms, lab_to_srgb
from impasto.image.samples import (
    ORIENTATION,
    Decoded,
    Samples,
    check_pixels,
    finish,
    floats_in_16_bits,
    unmultiplied,
)

__all__ = ["READABLE", "decode", "decode_image", "open_image"]

# MPO (several JPEGs in one file) comes through the JPEG opener; it has none of its own.
READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")  # HEIC: below
"""Pillow's names of the formats that are read; all others are refused before decoding."""


LOG = logging.getLogger(__name__)

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_FRAMES = 64  # that are looked at
_MOST_WEBP = 2**27  # pixels, where only metadata are wanted


def decode(data: bytes, name: str, *, max_pixels: int) -> Decoded:
    """Decode the bytes of a picture file; ``name`` stands for the file in error messages.

    Raises ``InvalidImageError`` for files that cannot be decoded (a HEIC without ``impasto[heif]``
    is one) and ``ImageTooLargeError``, found from the header alone, for more than ``max_pixels``.
    """
    if is_heic(data):
        return _decode_heif(data, name, max_pixels)
    is_tiff = data[:4] in _TIFF_MAGIC
    if is_tiff and _needs_tifffile(data):
        return _decode_tiff(data, name, max_pixels)
    try:
        return _decode(data, name, max_pixels)
    except InvalidImageError as error:
        if is_tiff and "unknown raw mode" in error.message:  # a layout that Pillow lacks
            return _decode_tiff(data, name, max_pixels)
        raise


def _decode(data: bytes, name: str, max_pixels: int) -> Decoded:
    with open_image(data, name, max_pixels=max_pixels) as image:
        _choose_frame(image, data, name, max_pixels)
        raw_modes = _wide_raw_modes(image)
        if raw_modes is not None:
            return _decoded(image, _samples_of_16_bit_color(image, data, raw_modes))
        _load(image)
        return _decoded(image, None)


def _decode_tiff(data: bytes, name: str, max_pixels: int) -> Decoded:
    from impasto.image.tiff import decode_tiff

    with _pillow_lock():
        return decode_tiff(data, name, max_pixels=max_pixels)


def decode_image(image: Image.Image, name: str, *, max_pixels: int) -> Decoded:
    """Decode an image that the caller opened or made with Pillow; raises what ``decode`` raises."""
    with _pillow_lock(), _errors(name):
        check_pixels(image.height, image.width, max_pixels, name)
        _load(image)
        return _decoded(image, None)


@contextlib.contextmanager
def open_image(data: bytes, name: str, *, max_pixels: int | None) -> Iterator[ImageFile.ImageFile]:
    """Open a file with Pillow: the header only, no pixels yet. One thread at a time.

    Raises what ``decode`` raises, also from the body of the ``with`` statement.
    """
    if (size := webp_size(data)) is not None:  # Pillow allocates it before it tells
        check_pixels(*size, max_pixels or _MOST_WEBP, name)
    data, profile = lean_png(data)
    with _pillow_lock(), _errors(name), Image.open(io.BytesIO(data), formats=READABLE) as image:
        if max_pixels is not None:
            check_pixels(image.height, image.width, max_pixels, name)
        if profile or (profile := jpeg2000_profile(data)):
            image.info["icc_profile"] = profile
        _scale_transparent_grey(image, data)
        yield image


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
        known = ", ".join([*READABLE, "HEIC"])
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


# --- what is in the file ------------------------------------------------------------------------


def _choose_frame(image: ImageFile.ImageFile, data: bytes, name: str, max_pixels: int) -> None:
    """Go to the frame that is taken, and say which: the first, of an animation the first that is
    not empty, of a TIFF that begins with a thumbnail the largest page."""
    if not getattr(image, "is_animated", False) or image.format in ("MPO", "JPEG"):
        return
    sizes = _page_sizes(data) if image.format == "TIFF" else []
    if len(sizes) > 1:
        largest = max(range(len(sizes)), key=lambda i: sizes[i][0] * sizes[i][1])
        if _is_thumbnail(image, sizes[largest]):
            image.seek(largest)
            check_pixels(image.height, image.width, max_pixels, name)
        LOG.info("%s has %d pages; page %d is taken", name, len(sizes), image.tell() + 1)
        return
    if image.format == "TIFF" or _wide_raw_modes(image) is not None:
        return
    taken = 0
    while _is_empty(image) and taken < _MOST_FRAMES:
        try:
            image.seek(taken + 1)
        except Exception:  # of any type: there is no other frame, or a broken one
            image.seek(0)
            break
        taken += 1
    LOG.info("%s is an animation; frame %d is taken", name, image.tell() + 1)


def _page_sizes(data: bytes) -> list[tuple[int, int]]:
    """(height, width) of the pages of a TIFF, up to the first that cannot be read."""
    sizes: list[tuple[int, int]] = []
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
        while len(sizes) < _MOST_FRAMES:
            image.seek(len(sizes))
            sizes.append((image.height, image.width))
    return sizes


def _is_thumbnail(image: Image.Image, largest: tuple[int, int]) -> bool:
    """Whether the page says so (TIFF 6.0, NewSubfileType), or is the largest in small."""
    if getattr(image, "tag_v2", {}).get(254, 0) & 1:
        return True
    height, width = largest
    is_alike = abs(image.width * height - image.height * width) <= max(height, width)
    return is_alike and 16 * image.height * image.width <= height * width


def _is_empty(image: Image.Image) -> bool:
    """Whether nothing of it can be seen."""
    image.load()
    if not image.has_transparency_data:
        return False
    return image.convert("RGBA").getchannel("A").getextrema() == (0, 0)


def _needs_tifffile(data: bytes) -> bool:
    """Whether Pillow does not read this TIFF, or reads other pixels than it holds."""
    with _pillow_lock():
        try:
            image = Image.open(io.BytesIO(data), formats=["TIFF"])
        except UnidentifiedImageError:
            return True
        except Exception:  # of any type: for the one who decodes to tell
            return False
    tags: Any = getattr(image, "tag_v2", {})
    bits, kind, count = tags.get(258, (1,))[0], tags.get(339, (1,))[0], tags.get(277, 1)
    by_libtiff = bool(image.tile) and image.tile[0].codec_name == "libtiff"
    high_first = tags.prefix == b"MM"
    if tags.get(284) == 2 and count > 1:  # planes
        multiplied = tags.get(338) == (1,)
        return bool(count == 2 or (multiplied and bits == 16 and high_first))
    if by_libtiff and high_first and (image.mode in ("F", "I") or kind == 2):
        return True  # libtiff has swapped the bytes already
    return bool(count == 1 and (bits, kind) in ((32, 1), (8, 2)))


def _scale_transparent_grey(image: Image.Image, data: bytes) -> None:
    """Pillow scales the greys of a PNG of 2 or 4 bits to 8, but not the one that is transparent."""
    key = image.info.get("transparency")
    if image.format == "PNG" and data[25] == 0 and data[24] in (2, 4) and isinstance(key, int):
        image.info["transparency"] = (key & (1 << data[24]) - 1) * {2: 85, 4: 17}[data[24]]


def _decode_heif(data: bytes, name: str, max_pixels: int) -> Decoded:
    try:
        import pi_heif
    except ImportError:
        raise InvalidImageError(
            f"{name} is a HEIC picture, which needs an optional package",
            'pip install "impasto[heif]", or convert it to JPEG',
        ) from None
    with _pillow_lock(), _errors(name):
        found = pi_heif.open_heif(io.BytesIO(data))
        width, height = found.size
        check_pixels(height, width, max_pixels, name)
        return _decoded(found.to_pillow(), None)  # upright, as libheif does it


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
    return finish(colors, alpha, profile, _exif(image))


def _exif(image: Image.Image) -> Image.Exif:
    try:
        exif = image.getexif()
        exif.get(ORIENTATION)  # parses the tags, which may raise
        return exif
    except Exception:  # of any type; broken EXIF is no reason to refuse the pixels
        return Image.Exif()


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
        grey: Samples = floats_in_16_bits(values)
        full = 65535.0
    elif image.mode == "I":
        signed = tags.get(339) == (2,) and tags.get(258) == (16,)
        full = 32767.0 if signed else 65535.0 if values.max() <= 65535 else float(2**31 - 1)
    else:
        full = 4095.0 if tags.get(258) == (12,) else 65535.0
    if image.mode == "F":
        pass
    elif full == 65535.0 and image.mode.startswith("I;16"):
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
    page = image.tell()
    high = _load_bytes(image, raw_modes[0])
    if raw_modes[0] == _GREY_ALPHA:
        return high[..., :1] << 8 | high[..., 1:2], high[..., 2] << 8 | high[..., 3]
    with Image.open(io.BytesIO(lean_png(data)[0]), formats=READABLE) as again:
        again.seek(page)
        samples = high << 8 | _load_bytes(again, raw_modes[1])
    if samples.shape[2] == 4:
        colors, alpha = samples[..., :3], samples[..., 3]
        if getattr(image, "tag_v2", {}).get(338) == (1,):  # colours are multiplied by alpha
            colors = unmultiplied(colors, alpha)
        return colors, alpha
    key = image.info.get("transparency")
    if isinstance(key, tuple):  # the colour that a PNG declares transparent
        return samples, np.where((samples == key).all(2), 0, 65535).astype(np.uint16)
    return samples, None
