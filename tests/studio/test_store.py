"""Jobs and pictures as they are remembered."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.studio.store import (
    CANCELLED,
    DONE,
    PAUSED,
    QUEUED,
    RUNNING,
    SET_ASIDE,
    Job,
    KeyReusedError,
    NotFoundError,
    Store,
)


def add(store: Store, client: str = "a", kind: str = "paint", **more: str) -> Job:
    instant = kind != "paint"
    return store.add_job(client, kind, {"kind": kind}, instant=instant, kept=not instant, **more)


def test_clients_take_turns(store: Store) -> None:
    first = [add(store, "a") for _ in range(3)]
    second = add(store, "b")
    taken = [store.claim("w") for _ in range(4)]
    assert [job.id for job in taken if job] == [first[0].id, second.id, first[1].id, first[2].id]
    assert store.claim("w") is None


def test_instant_jobs_come_first_and_replace_those_that_wait(store: Store) -> None:
    add(store)
    old, new = add(store, kind="quick"), add(store, kind="quick")
    claimed = store.claim("w", instant_only=True)
    assert claimed is not None
    assert claimed.id == new.id
    assert store.job(old.id).state == CANCELLED
    assert store.claim("w", instant_only=True) is None


def test_a_key_makes_one_job(store: Store) -> None:
    job = add(store, key="k", digest="1")
    assert add(store, key="k", digest="1").id == job.id
    with pytest.raises(KeyReusedError):
        add(store, key="k", digest="2")


def test_a_job_that_takes_its_worker_with_it_is_tried_again_once(store: Store) -> None:
    job = add(store)
    store.claim("w1")
    assert [x.state for x in store.release("w1", blame=True)] == [QUEUED]
    store.claim("w2")
    [found] = store.release("w2", blame=True)
    assert found.state == SET_ASIDE
    assert found.problem is not None
    assert "died 2 times" in found.problem["message"]
    assert store.ask(job.id, "resume").attempts == 0


def test_a_preview_that_kills_its_worker_is_no_fault_of_the_painting(store: Store) -> None:
    painting = add(store)
    store.claim("w")
    time.sleep(0.002)
    preview = add(store, kind="quick")
    store.claim("w", instant_only=True)
    store.release("w", blame=True)
    assert store.job(painting.id).attempts == 0
    assert store.job(preview.id).attempts == 1


def test_the_end_of_the_service_is_no_fault_of_the_job(store: Store) -> None:
    job = add(store)
    for _ in range(5):
        store.claim("w")
        store.release(None, blame=False)
    assert store.job(job.id).state == QUEUED


def test_a_worker_that_lost_its_lease_changes_nothing(store: Store) -> None:
    job = add(store)
    store.claim("old")
    store.release("old", blame=False)
    store.claim("new")
    assert store.tell(job.id, "old", {"step": 9}) == "cancel"
    store.end(job.id, "old", DONE)
    assert store.job(job.id).state == RUNNING
    assert store.job(job.id).progress == {}


def test_what_is_asked_of_a_running_job_reaches_its_worker(store: Store) -> None:
    job = add(store)
    store.claim("w")
    store.ask(job.id, "pause")
    assert store.tell(job.id, "w", {}) == "pause"
    store.end(job.id, "w", PAUSED)
    assert store.ask(job.id, "resume").state == QUEUED
    assert store.ask(job.id, "cancel").state == CANCELLED
    with pytest.raises(UsageError, match="it cannot pause"):
        store.ask(job.id, "pause")


@pytest.mark.parametrize(
    "wrong", ["", "..", "../../etc/passwd", "a" * 31, "A" * 32, "a" * 32 + "/"]
)
def test_ids_are_never_paths(store: Store, wrong: str) -> None:
    for look_up in (store.job, store.picture, store.job_folder, store.picture_folder):
        with pytest.raises(NotFoundError):
            look_up(wrong)


def test_the_history_outlives_the_store(tmp_path: Path) -> None:
    first = Store(tmp_path)
    job = add(first)
    first.close()
    second = Store(tmp_path)
    assert [x.id for x in second.jobs()] == [job.id]
    second.close()


def test_sweeping_takes_old_previews_and_keeps_the_history(store: Store) -> None:
    kept = add(store)
    for k in range(30):
        job = add(store, kind="quick", client=str(k))
        store.claim("w", instant_only=True)
        store.end(job.id, "w", DONE)
        store.job_folder(job.id).mkdir()
        time.sleep(0.001)
    store.sweep()
    assert store.counts() == {QUEUED: 1, DONE: 24}
    assert len(list((store.folder / "jobs").iterdir())) == 24
    assert store.job(kept.id).state == QUEUED


def test_a_running_job_is_not_deleted(store: Store) -> None:
    job = add(store)
    store.claim("w")
    with pytest.raises(UsageError, match="running"):
        store.delete_job(job.id)
    store.end(job.id, "w", DONE)
    store.delete_job(job.id)
    with pytest.raises(NotFoundError):
        store.job(job.id)
