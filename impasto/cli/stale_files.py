"""Half-written files that killed runs have left beside their outputs."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

# impasto.image.files writes them.
TEMPORARY = re.compile(r"\.impasto-(?P<pid>\d+)-[0-9a-f]{8}\.tmp")

AGE = 10.0
"""Seconds that a file must have lain untouched. Process numbers mean nothing across machines that
share a folder, and there a file that is being written must be left alone."""


def remove_stale_files(folder: Path, *, age: float = AGE) -> int:
    """Delete temporary files of dead processes in ``folder``; returns how many.

    >>> remove_stale_files(Path("there is no such folder"))
    0
    """
    removed = 0
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = TEMPORARY.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and not _is_alive(int(found["pid"])):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= age:
                        os.unlink(entry.path)
                        removed += 1
    return removed


def _is_alive(pid: int) -> bool:
    if pid == os.getpid() or os.name == "nt":  # on Windows os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else, but it lives
        return True
    return True
