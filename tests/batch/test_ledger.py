"""The ledger remembers, whatever happens to the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from impasto.batch.ledger import NAME, Ledger
from impasto.errors import IntegrityError, ResourceError


def test_an_item_from_its_start_to_its_end(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.get("a.png") is None
        assert ledger.start("a.png", "key") == 1
        ledger.fail("a.png", "oh", for_good=False)
        assert ledger.start("a.png", "key") == 2
        ledger.finish("a.png", "hash", 1.5)
    with Ledger(tmp_path) as again:
        [entry] = again.entries()
        assert entry == ("a.png", "key", "done", 2, "hash", 1.5, "")
        assert again.start("a.png", "another key") == 1


def test_what_failed_for_good_says_why(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.start("a.png", "key")
        ledger.fail("a.png", "broken", for_good=True)
        entry = ledger.get("a.png")
        assert entry is not None
        assert (entry.state, entry.error) == ("failed", "broken")


def test_a_kill_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from impasto.batch.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(10):\n"
        "    ledger.start(str(n), 'key'); ledger.finish(str(n), 'hash', 0.0)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with Ledger(tmp_path) as ledger:
        assert [entry.state for entry in ledger.entries()] == ["done"] * 10


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no ledger" * 200)
    with pytest.raises(IntegrityError, match="no ledger"):
        Ledger(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be written"):
        Ledger(tmp_path / "nowhere")
