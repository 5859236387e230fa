"""The help of commands: panels, and examples that are right."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from impasto.cli import COMMANDS, build, main
from impasto.cli.help import PANELS, RUN
from impasto.config.stylize import CONTENT_SETTINGS
from impasto.config.texts import flag_of

GROUP: Any = typer.main.get_command(build())


def sections(text: str) -> dict[str, str]:
    """The sections of a help text by their headings."""
    parts = re.split(r"^(\w[\w ]+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_settings_are_shown_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "--help"]) == 0
    found = sections(capsys.readouterr().out)
    panels = dict.fromkeys(PANELS)
    for absent in ("Video", "Training", "Dream", "Look"):
        del panels[absent]
    assert list(found) == ["Arguments", *panels, RUN, "Examples"]
    for panel, flag in (
        ("Picture", "--size"),
        ("Styles", "--style-scale"),
        ("Subject", "--protect"),
        ("Regions", "--keep"),
        ("Colour", "--color-match"),
        ("Optimiser", "--quality"),
        ("Encoder", "--pooling"),
        ("Objective", "--style-loss"),
        ("Machine", "--threads"),
        (RUN, "--evolution"),
    ):
        shown = [name for name, text in found.items() if f"{flag} " in text]
        assert shown in ([panel], [panel, "Examples"])


def test_a_command_without_settings_has_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--help"]) == 0
    assert list(sections(capsys.readouterr().out)) == ["Arguments", "Options", "Examples"]


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    lines = sections(capsys.readouterr().out)["Examples"].strip().splitlines()
    assert 2 <= len(lines) <= 4
    assert any(name in line for line in lines)
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])[1:]
        command = GROUP
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("example", words)


def test_a_texture_does_not_show_what_means_nothing_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["texture", "--help"]) == 0
    shown = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert not shown & set(map(flag_of, CONTENT_SETTINGS))
    assert {"--style-scale", "--steps", "--wrap", "--style-loss"} <= shown
