"""Layouts of TIFF against pixels that are known: right, or refused by name; never blank."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from impasto.errors import ImageTooLargeError, InvalidImageError
from impasto.image.codecs import decode
from impasto.image.io import read_image
from impasto.image.samples import Decoded

TYPES = ("u1", "u2", "u4", "i1", "i2", "f2", "f4", "f8")
# photometric, samples, what the extra ones are
KINDS: list[tuple[str, int, list[str]]] = [
    ("minisblack", 1, []),
    ("miniswhite", 1, []),
    ("minisblack", 2, ["unassalpha"]),
    ("rgb", 3, []),
    ("rgb", 4, ["unassalpha"]),
    ("rgb", 4, ["assocalpha"]),
    ("rgb", 4, ["unspecified"]),
    ("rgb", 5, ["unspecified", "unspecified"]),
]


def written(array: NDArray[Any], planar: str = "contig", order: Any = "<", **options: Any) -> bytes:
    buffer = io.BytesIO()
    if planar == "separate":
        array = np.moveaxis(array, -1, 0)
    if array.shape[-1] == 1:
        array = array[..., 0]
    with tifffile.TiffWriter(buffer, byteorder=order) as file:
        extra = {"planarconfig": planar} if array.ndim == 3 else {}
        file.write(np.ascontiguousarray(array), metadata=None, **extra, **options)
    return buffer.getvalue()


def shares(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Samples as floats in [0, 1]."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    found: NDArray[np.float64] = samples / np.float64(np.iinfo(samples.dtype).max)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("type_", TYPES)
def test_every_layout(type_: str, kind: tuple[str, int, list[str]]) -> None:
    photometric, count, extra = kind
    share = np.random.default_rng(0).random((16, 32, count)) * 0.8 + 0.1
    top = 1 if type_[0] == "f" else np.iinfo(type_).max
    array = (share * top).astype(type_)
    truth = shares(array)
    colors = truth[..., : 3 if count > 2 else 1]
    if photometric == "miniswhite":
        colors = 1 - colors
    if extra == ["assocalpha"]:
        colors = (colors / truth[..., 3:]).clip(0, 1)
    ways = itertools.product(
        ["contig", "separate"] if count > 1 else ["contig"],
        [None, "zlib", "packbits"] if type_[0] != "f" else [None, "zlib"],
        [None, (16, 16)],
        "<>",
    )
    for planar, compression, tile, order in ways:
        options: dict[str, Any] = {"extrasamples": extra} if extra else {}
        options |= {"photometric": photometric, "compression": compression, "tile": tile}
        try:
            data = written(array, planar, order, **options)
        except (ValueError, KeyError, NotImplementedError):  # tifffile cannot write it
            continue
        found = decode(data, "'test'", max_pixels=10**6)
        assert np.abs(shares(found.colors) - colors).max() < 0.02, (planar, options, order)
        if extra and extra[0] in ("unassalpha", "assocalpha"):
            assert found.alpha is not None, (planar, options, order)
            assert np.abs(shares(found.alpha) - truth[..., -1]).max() < 0.01, (planar, order)


def deep(**options: Any) -> bytes:
    return written(np.full((16, 32, 3), 0.5, np.float32), photometric="rgb", **options)


def test_what_is_not_read_is_named() -> None:
    data = written(np.zeros((16, 32, 3), np.float32) + 0.5, photometric="rgb", compression="zlib")
    at = data.index(struct.pack("<HHIH", 259, 3, 1, 8))
    lzw = data[: at + 8] + struct.pack("<H", 5) + data[at + 10 :]
    told = r"a layout that is not read \(float32 RGB in 3 samples, LZW\)"
    with pytest.raises(InvalidImageError, match=told):
        decode(lzw, "'test'", max_pixels=10**6)
    with pytest.raises(ImageTooLargeError):
        decode(deep(), "'test'", max_pixels=10)


def test_missing_strips_are_not_black() -> None:
    data = deep()
    with pytest.raises(InvalidImageError, match="truncated"):
        decode(data[: len(data) - 600], "'test'", max_pixels=10**6)


def test_a_strip_without_end_is_refused() -> None:
    data = deep(compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        tag = page.tags[279]
        offset_tag = page.tags[273]
    bomb = zlib.compress(bytes(50 * 2**20), 9)
    made = bytearray(data + bomb)
    struct.pack_into("<I", made, offset_tag.offset + 8, len(data))
    size = struct.pack("<HII", 4, 1, len(bomb))
    made[tag.offset + 2 : tag.offset + 2 + len(size)] = size
    with pytest.raises(InvalidImageError, match="more than the picture"):
        decode(bytes(made), "'test'", max_pixels=10**6)


def pages(*sides: int, marked: bool = False) -> Decoded:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for number, side in enumerate(sides):
            kind = {"subfiletype": 1} if marked and number == 0 else {}
            array = np.full((side, 2 * side, 3), 50 * (number + 1), np.uint8)
            file.write(array, photometric="rgb", metadata=None, **kind)
    return decode(buffer.getvalue(), "'test'", max_pixels=10**6)


def test_a_thumbnail_is_not_the_picture() -> None:
    assert pages(16, 200, 100).colors.shape == (200, 400, 3)
    assert (pages(16, 200, 100).colors == 100).all()
    assert pages(100, 200, marked=True).colors.shape[0] == 200
    assert pages(100, 200).colors.shape[0] == 100  # pages of a document: the first
    assert pages(200, 16).colors.shape[0] == 200


def test_a_thumbnail_of_16_bits(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for side, value in ((10, 1), (80, 40_000)):
            array = np.full((side, side, 3), value, np.uint16)
            file.write(array, photometric="rgb", metadata=None)
    picture = read_image(tmp_path / "a.tif")
    assert (picture.size, picture.depth) == ((80, 80), 16)
    assert abs(float(picture.pixels.mean()) - 40_000 / 65_535) < 1e-5
