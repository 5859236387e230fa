"""What stands beside the pixels costs no picture, and what allocates is looked at first."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
from PIL import Image, PngImagePlugin

from impasto.errors import ImageTooLargeError
from impasto.image.codecs import decode
from impasto.image.containers import is_heic, jpeg2000_profile, lean_png, webp_size
from impasto.image.io import read_image, read_metadata
from impasto.image.profiles import srgb_profile

COLORS = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def with_chunks(*chunks: bytes) -> bytes:
    """A PNG with chunks of one's own behind its header."""
    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def wide_profile(size: int) -> bytes:
    """sRGB's profile with bytes of no meaning behind it."""
    profile = srgb_profile() + bytes(size)
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"x\0\0" + zlib.compress(wide_profile(1_500_000))),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(64 * 2**20))),
        chunk(b"iCCP", b"x\0\7" + zlib.compress(srgb_profile())),
        chunk(b"iCCP", b"x"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 2_300_000)),
        chunk(b"iTXt", b"impasto\0\1\0\0\0" + zlib.compress(b"a" * 2_300_000)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<" * 2_300_000)),
        chunk(b"tEXt", b"icc_profile\0nothing"),
        chunk(b"tEXt", b"transparency\0nothing"),
        chunk(b"tEXt", b"Comment\0" + b"a" * 500_000) * 150,
        chunk(b"zTXt", b"Comment\0\5"),
    ],
    ids=range(11),
)
def test_a_png_is_read_whatever_stands_beside_its_pixels(extra: bytes) -> None:
    decoded = decode(with_chunks(extra), "'test'", max_pixels=10**6)
    assert (decoded.colors == COLORS).all()


def test_large_profiles_of_a_png_are_heeded() -> None:
    """Grey that a profile of 1.5 MB calls linear becomes lighter, as in a JPEG."""
    linear = bytearray(wide_profile(1_500_000))
    at = linear.index(b"rTRC")
    offset = struct.unpack_from(">I", linear, at + 4)[0]
    linear[offset : offset + 12] = b"curv\0\0\0\0\0\0\0\0"
    data = with_chunks(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(linear))))
    colors = decode(data, "'test'", max_pixels=10**6).colors
    assert colors.dtype == np.float32
    assert (colors[..., 0] > COLORS[..., 0] / 255 - 1e-3).all()


def test_parameters_are_found_among_large_texts(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("impasto", '{"seed": 3}')
    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, "PNG", pnginfo=texts)
    data = buffer.getvalue()
    large = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(5_000_000)))
    (tmp_path / "a.png").write_bytes(data[:33] + large * 3 + data[33:])
    assert read_metadata(tmp_path / "a.png") == {"seed": 3}


@pytest.mark.parametrize("tail", [b"", b"\0" * 5, b"\xff\xff\xff\xffIDAT", b"\0\0\0\1"])
def test_what_is_no_chunk_stays(tail: bytes) -> None:
    data = with_chunks() + tail
    assert lean_png(data) == (data, None)
    assert lean_png(tail) == (tail, None)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("key", [0, 1])
def test_the_transparent_grey_of_a_png(bits: int, key: int) -> None:
    rng = np.random.default_rng(bits)
    grey = rng.integers(0, 2, (8, 8)) * (2**bits - 1) // max(1, key * 0 + 1)
    grey = np.where(grey > 0, 2**bits - 1, key % 2**bits)
    grey[0, 0], grey[0, 1] = key, 2**bits - 1 if key != 2**bits - 1 else 0
    buffer = io.BytesIO()
    writer = png.Writer(8, 8, greyscale=True, bitdepth=bits, transparent=key)
    writer.write(buffer, grey.tolist())
    decoded = decode(buffer.getvalue(), "'test'", max_pixels=10**6)
    assert decoded.alpha is not None
    assert ((decoded.alpha > 0) == (grey != key)).all()


def webp(kind: bytes, body: bytes) -> bytes:
    inner = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


@pytest.mark.parametrize(
    "data",
    [
        webp(b"VP8X", b"\x02\0\0\0" + b"\xff\x3f\0\xff\x3f\0" + bytes(150)),
        webp(b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(20)),
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(20)),
    ],
)
@pytest.mark.parametrize("read", [read_image, read_metadata])
def test_no_canvas_is_allocated_unseen(
    data: bytes, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebP of 186 bytes may claim 16384 x 16384 pixels; Pillow would allocate them to look."""
    monkeypatch.setattr(Image, "open", pytest.fail)
    assert webp_size(data) in ((16384, 16384), (16383, 16383))
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(ImageTooLargeError):
        read(tmp_path / "a.webp")


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"save_all": True}])
def test_the_size_of_a_webp(options: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(COLORS)
    extra = {"append_images": [image.rotate(180)]} if "save_all" in options else {}
    image.save(buffer, "WEBP", **options, **extra)
    assert webp_size(buffer.getvalue()) == (9, 13)
    assert webp_size(buffer.getvalue()[:20]) is None


def test_the_profile_of_a_jpeg_2000() -> None:
    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, "JPEG2000", irreversible=False)
    data = buffer.getvalue()
    assert jpeg2000_profile(data) is None
    at = data.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", data, at)
    body = b"colr\2\0\0" + srgb_profile()
    own = struct.pack(">I", len(body) + 4) + body
    head = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, head)
    size += len(own) - length
    made = data[:head] + struct.pack(">I", size) + data[head + 4 : at] + own + data[at + length :]
    assert jpeg2000_profile(made) == srgb_profile()
    assert (decode(made, "'test'", max_pixels=10**6).colors == COLORS).all()


def test_heic_is_told_by_its_brand() -> None:
    assert is_heic(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicheix")
    assert not is_heic(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif")
    assert not is_heic(b"")
