"""What a picture tells of itself."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.cli import main
from impasto.cli.info import config_of, table
from impasto.config.presets import read_toml
from impasto.errors import InvalidImageError
from impasto.image.io import load_image, save_image
from tests.cli.conftest import Stylize


def test_a_table(stylize: Stylize, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("-q", "--tv-weight", "0.7") == 0
    assert main(["info", "out.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "content          cat.png" in lines
    assert "tv_weight        0.7  *" in lines
    assert "optimizer        adam" in lines


def test_json_of_one_and_of_several(stylize: Stylize, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("-q") == 0
    assert main(["info", "out.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["size"] == 64
    assert main(["info", "out.png", "out.png", "--json"]) == 0
    assert [each["picture"] for each in json.loads(capsys.readouterr().out)] == ["out.png"] * 2


def test_the_command_makes_the_same_picture(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize("-q", "--style-layers", "relu1_1,relu2_1") == 0
    before = load_image("out.png")
    assert main(["info", "--command", "out.png"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[0] == "impasto"
    assert main([words[1], "--overwrite", *words[2:]]) == 0
    assert load_image("out.png").equal(before)


def test_toml_is_a_config(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize("-q", "--seed", "7") == 0
    assert main(["info", "--toml", "out.png"]) == 0
    (folder / "c.toml").write_text(capsys.readouterr().out)
    assert read_toml("c.toml").seed == 7


def test_pictures_of_others_tell_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "cat.png"]) == 3
    assert "holds no impasto parameters" in capsys.readouterr().err
    assert main(["info", "--json", "--toml", "cat.png"]) == 2


def test_a_strangers_metadata_does_no_harm(folder: Path, photo: Tensor) -> None:
    save_image("odd.png", photo, metadata={"config": 3, "style": [], "machine": "\x1b[2J"})
    assert main(["info", "odd.png"]) == 0
    assert "\x1b" not in table({"note": "\x1b[2J"}, Path("odd.png"))
    for flag in ("--command", "--toml"):
        assert main(["info", flag, "odd.png"]) == 3


def test_settings_of_other_versions(folder: Path) -> None:
    assert config_of({"config": {"size": 99, "future": 1}}).size == 99
    with pytest.raises(InvalidImageError, match="cannot use the picture's settings"):
        config_of({"impasto": "9.0", "config": {"optimizer": "quantum"}})


def test_a_picture_from_when_quick_had_backends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and the command leaves the backend out."""
    config = {"backend": "openvino", "strength": 0.5}
    save_image(
        tmp_path / "old.png",
        torch.zeros(1, 3, 8, 8),
        metadata={
            "impasto": "0.1.0",
            "command": "quick",
            "config": config,
            "content": {"path": "cat.png"},
            "style": {"swatch": "waves"},
            "backend": {"name": "openvino", "version": "2026.4.1"},
        },
    )
    assert main(["info", str(tmp_path / "old.png")]) == 0
    assert "backend          name openvino, version 2026.4.1" in capsys.readouterr().out
    assert main(["info", "--command", str(tmp_path / "old.png")]) == 0
    command = capsys.readouterr().out.strip()
    assert command.endswith(f"-o {tmp_path / 'old.png'} --strength 0.5 -- {tmp_path}/cat.png waves")
