"""Worker processes share the work; one that dies is told of, and replaced."""

from __future__ import annotations

import os

from impasto.batch.local import LocalWorkers
from impasto.batch.work import Outcome, Task


def task(number: int) -> Task:
    return Task(number, "content", (), "quick", {}, None, ".png")


def perform(one: Task) -> Outcome:
    """What workers do here: number 3 kills its process."""
    import torch

    if one.number == 3:
        os._exit(7)
    return Outcome(sha256=f"{one.number} with {torch.get_num_threads()} in {os.getpid()}")


def test_all_come_back_and_the_dead_are_named() -> None:
    workers = LocalWorkers(2, threads=1, perform=perform)
    try:
        for number in range(6):
            workers.submit(task(number))
        found: dict[int, Outcome] = {}
        while len(found) < 6:
            found |= {one.number: outcome for one, outcome in workers.wait()}
    finally:
        workers.close()
    assert sorted(found) == list(range(6))
    assert "ended with code 7" in found[3].error
    painted = [outcome.sha256 for number, outcome in found.items() if number != 3]
    assert all(" with 1 in " in text for text in painted)
    assert all(str(os.getpid()) not in text for text in painted)


def test_threads_are_shared_out() -> None:
    workers = LocalWorkers(1, perform=perform)
    try:
        assert workers.threads >= 1
        assert workers.slots == 1
    finally:
        workers.close()
