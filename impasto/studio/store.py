"""What the studio remembers: jobs in SQLite, pictures in a folder.

Several processes use it at once: the service, which takes orders, and the worker, which fills
them. Each thread has a connection of its own; every change is one transaction.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.errors import InputError, UsageError

QUEUED, RUNNING, PAUSED = "queued", "running", "paused"
DONE, STOPPED, CANCELLED, FAILED, SET_ASIDE = "done", "stopped", "cancelled", "failed", "set aside"
OPEN = (QUEUED, RUNNING, PAUSED)
"""States of jobs that may still change by themselves or be gone on with."""

ID = re.compile(r"[0-9a-f]{32}")
LEASE = 15.0
"""Seconds after its last heartbeat for which a job belongs to its worker."""
ATTEMPTS = 2
"""How often a job may take its worker down with it before it is set aside."""
KEPT_PREVIEWS = 24
LITTLE = 2 * 2**20
"""Bytes on the disk below which nothing can be noted."""
DISK_FULL = {
    "type": "ResourceError",
    "message": "the disk is full",
    "remedy": "free some space, and the painting goes on by itself",
    "kind": "disk",
}

SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, format TEXT NOT NULL,
    height INTEGER NOT NULL, width INTEGER NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, client TEXT NOT NULL, kind TEXT NOT NULL, instant INTEGER NOT NULL,
    kept INTEGER NOT NULL, state TEXT NOT NULL, wanted TEXT NOT NULL DEFAULT '',
    recipe TEXT NOT NULL, progress TEXT NOT NULL DEFAULT '{}', problem TEXT NOT NULL DEFAULT '',
    lease TEXT NOT NULL DEFAULT '', beat REAL NOT NULL DEFAULT 0, started REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, changed REAL NOT NULL,
    version INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, instant, created);
CREATE TABLE IF NOT EXISTS clients (client TEXT PRIMARY KEY, served REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, job TEXT NOT NULL, created REAL NOT NULL);
"""


@dataclass(frozen=True)
class StoredPicture:
    """A picture that was uploaded: ``id`` is of its bytes and role, ``name`` what it is called."""

    id: str
    name: str
    role: str
    format: str
    height: int
    width: int
    bytes: int


@dataclass(frozen=True)
class Job:
    """An order and what has become of it. ``wanted`` is what its client asks of a running one:
    "pause", "stop" (and keep the picture) or "cancel". ``kept`` jobs make the history."""

    id: str
    client: str
    kind: str
    instant: bool
    kept: bool
    state: str
    wanted: str
    recipe: dict[str, Any]
    progress: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, Any] | None = None
    lease: str = ""
    beat: float = 0.0
    started: float = 0.0
    attempts: int = 0
    created: float = 0.0
    changed: float = 0.0
    version: int = 0


class NotFoundError(InputError):
    """No job or picture has that id."""


class KeyReusedError(UsageError):
    """An idempotency key came with another order than before."""


