"""Uploads: pictures are kept, anything else is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import ConfigError, ImageTooLargeError, InvalidImageError
from impasto.studio.store import Store
from impasto.studio.uploads import SUFFIXES, Uploads, read_copies, safe_name
from tests.studio.in_process import HereUploads, picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_each_format_is_kept_under_its_own_suffix(store: Store, kind: str) -> None:
    kept = HereUploads(store).add(picture(suffix=kind), "cat.exe", "photo")
    path = store.picture_path(kept)
    assert path.name == "cat" + SUFFIXES[kind]
    assert path.read_bytes() == picture(suffix=kind)
    assert (kept.height, kept.width) == (48, 64)
    for copy in (store.screen_path(kept.id), store.thumbnail_path(kept.id)):
        with Image.open(copy) as image:
            assert image.size == (64, 48)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        picture()[:200],
        b"\x80\x04\x95" + bytes(100),
    ],
)
def test_what_is_no_picture_is_refused(store: Store, data: bytes) -> None:
    with pytest.raises(InvalidImageError):
        HereUploads(store).add(data, "x.png", "photo")
    assert not list((store.folder / "pictures").iterdir())


def test_pixels_are_counted_before_they_are_decoded(store: Store) -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with pytest.raises(ImageTooLargeError):
        HereUploads(store).add(buffer.getvalue(), "bomb.png", "photo")


def test_16_bits_and_transparency_are_shown(store: Store) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(buffer, "PNG")
    copies = read_copies(buffer.getvalue(), 1000)
    assert Image.open(io.BytesIO(copies.screen)).getpixel((0, 0)) == (156, 156, 156)
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 128)).save(buffer, "PNG")
    assert Image.open(io.BytesIO(read_copies(buffer.getvalue(), 1000).screen)).mode == "RGBA"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("C:\\Windows\\cat.bmp", "cat.png"),
        ("a\0b\n;rm -rf.png", "a-b-rm--rf.png"),
        ("", "picture.png"),
        ("screen.png", "picture-screen.png"),
        ("猫.png", "picture.png"),
        ("x" * 300, "x" * 60 + ".png"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name, ".png") == safe


def test_roles_are_three(store: Store) -> None:
    with pytest.raises(ConfigError, match="photo, style, mask"):
        HereUploads(store).add(picture(), "cat.png", "../x")


def test_a_decoder_that_dies_takes_one_upload_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uploads = Uploads(store)
    try:
        assert uploads.add(picture(), "cat.png", "photo").width == 64
        assert uploads._pool is not None
        [process] = uploads._pool._processes.values()
        process.kill()
        process.join()
        with pytest.raises(InvalidImageError, match="cannot be decoded"):
            uploads.add(picture(seed=1), "cat.png", "photo")
        assert uploads.add(picture(seed=2), "cat.png", "photo").width == 64
    finally:
        uploads.close()
