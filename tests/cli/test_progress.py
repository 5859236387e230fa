"""What a run shows while it goes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from impasto.cli import progress
from impasto.cli.progress import Progress, make_progress
from impasto.events import Event, LevelDone, LevelStarted, Step, Trained, Validated
from impasto.optim.pyramid import Level

LEVELS = [Level(24, 32, 2), Level(48, 64, 3)]
IMAGE = torch.zeros(1, 3, 2, 2)
LOSSES = {"content": 0.5, "style": 2.0}

Clock = Callable[[float], None]


def step(level: int, index: int, note: str = "") -> Step:
    return Step(index, LEVELS[level].steps, 2.5, LOSSES, {}, IMAGE, level, 0.1, note)


def events() -> list[Event]:
    """Those of a run through both levels, with a note at the second step of each."""
    told: list[Event] = []
    for number, level in enumerate(LEVELS):
        told.append(LevelStarted(number, 2, level.height, level.width, level.steps))
        for index in range(1, level.steps + 1):
            told.append(step(number, index, "L-BFGS stalled" if index == 2 else ""))
        told.append(LevelDone(number, 2, 0.3, IMAGE))
    return told


def lessons() -> list[Event]:
    """Those of a training."""
    return [
        Trained(1, 0.25, 2.5, LOSSES, 3.0),
        Trained(2, 0.5, 2.5, LOSSES, 6.0),
        Validated(2, 2.5, LOSSES, True, torch.zeros(1, 3, 4, 4)),
        Trained(3, 0.75, 2.5, LOSSES, 9.0),
        Validated(3, 3.5, LOSSES, False, torch.zeros(1, 3, 4, 4)),
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, terminal: io.TextIOBase | None = None) -> Any:
    """A terminal in place of stderr; the bar is drawn at each event."""
    terminal = terminal or Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "120")):
        monkeypatch.setenv(name, value)
    return terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What time it is for the progress made after this; to be moved."""
    now = [0.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_plain_lines_for_logs(capsys: pytest.CaptureFixture[str]) -> None:
    with make_progress(LEVELS) as plain:
        for event in events():
            plain.on_event(event)
    assert capsys.readouterr().err.splitlines() == [
        "impasto: level 1/2 (24x32): 2 steps",
        "impasto: L-BFGS stalled",
        "impasto: level 1/2 done in 0.3 s",
        "impasto: level 2/2 (48x64): 3 steps",
        "impasto: L-BFGS stalled",
        "impasto: level 2/2 done in 0.3 s",
    ]


def test_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    with make_progress(LEVELS) as plain:
        for event in events():
            plain.on_event(event)
    lines = capsys.readouterr().err.splitlines()
    # 768 of 10752 pixels
    told = "level 1/2 (24x32): step 1/2, 7 %, loss 2.5 (content 0.5, style 2), -:--:-- left"
    assert lines[1] == f"impasto: {told}"
    assert "step 3/3, 100 %, " in lines[-2]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with make_progress(LEVELS) as live:
        for event in events():
            live.on_event(event)
    text = terminal.getvalue()
    for part in ("level 2/2 (48x64)", "step 3/3", "loss 2.5 (content 0.5, style 2)", "stalled"):
        assert part in text
    assert "done in" not in text


def test_a_bar_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with make_progress() as live:
        for event in lessons():
            live.on_event(event)
    for part in ("training", "step 3", "loss 2.5 (content", "validation at step 2"):
        assert part in terminal.getvalue()


def test_plain_lines_of_a_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    with make_progress() as plain:
        for event in lessons():
            plain.on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[1].startswith(
        "impasto: training: step 2, 50 %, loss 2.5 (content 0.5, style 2), 0:"
    )
    assert lines[2].endswith("loss 2.5 (content 0.5, style 2), the best so far")
    assert lines[4].endswith("step 3: loss 3.5 (content 0.5, style 2)")


def test_time_left_counts_pixels_and_forgets_the_first_step(clock: Clock) -> None:
    run = Progress(LEVELS, live=False)
    clock(60)
    run.on_event(step(0, 1))
    assert run.task.time_remaining is None
    clock(1)
    run.on_event(step(0, 2))
    assert run.task.time_remaining == 3 * 4
    clock(4)
    run.on_event(step(1, 1))
    assert run.task.time_remaining == 2 * 4


def test_a_resumed_run_counts_from_where_it_began(clock: Clock) -> None:
    run = Progress(LEVELS, live=False)
    clock(2)
    run.on_event(step(1, 1))
    assert run.task.percentage == pytest.approx(100 * 6 / 14)
    clock(4)
    run.on_event(step(1, 2))
    assert run.task.time_remaining == 4


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with make_progress(LEVELS) as plain:
        plain.on_event(events()[0])
    assert terminal.getvalue() == "impasto: level 1/2 (24x32): 2 steps\n"


@pytest.mark.parametrize("columns", ["0", "1", "7", "²", "-3", "wide", "100000"])
def test_no_width_ends_a_run(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", columns)
    with make_progress(LEVELS) as live:
        for event in events():
            live.on_event(event)
        live.message("done")


class Broken(Terminal):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("encoding", [None, "ascii", "utf-16"])
def test_a_terminal_that_cannot_be_written_to_ends_no_run(
    tty: bool, encoding: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: io.TextIOBase = Broken()
    if encoding is not None:
        broken = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict")
    monkeypatch.setattr(broken, "isatty", lambda: tty)
    on_terminal(monkeypatch, broken)
    with make_progress(LEVELS) as shown:
        for event in events():
            shown.on_event(event)
        shown.message("größer ━━━")
        shown.on_count("grüße", 1, 2)


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with make_progress(LEVELS, quiet=True) as nothing:
        for event in events():
            nothing.on_event(event)
        nothing.message("anything")
    assert capsys.readouterr() == ("", "")


def test_what_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    for quiet in (False, True):
        with make_progress(quiet=quiet) as shown:
            shown.on_count("file", 5, None, lambda count: f"{count} MB")
            shown.on_count("file", 6, 10, lambda count: f"{count} MB")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "impasto: file: 5 MB"
    assert lines[1].startswith("impasto: file: 6 MB of 10 MB, 60 %, 0:")
    assert len(lines) == 2


def test_what_is_counted_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with make_progress() as shown:
        shown.on_count("file", 5, 10)
    assert "file" in terminal.getvalue()
