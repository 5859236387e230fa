"""Workers in processes of their own: killed, replaced, ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import impasto
from impasto.studio.recipe import Recipe, result_path
from impasto.studio.store import DONE, LEASE, PAUSED, QUEUED, RUNNING, SET_ASIDE, Store
from impasto.studio.supervisor import Supervisor
from tests.studio.in_process import HereUploads, picture


@pytest.fixture
def supervisor(store: Store) -> Iterator[Supervisor]:
    made = Supervisor(store, threads=1)
    made.start()
    yield made
    made.stop()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def order(store: Store, steps: int) -> str:
    photo = HereUploads(store).add(picture(), "cat.png", "photo")
    settings = {"size": 48, "steps": [steps], "subject": "off", "precision": "float32"}
    recipe = Recipe("paint", photo.id, ("waves",), settings)
    return store.add_job("a", "paint", recipe.to_json(), instant=False, kept=True).id


def kill(supervisor: Supervisor) -> None:
    assert supervisor.worker is not None
    os.kill(supervisor.worker, signal.SIGKILL)


def test_a_killed_worker_is_replaced_and_the_painting_is_the_same(
    store: Store, supervisor: Supervisor
) -> None:
    job = order(store, 60)
    supervisor.wake()
    until(lambda: store.job(job).progress.get("step", 0) > 5)
    kill(supervisor)
    until(lambda: supervisor.deaths == 1)
    until(lambda: store.job(job).state == DONE)
    assert store.job(job).attempts == 1
    content = store.picture_path(store.picture(store.job(job).recipe["content"]))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        settings = store.job(job).recipe["settings"]
        result = impasto.stylize(content, "waves", **settings)
    finally:
        torch.set_num_threads(before)
    painted = impasto.load_image(result_path(store, job))
    assert torch.equal((result.image * 255).round(), (painted * 255).round())


@pytest.mark.slow
def test_a_job_that_kills_twice_is_set_aside_and_the_next_is_made(
    store: Store, supervisor: Supervisor
) -> None:
    poison, good = order(store, 5000), order(store, 2)
    for death in (1, 2):
        until(lambda: store.job(poison).state == RUNNING)
        kill(supervisor)
        until(lambda death=death: supervisor.deaths == death)  # type: ignore[misc]
    until(lambda: store.job(good).state == DONE)
    assert store.job(poison).state == SET_ASIDE


@pytest.mark.slow
def test_a_graceful_end_leaves_the_job_where_it_was(store: Store) -> None:
    first = Supervisor(store, threads=1)
    first.start()
    job = order(store, 2000)
    first.wake()
    until(lambda: store.job(job).progress.get("step", 0) > 20)
    first.stop()
    found = store.job(job)
    assert (found.state, found.attempts) == (QUEUED, 0)
    assert (store.job_folder(job) / "checkpoint").is_file()


def test_a_worker_that_cannot_note_its_heartbeats_does_not_hang(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no fault of the worker's; some time after there is room again, silence is."""
    made = Supervisor(store)
    made._process = multiprocessing.current_process()
    made.signals.ready.set()
    order(store, 1)
    store.claim(made._lease)
    now, room = time.time(), True
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(store, "has_room", lambda: room)
    assert not made._is_beyond()
    now, room = now + 3 * LEASE, False
    assert not made._is_beyond()
    now, room = now + 1, True
    assert not made._is_beyond()
    now += LEASE + 1
    assert made._is_beyond()


def test_what_a_full_disk_stopped_goes_on(store: Store, tmp_path: Path) -> None:
    job = order(store, 1)
    store.claim("w")
    store.end(job, "w", PAUSED, problem={"kind": "disk", "message": "", "remedy": ""})
    supervisor = Supervisor(store)
    supervisor._resume_after_full_disk()
    assert store.job(job).state == QUEUED
    assert store.job(job).problem is None
