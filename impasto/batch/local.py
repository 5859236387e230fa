"""Worker processes on this machine.

Each has one task at a time and a pipe of its own, so that it is known whose task it was when one
dies (a pool of the standard library would give up all of them); another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from impasto.batch.work import Outcome, carry_out

STARTS = multiprocessing.get_context("spawn")  # a fork of a process that has run torch may hang
FAREWELL = 5.0  # seconds that a worker has to end


class _Worker:
    def __init__(self, perform: Callable[[Any], Outcome], threads: int) -> None:
        self.pipe, theirs = STARTS.Pipe()
        self.process: BaseProcess = STARTS.Process(
            target=_serve, args=(theirs, perform, threads), daemon=True
        )
        self.process.start()
        theirs.close()
        self.task: Any = None

    def stop(self) -> None:
        self.pipe.close()  # it ends when it reads the end of its pipe
        self.process.join(FAREWELL)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class LocalWorkers:
    """``count`` worker processes, which share the threads of the machine.

    ``perform`` carries out a task; it must be importable by name.
    """

    def __init__(
        self,
        count: int,
        threads: int | None = None,
        perform: Callable[[Any], Outcome] = carry_out,
    ) -> None:
        self.perform = perform
        self.threads = threads or max(1, _cores() // count)
        self.slots = count
        self.workers = [_Worker(perform, self.threads) for _ in range(count)]
        self.waiting: list[Any] = []

    def submit(self, task: Any) -> None:
        """Give it to a worker that is free, or line it up."""
        self.waiting.append(task)
        self._hand_out()

    def wait(self) -> list[tuple[Any, Outcome]]:
        """What is over; at least one."""
        over: list[tuple[Any, Outcome]] = []
        while not over:
            busy = {worker.pipe: worker for worker in self.workers if worker.task is not None}
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                over.append(self._receive(busy[pipe]))
        self._hand_out()
        return over

    def close(self) -> None:
        """End all workers; what they are at is lost."""
        for worker in self.workers:
            if worker.task is not None:
                worker.process.kill()
            worker.stop()
        self.workers = []

    def _receive(self, worker: _Worker) -> tuple[Any, Outcome]:
        task, worker.task = worker.task, None
        assert task is not None
        try:
            outcome: Outcome = worker.pipe.recv()
            return task, outcome
        except (EOFError, OSError):
            worker.stop()
            code = worker.process.exitcode
            self.workers[self.workers.index(worker)] = _Worker(self.perform, self.threads)
            reason = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
            return task, Outcome(error=f"its worker process ended {reason}")

    def _hand_out(self) -> None:
        for worker in self.workers:
            if self.waiting and worker.task is None:
                worker.task = self.waiting.pop(0)
                try:
                    worker.pipe.send(worker.task)
                except OSError:  # it has died since its last task: wait() finds out
                    continue


def _serve(pipe: Any, perform: Callable[[Any], Outcome], threads: int) -> None:
    """The life of a worker process."""
    import signal

    import torch

    from impasto.machine.devices import keep_freed_memory

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that leads
    torch.set_num_threads(threads)
    keep_freed_memory()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        outcome = perform(task)
        try:
            pipe.send(outcome)
        except OSError:
            return


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
