"""What becomes of a run whose messages, or whose result, cannot be written."""

from __future__ import annotations

import errno
import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import impasto
from impasto import load_image
from impasto.cli import main
from impasto.cli.outputs import Recorder
from tests.cli.conftest import Stylize

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/full on Windows")

PATH = str(Path(impasto.__file__).parents[1])
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"}
IMPASTO = [sys.executable, "-m", "impasto"]


class Failing(io.StringIO):
    """A stream that fails from its write number ``after`` on."""

    def __init__(self, number: int, after: int, *, terminal: bool = False) -> None:
        super().__init__()
        self.number, self.left, self.terminal = number, after, terminal

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EBADF])
@pytest.mark.parametrize("terminal", [False, True])
def test_lost_messages_cost_nothing(
    folder: Path,
    stylize: Stylize,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    terminal: bool,
) -> None:
    """Whenever stderr fails: at the first, a middle, or the last write."""
    monkeypatch.setenv("TERM", "xterm")
    assert stylize(output="whole.png") == 0
    for after in (0, 1, 2, 3, 5, 8):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", Failing(number, after, terminal=terminal))
            assert stylize("--overwrite", "--explain") == 0
        assert load_image("out.png").equal(load_image("whole.png"))


def test_a_command_without_a_run_is_as_quiet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Failing(errno.EIO, 0))
    flags = ["--size", "64", "--threads", "1"]
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *flags]) == 0
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *flags]) == 2


@pytest.mark.parametrize("flag", ["--preview", "--save-every"])
def test_a_folder_that_vanishes_costs_no_picture(
    folder: Path, stylize: Stylize, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    """Of a preview nothing is said but that; a numbered picture was asked for: exit 6 or 2."""
    (folder / "gone").mkdir()
    original = Recorder.on_step
    numbered = Path("gone/out.png")

    def on_step(self: Recorder) -> None:
        for path in (folder / "gone").glob("*"):
            path.unlink()
        if (folder / "gone").exists():
            (folder / "gone").rmdir()
        original(self)

    monkeypatch.setattr(Recorder, "on_step", on_step)
    if flag == "--preview":
        assert stylize("--preview", str(numbered)) == 0
    else:
        monkeypatch.setattr(
            "impasto.cli.outputs.Outputs.numbered",
            lambda self, step: folder / "gone" / f"{step}.png",
        )
        assert stylize("--save-every", "3") == 2
    assert load_image("out.png").shape == (1, 3, 48, 64)


class Result(io.TextIOWrapper):
    """Standard output, full or with nobody at the other end."""

    def __init__(self, number: int) -> None:
        class Raw(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                raise OSError(number, os.strerror(number))

        super().__init__(io.BufferedWriter(Raw()), "utf-8")

    def __del__(self) -> None:
        """Nothing is flushed any more."""


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("flags", [["-o", "-"], ["--json"], ["-o", "-", "--quiet"]])
def test_a_result_that_cannot_be_delivered_is_exit_6(
    stylize: Stylize,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    flags: list[str],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Result(number))
        assert stylize(*flags) == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"impasto: error: the result cannot be written to standard output: "
        f"{os.strerror(number)}; send it to a file"
    )


@pytest.mark.parametrize(
    "words",
    [
        *(["--version"], ["--help"], ["presets"], ["presets", "--json"], ["swatches"]),
        *(["swatches", "--json"], ["weights", "list"], ["stylize", "--help"]),
        ["info", "cat.png", "--json"],
    ],
    ids=" ".join,
)
def test_no_command_calls_a_full_disk_a_fault_of_its_own(
    folder: Path,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for stream in (Result(errno.ENOSPC), None):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert main(words) in (6, 3)
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert all(line.startswith("impasto: error: ") for line in err)


def test_a_list_that_is_read_in_part_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Result(errno.EPIPE))
    assert main(["presets"]) == 141


def test_streams_that_are_closed_before_it_begins(folder: Path, small: list[str]) -> None:
    """No file gets the number of a stream, to which a library might then write."""
    words = [*IMPASTO, "stylize", "cat.png", "art.png", *small]
    script = " ".join([*words, "-o", "out.png", ">&-", "2>&-", "<&-"])
    assert subprocess.run(["sh", "-c", script], env=ENVIRONMENT).returncode == 0
    script = " ".join([*words, "-o", "two.png", "2>&1", "|", "head", "-1"])
    subprocess.run(["sh", "-c", script], env=ENVIRONMENT, capture_output=True, check=True)
    assert load_image("out.png").equal(load_image("two.png"))
    assert sorted(os.listdir()) == ["art.png", "cat.png", "out.png", "two.png"]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        with suppress(OSError):
            os.close(end)


def test_a_terminal_that_is_closed(
    folder: Path, small: list[str], terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    words = [*IMPASTO, "stylize", "cat.png", "art.png", *small, "--steps", "200", "-o", "out.png"]
    environment = {**ENVIRONMENT, "TERM": "xterm"}
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        os.read(ours, 10)
        os.close(ours)
        assert process.wait(120) == 0
    assert load_image("out.png").shape == (1, 3, 48, 64)


# --- SIGHUP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [False, True])
def test_sighup_is_like_sigterm_unless_it_is_ignored(
    folder: Path,
    stylize: Stylize,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ignored: bool,
) -> None:
    assert stylize(output="whole.png") == 0
    original = Recorder.on_step

    def on_step(self: Recorder) -> None:
        original(self)
        if len(self.run.history) == 2:
            os.kill(os.getpid(), signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "on_step", on_step)
            assert stylize() == (0 if ignored else 129)
        assert signal.getsignal(signal.SIGHUP) is (signal.SIG_IGN if ignored else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)
    if not ignored:
        assert "ended by SIGHUP at step 2 of" in capsys.readouterr().err
        assert not (folder / "out.png").exists()
        assert stylize("--resume") == 0
    assert load_image("out.png").equal(load_image("whole.png"))


# --- encodings ------------------------------------------------------------------------------------

NAMES = ["caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", "\N{HIRAGANA LETTER A}.png", "a\udce9.png"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_that_stdout_cannot_show_are_escaped(
    folder: Path,
    stylize: Stylize,
    replay: Stylize,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    name: str,
) -> None:
    assert stylize(output=name) == 0
    (folder / "cat.png").rename(folder / f"x{name}")
    assert replay(name, "-o", "again.png", "--content", f"x{name}") == 0
    commands = [
        ["info", name],
        ["info", name, "--command"],
        ["info", name, "--toml"],
        ["info", name, "--json"],
        ["swatches", "waves", "-o", f"w{name}", "--size", "32"],
        ["swatches", "waves", "-o", f"w{name}", "--size", "32", "--overwrite", "--json"],
        ["stylize", f"x{name}", "waves", "--size", "64", "--steps", "1", "--dry-run"],
        ["evaluate", f"x{name}", "art.png", name, "--judge", "mini"],
        ["weights", "list"],
        ["weights", "verify", name],
    ]
    for words in commands:
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            stdout = io.TextIOWrapper(raw, encoding, errors="strict")
            patch.setattr(sys, "stdout", stdout)
            code = main(words)
            stdout.flush()
            text = raw.getvalue().decode(encoding)
            stdout.detach()
        assert code == (4 if "verify" in words else 0), words
        assert text or "verify" in words
