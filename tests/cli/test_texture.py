"""impasto texture, from flags to files and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import impasto
from impasto.cli import main
from impasto.cli.info import command_line
from impasto.config.stylize import CONTENT_SETTINGS, StylizeConfig
from impasto.image.io import load_image, read_image, read_metadata
from tests.cli.conftest import Stylize


def test_makes_what_the_library_makes(folder: Path, small: list[str], encoder_file: Path) -> None:
    flags = ["-o", "out.png", "--aspect", "2", "--wrap", "horizontal", "--depth", "16", "-q"]
    assert main(["texture", "art.png", *flags, *small]) == 0
    config = StylizeConfig(encoder=str(encoder_file), size=64, steps=(4, 3), precision="float32")
    with impasto.machine.devices.threads(1):
        result = impasto.texture("art.png", config, aspect=2, wrap="horizontal")
    result.save("library.png", depth=16)
    assert load_image("out.png").equal(load_image("library.png"))
    assert read_image("out.png").size == (32, 64)


def test_its_name_and_its_plan(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["texture", "waves", "--dry-run", *small]) == 0
    told = capsys.readouterr().out
    assert "output   waves-texture.png, 64x64" in told
    assert "content" not in told
    assert not (folder / "waves-texture.png").exists()


def test_info_and_replay(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    assert main(["texture", "art.png", "-o", "out.png", "-q", *small]) == 0
    assert main(["info", "out.png", "--command"]) == 0
    command = capsys.readouterr().out
    assert command.startswith("impasto texture -o out.png --size 64")
    assert replay("out.png", "-o", "again.png") == 0
    assert "the pixels are the same as in out.png" in capsys.readouterr().err
    assert replay("out.png", "-o", "c.png", "--content", "cat.png") == 2
    assert "out.png is a texture and has no content" in capsys.readouterr().err
    assert "content" not in read_metadata("again.png")


def test_to_standard_output(
    folder: Path, small: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["texture", "art.png", "-o", "-", "-q", *small]) == 0
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")


def test_colours_of_a_content_it_has_not(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["texture", "waves", "--color", "keep", *small]) == 2
    told = "impasto: error: --color is given, and a texture has no content; leave it out\n"
    assert capsys.readouterr().err == told


CHANGED: dict[str, Any] = {
    "strength": 0.9,
    "strength_mode": "weight",
    "subject": "off",
    "protect": 0.9,
    "detail": 0.1,
    "coarsest": 32,
    "color_strength": 0.2,
    "color_match": "histogram",
    "content_layers": ("relu1_1",),
    "content_weights": (1.0, 2.0),
    "content_loss": ("self-similarity",),
    "content_form": "mean",
    "content_weight": 3.0,
    "region_count": 2,
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_it_refuses_would_change_nothing(name: str, folder: Path, encoder_file: Path) -> None:
    config = StylizeConfig(encoder=str(encoder_file), size=48, steps=(2,), precision="float32")
    plain = impasto.texture("art.png", config).image
    assert impasto.texture("art.png", config, **{name: CHANGED[name]}).image.equal(plain)


def test_the_rest_of_what_it_refuses_is_of_regions_or_refused_by_the_library() -> None:
    assert {*CONTENT_SETTINGS} - {*CHANGED} == {
        *("color", "keep", "region_strengths", "region_colors")
    }


def test_its_command_line_has_no_settings_of_a_content() -> None:
    config = StylizeConfig(strength=0.9, seed=3)
    metadata = {"method": "synthesis of a texture", "config": config.to_dict()}
    made = command_line({**metadata, "style": {"swatch": "waves"}}, Path("out.png"))
    assert made == "impasto texture -o out.png --seed 3 -- waves"
