"""A real Dask cluster paints the same pictures, while workers go and come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import impasto
from impasto.batch.cluster import DaskWorkers
from impasto.batch.run import executor_maker
from impasto.batch.shots import ShotsRun, paint_shots
from impasto.errors import UsageError
from impasto.image.io import save_image
from impasto.video.stylize import split_settings

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")

FAST: dict[str, Any] = {"subject": "off", "threads": 1}


def worker(address: str) -> subprocess.Popen[bytes]:
    """A worker in a process of its own, as on another machine."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    command += ["--no-dashboard", "--no-nanny"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler in a process of its own, with one worker."""
    place = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    command += ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(place)]
    scheduler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    import json

    found = json.loads(place.read_text())["address"]
    first = worker(found)
    yield found
    for process in (first, scheduler):
        process.kill()
        process.wait()


def photos(tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        save_image(folder / f"{number}.png", torch.rand(1, 3, 24, 32, generator=generator))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {x.name: x.read_bytes() for x in sorted(folder.glob("*.png"))}


@pytest.mark.slow
@pytest.mark.parametrize("ship", [False, True])
def test_workers_go_and_come(ship: bool, address: str, tmp_path: Path) -> None:
    folder = photos(tmp_path, 16)
    impasto.stylize_batch(folder, "waves", tmp_path / "here", **FAST)
    second = worker(address)
    third: list[subprocess.Popen[bytes]] = []
    seen: list[str] = []

    def on_event(event: Any) -> None:
        seen.append(event.output)
        if len(seen) == 4:
            os.kill(second.pid, signal.SIGKILL)
            third.append(worker(address))

    try:
        result = impasto.stylize_batch(
            *(folder, "waves", tmp_path / "there"),
            scheduler=address,
            ship=ship,
            retries=3,
            on_event=on_event,
            **FAST,
        )
    finally:
        for process in (second, *third):
            process.kill()
            process.wait()
    assert result.failed == {}
    assert len(result.done) == len(set(result.done)) == 16
    assert files(tmp_path / "there") == files(tmp_path / "here")


@pytest.mark.slow
def test_shots_of_a_clip(address: str, tmp_path: Path) -> None:
    frames = photos(tmp_path, 3)  # of noise: each is a shot
    seen = []
    for out, scheduler in (("here", None), ("there", address)):
        executor = executor_maker(paint_shots, scheduler=scheduler)
        settings = split_settings({"segment": 1, "subject": "off"})
        run = ShotsRun(frames, "waves", tmp_path / out, *settings, executor, threads=1)
        seen.append(len(list(run.tasks())))
        run.finish()
    assert seen == [3, 3]
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_no_scheduler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.batch.cluster.PATIENCE", 1)
    with pytest.raises(UsageError, match="there is no scheduler at"):
        DaskWorkers("tcp://127.0.0.1:9")
