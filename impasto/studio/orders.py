"""Jobs: ordered, watched, paused, taken home, under ``/v1/jobs``."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
import zipfile
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from impasto.errors import MissingDependencyError
from impasto.studio.recipe import FUNCTIONS, INSTANT, Recipe, can_write_mp4
from impasto.studio.service import FRESH, Client, Studio, ThisStudio
from impasto.studio.store import DISK_FULL, OPEN, RUNNING, Job, NotFoundError

MOST_WAITING, MOST_WAITING_EACH = 64, 12
"""Jobs in the queue, of all clients and of each; beyond them an order is answered with 429."""
LOOK = 0.08
"""Seconds between two looks at a job that somebody watches."""
LONGEST_WAIT = 30.0
MASK = r"^([0-9a-f]{32}|rest)$"
STYLE = r"^[a-z0-9-]{1,40}$"

router = APIRouter(prefix="/v1")


class Order(BaseModel):
    """What a job shall make: ``content`` is the id of a photo (a texture has none); ``styles`` are
    names of built-in styles or ids of pictures; ``masks`` ids, for subject, keep and regions (there
    also rest: what the others leave); ``settings`` as in ``/v1/settings``; ``start`` the job whose
    picture is gone on with. ``screen`` paints the photo's copy at screen size."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "paint",
                    "content": "0123456789abcdef0123456789abcdef",
                    "styles": ["waves"],
                    "settings": {"size": 512, "strength": 0.6},
                },
                {
                    "kind": "texture",
                    "styles": ["waves"],
                    "settings": {"size": 512, "wrap": "both"},
                },
                {
                    "kind": "dream",
                    "content": "0123456789abcdef0123456789abcdef",
                    "settings": {"size": 512, "octaves": 4},
                },
            ]
        },
    )

    kind: Literal["paint", "texture", "dream", "quick", "plan", "subject"] = "paint"
    content: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    styles: list[Annotated[str, Field(pattern=STYLE)]] = Field(default=[], max_length=8)
    settings: dict[str, Any] = Field(default={}, max_length=80)
    masks: dict[str, list[Annotated[str, Field(pattern=MASK)]]] = Field(default={}, max_length=3)
    preset: str = Field(default="default", max_length=40)
    start: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    keep: bool = True
    screen: bool = False


def get_job(job: str, studio: ThisStudio) -> Job:
    """The job of the path."""
    return studio.store.job(job)


ThisJob = Annotated[Job, Depends(get_job)]


@router.post("/jobs", status_code=202, tags=["jobs"])
async def add_job(
    order: Order,
    request: Request,
    response: Response,
    studio: ThisStudio,
    client: Client,
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
    prefer: Annotated[str, Header(max_length=100)] = "",
) -> dict[str, Any]:
    """Order a picture. ``Prefer: wait=5`` answers when it is there, after five seconds at most."""
    digest = hashlib.sha256(await request.body()).hexdigest()

    def take() -> Job:
        values = order.model_dump(exclude={"keep"})
        masks = {role: tuple(ids) for role, ids in order.masks.items()}
        recipe = Recipe(**{**values, "styles": tuple(order.styles), "masks": masks})
        recipe.check(studio.store)
        instant = order.kind in INSTANT
        full = studio.store.waiting() >= MOST_WAITING
        if full or studio.store.waiting(client) >= MOST_WAITING_EACH:
            raise HTTPException(429, "the queue is full", {"retry-after": "10"})
        return studio.store.add_job(
            client,
            order.kind,
            recipe.to_json(),
            instant=instant,
            kept=order.keep and order.kind in FUNCTIONS,
            key=f"{client} {idempotency_key}" if idempotency_key else "",
            digest=digest,
        )

    job = await anyio.to_thread.run_sync(take)
    studio.supervisor.wake()
    end = time.monotonic() + _wait_of(prefer)
    while job.state in ("queued", "running") and time.monotonic() < end:
        await asyncio.sleep(0.02)
        job = await anyio.to_thread.run_sync(studio.store.job, job.id)
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return await anyio.to_thread.run_sync(describe_job, job, studio)


@router.get("/jobs", tags=["jobs"])
def list_jobs(
    studio: ThisStudio,
    limit: Annotated[int, Query(ge=1, le=200)] = 60,
    before: Annotated[float | None, Query(ge=0, le=1e12)] = None,
) -> list[dict[str, Any]]:
    """The history, newest first."""
    return [describe_job(job, studio) for job in studio.store.jobs(limit=limit, before=before)]


@router.get("/jobs/{job}", tags=["jobs"])
def job_about(found: ThisJob, studio: ThisStudio) -> dict[str, Any]:
    """How far a job is, and what it makes."""
    return describe_job(found, studio)


