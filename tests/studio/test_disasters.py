"""Processes killed at random moments, a disk that fills up: nothing is lost, nothing differs."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto.machine.devices import threads
from impasto.studio.orders import describe_job
from impasto.studio.recipe import Recipe, result_path
from impasto.studio.service import Studio
from impasto.studio.store import DISK_FULL, DONE, QUEUED, RUNNING, Store
from impasto.studio.supervisor import Supervisor
from tests.studio.in_process import HereUploads, picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
KILLS = 20
SETTINGS: dict[str, Any] = {"size": 64, "steps": [150], "subject": "off", "precision": "float32"}
LONG: dict[str, Any] = {**SETTINGS, "steps": [1500]}
FEW = 4
"""Jobs that wait beside the one that is painted: the queue has an end."""


def until(true: Callable[[], bool], seconds: float = 240, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(pause)


def expected(tmp_path: Path, **settings: Any) -> Tensor:
    """The same painting without the studio."""
    path = tmp_path / "cat.png"
    path.write_bytes(picture())
    with threads(1):
        result = impasto.stylize(path, "waves", **settings)
    return (result.image * 255).round()


def is_same(source: Any, wanted: Tensor) -> bool:
    return torch.equal((impasto.load_image(source) * 255).round(), wanted)


def order(store: Store, settings: dict[str, Any]) -> str:
    photo = HereUploads(store).add(picture(), "cat.png", "photo")
    recipe = Recipe("paint", photo.id, ("waves",), settings)
    return store.add_job("a", "paint", recipe.to_json(), instant=False, kept=True).id


def test_workers_are_killed_at_random_moments(store: Store, tmp_path: Path) -> None:
    wanted, moments = expected(tmp_path, **SETTINGS), random.Random(22)
    jobs = [order(store, SETTINGS) for _ in range(KILLS + 2)]
    supervisor = Supervisor(store, threads=1)
    supervisor.start()
    reached = []
    try:
        for death in range(1, KILLS + 1):
            # A job that takes two workers with it is set aside: each is killed once at most.
            until(lambda: any(x.attempts == 0 for x in store.in_state(RUNNING)))
            time.sleep(moments.uniform(0, 2.5))
            until(lambda: any(x.attempts == 0 for x in store.in_state(RUNNING)), pause=0.001)
            [running] = store.in_state(RUNNING)
            reached.append(running.progress.get("step", 0))
            assert supervisor.worker is not None
            os.kill(supervisor.worker, signal.SIGKILL)
            until(lambda death=death: supervisor.deaths == death)  # type: ignore[misc]
            finished = [x for x in jobs if store.job(x).state == DONE]
            assert all(is_same(result_path(store, x), wanted) for x in finished)
        until(lambda: all(store.job(x).state == DONE for x in jobs))
    finally:
        supervisor.stop()
    assert supervisor.deaths == KILLS
    assert all(is_same(result_path(store, x), wanted) for x in jobs)
    assert sum(store.job(x).attempts for x in jobs) == KILLS
    print(f"{KILLS} workers killed, at the steps {reached} of 150; {len(jobs)} paintings the same")


class Service:
    """A studio in a process of its own, to ask and to kill."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "impasto", "studio", "--headless", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--folder", str(folder), "--threads", "1"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        found = re.search(r"http://\S+(?=/)", self.process.stderr.readline())
        assert found is not None
        self.address = found[0]

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        headers = {"content-type": kind} if body else {}
        request = urllib.request.Request(self.address + path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def order(self, photo: str, settings: dict[str, Any]) -> str:
        body = {"content": photo, "styles": ["waves"], "settings": settings}
        return str(json.loads(self.ask("/v1/jobs", json.dumps(body).encode()))["id"])

    def jobs(self) -> dict[str, Any]:
        return {job["id"]: job for job in json.loads(self.ask("/v1/jobs"))}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


def test_services_are_killed_at_random_moments(tmp_path: Path) -> None:
    short, long = expected(tmp_path, **SETTINGS), expected(tmp_path, **LONG)
    moments, reached, killed = random.Random(23), [], 0
    service = Service(tmp_path / "studio")
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="cat.png"\r\n\r\n'
    upload = head + picture() + b"\r\n--x--\r\n"
    photo = json.loads(service.ask("/v1/pictures", upload, "multipart/form-data; boundary=x"))["id"]
    wanted = {service.order(photo, LONG): long}

    def check() -> None:
        """No order is lost, and what is finished is whole."""
        told = service.jobs()
        assert set(told) == set(wanted)
        for identifier, job in told.items():
            if job["state"] == DONE:
                data = service.ask(job["links"]["picture.png"])
                assert is_same(data, wanted[identifier])

    try:
        while killed < KILLS:
            if sum(job["state"] == QUEUED for job in service.jobs().values()) < FEW:
                wanted[service.order(photo, SETTINGS)] = short
            time.sleep(moments.uniform(0, 12))
            running = [x["progress"] for x in service.jobs().values() if x["state"] == RUNNING]
            reached.append(running[0].get("step", 0) if running else None)
            service.kill()
            killed += 1
            service = Service(tmp_path / "studio")
            check()
        until(lambda: all(x["state"] == DONE for x in service.jobs().values()), 900, 0.5)
        check()
    finally:
        service.kill()
    print(f"{killed} services killed, at the steps {reached}; {len(wanted)} paintings the same")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 200 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200m", "impasto-test", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("needs the right to mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all room that there is on the disk of ``path``, down to the last bytes."""
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_disk_that_is_full_stops_a_painting_until_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    wanted = expected(tmp_path, **LONG)
    store = Store(small_disk / "studio")
    supervisor = Supervisor(store, threads=1)
    studio = Studio(store, supervisor, HereUploads(store))
    job, filler = order(store, LONG), small_disk / "filler"
    supervisor.start()
    try:
        until(lambda: store.job(job).progress.get("step", 0) > 100)
        fill(filler)
        # Longer than a worker may be silent: it must not be taken for one that hangs.
        told, end = set(), time.monotonic() + 25
        while time.monotonic() < end:
            fill(filler)  # what was freed meanwhile
            problem = describe_job(store.job(job), studio)["problem"]
            told.add(problem and problem["message"])
            time.sleep(0.2)
        assert told - {None} == {DISK_FULL["message"]}
        assert store.job(job).state != DONE
        filler.unlink()
        until(lambda: store.job(job).state == DONE)
        found = store.job(job)
        assert (found.problem, found.attempts, supervisor.deaths) == (None, 0, 0)
        assert is_same(result_path(store, job), wanted)
    finally:
        supervisor.stop()
        store.close()
