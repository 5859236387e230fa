"""The settings as flags."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from impasto.cli import main
from impasto.cli.help import PANELS
from impasto.cli.settings import resolve
from impasto.config.base import Settings
from impasto.config.dream import CONFIGS
from impasto.config.presets import PRESETS
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig, choices
from impasto.config.texts import flag_of, render
from impasto.config.train import TrainConfig


def test_every_setting_is_a_flag_with_its_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["stylize", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for item in fields(StylizeConfig):
        shown = item.metadata["help"]
        if item.default is not None:
            shown += f" [default: {render(item.default)}]"
        assert f"{flag_of(item.name)} " in text
        assert shown in text
        assert all(choice in text for choice in choices(item.name))


@pytest.mark.parametrize("config", [StylizeConfig, QuickConfig, TrainConfig, *CONFIGS.values()])
def test_every_setting_has_a_group(config: type[Settings]) -> None:
    assert {config.group_of(item.name) for item in fields(config)} <= set(PANELS)  # type: ignore[arg-type]  # a dataclass


def test_a_flag_wins_over_a_file_over_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("tv_weight = 0.5\nsteps = [7]\n")
    given = {"steps": "9", "size": None}
    config = resolve("adam-content-init", file, given)
    assert config.steps == (9,)
    assert config.tv_weight == 0.5
    assert config.learning_rate == PRESETS["adam-content-init"].learning_rate
    assert config.size == StylizeConfig().size


def test_a_flag_at_its_default_still_wins() -> None:
    assert resolve("gatys2016", None, {"encoder": "mini"}).encoder == "mini"
