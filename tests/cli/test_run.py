"""A run that is stopped, and one that goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from impasto.cli.outputs import Recorder
from impasto.image.io import load_image, read_metadata
from tests.cli.conftest import Stylize

Arm = Callable[..., None]


@pytest.fixture
def send_after(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Send this process signals after a step."""
    original = Recorder.on_step

    def arm(step: int, *signals: int) -> None:
        def on_step(self: Recorder) -> None:
            original(self)
            if len(self.run.history) == step:
                for number in signals:
                    os.kill(os.getpid(), number)
                    time.sleep(0.01)

        monkeypatch.setattr(Recorder, "on_step", on_step)

    return arm


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cat.png", "art.png"}


FLAGS = ["--size", "96", "--steps", "5,5", "--evolution", "e.png", "--save-every", "4"]


def test_ctrl_c_keeps_the_picture_and_resume_goes_on(
    stylize: Stylize, folder: Path, send_after: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize(*FLAGS, output="whole.png") == 0
    whole = (folder / "e.png").read_bytes()
    (folder / "e.png").unlink()
    capsys.readouterr()

    send_after(7, signal.SIGINT)
    assert stylize(*FLAGS) == 130
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == (
        "impasto: stopped at step 7 of 10; out.png has the picture as far as it got; "
        "the same command with --resume goes on"
    )
    assert read_metadata("out.png")["finished"] is False
    assert read_metadata("out.png")["steps"] == 7
    assert ".out.png.checkpoint" in names(folder)
    assert "e.png" not in names(folder)

    send_after(0)
    assert stylize(*FLAGS, "--resume") == 0
    assert load_image("out.png").equal(load_image("whole.png"))
    assert read_metadata("out.png")["finished"] is True
    assert (folder / "e.png").read_bytes() == whole
    pictures = {f"{stem}-0000{n}.png" for stem in ("out", "whole") for n in (4, 8)}
    assert names(folder) == {"out.png", "whole.png", "e.png", *pictures}


def test_ctrl_c_as_json(
    stylize: Stylize, send_after: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    send_after(2, signal.SIGINT)
    assert stylize("--json", "-q") == 130
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "Interrupted"
    assert error["exit_code"] == 130


def test_a_second_ctrl_c_stops_at_once(
    stylize: Stylize, folder: Path, send_after: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    send_after(2, signal.SIGINT, signal.SIGINT)
    assert stylize() == 130
    assert "out.png" not in names(folder)
    assert capsys.readouterr().err.splitlines()[-1] == "impasto: stopped; nothing more was written"


def test_sigterm_saves_the_checkpoint_only(
    stylize: Stylize, folder: Path, send_after: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    send_after(2, signal.SIGTERM)
    assert stylize() == 143
    assert names(folder) == {".out.png.checkpoint"}
    assert "ended by SIGTERM at step 2 of 3" in capsys.readouterr().err
    send_after(0)
    assert stylize("--resume") == 0
    assert names(folder) == {"out.png"}


def test_handlers_are_given_back(stylize: Stylize) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert stylize() == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_resume_without_a_checkpoint_starts_anew_and_says_so(
    stylize: Stylize, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize("--resume") == 0
    assert "there is no checkpoint" in capsys.readouterr().err
    assert stylize("--resume") == 2  # it is finished, and there to be kept


def test_a_checkpoint_of_other_settings_is_refused(
    stylize: Stylize, folder: Path, send_after: Arm, capsys: pytest.CaptureFixture[str]
) -> None:
    send_after(2, signal.SIGTERM)
    assert stylize() == 143
    send_after(0)
    assert stylize("--resume", "--seed", "5") == 2
    assert "another config" in capsys.readouterr().err
    assert stylize("--seed", "5") == 0
    assert "starting anew" in capsys.readouterr().err
    assert names(folder) == {"out.png"}


def test_a_damaged_checkpoint_is_told_of(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".out.png.checkpoint").write_bytes(b"PK\x03\x04 but no more")
    assert stylize("--resume") == 4
    assert "is not a checkpoint" in capsys.readouterr().err


def test_what_dead_processes_left_is_swept(stylize: Stylize, folder: Path) -> None:
    name = ".impasto-99999999-0123abcd.tmp"
    (folder / name).touch()
    os.utime(folder / name, (1, 1))
    assert stylize() == 0
    assert names(folder) == {"out.png"}


def test_two_runs_cannot_paint_the_same_picture_at_once(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = FileLock(folder / ".out.png.lock")
    with lock:
        assert stylize("--size", "32", "--steps", "1") == 2
    assert "another run is making out.png just now; wait" in capsys.readouterr().err
    assert not (folder / "out.png").exists()
    assert stylize("--size", "32", "--steps", "1") == 0
    assert names(folder) == {"out.png"}


class Broken(io.StringIO):
    """A stderr that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("tty", [False, True])
def test_a_broken_terminal_costs_no_picture(
    tty: bool, stylize: Stylize, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stylize(output="whole.png") == 0
    broken = Broken()
    monkeypatch.setattr(broken, "isatty", lambda: tty)
    monkeypatch.setattr(sys, "stderr", broken)
    assert stylize("--explain", "--preview", "p.png") == 0
    assert load_image("out.png").equal(load_image("whole.png"))
