"""The same picture once more."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.cli import main
from impasto.cli.replay import read_recipe
from impasto.config.stylize import StylizeConfig
from impasto.errors import InputError
from impasto.image.io import load_image, read_metadata, save_image
from tests.cli.conftest import Stylize
from tests.cli.test_run import Arm, send_after

__all__ = ["send_after"]


@pytest.mark.parametrize("flags", [[], ["--depth", "16"]])
def test_the_pixels_are_the_same(
    flags: list[str], stylize: Stylize, capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    assert stylize("-q", *flags) == 0
    assert replay("out.png", "-o", "again.png") == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "impasto: the pixels are the same as in out.png"
    )
    assert load_image("again.png").equal(load_image("out.png"))
    assert read_metadata("again.png")["machine"]["threads"] == 1


def test_inputs_are_found_beside_the_picture_and_here(
    stylize: Stylize,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    replay: Stylize,
    encoder_file: Path,
) -> None:
    encoder = {"encoder": str(encoder_file)}
    (folder / "made").mkdir()
    assert stylize("-q", output="made/out.png") == 0
    assert read_recipe(Path("made/out.png"), **encoder).content == "made/../cat.png"
    (folder / "cat.png").rename("made/cat.png")
    assert read_recipe(Path("made/out.png"), **encoder).content == "made/cat.png"
    (folder / "made/cat.png").rename("kitten.png")
    with pytest.raises(InputError, match="say where it is with --content"):
        read_recipe(Path("made/out.png"), **encoder)
    assert replay("made/out.png", "-o", "a.png", "--content", "kitten.png", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["identical"] is True
    assert told["warnings"] == []


def test_another_input_is_refused_unless_it_is_named(
    stylize: Stylize,
    folder: Path,
    photo: Tensor,
    capsys: pytest.CaptureFixture[str],
    replay: Stylize,
) -> None:
    assert stylize("-q") == 0
    save_image("cat.png", photo.flip(3))
    assert replay("out.png", "-o", "again.png") == 3
    assert "has changed since" in capsys.readouterr().err
    assert not Path("again.png").exists()
    assert replay("out.png", "-o", "again.png", "--content", "cat.png") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "impasto: warning: --content cat.png is not the picture that was used then"
    assert lines[-1] == "impasto: the pixels are not the same as in out.png"


def test_swatches_are_taken_again(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    assert main(["stylize", "cat.png", "waves", "-o", "out.jpg", "-q", *small]) == 0
    assert replay("out.jpg", "-o", "again.png", "--threads", "2") == 0
    text = capsys.readouterr().err
    assert "warning: threads was 1, is 2: the pixels may differ" in text
    assert "stored with losses" in text


def test_a_swatch_that_has_changed_is_refused_unless_it_is_named(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    """Swatches were painted by code once, in another size and by seed."""
    assert main(["stylize", "cat.png", "waves", "-o", "out.png", "-q", *small]) == 0
    told = read_metadata("out.png")
    told["style"]["sha256"] = "0" * 64
    save_image("old.png", load_image("out.png"), metadata=told)
    assert replay("old.png", "-o", "again.png") == 3
    [line] = capsys.readouterr().err.splitlines()
    assert "the swatch waves has changed since old.png was made from it" in line
    assert "--style waves" in line
    assert replay("old.png", "-o", "again.png", "--style", "waves") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "impasto: warning: the swatch waves has changed since"
    assert lines[-1] == "impasto: the pixels are the same as in old.png"


def test_a_picture_that_was_stopped_is_stopped_again(
    stylize: Stylize, send_after: Arm, capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    send_after(2, signal.SIGINT)
    assert stylize("-q") == 130
    send_after(0)
    assert replay("out.png", "-o", "again.png") == 0
    assert "the same as in" in capsys.readouterr().err
    assert read_metadata("again.png")["steps"] == 2


def test_an_output_that_is_there_stays(stylize: Stylize, replay: Stylize) -> None:
    assert stylize("-q") == 0
    assert replay("out.png", "-o", "out.png", "--overwrite") == 2
    assert replay("out.png", "-o", "art.png") == 2
    assert replay("cat.png", "-o", "again.png") == 3


def test_several_styles_and_masks(
    folder: Path,
    small: list[str],
    photo: Tensor,
    capsys: pytest.CaptureFixture[str],
    replay: Stylize,
) -> None:
    words = ["stylize", "cat.png", "art.png", "waves", "-o", "out.png", "-q", *small]
    save_image("left.png", (photo > 2).float() + (torch.arange(128) < 64))
    assert main([*words, "--regions", "left.png,rest", "--keep", "left.png"]) == 2  # nothing left
    assert main([*words, "--regions", "left.png,rest", "--region-strengths", "0.8,0.4"]) == 0
    assert main(["info", "--command", "out.png"]) == 0
    assert "-- cat.png art.png waves" in (text := capsys.readouterr().out)
    assert "--regions left.png,rest" in text
    (folder / "made").mkdir()
    for name in ("out.png", "left.png", "art.png"):
        (folder / name).rename(folder / "made" / name)
    assert replay("made/out.png", "-o", "again.png", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["identical"], told["warnings"]) == (True, [])
    assert replay("made/out.png", "-o", "b.png", "--style", "cat.png") == 2
    assert "was made from 2 styles, and 1 were given" in capsys.readouterr().err
    styles = ["--style", "cat.png", "--style", "waves"]
    assert replay("made/out.png", "-o", "b.png", *styles) == 0
    assert "cat.png is not the picture that was used" in capsys.readouterr().err
    save_image("made/left.png", photo)
    assert replay("made/out.png", "-o", "c.png") == 3
    assert "put it back" in capsys.readouterr().err


def test_a_picture_from_before_there_were_several_styles(
    stylize: Stylize, capsys: pytest.CaptureFixture[str], replay: Stylize
) -> None:
    assert stylize("-q") == 0
    old = read_metadata("out.png")
    now = StylizeConfig().to_dict()
    new = ("blend", "layers_per_style", "guidance", "keep", "feather", "style_regions")
    old["config"] = {k: v for k, v in old["config"].items() if k not in new and "region" not in k}
    old["config"]["style_scale"] = 1.0
    assert len(now) > len(old["config"])
    save_image("old.png", load_image("out.png"), metadata=old)
    assert replay("old.png", "-o", "again.png") == 0
    assert "the pixels are the same as in old.png" in capsys.readouterr().err
