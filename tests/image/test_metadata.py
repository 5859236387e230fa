"""The parameters come back, and nothing private goes along."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from impasto.errors import ConfigError, InputError, InvalidImageError
from impasto.image.io import encode_image, read_image, save_image
from impasto.image.metadata import MAX_PARAMETERS, parameters_json, read_metadata, with_parameters
from impasto.image.writing import WRITABLE

IMAGE = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PARAMETERS = {
    "impasto": "0.1",
    "steps": [100, 200],
    "style": {"weight": 1e6, "файл": "Stromboli – 夕焼け 🌋", "none": None, "yes": True},
    "long": "ü" * 3000,
}
FORMATS = [(suffix, 8) for suffix in WRITABLE] + [(".png", 16), (".tif", 16)]
SECRETS = ["SERIAL123", "OWNER", "MAKERNOTE", "LENSSERIAL", "private words", "UNIQUEID", "GPSAREA"]


def telltale_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "A mill"
    exif[0x010F] = "Maker"
    exif[0x0110] = "Model 1"
    exif[0x0112] = 6
    exif[0x0131] = "Some editor"
    exif[0x013B] = "Ada"
    exif[0x8298] = "(c) Ada"
    exif[0xC62F] = "SERIAL123"
    inside = exif.get_ifd(0x8769)
    inside[0x9003] = "2026:01:02 03:04:05"
    inside[0x829A] = IFDRational(1, 250)
    inside[0x927C] = b"MAKERNOTE"
    inside[0x9286] = b"ASCII\0\0\0private words"
    inside[0xA430] = "OWNER"
    inside[0xA431] = "SERIAL123"
    inside[0xA435] = "LENSSERIAL"
    inside[0xA420] = "UNIQUEID"
    gps = exif.get_ifd(0x8825)
    gps[1] = "N"
    gps[2] = (IFDRational(47), IFDRational(22), IFDRational(1))
    gps[28] = b"GPSAREA"
    return exif.tobytes()


@pytest.mark.parametrize(("suffix", "depth"), FORMATS)
def test_parameters_come_back(tmp_path: Path, suffix: str, depth: int) -> None:
    path = save_image(tmp_path / f"a{suffix}", IMAGE, depth=depth, metadata=PARAMETERS)
    assert read_metadata(path) == PARAMETERS
    assert read_image(path).depth == depth


@pytest.mark.parametrize(("suffix", "depth"), FORMATS)
def test_credits_are_carried_and_secrets_are_not(tmp_path: Path, suffix: str, depth: int) -> None:
    source = tmp_path / "source.jpg"
    Image.new("RGB", (8, 4)).save(source, exif=telltale_exif())
    picture = read_image(source)
    assert picture.size == (8, 4)  # turned
    path = tmp_path / f"out{suffix}"
    save_image(path, IMAGE, depth=depth, metadata={"a": 1}, exif=picture.exif)
    with Image.open(path) as image:
        exif = image.getexif()
        assert exif[0x010E] == "A mill"
        assert exif[0x0110] == "Model 1"
        assert exif[0x013B] == "Ada"
        assert exif[0x8298] == "(c) Ada"
        assert exif[0x0131] == "impasto"
        assert exif.get(0x0112, 1) == 1
        assert exif.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
        assert float(exif.get_ifd(0x8769)[0x829A]) == 1 / 250
        assert dict(exif.get_ifd(0x8825)) == {}
        assert image.size == (8, 8)
    for secret in SECRETS:
        assert secret.encode() not in path.read_bytes()
        assert secret.encode() not in picture.exif
    assert read_metadata(path) == {"a": 1}


@pytest.mark.shared
def test_places_stay_behind(shared: Path) -> None:
    for name in ("exif_gps.jpg", "exif_gps_typeerror.jpg", "empty_gps_ifd.jpg"):
        exif = Image.Exif()
        exif.load(read_image(shared / "images" / "hostile" / name).exif)
        assert 0x8825 not in exif, name
        assert dict(exif.get_ifd(0x8825)) == {}, name


def test_without_parameters() -> None:
    exif = Image.Exif()
    exif.load(with_parameters(b"", ""))
    assert dict(exif) == {0x0131: "impasto"}


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_picture_without_parameters_says_so(tmp_path: Path, suffix: str) -> None:
    path = save_image(tmp_path / f"a{suffix}", IMAGE)
    with pytest.raises(InvalidImageError, match=r"no impasto parameters; give a picture"):
        read_metadata(path)


@pytest.mark.parametrize("comment", [b"ASCII\0\0\0{", b"ASCII\0\0\0[1]", b"ASCII\0\0\0{}", b"x"])
def test_other_comments_are_no_parameters(tmp_path: Path, comment: bytes) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif.tobytes())
    with pytest.raises(InvalidImageError):
        read_metadata(tmp_path / "a.jpg")


def test_no_picture_has_no_parameters(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InvalidImageError):
        read_metadata(tmp_path / "a.png")
    with pytest.raises(InputError):
        read_metadata(tmp_path / "missing.png")


def test_parameters_have_a_limit(tmp_path: Path) -> None:
    room = MAX_PARAMETERS - len('{"a": ""}')
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        path = save_image(tmp_path / f"a{suffix}", IMAGE, metadata={"a": "x" * room})
        assert len(read_metadata(path)["a"]) == room
    with pytest.raises(ConfigError, match=r"60,001 bytes; a picture holds 60,000"):
        parameters_json({"a": "x" * (room + 1)})


def test_carried_exif_gives_way_to_parameters() -> None:
    exif = Image.Exif()
    exif[0x010E] = "d" * 10_000
    merged = with_parameters(exif.tobytes(), parameters_json({"a": "x" * 59_000}))
    assert len(merged) <= 65_533
    assert b"ddd" not in merged


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, {("a", "b"): 1}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot be kept"):
        parameters_json({"a": value})


def test_paths_become_strings() -> None:
    assert json.loads(parameters_json({"path": Path("a")})) == {"path": "a"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_comes_back(parameters: dict[str, Any]) -> None:
    with Image.open(io.BytesIO(encode_image(IMAGE, ".png", metadata=parameters))) as image:
        assert json.loads(image.info["impasto"]) == parameters
    with Image.open(io.BytesIO(encode_image(IMAGE, ".jpg", metadata=parameters))) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert json.loads(comment[8:])["impasto"] == parameters


def _chunks(data: bytes) -> list[bytes]:
    """A PNG's chunks, whole."""
    found, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_may_tell_of_itself_behind_its_pixels(depth: int, tmp_path: Path) -> None:
    """Other programs write texts and EXIF there."""
    exif = Image.Exif()
    exif[0x013B] = "Ada"
    image = torch.rand(1, 3, 9, 7)
    data = encode_image(image, ".png", depth=depth, exif=exif.tobytes(), metadata={"seed": 3})
    chunks = _chunks(data)
    moved = [chunk for chunk in chunks if chunk[4:8] in (b"iTXt", b"eXIf")]
    assert len(moved) == 2
    others = [chunk for chunk in chunks if chunk not in moved]
    path = tmp_path / "a.png"
    path.write_bytes(data[:8] + b"".join([*others[:-1], *moved, others[-1]]))
    assert read_metadata(path) == {"seed": 3}
    picture = read_image(path)
    assert torch.equal(picture.pixels, read_image(data).pixels)
    assert b"Ada" in picture.exif