class Store:
    """Jobs and pictures in ``folder``, which is made where it is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("pictures", "jobs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        with self._transaction() as db:
            for statement in SCHEMA.split(";"):
                db.execute(statement)

    # --- pictures --------------------------------------------------------------------------------

    def picture_folder(self, picture: str) -> Path:
        """Where the files of a picture lie. Raises NotFoundError for what is no id."""
        return self.folder / "pictures" / _checked(picture)

    def picture_path(self, picture: StoredPicture) -> Path:
        """The file as it was uploaded."""
        return self.picture_folder(picture.id) / picture.name

    def screen_path(self, picture: str) -> Path:
        """Its copy at the size of a screen."""
        return self.picture_folder(picture) / "screen.png"

    def thumbnail_path(self, picture: str) -> Path:
        """Its thumbnail."""
        return self.picture_folder(picture) / "thumbnail.webp"

    def add_picture(self, picture: StoredPicture) -> None:
        """Remember a picture whose files are there."""
        values = (*(getattr(picture, x) for x in _PICTURE), time.time())
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def picture(self, picture: str) -> StoredPicture:
        """The picture of that id. Raises NotFoundError where there is none."""
        row = self._db().execute("SELECT * FROM pictures WHERE id = ?", (picture,)).fetchone()
        if row is None:
            raise NotFoundError(f"there is no picture {picture!r}", "upload it first")
        return StoredPicture(*(row[name] for name in _PICTURE))

    def pictures(self, role: str, limit: int = 24) -> list[StoredPicture]:
        """The pictures of a role, those used last first."""
        rows = self._db().execute(
            "SELECT * FROM pictures WHERE role = ? ORDER BY used DESC LIMIT ?", (role, limit)
        )
        return [StoredPicture(*(row[name] for name in _PICTURE)) for row in rows]

    # --- orders ----------------------------------------------------------------------------------

    def job_folder(self, job: str) -> Path:
        """Where the files of a job lie. Raises NotFoundError for what is no id."""
        return self.folder / "jobs" / _checked(job)

    def add_job(
        self,
        client: str,
        kind: str,
        recipe: dict[str, Any],
        *,
        instant: bool,
        kept: bool,
        key: str = "",
        digest: str = "",
    ) -> Job:
        """Queue an order; with a ``key`` that was seen before, the job that it made then.

        An instant job takes the place of those of its client and kind that have not begun. Raises
        KeyReusedError where ``digest`` is another than then.
        """
        now, new = time.time(), secrets.token_hex(16)
        with self._transaction() as db:
            if key:
                seen = db.execute("SELECT * FROM keys WHERE key = ?", (key,)).fetchone()
                if seen is not None and seen["digest"] != digest:
                    raise KeyReusedError(
                        "this Idempotency-Key came with another order", "use a new one"
                    )
                if seen is not None:
                    return self._get(db, seen["job"])
                db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (key, digest, new, now))
            if instant:
                db.execute(
                    "UPDATE jobs SET state = ?, version = version + 1, changed = ? "
                    "WHERE client = ? AND kind = ? AND instant AND state = ?",
                    (CANCELLED, now, client, kind, QUEUED),
                )
            db.execute(
                "INSERT INTO jobs (id, client, kind, instant, kept, state, recipe, created, "
                "changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (new, client, kind, instant, kept, QUEUED, json.dumps(recipe), now, now),
            )
            return self._get(db, new)

    def job(self, job: str) -> Job:
        """The job of that id. Raises NotFoundError where there is none."""
        return self._get(self._db(), job)

    def jobs(self, *, limit: int = 100, before: float | None = None) -> list[Job]:
        """The history: jobs that are kept, newest first, those made before a time."""
        rows = self._db().execute(
            "SELECT * FROM jobs WHERE kept AND state != ? AND created < ? "
            "ORDER BY created DESC LIMIT ?",
            (CANCELLED, before or time.time() + 60, limit),
        )
        return [_job(row) for row in rows]

    def in_state(self, state: str) -> list[Job]:
        """All jobs in a state, oldest first."""
        query = "SELECT * FROM jobs WHERE state = ? ORDER BY created"
        return [_job(row) for row in self._db().execute(query, (state,))]

    def waiting(self, client: str | None = None) -> int:
        """How many jobs are queued, of one client or of all."""
        query, values = "SELECT COUNT(*) FROM jobs WHERE state = ?", [QUEUED]
        if client is not None:
            query, values = f"{query} AND client = ?", [QUEUED, client]
        return int(self._db().execute(query, values).fetchone()[0])

    def counts(self) -> dict[str, int]:
        """State -> how many jobs."""
        rows = self._db().execute("SELECT state, COUNT(*) AS n FROM jobs GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    def ask(self, job: str, wanted: str) -> Job:
        """Pause, stop, cancel or resume a job. Those that nobody works on change at once."""
        with self._transaction() as db:
            found = self._get(db, job)
            state = found.state
            if state == RUNNING:
                self._set(db, job, wanted="" if wanted == "resume" else wanted)
                return self._get(db, job)
            at_once = {
                "pause": {QUEUED: PAUSED},
                "resume": {PAUSED: QUEUED, SET_ASIDE: QUEUED, FAILED: QUEUED},
                "cancel": {QUEUED: CANCELLED, PAUSED: CANCELLED},
                "stop": {},
            }[wanted]
            if wanted == "stop" and state in (PAUSED, QUEUED):
                self._set(db, job, state=QUEUED, wanted="stop")
            elif state not in at_once:
                raise UsageError(f"the job is {state}; it cannot {wanted}", "look at its state")
            else:
                fresh = {"attempts": 0, "problem": ""} if wanted == "resume" else {}
                self._set(db, job, state=at_once[state], wanted="", **fresh)
            return self._get(db, job)

    def delete_job(self, job: str) -> None:
        """Forget a job and its files. Raises UsageError for one that runs."""
        with self._transaction() as db:
            if self._get(db, job).state == RUNNING:
                raise UsageError("the job is running", "cancel it first")
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            db.execute("DELETE FROM keys WHERE job = ?", (job,))
        shutil.rmtree(self.job_folder(job), ignore_errors=True)

    # --- work ------------------------------------------------------------------------------------

    def claim(self, lease: str, *, instant_only: bool = False) -> Job | None:
        """Take the next job: instant ones first; among clients, the one served longest ago."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT jobs.id, jobs.client FROM jobs LEFT JOIN clients USING (client) "
                "WHERE state = ? AND (instant OR NOT ?) "
                "ORDER BY instant DESC, COALESCE(served, 0), created LIMIT 1",
                (QUEUED, instant_only),
            ).fetchone()
            if row is None:
                return None
            now = time.time()
            db.execute("INSERT OR REPLACE INTO clients VALUES (?, ?)", (row["client"], now))
            self._set(db, row["id"], state=RUNNING, lease=lease, beat=now, started=now)
            return self._get(db, row["id"])

    def beat(self, lease: str) -> None:
        """The worker that holds ``lease`` is alive."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET beat = ? WHERE lease = ? AND state = ?",
                (time.time(), lease, RUNNING),
            )

    def tell(self, job: str, lease: str, progress: dict[str, Any]) -> str:
        """Write how far a job is; returns what its client wants of it, "cancel" where the job is
        not this worker's any more."""
        with self._transaction() as db:
            row = db.execute("SELECT lease, state, wanted FROM jobs WHERE id = ?", (job,))
            found = row.fetchone()
            if found is None or found["lease"] != lease or found["state"] != RUNNING:
                return "cancel"
            self._set(db, job, progress=json.dumps(progress), beat=time.time())
            return str(found["wanted"])

    def end(self, job: str, lease: str, state: str, **told: Any) -> None:
        """Leave a job in ``state``, where it is still this worker's."""
        values = {k: json.dumps(v) for k, v in told.items()}
        with self._transaction() as db:
            row = db.execute("SELECT lease FROM jobs WHERE id = ?", (job,)).fetchone()
            if row is not None and row["lease"] == lease:
                self._set(db, job, state=state, lease="", wanted="", **values)

    def release(self, lease: str | None, *, blame: bool) -> list[Job]:
        """Queue the running jobs of a worker that is gone (None: of all workers).

        ``blame`` counts it as the fault of the job that was taken last, which may have come between
        two steps of another; after ``ATTEMPTS`` of those it is set aside.
        """
        with self._transaction() as db:
            rows = db.execute(
                "SELECT * FROM jobs WHERE state = ? AND (? IS NULL OR lease = ?) "
                "ORDER BY started DESC",
                (RUNNING, lease, lease),
            ).fetchall()
            for place, job in enumerate(map(_job, rows)):
                attempts = job.attempts + (blame and place == 0)
                if attempts >= ATTEMPTS:
                    told = {
                        "type": "WorkerDied",
                        "message": f"its worker died {attempts} times while it made this picture",
                        "remedy": "try a smaller size",
                    }
                    problem = json.dumps(told)
                    self._set(db, job.id, state=SET_ASIDE, lease="", problem=problem)
                else:
                    self._set(db, job.id, state=QUEUED, lease="", attempts=attempts)
            return [self._get(db, row["id"]) for row in rows]

    def sweep(self) -> None:
        """Delete what nobody will ask for again: old previews, files without a job."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT id FROM jobs WHERE NOT kept AND state NOT IN (?, ?, ?) "
                "ORDER BY created DESC LIMIT -1 OFFSET ?",
                (*OPEN, KEPT_PREVIEWS),
            ).fetchall()
            db.executemany("DELETE FROM jobs WHERE id = ?", [(row["id"],) for row in rows])
            db.execute("DELETE FROM keys WHERE created < ?", (time.time() - 86400,))
            known = {row["id"] for row in db.execute("SELECT id FROM jobs")}
        for folder in (self.folder / "jobs").iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def has_room(self) -> bool:
        """Whether there is any room left on the disk."""
        return shutil.disk_usage(self.folder).free > LITTLE

    def close(self) -> None:
        """Close this thread's connection."""
        if (db := getattr(self._local, "db", None)) is not None:
            db.close()
            del self._local.db

    # --- below -----------------------------------------------------------------------------------

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self.folder / "studio.sqlite3", timeout=30, isolation_level=None)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # in WAL: whole after a kill of the process
            self._local.db = db
        return db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _set(self, db: sqlite3.Connection, job: str, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        db.execute(
            f"UPDATE jobs SET {columns}, changed = ?, version = version + 1 WHERE id = ?",
            (*values.values(), time.time(), job),
        )

    def _get(self, db: sqlite3.Connection, job: str) -> Job:
        row = db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise NotFoundError(f"there is no job {job!r}", "look at the list of jobs")
        return _job(row)


_PICTURE: Sequence[str] = ("id", "name", "role", "format", "height", "width", "bytes")


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118  # a Row iterates over values
    return Job(
        **{
            **values,
            "instant": bool(row["instant"]),
            "kept": bool(row["kept"]),
            "recipe": json.loads(row["recipe"]),
            "progress": json.loads(row["progress"]),
            "problem": json.loads(row["problem"]) if row["problem"] else None,
        }
    )


def _checked(identifier: str) -> str:
    """Ids name folders, so nothing else may pass for one."""
    if not ID.fullmatch(identifier):
        raise NotFoundError(f"{identifier!r} is no id", "use the ids that the service gives")
    return identifier
