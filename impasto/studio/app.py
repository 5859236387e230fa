"""The service: what the page, or any program, may ask of the studio, under ``/v1``.

Nothing is decoded or computed here: pictures are read by :mod:`impasto.studio.uploads` and painted
by :mod:`impasto.studio.worker`, in processes of their own.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import sqlite3
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Depends, FastAPI, File, Form, Header, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from impasto.config.version import __version__
from impasto.errors import ImageTooLargeError, ImpastoError, InputError, ResourceError, UsageError
from impasto.image.swatches import SWATCHES, render_swatch
from impasto.studio.recipe import (
    INSTANT,
    KINDS,
    Recipe,
    describe_presets,
    describe_settings,
)
from impasto.studio.store import (
    OPEN,
    Job,
    KeyReusedError,
    NotFoundError,
    Store,
    StoredPicture,
)
from impasto.studio.supervisor import Supervisor
from impasto.studio.uploads import Uploads

PAGE = Path(str(resources.files("impasto") / "studio" / "page"))
MOST_WAITING, MOST_WAITING_EACH = 64, 12
"""Jobs in the queue, of all clients and of each; beyond them an order is answered with 429."""
LOOK = 0.08
"""Seconds between two looks at a job that somebody watches."""
LONGEST_WAIT = 30.0
SUFFIXES = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff"}
SWATCH_SIDES = (240, 1024)
KIND = Literal["paint", "quick", "plan", "subject"]
ID = r"^[0-9a-f]{32}$"
MASK = r"^([0-9a-f]{32}|rest)$"
STYLE = r"^[a-z0-9-]{1,40}$"
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
FRESH = {"cache-control": "no-store"}


@dataclass
class Studio:
    """All that the service is made of."""

    store: Store
    supervisor: Supervisor
    uploads: Uploads
    began: float = field(default_factory=time.time)


class Order(BaseModel):
    """What a job shall make: ``styles`` are names of built-in styles or ids of pictures; ``masks``
    ids, for subject, keep and regions (there also rest: what the others leave); ``settings`` as in ``/v1/settings``; ``start`` the job whose
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
                }
            ]
        },
    )

    kind: KIND = "paint"
    content: str = Field(pattern=ID)
    styles: list[Annotated[str, Field(pattern=STYLE)]] = Field(default=[], max_length=8)
    settings: dict[str, Any] = Field(default={}, max_length=80)
    masks: dict[str, list[Annotated[str, Field(pattern=MASK)]]] = Field(default={}, max_length=3)
    preset: str = Field(default="default", max_length=40)
    start: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    keep: bool = True
    screen: bool = False


router = APIRouter(prefix="/v1")
health = APIRouter()


def get_studio(request: Request) -> Studio:
    """The studio that serves this request."""
    studio: Studio = request.app.state.studio
    return studio


def get_client(
    request: Request,
    x_impasto_client: Annotated[str, Header(max_length=40, pattern=r"^[A-Za-z0-9-]*$")] = "",
) -> str:
    """Who asks: an address, and a window there."""
    return f"{request.client.host if request.client else ''} {x_impasto_client}"


ThisStudio = Annotated[Studio, Depends(get_studio)]
Client = Annotated[str, Depends(get_client)]


def get_job(job: str, studio: ThisStudio) -> Job:
    """The job of the path."""
    return studio.store.job(job)


def get_picture(picture: str, studio: ThisStudio) -> StoredPicture:
    """The picture of the path."""
    return studio.store.picture(picture)


ThisJob = Annotated[Job, Depends(get_job)]
ThisPicture = Annotated[StoredPicture, Depends(get_picture)]

# --- pictures ------------------------------------------------------------------------------------


@router.post("/pictures", status_code=201, tags=["pictures"])
def add_picture(
    studio: ThisStudio,
    response: Response,
    file: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, JP2")],
    role: Annotated[Literal["photo", "style", "mask"], Form()] = "photo",
) -> dict[str, Any]:
    """Upload a photo, a painting or a mask."""
    picture = studio.uploads.add(file.file.read(), file.filename or "", role)
    response.headers["location"] = f"/v1/pictures/{picture.id}"
    return describe_picture(picture)


@router.get("/pictures", tags=["pictures"])
def list_pictures(
    studio: ThisStudio, role: Literal["photo", "style", "mask"] = "photo"
) -> list[dict[str, Any]]:
    """The pictures that were used last."""
    return [describe_picture(picture) for picture in studio.store.pictures(role)]


@router.get("/pictures/{picture}", tags=["pictures"])
def picture_about(found: ThisPicture) -> dict[str, Any]:
    """A picture's name and size."""
    return describe_picture(found)


@router.get("/pictures/{picture}/{copy}", tags=["pictures"], response_class=FileResponse)
def picture_file(
    found: ThisPicture, copy: Literal["file", "screen", "thumbnail"], studio: ThisStudio
) -> FileResponse:
    """The file itself, or a smaller copy."""
    if copy == "file":
        path = studio.store.picture_path(found)
        return FileResponse(path, filename=found.name, headers=FOREVER)
    if copy == "screen":
        return FileResponse(
            studio.store.screen_path(found.id), media_type="image/png", headers=FOREVER
        )
    return FileResponse(
        studio.store.thumbnail_path(found.id), media_type="image/webp", headers=FOREVER
    )


@router.get("/styles", tags=["styles"])
def list_styles(studio: ThisStudio) -> list[dict[str, Any]]:
    """The built-in styles, after the paintings that were uploaded last."""
    own = [
        {
            "id": one.id,
            "title": Path(one.name).stem,
            "description": "A picture of your own",
            "builtin": False,
            "thumbnail": f"/v1/pictures/{one.id}/thumbnail",
            "picture": f"/v1/pictures/{one.id}/screen",
        }
        for one in studio.store.pictures("style", 12)
    ]
    builtin = [
        {
            "id": one.name,
            "title": one.title,
            "description": one.description,
            "builtin": True,
            "thumbnail": f"/v1/styles/{one.name}/240",
            "picture": f"/v1/styles/{one.name}/1024",
        }
        for one in SWATCHES.values()
    ]
    return own + builtin


