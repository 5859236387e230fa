"""Photos are told from scans and paintings by what cameras write."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from impasto.image.camera import is_from_camera


def picture(path: Path, *, make: str = "", exposure: float | None = None) -> Path:
    image, exif = Image.new("RGB", (8, 8)), Image.Exif()
    if make:
        exif[271] = make
    if exposure is not None:
        exif.get_ifd(0x8769)[33434] = exposure
    image.save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_camera_and_an_exposure(tmp_path: Path, suffix: str) -> None:
    assert is_from_camera(picture(tmp_path / f"a{suffix}", make="Canon", exposure=0.01))
    assert not is_from_camera(picture(tmp_path / f"b{suffix}", make="Epson scanner"))
    assert not is_from_camera(picture(tmp_path / f"c{suffix}", exposure=0.01))
    assert not is_from_camera(picture(tmp_path / f"d{suffix}"))


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff")
    (tmp_path / "folder").mkdir()
    for name in ("a.jpg", "folder", "missing", "a\0b"):
        assert not is_from_camera(tmp_path / name)
