"""Killed at any moment and resumed, a run ends in the very same files, and nothing else is left."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import pytest

from impasto.image.io import read_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")

# Checkpoints come much faster than usual, so that many are being written when the kill comes.
CODE = """
import impasto.runs.base
impasto.runs.base.CHECKPOINT_PAUSE, impasto.runs.base.CHECKPOINT_SHARE = 0.01, 1.0
from impasto.cli import main
raise SystemExit(main({argv!r}))
"""
OUTPUT_EXISTS = 2
CONTEXT = None if sys.platform == "win32" else multiprocessing.get_context("forkserver")


def start(argv: list[str]) -> multiprocessing.process.BaseProcess:
    """The command line in a process of its own, which need not wait for torch."""
    assert CONTEXT is not None
    CONTEXT.set_forkserver_preload(["pytest", "impasto.transfer.stylization", "impasto.cli.run"])
    process = CONTEXT.Process(target=exec, args=(CODE.format(argv=argv),))
    process.start()
    return process


def command(folder: Path, encoder: Path, optimizer: str) -> list[str]:
    flags = (
        f"--encoder {encoder} --optimizer {optimizer} --size 96 --steps 60,40 --threads 1 "
        "--precision float32 -q --init noise"
    )
    outputs = f"-o {folder / 'out.png'} --evolution {folder / 'out.webp'} --save-every 50"
    content, style = folder.parent / "cat.png", folder.parent / "art.png"
    return ["stylize", str(content), str(style), *flags.split(), *outputs.split()]


def run_alone(folder: Path, encoder: Path, optimizer: str = "adam") -> float:
    """Make the files in ``folder / "alone"``, undisturbed; returns the seconds that it took."""
    for name in ("alone", "killed"):
        (folder / name).mkdir()
    start(["--version"]).join()  # from here on the server of processes is there
    began = time.perf_counter()
    process = start(command(folder / "alone", encoder, optimizer))
    process.join(120)
    assert process.exitcode == 0
    return time.perf_counter() - began


def kill(process: multiprocessing.process.BaseProcess, folder: Path) -> None:
    """Kill the process; what it leaves is old, as if the user had come back later."""
    process.kill()
    process.join()
    for path in folder.iterdir():  # see stale_files.AGE
        os.utime(path, (1, 1))


def until_saved(process: multiprocessing.process.BaseProcess, checkpoint: Path) -> None:
    """Wait until the process has written its checkpoint, or has ended."""
    before = _modified(checkpoint)
    while process.exitcode is None and _modified(checkpoint) <= before:
        process.join(0.01)


def _modified(path: Path) -> int:
    """When the file was written; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def compare(alone: Path, killed: Path) -> None:
    """Both folders hold the same; then the second is emptied."""
    names = sorted(path.name for path in alone.iterdir())
    assert names == ["out-00050.png", "out-00100.png", "out.png", "out.webp"]
    assert sorted(path.name for path in killed.iterdir()) == names
    assert (alone / "out.webp").read_bytes() == (killed / "out.webp").read_bytes()
    for name in names:
        if name.endswith(".png"):
            ours, theirs = read_image(alone / name), read_image(killed / name)
            assert ours.pixels.equal(theirs.pixels), name
        (killed / name).unlink()


def test_two_kills_change_nothing(folder: Path, encoder_file: Path) -> None:
    """Each with a checkpoint to go on from."""
    run_alone(folder, encoder_file)
    killed = folder / "killed"
    for _ in range(2):
        process = start([*command(killed, encoder_file, "adam"), "--resume"])
        until_saved(process, killed / ".out.png.checkpoint")
        assert process.exitcode is None
        kill(process, killed)
    process = start([*command(killed, encoder_file, "adam"), "--resume"])
    process.join(120)
    assert process.exitcode == 0
    compare(folder / "alone", killed)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_twenty_kills_change_nothing(folder: Path, encoder_file: Path, optimizer: str) -> None:
    """At any moment of runs that are made again and again."""
    duration = run_alone(folder, encoder_file, optimizer)
    killed = folder / "killed"
    kills = ended = resumed = 0
    while kills < 20 or not ended:
        process = start([*command(killed, encoder_file, optimizer), "--resume"])
        process.join(random.uniform(0.1, 0.9) * duration if kills < 20 else 120)
        if process.exitcode is None:
            kill(process, killed)
            kills += 1
            ended = 0
            resumed += (killed / ".out.png.checkpoint").exists()
        else:  # OUTPUT_EXISTS: killed between its last deed and its end
            assert process.exitcode in (0, OUTPUT_EXISTS)
            compare(folder / "alone", killed)
            ended += 1
    assert resumed


TRAINING = """
import impasto.feedforward.training as training
training.CHECKPOINT_PAUSE, training.CHECKPOINT_SHARE = 0.01, 1.0
from impasto.cli import main
raise SystemExit(main({argv!r}))
"""


@pytest.mark.slow
def test_a_training_that_is_killed_ends_with_the_same_network(
    folder: Path, photos: Path, encoder_file: Path
) -> None:
    """Five kills, each while it learns; then what an undisturbed training has, bit by bit."""
    flags = (
        f"--encoder {encoder_file} --images {photos} --steps 400 --crop 32 --style-size 48 "
        "--width 4 --blocks 1 --validate-every 50 --precision float32 --threads 1 -q --patience 0"
    )

    def begin(name: str, *more: str) -> multiprocessing.process.BaseProcess:
        assert CONTEXT is not None
        argv = ["train", str(folder / "art.png"), "-o", str(folder / name), *flags.split(), *more]
        process = CONTEXT.Process(target=exec, args=(TRAINING.format(argv=argv),))
        process.start()
        return process

    process = begin("alone")
    process.join(240)
    assert process.exitcode == 0
    for _ in range(5):
        process = begin("killed", "--resume")
        until_saved(process, folder / "killed" / ".model.safetensors.checkpoint")
        time.sleep(random.uniform(0, 0.1))
        assert process.exitcode is None
        kill(process, folder / "killed")
    process = begin("killed", "--resume")
    process.join(240)
    assert process.exitcode == 0
    ours, theirs = (folder / name for name in ("killed", "alone"))
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*"))
    assert names == sorted(path.relative_to(ours) for path in ours.rglob("*"))
    for name in names:
        if name.suffix in (".safetensors", ".png"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
