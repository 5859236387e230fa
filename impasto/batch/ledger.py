"""What is done, on disk: an SQLite file beside the outputs that survives a kill at any moment."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from impasto.errors import IntegrityError, ResourceError
from impasto.image.files import quoted

NAME = ".impasto-batch.sqlite"

SCHEMA = """
create table if not exists items (
  output text primary key,  -- relative to the folder
  key text not null,        -- hash of what decides on it
  state text not null,      -- running, done, failed
  attempts integer not null default 0,
  sha256 text not null default '',
  seconds real not null default 0,
  error text not null default ''
)
"""


class Entry(NamedTuple):
    """What is known of one output: the ``key`` it was made for, its ``state`` (running, done,
    failed), after how many ``attempts``, the ``sha256`` of its file."""

    output: str
    key: str
    state: str
    attempts: int
    sha256: str
    seconds: float
    error: str


class Ledger:
    """The entries of one folder. Only the process that leads a batch writes them.

    Raises IntegrityError for a file that is no ledger, ResourceError where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        try:
            self.connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            self.connection.execute("pragma journal_mode = wal")
            self.connection.execute("pragma synchronous = full")
            self.connection.execute(SCHEMA)
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from None
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{self.path} is no ledger of impasto ({error})", "delete it and start anew"
            ) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def get(self, output: str) -> Entry | None:
        """The entry of an output."""
        row = self._run("select * from items where output = ?", output).fetchone()
        return None if row is None else Entry(*row)

    def entries(self) -> list[Entry]:
        """All entries, by output."""
        return [Entry(*row) for row in self._run("select * from items order by output")]

    def start(self, output: str, key: str) -> int:
        """An attempt begins; returns its number, from 1. Another key begins anew."""
        before = self.get(output)
        attempts = before.attempts + 1 if before and before.key == key else 1
        self._run(
            "insert or replace into items (output, key, state, attempts) values (?, ?, ?, ?)",
            *(output, key, "running", attempts),
        )
        return attempts

    def finish(self, output: str, sha256: str, seconds: float) -> None:
        """An attempt succeeded."""
        self._run(
            "update items set state = 'done', sha256 = ?, seconds = ?, error = '' where output = ?",
            *(sha256, seconds, output),
        )

    def fail(self, output: str, error: str, *, for_good: bool) -> None:
        """An attempt failed; ``for_good`` sets the item aside."""
        state = "failed" if for_good else "running"
        self._run("update items set state = ?, error = ? where output = ?", state, error, output)

    def _run(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self.connection.execute(statement, values)
        except sqlite3.OperationalError as error:  # the disk is full, or gone
            raise self._unwritable(error) from None

    def _unwritable(self, error: sqlite3.OperationalError) -> ResourceError:
        remedy = "make sure of the folder, and of some space on its disk"
        return ResourceError(f"{quoted(self.path)} cannot be written: {error}", remedy)
