"""What a worker makes of jobs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import impasto
from impasto.errors import InvalidImageError, ResourceError
from impasto.runs import checkpoint
from impasto.studio.recipe import Recipe, result_path
from impasto.studio.service import Studio
from impasto.studio.store import CANCELLED, DONE, FAILED, PAUSED, QUEUED, STOPPED, Job
from impasto.studio.worker import HELD, Worker, told_of
from tests.studio.in_process import InProcess, picture, upload

SETTINGS = {"size": 96, "steps": [4, 4], "subject": "off"}


@pytest.fixture
def worker(studio: Studio) -> Worker:
    assert isinstance(studio.supervisor, InProcess)
    return studio.supervisor.here


@pytest.fixture
def photo(client: TestClient) -> str:
    return upload(client)


def paint(worker: Worker, photo: str, kind: str = "paint", **more: Any) -> Job:
    """Queue a job and claim it."""
    recipe = Recipe(kind, photo, ("waves",), **{"settings": SETTINGS, **more})
    store = worker.store
    store.add_job("a", kind, recipe.to_json(), instant=kind != "paint", kept=kind == "paint")
    job = store.claim(worker.lease)
    assert job is not None
    return job


class Asking:
    """Asks something of a job as soon as its step number ``at`` is told."""

    def __init__(self, worker: Worker, job: Job, what: str, at: int) -> None:
        self.store, self.job, self.what, self.at = worker.store, job, what, at
        self.tell = worker.store.tell

    def __call__(self, job: str, lease: str, progress: dict[str, Any]) -> str:
        if progress.get("step") == self.at:
            self.at = -1
            self.store.ask(job, self.what)
        return self.tell(job, lease, progress)


@pytest.fixture
def asking(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Any:
    def ask(job: Job, what: str, at: int) -> None:
        monkeypatch.setattr(worker.store, "tell", Asking(worker, job, what, at))

    return ask


def by_hand(worker: Worker, photo: str) -> torch.Tensor:
    path = worker.store.picture_path(worker.store.picture(photo))
    result = impasto.stylize(path, "waves", **SETTINGS)  # type: ignore[arg-type]
    return (result.image * 255).round()


def painted(worker: Worker, job: Job) -> torch.Tensor:
    return (impasto.load_image(result_path(worker.store, job.id)) * 255).round()


def test_a_painting_is_that_of_the_library_to_the_bit(worker: Worker, photo: str) -> None:
    job = paint(worker, photo)
    worker.run(job)
    found = worker.store.job(job.id)
    assert (found.state, found.problem) == (DONE, None)
    assert torch.equal(painted(worker, job), by_hand(worker, photo))
    told = found.progress
    assert (told["step"], told["steps"], told["fraction"]) == (8, 8, 1.0)
    assert len(told["losses"]) == 8
    folder = worker.store.job_folder(job.id)
    assert {x.name for x in folder.iterdir()} - {"evolution.mp4"} == {
        *("picture.png", "picture.jpg", "picture.tif", "preview.jpg", "evolution.gif"),
    }
    with Image.open(folder / "evolution.gif") as animation:
        assert getattr(animation, "n_frames", 1) > 1


def test_the_evolution_is_an_mp4_too(worker: Worker, photo: str) -> None:
    av = pytest.importorskip("av")
    job = paint(worker, photo)
    worker.run(job)
    with av.open(str(worker.store.job_folder(job.id) / "evolution.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 96, 72)
        assert sum(1 for _ in video.decode(stream)) >= 8


def test_metadata_name_inputs_and_tell_no_folders(worker: Worker, photo: str) -> None:
    job = paint(worker, photo)
    worker.run(job)
    for suffix in ("png", "jpg", "tif"):
        metadata = impasto.read_metadata(worker.store.job_folder(job.id) / f"picture.{suffix}")
        assert metadata["content"]["path"] == "Cat.png"
        assert str(worker.store.folder) not in str(metadata)


@pytest.mark.parametrize("at", [2, 6])
def test_a_paused_painting_ends_in_the_same_pixels(
    worker: Worker, photo: str, asking: Any, at: int
) -> None:
    job = paint(worker, photo)
    asking(job, "pause", at)
    worker.run(job)
    found = worker.store.job(job.id)
    assert (found.state, found.progress["step"]) == (PAUSED, at)
    worker.store.ask(job.id, "resume")
    again = worker.store.claim(worker.lease)
    assert again is not None
    worker.run(again)
    assert worker.store.job(job.id).state == DONE
    assert torch.equal(painted(worker, job), by_hand(worker, photo))


def test_stopping_keeps_the_picture(worker: Worker, photo: str, asking: Any) -> None:
    job = paint(worker, photo)
    asking(job, "stop", 3)
    worker.run(job)
    assert worker.store.job(job.id).state == STOPPED
    metadata = impasto.read_metadata(result_path(worker.store, job.id))
    assert (metadata["steps"], metadata["finished"]) == (3, False)


def test_cancelling_leaves_nothing(worker: Worker, photo: str, asking: Any) -> None:
    job = paint(worker, photo)
    asking(job, "cancel", 3)
    worker.run(job)
    assert worker.store.job(job.id).state == CANCELLED
    assert not result_path(worker.store, job.id).exists()
    assert worker.store.jobs() == []


def test_the_end_of_the_service_leaves_a_checkpoint(worker: Worker, photo: str) -> None:
    job = paint(worker, photo)
    worker.signals.stop.set()
    worker.run(job)
    assert worker.store.job(job.id).state == QUEUED
    worker.signals.stop.clear()
    again = worker.store.claim(worker.lease)
    assert again is not None
    worker.run(again)
    assert torch.equal(painted(worker, job), by_hand(worker, photo))


def test_a_full_disk_pauses_the_job(
    worker: Worker, photo: str, asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = paint(worker, photo)

    def full(path: Path, state: Any) -> None:
        raise ResourceError(f"cannot write the checkpoint {path} (No space left on device)")

    monkeypatch.setattr(checkpoint, "save_checkpoint", full)
    asking(job, "pause", 3)
    worker.run(job)
    found = worker.store.job(job.id)
    assert found.state == PAUSED
    assert found.problem is not None
    assert found.problem["kind"] == "disk"


def test_instant_jobs_are_made_between_two_steps(
    worker: Worker, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = paint(worker, photo)
    recipe = Recipe("quick", photo, ("waves",), {"size": 32, "subject": "off"}, screen=True)
    new = worker.store.add_job("b", "quick", recipe.to_json(), instant=True, kept=False)
    worker.signals.wake.set()
    seen: Iterator[str] = iter([])
    tell, states = worker.store.tell, []

    def noting(identifier: str, lease: str, progress: dict[str, Any]) -> str:
        states.append(worker.store.job(new.id).state)
        return tell(identifier, lease, progress)

    monkeypatch.setattr(worker.store, "tell", noting)
    worker.run(job)
    assert states[0] == QUEUED
    assert states[2] == DONE
    assert torch.equal(painted(worker, job), by_hand(worker, photo))
    assert not list(seen)


def test_a_plan_tells_what_it_would_take(worker: Worker, photo: str) -> None:
    job = paint(worker, photo, "plan")
    worker.run(job)
    told = worker.store.job(job.id).progress
    assert (told["height"], told["width"], told["steps"]) == (72, 96, 8)
    assert told["memory"] > 2**20


def test_the_subject_is_a_map_of_the_photo(worker: Worker, photo: str) -> None:
    job = paint(worker, photo, "subject", settings={})
    worker.run(job)
    data = (worker.store.job_folder(job.id) / "preview.png").read_bytes()
    with Image.open(io.BytesIO(data)) as found:
        assert found.size == (64, 48)


def test_masks_and_a_start_are_used(worker: Worker, client: TestClient, photo: str) -> None:
    first = paint(worker, photo)
    worker.run(first)
    mask = upload(client, picture(seed=5), "mask")
    settings = {**SETTINGS, "subject": "auto", "protect": 0.5}
    second = paint(worker, photo, settings=settings, masks={"subject": (mask,)}, start=first.id)
    worker.run(second)
    assert worker.store.job(second.id).problem is None
    metadata = impasto.read_metadata(result_path(worker.store, second.id))
    assert metadata["init"]["path"] == "start.png"
    assert metadata["config"]["subject"] == metadata["subject"]["path"] == "Cat-2.png"


def test_drafts_read_their_pictures_once(
    worker: Worker, client: TestClient, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.image import inputs

    read: list[str] = []
    original = inputs.read_picture

    def counting(source: Any, **limit: int | None) -> Any:
        if isinstance(source, str):  # what is decoded already passes by here, too
            read.append(source)
        return original(source, **limit)

    monkeypatch.setattr(inputs, "read_picture", counting)
    own = upload(client, picture(seed=6), "style")

    def draft(*styles: str) -> bytes:
        recipe = Recipe("quick", photo, styles, {"size": 32, "subject": "off"}, screen=True)
        job = worker.store.add_job("a", "quick", recipe.to_json(), instant=True, kept=False)
        assert worker.store.claim(worker.lease) is not None
        worker.run(worker.store.job(job.id))
        assert worker.store.job(job.id).problem is None
        return (worker.store.job_folder(job.id) / "preview.jpg").read_bytes()

    first = draft("waves", own)
    assert len(read) == 3
    assert draft("waves", own) == first
    assert len(read) == 3
    for name in ("night", "fauve", "mosaic", "pastel", "woodcut", "facets"):
        draft(name)
    assert len(worker.pictures) == HELD
    assert draft("waves", own) == first
    assert len(read) == 3 + 6 + 2  # the photo is always among the last


def test_what_cannot_be_painted_fails_with_one_line(worker: Worker, photo: str) -> None:
    job = paint(worker, photo, settings={"size": 16384, "max_memory": 0.1, "tile": None})
    worker.run(job)
    found = worker.store.job(job.id)
    assert found.state == FAILED
    assert found.problem is not None
    assert found.problem["type"] in ("ResourceError", "ConfigError")
    assert "\n" not in found.problem["message"]


def test_faults_are_told_plainly() -> None:
    assert told_of(MemoryError())["message"] == "memory ran out"
    assert told_of(OSError(28, "No space left on device"))["kind"] == "disk"
    place = f"/home/me/studio/pictures/{'0' * 32}/cat.png"
    assert told_of(InvalidImageError(f"'{place}' is broken"))["message"] == "'cat.png' is broken"
    assert "a fault in impasto" in told_of(ValueError("odd"))["message"]