@router.get("/jobs/{job}/events", tags=["jobs"], response_class=EventSourceResponse)
async def job_events(found: ThisJob, studio: ThisStudio) -> AsyncIterator[ServerSentEvent]:
    """The job, now and each time that it changes, until nothing happens any more."""
    seen = (-1, True)
    identifier = found.id
    while True:
        try:
            job = await anyio.to_thread.run_sync(studio.store.job, identifier)
        except NotFoundError:
            return
        now = (job.version, job.state != RUNNING or studio.store.has_room())
        if now != seen:
            seen = now
            told = await anyio.to_thread.run_sync(describe_job, job, studio)
            yield ServerSentEvent(data=told, event="job", id=str(job.version))
        if job.state not in OPEN:
            return
        await asyncio.sleep(LOOK)


@router.post("/jobs/{job}/{action}", tags=["jobs"])
def job_action(
    found: ThisJob, action: Literal["pause", "resume", "stop", "cancel"], studio: ThisStudio
) -> dict[str, Any]:
    """Pause, go on, stop and keep the picture, or cancel."""
    job = studio.store.ask(found.id, action)
    studio.supervisor.wake()
    return describe_job(job, studio)


@router.delete("/jobs/{job}", status_code=204, tags=["jobs"])
def delete_job(found: ThisJob, studio: ThisStudio) -> None:
    """Forget a job and its picture."""
    studio.store.delete_job(found.id)


@router.get("/jobs/{job}/preview", tags=["jobs"], response_class=FileResponse)
def job_preview(found: ThisJob, studio: ThisStudio) -> FileResponse:
    """The picture as it is now, at screen size."""
    name = "preview.png" if found.kind == "subject" else "preview.jpg"
    return _file_of(found, studio, name)


@router.get("/jobs/{job}/picture.{suffix}", tags=["jobs"], response_class=FileResponse)
def job_picture(
    found: ThisJob, suffix: Literal["png", "jpg", "tif"], studio: ThisStudio
) -> FileResponse:
    """The finished picture, with what made it inside; TIFF has 16 bits."""
    recipe = Recipe.from_json(found.recipe)
    name = recipe.output_name(recipe.names(studio.store), f".{suffix}")
    return _file_of(found, studio, f"picture.{suffix}", name)


@router.get("/jobs/{job}/evolution.{suffix}", tags=["jobs"], response_class=FileResponse)
def job_evolution(
    found: ThisJob, suffix: Literal["gif", "mp4"], studio: ThisStudio
) -> FileResponse:
    """How the picture formed; as MP4 where the extra ``video`` is installed, else 501."""
    name = f"evolution.{suffix}"
    if suffix == "mp4" and not can_write_mp4():
        raise MissingDependencyError("writing MP4", "video")
    return _file_of(found, studio, name, name)


@router.get("/jobs/{job}/files.zip", tags=["jobs"], response_class=Response)
def job_files(found: ThisJob, studio: ThisStudio) -> Response:
    """All files that the command line names, and the command itself."""
    recipe, threads = Recipe.from_json(found.recipe), found.progress.get("threads")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in recipe.files(studio.store).items():
            archive.write(path, name)
        archive.writestr("command.sh", recipe.command(studio.store, threads) + "\n")
        archive.writestr("paint.py", recipe.python(studio.store, threads))
    headers = {"content-disposition": 'attachment; filename="impasto.zip"'}
    return Response(buffer.getvalue(), media_type="application/zip", headers=headers)


def describe_job(job: Job, studio: Studio) -> dict[str, Any]:
    """A job as the service tells of it."""
    base, folder = f"/v1/jobs/{job.id}", studio.store.job_folder(job.id)
    links = {"self": base, "events": f"{base}/events"}
    files = ["picture.png", "picture.jpg", "picture.tif", "evolution.gif", "evolution.mp4"]
    links |= {name: f"{base}/{name}" for name in files if (folder / name).is_file()}
    if any((folder / name).is_file() for name in ("preview.jpg", "preview.png")):
        links["preview"] = f"{base}/preview?v={job.progress.get('preview', 0)}"
    told: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "wanted": job.wanted,
        "created": job.created,
        "recipe": job.recipe,
        "progress": job.progress,
        "problem": job.problem,
        "attempts": job.attempts,
        "links": links,
    }
    if job.state == RUNNING and not studio.store.has_room():
        told["problem"] = DISK_FULL  # which the worker cannot note, for want of room
    if job.kept:
        recipe, threads = Recipe.from_json(job.recipe), job.progress.get("threads")
        told["command"] = recipe.command(studio.store, threads)
        told["python"] = recipe.python(studio.store, threads)
        told["links"]["files.zip"] = f"{base}/files.zip"
    return told


def _file_of(job: Job, studio: Studio, name: str, download: str | None = None) -> FileResponse:
    path = studio.store.job_folder(job.id) / name
    if not path.is_file():
        raise NotFoundError(f"the job has no {name} yet", "wait until it has")
    return FileResponse(path, filename=download, headers=FRESH)


def _wait_of(prefer: str) -> float:
    """Seconds that a Prefer header (RFC 7240) asks to wait.

    >>> _wait_of("respond-async, wait=5"), _wait_of("wait=soon")
    (5.0, 0.0)
    """
    for part in prefer.split(","):
        name, _, value = part.strip().partition("=")
        if name == "wait" and value.isdecimal() and len(value) < 6:
            return min(float(value), LONGEST_WAIT)
    return 0.0
