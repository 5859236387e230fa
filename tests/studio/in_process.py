"""A studio in one process: orders are filled as they come, by the worker that the service has."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from impasto.studio.app import create_app
from impasto.studio.security import Guard
from impasto.studio.service import Studio
from impasto.studio.store import Store
from impasto.studio.supervisor import Supervisor
from impasto.studio.uploads import Uploads, read_copies
from impasto.studio.worker import Signals, Worker


def picture(height: int = 48, width: int = 64, suffix: str = "PNG", seed: int = 0) -> bytes:
    """A file with a smooth picture in it."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin((x * (k + 2) + y * (seed + 1)) / 9) for k in range(3)], axis=2)
    buffer = io.BytesIO()
    Image.fromarray((127 + 120 * waves).astype(np.uint8)).save(buffer, suffix)
    return buffer.getvalue()


def signals() -> Signals:
    made: Any = [threading.Event() for _ in range(3)]
    return Signals(*made)


class InProcess(Supervisor):
    """Fills orders when it is woken; with ``paused`` it leaves them in the queue."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.here = Worker(store, signals(), "worker-here")
        self.paused = False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    @property
    def ready(self) -> bool:
        return True

    def wake(self) -> None:
        while not self.paused and (job := self.store.claim(self.here.lease)) is not None:
            self.here.run(job)


class HereUploads(Uploads):
    """Decodes in this process."""

    def _read(self, data: bytes) -> Any:
        return read_copies(data, self.max_pixels)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "studio")
    yield made
    made.close()


@pytest.fixture
def studio(store: Store) -> Studio:
    return Studio(store, InProcess(store), HereUploads(store, max_pixels=1_000_000))


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    guarded = Guard(create_app(studio), hosts=("localhost",), most_bytes=2**20)
    with TestClient(guarded, "http://localhost:7860", raise_server_exceptions=False) as made:
        yield made


def upload(client: TestClient, data: bytes | None = None, role: str = "photo") -> str:
    """The id of an uploaded picture."""
    files = {"file": ("Cat.png", data or picture(), "image/png")}
    answer = client.post("/v1/pictures", files=files, data={"role": role})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
