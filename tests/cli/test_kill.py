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


def command(folder: Path, encoder: Path, optimizer: str, size: int) -> list[str]:
    flags = (
        f"--encoder {encoder} --optimizer {optimizer} --size {size} --steps 60,40 --threads 1 "
        "--precision float32 -q --init noise"
    )
    outputs = f"-o {folder / 'out.png'} --evolution {folder / 'out.webp'} --save-every 50"
    content, style = folder.parent / "cat.png", folder.parent / "art.png"
    return ["stylize", str(content), str(style), *flags.split(), *outputs.split()]


def kill_and_resume(
    folder: Path,
    encoder: Path,
    kills: int,
    chance: random.Random,
    optimizer: str = "adam",
    size: int = 96,
) -> int:
    """Kill runs until they have ended, compare with one that was left alone; returns how many
    kills left something to resume."""
    alone, killed = folder / "alone", folder / "killed"
    alone.mkdir()
    killed.mkdir()
    start(["--version"]).join()  # from here on the server of processes is there
    began = time.perf_counter()
    process = start(command(alone, encoder, optimizer, size))
    process.join(120)
    duration = time.perf_counter() - began
    assert process.exitcode == 0
    resumed = done = 0
    while done < kills or any(killed.iterdir()):
        process = start([*command(killed, encoder, optimizer, size), "--resume"])
        process.join(chance.uniform(0.1, 0.9) * duration if done < kills else 120)
        if process.exitcode is None:
            process.kill()
            process.join()
            done += 1
            resumed += (killed / ".out.png.checkpoint").exists()
            for path in killed.iterdir():  # as if the user had come back later: see stale_files.AGE
                os.utime(path, (1, 1))
        elif process.exitcode == OUTPUT_EXISTS:  # killed between its last deed and its end
            compare(alone, killed)
        else:
            assert process.exitcode == 0
            compare(alone, killed)
    return resumed


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
    killed = 0
    while True:
        process = begin("killed", "--resume")
        before = _modified(folder / "killed")
        while killed < 5 and process.exitcode is None:
            if _modified(folder / "killed") > before:  # a checkpoint of its own: it has learned
                time.sleep(random.uniform(0, 0.2))
                process.kill()
                killed += 1
                process.join()
                for path in (folder / "killed").iterdir():  # see stale_files.AGE
                    if path.suffix == ".part":
                        os.utime(path, (1, 1))
                break
            process.join(0.01)
        process.join(240)
        if process.exitcode in (0, OUTPUT_EXISTS):  # the latter: killed when all was done
            break
        assert process.exitcode == -9
    assert killed == 5
    ours, theirs = (folder / name for name in ("killed", "alone"))
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*"))
    assert names == sorted(path.relative_to(ours) for path in ours.rglob("*"))
    for name in names:
        if name.suffix in (".safetensors", ".png"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def _modified(folder: Path) -> int:
    """When the checkpoint in a training's folder was written; 0 if there is none."""
    try:
        return (folder / ".model.safetensors.checkpoint").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_two_kills_change_nothing(folder: Path, encoder_file: Path) -> None:
    kill_and_resume(folder, encoder_file, 2, random.Random(time.time()), size=80)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_twenty_kills_change_nothing(folder: Path, encoder_file: Path, optimizer: str) -> None:
    chance = random.Random(time.time())
    assert kill_and_resume(folder, encoder_file, 20, chance, optimizer) > 5
