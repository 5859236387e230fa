"""Temporary files of processes that are no more."""

from __future__ import annotations

import os
from pathlib import Path

from impasto.cli.stale_files import remove_stale_files

DEAD = 99_999_999


def old(path: Path) -> Path:
    path.touch()
    os.utime(path, (1, 1))
    return path


def test_only_old_files_of_the_dead_are_deleted(tmp_path: Path) -> None:
    kept = [
        old(tmp_path / f".impasto-{os.getpid()}-0123abcd.tmp"),
        old(tmp_path / ".impasto-1-0123abcd.tmp"),
        old(tmp_path / ".out.png.checkpoint"),
        old(tmp_path / f".out.png.checkpoint.{DEAD}.part"),  # of nobody's that writes now
        old(tmp_path / f"impasto-{DEAD}-0123abcd.tmp"),
        tmp_path / f".impasto-{DEAD}-76543210.tmp",
    ]
    kept[-1].touch()  # just now: perhaps by another machine
    old(tmp_path / f".impasto-{DEAD}-0123abcd.tmp")
    assert remove_stale_files(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == sorted(kept)