@router.get("/styles/{name}/{side}", tags=["styles"], response_class=Response)
def style_picture(name: str, side: Literal["240", "1024"]) -> Response:
    """A built-in style as a picture."""
    if name not in SWATCHES:
        raise NotFoundError(f"there is no style {name!r}", "see /v1/styles")
    return Response(_swatch(name, int(side)), media_type="image/webp", headers=FOREVER)


@functools.cache
def _swatch(name: str, side: int) -> bytes:
    if side == SWATCH_SIDES[-1]:
        return SWATCHES[name].read_bytes()
    buffer = io.BytesIO()
    render_swatch(name, size=side).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


@router.get("/presets", tags=["settings"])
def list_presets() -> list[dict[str, Any]]:
    """Named settings, and what each changes."""
    return describe_presets()


@router.get("/settings", tags=["settings"])
def list_settings(kind: KIND = "paint") -> list[dict[str, Any]]:
    """Every setting of a kind of job, group by group, with its help, default and range."""
    return describe_settings(kind)


# --- jobs ----------------------------------------------------------------------------------------


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
            kept=order.keep and order.kind in ("paint", "quick"),
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
    seen = -1
    identifier = found.id
    while True:
        try:
            job = await anyio.to_thread.run_sync(studio.store.job, identifier)
        except NotFoundError:
            return
        if job.version != seen:
            seen = job.version
            told = await anyio.to_thread.run_sync(describe_job, job, studio)
            yield ServerSentEvent(data=told, event="job", id=str(seen))
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


@router.get("/jobs/{job}/evolution.gif", tags=["jobs"], response_class=FileResponse)
def job_evolution(found: ThisJob, studio: ThisStudio) -> FileResponse:
    """How the picture formed."""
    return _file_of(found, studio, "evolution.gif", "evolution.gif")


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


def describe_picture(picture: StoredPicture) -> dict[str, Any]:
    """A picture as the service tells of it."""
    base = f"/v1/pictures/{picture.id}"
    links = {copy: f"{base}/{copy}" for copy in ("file", "screen", "thumbnail")}
    return {**asdict(picture), "links": {"self": base, **links}}


def describe_job(job: Job, studio: Studio) -> dict[str, Any]:
    """A job as the service tells of it."""
    base, folder = f"/v1/jobs/{job.id}", studio.store.job_folder(job.id)
    links = {"self": base, "events": f"{base}/events"}
    files = ["picture.png", "picture.jpg", "picture.tif", "evolution.gif"]
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


# --- health --------------------------------------------------------------------------------------


@health.get("/healthz", tags=["health"])
def is_alive() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok", "impasto": __version__}


@health.get("/readyz", tags=["health"])
def is_ready(studio: ThisStudio) -> JSONResponse:
    """A worker can paint: 200; else 503."""
    ready = studio.supervisor.ready
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@health.get("/metrics", tags=["health"], response_class=PlainTextResponse)
def metrics(studio: ThisStudio) -> str:
    """Counts for Prometheus."""
    lines = ["# TYPE impasto_jobs gauge"]
    lines += [
        f'impasto_jobs{{state="{state}"}} {n}'
        for state, n in sorted(studio.store.counts().items())
    ]
    lines += ["# TYPE impasto_worker_deaths_total counter"]
    lines += [f"impasto_worker_deaths_total {studio.supervisor.deaths}"]
    lines += ["# TYPE impasto_ready gauge", f"impasto_ready {int(studio.supervisor.ready)}"]
    lines += ["# TYPE impasto_uptime_seconds gauge"]
    lines += [f"impasto_uptime_seconds {time.time() - studio.began:.0f}"]
    return "\n".join(lines) + "\n"


# --- the whole -----------------------------------------------------------------------------------


def create_app(studio: Studio) -> FastAPI:
    """The service around a studio; what :mod:`impasto.studio.security` guards goes around it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(studio.supervisor.start)
        yield
        await anyio.to_thread.run_sync(studio.supervisor.stop)
        studio.uploads.close()

    app = FastAPI(
        title="impasto studio",
        version=__version__,
        description="Photos painted in the style of other pictures.",
        lifespan=lifespan,
        docs_url=None,  # Swagger's page loads its scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.studio = studio
    app.include_router(router)
    app.include_router(health)
    for error, handler in _HANDLERS.items():
        app.add_exception_handler(error, handler)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """An error as RFC 9457 wants it."""
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(told, status, headers, media_type="application/problem+json")


def _on_impasto_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ImpastoError)
    table: dict[type[ImpastoError], int] = {
        NotFoundError: 404,
        ImageTooLargeError: 413,
        InputError: 422,
        ResourceError: 507,
    }
    status = next((code for kind, code in table.items() if isinstance(error, kind)), 422)
    if type(error) in (UsageError, KeyReusedError):
        status = 409
    return problem(status, type(error).__name__, error.message, remedy=error.remedy)


def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, "refused", str(error.detail), headers)


def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in error.errors()[:8]]
    return problem(422, "the request cannot be read", "; ".join(found))


def _on_database(request: Request, error: Exception) -> JSONResponse:
    return problem(507, "the disk is full", "there is no room to note the order", {"retry-after": "30"})


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    ImpastoError: _on_impasto_error,
    HTTPException: _on_http,
    RequestValidationError: _on_validation,
    sqlite3.OperationalError: _on_database,
}
