"""What a file says of itself before, and besides, what Pillow reads of it.

Pillow refuses whole pictures for what stands beside the pixels (large texts and profiles in PNG),
allocates a WebP's canvas when it opens it, and does not tell of the profile in a JPEG 2000.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

__all__ = ["is_heic", "jpeg2000_profile", "lean_png", "webp_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PROFILE = 16 * 2**20
_LARGEST_TEXT = 2**20  # what Pillow takes, decompressed
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# The texts that Pillow or impasto act on: parameters, and EXIF as some programs write it.
_HEEDED = (b"impasto", b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")


def lean_png(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG without its texts (but for those that are heeded) and its profile, and the profile.

    Heeded texts and EXIF that stand behind the pixels, where some programs put them, come before:
    behind them Pillow finds them only once it has decoded the pixels. Other files come back as
    they are. A profile that is broken or has over 16 MiB is none.
    """
    if not data.startswith(_PNG):
        return data, None
    kept, profile, pixels = [_PNG], None, 0
    for kind, start, end in _png_chunks(data):
        body = memoryview(data)[start + 8 : end - 4]
        if kind == b"iCCP":
            profile = profile or _png_profile(bytes(body))
        elif kind not in _TEXTS or _is_heeded(kind, bytes(body)):
            if kind == b"IDAT":
                pixels = pixels or len(kept)
            if pixels and kind in (*_TEXTS, b"eXIf"):
                kept.insert(pixels, data[start:end])
                pixels += 1
            else:
                kept.append(data[start:end])
    return b"".join(kept), profile


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of the canvas of a WebP (RFC 9649); None for other files."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[i : i + 3], "little") for i in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (x & 0x3FFF for x in struct.unpack_from("<HH", data, 26))
    return height, width


def jpeg2000_profile(data: bytes) -> bytes | None:
    """The ICC profile of a JP2 file (ISO 15444-1, I.5.3.3); None where there is none."""
    if data[4:8] != b"jP  ":
        return None
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"jp2h":
            for inner, first, last in _boxes(data, start, end):
                if inner == b"colr" and data[first : first + 1] == b"\x02":
                    profile = data[first + 3 : last]
                    return profile if len(profile) <= _LARGEST_PROFILE else None
    return None


def is_heic(data: bytes) -> bool:
    """Whether a file says of itself that it is a HEIC (ISO 14496-12, 4.3)."""
    brands = (data[8:12], *(data[i : i + 4] for i in range(16, min(len(data), 64), 4)))
    return data[4:8] == b"ftyp" and any(brand in _HEIC for brand in brands)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each chunk; what is no chunk any more is one without a type."""
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        yield data[at + 4 : at + 8], at, end
        at = end
    if at < len(data):
        yield b"", at, len(data)


def _png_profile(body: bytes) -> bytes | None:
    _name, _, rest = body.partition(b"\0")
    return _inflated(rest[1:], _LARGEST_PROFILE) if rest[:1] == b"\0" else None


def _is_heeded(kind: bytes, body: bytes) -> bool:
    key, _, rest = body.partition(b"\0")
    if key not in _HEEDED or len(body) > _LARGEST_TEXT:
        return False
    packed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    is_packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    return not is_packed or _inflated(packed, _LARGEST_TEXT) is not None


def _inflated(packed: bytes, most: int) -> bytes | None:
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(packed, most)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else plain


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of each box (ISO 15444-1, I.4)."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1 and at + 16 <= end:
            (length,), header = struct.unpack_from(">Q", data, at + 8), 16
        last = end if length == 0 else at + length
        if last > end or last < at + header:
            return
        yield kind, at + header, last
        at = last
