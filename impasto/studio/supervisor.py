"""Keeps a worker alive: starts it, wakes it, replaces it when it dies or hangs."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from impasto.studio.store import LEASE, PAUSED, RUNNING, Store
from impasto.studio.worker import Signals, new_lease, work

PAUSE = 0.25
GRACE = 30.0
"""Seconds that a worker has to write its checkpoint when the service ends."""
START = 120.0
"""Seconds that a worker may take until it can paint."""
ROOM = 128 * 2**20
"""Bytes that must be free for jobs to go on that found the disk full."""
SWEEP = 300.0


class Supervisor:
    """One worker process and the thread that watches it.

    ``most_seconds`` is how long one job may run, ``most_bytes`` how much memory its process may
    take; a worker beyond either is killed, and its job counts an attempt.
    """

    def __init__(
        self,
        store: Store,
        *,
        threads: int | None = None,
        most_seconds: float = 6 * 3600,
        most_bytes: int | None = None,
    ) -> None:
        self.store, self.threads = store, threads
        self.most_seconds, self.most_bytes = most_seconds, most_bytes
        self._context = get_context("spawn")
        self._process: BaseProcess | None = None
        self._lease, self._deaths = "", 0
        self._full = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        event = self._context.Event
        self.signals = Signals(wake=event(), stop=event(), ready=event())

    def start(self) -> None:
        """Take up what the last service left, and begin."""
        self.store.release(None, blame=False)
        self.store.sweep()
        self._spawn()
        self._thread.start()

    def stop(self) -> None:
        """Let the worker write its checkpoint, then end it."""
        self._ending.set()
        self.signals.stop.set()
        self.signals.wake.set()
        if self._process is not None:
            self._process.join(GRACE)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        if self._thread.is_alive():
            self._thread.join(5)
        with contextlib.suppress(sqlite3.OperationalError):  # full disk: the next start does it
            self.store.release(self._lease, blame=False)

    def wake(self) -> None:
        """There is work."""
        self.signals.wake.set()

    @property
    def ready(self) -> bool:
        """Whether there is a worker that paints."""
        alive = self._process is not None and self._process.is_alive()
        return alive and self.signals.ready.is_set()

    @property
    def deaths(self) -> int:
        """How many workers have died."""
        return self._deaths

    @property
    def worker(self) -> int | None:
        """The worker's process id."""
        return None if self._process is None else self._process.pid

    def _spawn(self) -> None:
        # Events of its own: a process that is killed may hold the lock of one for ever.
        event = self._context.Event
        self.signals = Signals(wake=event(), stop=event(), ready=event())
        self._lease, self._began = new_lease(), time.time()
        arguments = (self.store.folder, self.signals, self._lease, self.threads)
        self._process = self._context.Process(target=work, args=arguments, daemon=True)
        self._process.start()

    def _watch(self) -> None:
        swept = time.time()
        while not self._ending.wait(PAUSE):
            process = self._process
            assert process is not None
            try:
                if process.is_alive() and self._is_beyond():
                    process.kill()
                    process.join()
                if not process.is_alive() and not self._ending.is_set():
                    self.store.release(self._lease, blame=True)
                    self._deaths += 1
                    self._spawn()
                self._resume_after_full_disk()
                if time.time() - swept > SWEEP:
                    swept = time.time()
                    self.store.sweep()
            except sqlite3.OperationalError:  # the disk is full: try again
                continue
        self.store.close()

    def _is_beyond(self) -> bool:
        """Whether the worker hangs, or takes more time or memory than it may."""
        assert self._process is not None
        now = time.time()
        if not self.signals.ready.is_set():
            return now - self._began > START
        if self.most_bytes and (_resident(self._process.pid) or 0) > self.most_bytes:
            return True
        running = [x for x in self.store.in_state(RUNNING) if x.lease == self._lease]
        if not self.store.has_room():
            self._full = now  # no heartbeat can be noted; the worker waits for room
        late = any(now - max(job.beat, self._full) > LEASE for job in running)
        return late or any(now - job.started > self.most_seconds for job in running)

    def _resume_after_full_disk(self) -> None:
        for job in self.store.in_state(PAUSED):
            full = job.problem is not None and job.problem.get("kind") == "disk"
            if full and shutil.disk_usage(self.store.folder).free > ROOM:
                self.store.ask(job.id, "resume")
                self.wake()


def _resident(process: int | None) -> int | None:
    """The bytes of memory that a process takes; None where the system does not tell."""
    try:
        import resource

        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return None
