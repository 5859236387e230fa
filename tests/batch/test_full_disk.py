"""A full disk ends a batch in one line; with room on it the batch goes on, and repeats nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import impasto
from impasto.batch.ledger import NAME, Ledger
from impasto.image.io import save_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limits of files, no mounts")

SIZES = ((24, 32), (192, 256), (24, 32), (192, 256))
"""Of the photos: the large ones become files of 147 KB."""
LIMITED = (
    "import resource, sys; from impasto.cli import main\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (130_000, 130_000))\n"
    "sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number, size in enumerate(SIZES):
        save_image(folder / f"{number}.png", torch.rand(1, 3, *size, generator=generator))
    return folder


def batch(photos: Path, out: Path, *words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "impasto"]
    command = [sys.executable, *start, "batch", str(photos), "--styles", "waves", "-o", str(out)]
    command += ["--subject", "off", "--threads", "1", "-q", *words]
    return subprocess.run(command, capture_output=True, text=True)


def check_it_goes_on(photos: Path, out: Path, told: str, *, least: int = 1) -> None:
    """One line named a file; the ledger is sound and has ``least`` pictures or more; the same
    command paints the rest, and no more."""
    assert told.count("\n") == 1
    assert str(out) in told
    assert "cannot be written" in told
    with sqlite3.connect(out / NAME) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
    with Ledger(out) as ledger:
        before = {entry.output: entry for entry in ledger.entries() if entry.state == "done"}
    assert least <= len(before) < len(SIZES)
    assert not list(out.glob(".impasto-*.tmp"))
    after = impasto.stylize_batch(photos, "waves", out, subject="off", threads=1)
    assert sorted(after.skipped) == sorted(before)
    assert sorted([*after.done, *before]) == [f"{n}-waves.png" for n in range(len(SIZES))]
    with Ledger(out) as ledger:
        assert all(ledger.get(name) == entry for name, entry in before.items())


def test_a_file_that_may_not_grow(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = batch(photos, out, code=LIMITED)
    assert ended.returncode == 6
    assert "1-waves.png' cannot be written: File too large" in ended.stderr
    check_it_goes_on(photos, out, ended.stderr)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_full_disk(workers: str, photos: Path, make_disk: Callable[[int], Path]) -> None:
    """There is room for the ledger and a small picture, for no large one. While one worker writes
    that, the ledger may be what meets the full disk, before it has booked another's picture."""
    out = make_disk(230) / "out"
    ended = batch(photos, out, "--workers", workers)
    assert ended.returncode == 6
    picture = "-waves.png' cannot be written: No space left on device" in ended.stderr
    assert picture or (workers == "2" and f"{NAME}' cannot be written" in ended.stderr)
    make_disk(8000)
    check_it_goes_on(photos, out, ended.stderr, least=1 if picture else 0)


def test_no_room_for_the_ledger(photos: Path, make_disk: Callable[[int], Path]) -> None:
    ended = batch(photos, make_disk(20) / "out")
    assert ended.returncode == 6
    assert f"{NAME}' cannot be written" in ended.stderr
    assert ended.stderr.count("\n") == 1
