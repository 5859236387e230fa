"""What is content and what is style is said, and what looks like a mistake is not painted."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from impasto.cli import main

FLAGS = ["--size", "32", "--threads", "1"]


@pytest.fixture
def snap(folder: Path) -> str:
    """A photo from a camera."""
    exif = Image.Exif()
    exif[271] = "Canon"
    exif.get_ifd(0x8769)[33434] = 0.01
    Image.open("cat.png").save("snap.jpg", exif=exif)
    return "snap.jpg"


@pytest.mark.parametrize("command", ["quick", "stylize"])
def test_the_first_line_says_it(
    snap: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*FLAGS, *(["--steps", "1"] if command == "stylize" else [])]
    assert main([command, "cat.png", "art.png", "waves", "-o", "out.png", *flags]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "impasto: content cat.png; styles art.png, waves"
    assert not any("warning" in line for line in lines)
    assert main([command, "cat.png", snap, "-o", "o.png", *flags]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "impasto: content cat.png; style snap.jpg"
    assert lines[1].startswith("impasto: warning: snap.jpg, taken for a style, is a camera's")
    assert main([command, "cat.png", snap, "-o", "p.png", "-q", *flags]) == 0
    assert capsys.readouterr().err == ""


def test_a_texture_has_styles_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["texture", "art.png", "-o", "o.png", "--steps", "1", *FLAGS]) == 0
    assert capsys.readouterr().err.splitlines()[0] == "impasto: style art.png"


@pytest.mark.parametrize("command", ["quick", "stylize", "texture"])
def test_more_than_four_styles_are_asked_for(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [] if command == "texture" else ["cat.png"]
    many = [*names, "art.png", "waves", "mosaic", "night", "fauve"]
    assert main([command, *many, "-o", "o.png", *FLAGS]) == 2
    assert "5 pictures are taken for styles: art.png to fauve" in capsys.readouterr().err
    if command != "texture":
        steps = ["--steps", "1"] if command == "stylize" else []
        assert main([command, *many, "-o", "o.png", "--blend", "1,1,1,1,1", *FLAGS, *steps]) == 0


@pytest.mark.parametrize("command", ["quick", "stylize"])
def test_a_forgotten_flag_is_guessed(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "cat.png", "art.png", "out.png", *FLAGS]) == 2
    assert "if the picture is to go there: -o out.png" in capsys.readouterr().err


def test_names_are_printable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cat.png").rename("a\x1b[31m.png")
    assert main(["quick", "a\x1b[31m.png", "art.png", "-o", "o.png", *FLAGS]) == 0
    assert "\x1b" not in capsys.readouterr().err
