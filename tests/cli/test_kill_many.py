"""Killed at random moments, clips and batches go on to the same frames and pictures.

Each test kills five times; ``KILLS=20 pytest -m slow tests/cli/test_kill_many.py`` twenty times.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.batch.ledger import NAME, Ledger
from impasto.image.io import save_image
from impasto.runs.checkpoint import checkpoint_path

pytest.importorskip("cv2")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows"),
]

KILLS = int(os.environ.get("KILLS", "5"))
CODE = "from impasto.cli import main; raise SystemExit(main({argv!r}))"
CONTEXT = None if sys.platform == "win32" else multiprocessing.get_context("forkserver")


def start(argv: list[str]) -> multiprocessing.process.BaseProcess:
    """The command line in a process of its own, which need not wait for torch."""
    assert CONTEXT is not None
    modules = ["impasto.batch.run", "impasto.video.stylize", "impasto.cli.run", "cv2"]
    CONTEXT.set_forkserver_preload(["pytest", *modules])
    process = CONTEXT.Process(target=exec, args=(CODE.format(argv=argv),))
    process.start()
    return process


def finish(argv: list[str]) -> float:
    """To its end; returns the seconds that it took."""
    began = time.perf_counter()
    process = start(argv)
    process.join(300)
    assert process.exitcode == 0
    return time.perf_counter() - began


def kill_at(seconds: float, argv: list[str]) -> bool:
    """Whether it was still alive, and killed."""
    process = start(argv)
    process.join(seconds)
    process.kill()
    process.join(60)
    return process.exitcode != 0


def files(folder: Path) -> dict[str, bytes]:
    return {x.name: x.read_bytes() for x in sorted(folder.glob("*.png"))}


def moving(folder: Path, count: int) -> Path:
    """Frames of a picture that moves by a pixel from each to the next."""
    folder.mkdir()
    coarse = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    scene: Tensor = torch.nn.functional.interpolate(coarse, (48, 88), mode="bicubic").clamp(0, 1)
    for number in range(count):
        save_image(folder / f"{number:02}.png", scene[..., number : number + 64])
    return folder


def kill_many(
    whole: Path, command: Callable[[Path], list[str]], check: Callable[[Path], None]
) -> None:
    """Kill the command ``KILLS`` times, each time somewhere else, and look at what it ends in."""
    moments = random.Random(0)
    finish(["--version"])  # from here on the server of processes is there
    seconds = finish(command(whole))
    wanted, killed = files(whole), 0
    while killed < KILLS:
        out = whole.with_name(f"out-{killed}")
        if not kill_at(moments.uniform(0.02, 1.0) * seconds, command(out)):
            seconds *= 0.9  # the machine is faster now
            for path in out.iterdir():
                path.unlink()
            continue
        killed += 1
        check(out)
        assert files(out) == wanted
        assert not list(out.parent.glob(".*checkpoint*"))


@pytest.mark.parametrize("engine", ["quick", "optimised"])
def test_killed_clips_go_on(engine: str, tmp_path: Path) -> None:
    frames = moving(tmp_path / "frames", 12)

    def command(out: Path) -> list[str]:
        words = ["video", str(frames), "waves", "-o", str(out), "--threads", "1", "--segment", "2"]
        words += ["--engine", engine, "--resume", "-q"]
        small = ["--steps", "2", "--frame-steps", "1", "--size", "32", "--subject", "off"]
        return words if engine == "quick" else [*words, *small]

    def check(out: Path) -> None:
        if checkpoint_path(out).exists() or not out.exists():  # else it was over already
            assert_ends(command(out))

    kill_many(tmp_path / "whole", command, check)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_killed_batches_go_on(workers: str, tmp_path: Path) -> None:
    """Nothing that is booked is painted again."""
    photos = moving(tmp_path / "photos", 6)

    def command(out: Path) -> list[str]:
        words = ["batch", str(photos), "--styles", "waves,night", "-o", str(out), "-q"]
        return [*words, "--subject", "off", "--threads", "1", "--workers", workers]

    def check(out: Path) -> None:
        before = {}
        if (out / NAME).is_file():
            with Ledger(out) as ledger:
                before = {x.output: x for x in ledger.entries() if x.state == "done"}
        assert_ends(command(out))
        with Ledger(out) as ledger:
            after = {x.output: x for x in ledger.entries()}
        assert {x.state for x in after.values()} == {"done"}
        assert before == {name: after[name] for name in before}

    kill_many(tmp_path / "whole", command, check)


def assert_ends(argv: list[str]) -> None:
    assert finish(argv) > 0
