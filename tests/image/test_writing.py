"""Files as they are written: for other readers, and with every credit to the byte."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
import torch
from PIL import Image, TiffImagePlugin

from impasto.image.codecs import decode
from impasto.image.io import read_image, save_image
from impasto.image.profiles import srgb_profile
from impasto.image.writing import WRITABLE, encode
from tests.image.test_codecs import COLORS8, COLORS16


@pytest.mark.parametrize("channels", [3, 4])
def test_other_readers_see_the_same_16_bits(channels: int, tmp_path: Path) -> None:
    samples = COLORS16[..., :channels]
    exif = Image.Exif()
    exif[0x013B] = "somebody"
    data = encode(samples, WRITABLE[".tif"], exif=exif.tobytes())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert (file.asarray() == samples).all()
        assert file.pages.first.tags["Artist"].value == "somebody"
        assert file.pages.first.iccprofile == srgb_profile()
    data = encode(samples, WRITABLE[".png"], parameters='{"a": 1}', exif=exif.tobytes())
    width, height, rows, info = png.Reader(bytes=data).asDirect()
    assert (width, height, info["bitdepth"]) == (13, 9, 16)
    assert (np.array([list(row) for row in rows]).reshape(9, 13, channels) == samples).all()
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["impasto"] == '{"a": 1}'
        assert image.info["icc_profile"] == srgb_profile()
        assert image.getexif()[0x013B] == "somebody"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_tiff_is_written_in_strips(dtype: type[np.generic]) -> None:
    """libvips refuses strips of 50 MB or more, which one strip of a large picture may have."""
    ramp = np.arange(1100 * 900 * 3).reshape(1100, 900, 3) % 65521
    samples = ramp.astype(dtype)
    data = encode(samples, WRITABLE[".tif"])
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        assert page.rowsperstrip * samples[0].nbytes <= 2**20
        assert len(page.dataoffsets) > 2
        assert (file.asarray() == samples).all()
    assert (decode(data, "'test'", max_pixels=10**8).colors == samples).all()


def test_8_bit_tiff_by_other_readers() -> None:
    data = encode(COLORS8, WRITABLE[".tiff"])
    assert (tifffile.imread(io.BytesIO(data)) == COLORS8).all()
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert (np.asarray(image) == COLORS8).all()


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_profile_goes_with_every_format(suffix: str) -> None:
    data = encode(COLORS8, WRITABLE[suffix])
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == srgb_profile()
    assert data == encode(COLORS8, WRITABLE[suffix])


# --- credits -------------------------------------------------------------------------------------

TEXTS = {
    "utf8": "© José Ünsal".encode(),
    "latin1": "© José".encode("latin-1"),
    "kanji": "写真家".encode(),
    "ascii": b"Jane Doe",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
@pytest.mark.parametrize(
    ("suffix", "depth"), [(name, depth) for name, kind in WRITABLE.items() for depth in kind.depths]
)
def test_credits_keep_their_bytes(suffix: str, depth: int, text: bytes, tmp_path: Path) -> None:
    """From a JPEG into every format, and from there on."""
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x8298):
        exif[tag] = text
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif.tobytes())
    picture = read_image(buffer.getvalue())
    for number in range(2):
        path = tmp_path / f"{number}{suffix}"
        save_image(path, picture.pixels, depth=depth, exif=picture.exif, metadata={"a": 1})
        assert path.read_bytes().count(text) >= 3
        picture = read_image(path)
        with Image.open(path) as image:
            found = image.getexif()
            for tag in (0x010E, 0x013B, 0x8298):
                assert found[tag].encode("latin-1") == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_credits_of_a_tiff_that_pillow_cannot_read_keep_their_bytes(
    text: bytes, tmp_path: Path
) -> None:
    """Floats are read by tifffile, which guesses the encoding of texts."""
    tags = [(0x013B, 2, len(text) + 1, text + b"\0", True), (0x8298, 2, 2, b"A\0", True)]
    pixels = np.zeros((4, 4, 3), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=tags)
    picture = read_image(tmp_path / "a.tif")
    save_image(tmp_path / "b.png", picture.pixels, exif=picture.exif)
    with Image.open(tmp_path / "b.png") as image:
        found = image.getexif()
        assert found[0x013B].encode("latin-1") == text
        assert found[0x8298] == "A"


def test_a_name_that_a_program_set_is_utf8(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4))
    image.getexif()[0x013B] = "Łukasz"
    picture = read_image(image)
    save_image(tmp_path / "a.png", picture.pixels, exif=picture.exif)
    assert "Łukasz".encode() in (tmp_path / "a.png").read_bytes()


def test_credits_of_a_swapped_order(tmp_path: Path) -> None:
    """EXIF in Motorola's order, as most cameras write it."""
    exif = Image.Exif()
    exif.endian = ">"
    exif[0x8298] = TEXTS["utf8"]
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif.tobytes())
    picture = read_image(buffer.getvalue())
    save_image(tmp_path / "a.tif", torch.zeros(1, 3, 4, 4), exif=picture.exif)
    assert TEXTS["utf8"] in (tmp_path / "a.tif").read_bytes()
