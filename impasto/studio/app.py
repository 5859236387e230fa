"""The service: what the page, or any program, may ask of the studio, under ``/v1``.

Nothing is decoded or computed here: pictures are read by :mod:`impasto.studio.uploads` and painted
by :mod:`impasto.studio.worker`, in processes of their own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import anyio
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from impasto.config.version import __version__
from impasto.studio import orders, pictures
from impasto.studio.recipe import can_write_mp4
from impasto.studio.service import HANDLERS, Studio, ThisStudio

PAGE = Path(str(resources.files("impasto") / "studio" / "page"))

health = APIRouter()


@health.get("/healthz", tags=["health"])
def is_alive() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok", "impasto": __version__}


@health.get("/readyz", tags=["health"])
def is_ready(studio: ThisStudio) -> JSONResponse:
    """A worker can paint: 200; else 503."""
    ready = studio.supervisor.ready
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@health.get("/v1/status", tags=["health"])
def status(studio: ThisStudio) -> dict[str, bool | int]:
    """For pages: whether a worker can paint, how many jobs wait, whether there are MP4s."""
    return {
        "ready": studio.supervisor.ready,
        "waiting": studio.store.waiting(),
        "mp4": can_write_mp4(),
    }


@health.get("/metrics", tags=["health"], response_class=PlainTextResponse)
def metrics(studio: ThisStudio) -> str:
    """Counts for Prometheus."""
    lines = ["# TYPE impasto_jobs gauge"]
    lines += [
        f'impasto_jobs{{state="{state}"}} {n}' for state, n in sorted(studio.store.counts().items())
    ]
    lines += ["# TYPE impasto_worker_deaths_total counter"]
    lines += [f"impasto_worker_deaths_total {studio.supervisor.deaths}"]
    lines += ["# TYPE impasto_ready gauge", f"impasto_ready {int(studio.supervisor.ready)}"]
    lines += ["# TYPE impasto_uptime_seconds gauge"]
    lines += [f"impasto_uptime_seconds {time.time() - studio.began:.0f}"]
    return "\n".join(lines) + "\n"


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
    app.include_router(pictures.router)
    app.include_router(orders.router)
    app.include_router(health)
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, handler)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))
    return app
