"""The command line as a whole: help, versions, errors, exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import impasto
from impasto.cli import COMMANDS, build, main
from impasto.errors import ResourceError


def test_nothing_asked_for_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"impasto {impasto.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"Usage: impasto {name}")
    assert captured.err == ""


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "weights"])
def test_the_list_says_what_the_command_says(name: str) -> None:
    command = getattr(import_module(f"impasto.cli.{name}"), name)
    assert command.__doc__.splitlines()[0] == COMMANDS[name]


def test_all_commands_can_be_built_at_once() -> None:
    group: Any = typer.main.get_command(build())
    assert list(group.commands) == list(COMMANDS)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["styliz"], "No such command 'styliz'. Did you mean 'stylize'?"),
        (["stylize", "--siez", "3"], "No such option: --siez"),
        (["stylize"], "Missing argument"),
        (["stylize", "a", "b", "--threads", "x"], "--threads"),
        (["stylize", "a", "b", "--size", "1e3"], "--size is '1e3'; give a whole number, or none"),
        (["stylize", "a", "b", "--pooling", "min"], "max, average, l2"),
        (["stylize", "a", "b", "--strength", "2"], "use a number from 0 to 1"),
        (["stylize", "a", "b", "--preset", "gatys"], "did you mean"),
        (["stylize", "a", "b", "--depth", "12"], "--depth is 12; give 8 or 16"),
        (["stylize", "a", "b", "-o", "a.psd"], ".png"),
        (["info"], "Missing argument"),
        (["presets", "nothing"], "no preset is called"),
        (["swatches", "nothing"], "no swatch is called"),
    ],
)
def test_bad_requests_are_one_line(
    argv: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("impasto: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert sorted(path.name for path in folder.iterdir()) == ["art.png", "cat.png"]


def test_errors_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "gone.png", "art.png", "--json"]) == 3
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["type"] == "InputError"
    assert error["exit_code"] == 3
    assert "gone.png" in error["message"]
    assert error["remedy"]
    assert captured.err.count("\n") == 1


def test_standard_output_is_for_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "a", "b", "-o", "-", "--json"]) == 2
    assert (
        "would both use standard output" in json.loads(capsys.readouterr().out)["error"]["message"]
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [("sty", "stylize"), ("stylize --pool", "--pooling"), ("stylize --pooling av", "average")],
)
def test_shells_complete(
    words: str,
    offered: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("_IMPASTO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"impasto {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    assert main([]) == 0
    assert offered in capsys.readouterr().out


Fail = Callable[[BaseException], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make ``impasto presets`` raise."""

    def arm(error: BaseException) -> None:
        def get_preset(name: str) -> None:
            raise error

        monkeypatch.setattr("impasto.config.presets.get_preset", get_preset)

    return arm


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ZeroDivisionError("a\nb"), 1, "internal error: ZeroDivisionError: a b; run again with"),
        (MemoryError(), 6, "error: memory ran out; "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 6, "error: memory ran out; "),
        (ResourceError("the disk is full", "free some"), 6, "error: the disk is full; free some"),
        (KeyboardInterrupt(), 130, "stopped; "),
    ],
)
def test_all_other_errors_are_one_line(
    error: BaseException, code: int, line: str, fail: Fail, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(error)
    assert main(["presets", "default"]) == code
    text = capsys.readouterr().err
    assert text.startswith(f"impasto: {line}")
    assert text.count("\n") == 1


def test_a_terminal_that_knows_no_umlauts_is_told_nevertheless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, "ascii", errors="strict"))
    assert main(["info", "größe.png"]) == 3
    assert rb"gr\xf6\xdfe.png" in written.getvalue()


@pytest.mark.parametrize("argv", [["--debug", "presets", "x"], ["presets", "x", "--debug"]])
def test_debug_shows_where(argv: list[str], fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    fail(ZeroDivisionError("odd"))
    assert main(argv) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.splitlines()[-1].startswith("impasto: internal error: ZeroDivisionError: odd")


def test_a_reader_who_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "impasto", "presets"]
    environment = {**os.environ, "PYTHONPATH": str(Path(impasto.__file__).parents[1])}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
