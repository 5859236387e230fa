"""Inputs as people have them, through the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from impasto.cli import main
from impasto.image.io import load_image, read_image, read_metadata, save_image
from tests.cli.conftest import Stylize

SMALL = ["--size", "48", "--precision", "float32", "--threads", "1"]


class Stdin:
    """Standard input that holds these bytes."""

    def __init__(self, data: bytes, *, terminal: bool = False) -> None:
        self.buffer, self.terminal = io.BytesIO(data), terminal

    def isatty(self) -> bool:
        return self.terminal


def test_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (folder / "cat.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert main(["quick", "-", "waves", *SMALL]) == 0
    assert main(["quick", "cat.png", "waves", *SMALL]) == 0
    assert load_image("stdin-waves.png").equal(load_image("cat-waves.png"))
    told = read_metadata("stdin-waves.png")["content"]
    assert "path" not in told
    assert told["sha256"] == read_metadata("cat-waves.png")["content"]["sha256"]
    capsys.readouterr()
    assert main(["quick", "-", "waves", "-o", "b.png", *SMALL]) == 3
    assert "content: standard input is empty" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Stdin(b"", terminal=True))
    assert main(["quick", "cat.png", "-", "-o", "b.png", *SMALL]) == 3
    assert "style: nothing comes in on standard input" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Stdin((folder / "cat-waves.png").read_bytes()))
    assert main(["info", "-"]) == 0
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["info", "-"]) == 3


def test_a_style_from_standard_input(stylize: Stylize, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stylize("-q") == 0
    monkeypatch.setattr(sys, "stdin", Stdin(Path("art.png").read_bytes()))
    words = ["stylize", "cat.png", "-", "--size", "48", "--steps", "1", "-q"]
    assert main(words) == 0
    assert Path("cat-stdin.png").exists()


def test_into_a_folder(folder: Path) -> None:
    (folder / "out").mkdir()
    assert main(["quick", "cat.png", "waves", "-o", "out", *SMALL]) == 0
    assert main(["quick", "cat.png", "waves", "-o", "out/", *SMALL]) == 2  # it is there
    assert main(["quick", "cat.png", "waves", "-o", "out/", "--overwrite", *SMALL]) == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["cat-waves.png"]
    assert main(["quick", "cat.png", "waves", "-o", "missing/", *SMALL]) == 2


def test_the_quality_of_a_jpeg(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for quality in ("5", "95"):
        flags = ["-o", f"{quality}.jpg", "--jpeg-quality", quality]
        assert main(["quick", "cat.png", "waves", *flags, *SMALL]) == 0
        sizes.append(Path(f"{quality}.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    for quality in ("0", "101", "x"):
        flags = ["-o", "a.jpg", "--jpeg-quality", quality]
        assert main(["quick", "cat.png", "waves", *flags, *SMALL]) == 2
        assert "--jpeg-quality" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".ppm", ".pgm", ".pbm"])
def test_portable_pixmaps(suffix: str, folder: Path, photo: Tensor) -> None:
    mode = {".ppm": "RGB", ".pgm": "L", ".pbm": "1"}[suffix]
    Image.open("cat.png").convert(mode).save(f"cat{suffix}")
    Image.open("cat.png").convert(mode).convert("RGB").save("same.png")
    assert read_image(f"cat{suffix}").pixels.equal(read_image("same.png").pixels)
    assert main(["quick", f"cat{suffix}", "waves", *SMALL]) == 0


def animation(path: Path, *colors: tuple[int, int, int, int]) -> None:
    frames = [Image.new("RGBA", (60, 40), color) for color in colors]
    options = {"disposal": 2} if path.suffix == ".gif" else {"lossless": True}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


CLEAR, RED, BLUE = (0, 0, 0, 0), (255, 0, 0, 255), (0, 0, 255, 255)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_the_first_frame_that_shows_something(
    suffix: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the command says which one that is."""
    for colors, taken, name in (
        ((RED, BLUE), 1, "first"),
        ((CLEAR, BLUE, RED), 2, "second"),
        ((CLEAR, CLEAR, RED), 3, "third"),
    ):
        path = folder / f"{name}{suffix}"
        animation(path, *colors)
        pixels = read_image(path).pixels[0, :, 20, 30]
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
        if frames == len(colors):  # equal frames may have been joined
            wanted = np.array(colors[taken - 1][:3]) / 255
            assert np.abs(pixels.numpy() - wanted).max() < 0.02, name
            assert main(["quick", str(path), "waves", *SMALL, "--overwrite"]) == 0
            assert f"frame {taken} is taken" in capsys.readouterr().err


def test_an_animation_of_nothing_is_read(folder: Path) -> None:
    animation(folder / "none.webp", CLEAR, CLEAR)
    assert read_image("none.webp").size == (40, 60)


def test_heic_needs_its_extra(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"
    (folder / "a.heic").write_bytes(header + bytes(200))
    assert main(["quick", "a.heic", "waves", *SMALL]) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert "content: 'a.heic'" in line
    try:
        import pi_heif  # noqa: F401
    except ImportError:
        assert 'pip install "impasto[heif]"' in line
    else:
        assert "cannot be decoded" in line


def test_a_heic(shared: Path, tmp_path: Path) -> None:
    """128 x 128 pixels, against the same picture as a PNG."""
    pytest.importorskip("pi_heif")
    picture = read_image(shared / "images/hostile/hopper.heif")
    same = read_image(shared / "images/hostile/hopper.avif")
    assert picture.size == same.size
    assert float((picture.pixels - same.pixels).abs().mean()) < 0.03
    again = save_image(tmp_path / "again.png", picture.pixels, exif=picture.exif)
    assert read_image(again).size == picture.size
