"""impasto presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from impasto.cli import main
from impasto.config.presets import PRESETS, read_toml


def test_the_list_tells_the_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [x.partition(":")[0] for x in lines if not x.startswith(" ")] == list(PRESETS)
    assert "    --optimizer lbfgs" in lines


@pytest.mark.parametrize("name", PRESETS)
def test_one_as_toml(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", name]) == 0
    file = tmp_path / "preset.toml"
    file.write_text(capsys.readouterr().out)
    assert read_toml(file) == PRESETS[name]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "gatys2016", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gatys2016"]["optimizer"] == "lbfgs"
