"""What a run tells while it goes."""

from __future__ import annotations

import io
import logging
import sys

import pytest
import torch

from impasto.cli import progress
from impasto.cli.progress import (
    Clock,
    LiveProgress,
    LiveTraining,
    Pace,
    PlainProgress,
    PlainTraining,
    Silence,
    log_shown,
    make_progress,
    make_training_progress,
)
from impasto.events import Event, LevelDone, LevelStarted, Step, Trained, Validated
from impasto.optim.pyramid import Level

LEVELS = [Level(24, 32, 2), Level(48, 64, 3)]
IMAGE = torch.zeros(1, 3, 2, 2)


def events() -> list[Event]:
    told: list[Event] = []
    for number, level in enumerate(LEVELS):
        told.append(LevelStarted(number, 2, level.height, level.width, level.steps))
        for index in range(1, level.steps + 1):
            note = "L-BFGS stalled; going on with Adam" if index == 2 else ""
            losses = {"content": 0.5, "style": 2.0}
            told.append(Step(index, level.steps, 2.5, losses, {}, IMAGE, number, 0.1, note))
        told.append(LevelDone(number, 2, 0.3, IMAGE))
    return told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_for_logs(capsys: pytest.CaptureFixture[str]) -> None:
    with make_progress(LEVELS) as plain:
        assert isinstance(plain, PlainProgress)
        for event in events():
            plain.on_event(event)
    note = "impasto: L-BFGS stalled; going on with Adam"
    assert capsys.readouterr().err.splitlines() == [
        "impasto: level 1/2 (24x32): 2 steps",
        note,
        "impasto: level 1/2 done in 0.3 s",
        "impasto: level 2/2 (48x64): 3 steps",
        note,
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
    assert "level 1/2: step 1/2, loss 2.5 (content 0.5, style 2), " in lines[1]
    assert lines[1].endswith(" left")


@pytest.mark.parametrize("no_color", [False, True])
def test_a_live_line_on_a_terminal(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    with make_progress(LEVELS) as live:
        assert isinstance(live, LiveProgress)
        for event in events():
            live.on_event(event)
            live.live.refresh()
    text = terminal.getvalue()
    for part in ("level 2/2 (48x64)", "step 3/3", "loss 2.5 (content 0.5, style 2)", "stalled"):
        assert part in text
    assert "it/s" in text
    assert " left" in text
    assert ("\x1b[38" in text) is not no_color


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_progress(LEVELS), PlainProgress)


@pytest.mark.parametrize(("quiet", "told"), [(False, "impasto: it takes long\n"), (True, "")])
def test_the_log_is_shown(capsys: pytest.CaptureFixture[str], quiet: bool, told: str) -> None:
    log = logging.getLogger("impasto.arbitrary.inference")
    with log_shown(quiet=quiet):
        log.info("it takes long")
    log.info("nobody asked")
    assert capsys.readouterr().err == told


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    with make_progress(LEVELS, quiet=True) as silence:
        assert isinstance(silence, Silence)
        for event in events():
            silence.on_event(event)
        silence.say("anything")
    assert capsys.readouterr() == ("", "")


def test_time_left_counts_pixels() -> None:
    clock = Clock(LEVELS, now=0.0)
    assert clock.tick(0, 1, 1.0) == pytest.approx(1 + 3 * 4)
    assert clock.tick(0, 2, 2.0) == pytest.approx(3 * 4)
    assert clock.tick(1, 1, 6.0) == pytest.approx(8)
    assert clock.tick(1, 3, 14.0) == 0
    assert clock.per_second == pytest.approx(1 / (0.1 * 8 + 0.9 * 4))


def test_a_slow_first_step_is_soon_forgotten() -> None:
    clock = Clock(LEVELS, now=0.0)
    clock.tick(0, 1, 60.0)
    assert clock.tick(0, 2, 61.0) == pytest.approx(3 * 4)
    assert clock.per_second == pytest.approx(1)


def test_a_resumed_run_counts_from_where_it_began() -> None:
    clock = Clock(LEVELS, now=0.0)
    assert clock.tick(1, 2, 4.0) == pytest.approx(4)


# --- trainings -----------------------------------------------------------------------------------


def lessons() -> list[Event]:
    losses = {"content": 0.5, "style": 2.0}
    return [
        Trained(1, 0.25, 2.5, losses, 3.0),
        Trained(2, 0.5, 2.5, losses, 6.0),
        Validated(2, 2.5, losses, True, torch.zeros(1, 3, 4, 4)),
        Trained(3, 0.75, 2.5, losses, 9.0),
        Validated(3, 3.5, losses, False, torch.zeros(1, 3, 4, 4)),
    ]


def test_plain_lines_of_a_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    with make_training_progress() as plain:
        assert isinstance(plain, PlainTraining)
        for event in lessons():
            plain.on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[1] == ("impasto: step 2, 50%: loss 2.5 (content 0.5, style 2), 3.0 s/it, 6 s left")
    assert lines[2].endswith("loss 2.5 (content 0.5, style 2), the best so far")
    assert lines[4].endswith("step 3: loss 3.5 (content 0.5, style 2)")


def test_a_live_line_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with make_training_progress() as live:
        assert isinstance(live, LiveTraining)
        for event in lessons():
            live.on_event(event)
            live.live.refresh()
    for part in ("training", "step 3", "loss 2.5 (content", "validation at step 2", " left"):
        assert part in terminal.getvalue()


def test_a_training_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(make_training_progress(quiet=True), Silence)


def test_time_left_of_a_training_that_was_resumed() -> None:
    pace = Pace()
    assert pace.tick(Trained(501, 0.5, 1.0, {}, 300.0)) == pytest.approx(300)
    assert pace.per_second == 0  # nothing to tell from one step
    assert pace.tick(Trained(502, 0.6, 1.0, {}, 301.0)) == pytest.approx(301 * 0.4 / 0.6)
    assert pace.per_second == pytest.approx(1)
