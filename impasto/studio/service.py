"""What every part of the service shares: the studio behind it, who asks, how errors are told."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from impasto.errors import (
    ImageTooLargeError,
    ImpastoError,
    InputError,
    MissingDependencyError,
    ResourceError,
    UsageError,
)
from impasto.studio.store import KeyReusedError, NotFoundError, Store
from impasto.studio.supervisor import Supervisor
from impasto.studio.uploads import Uploads

ID = r"^[0-9a-f]{32}$"
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
FRESH = {"cache-control": "no-store"}


@dataclass
class Studio:
    """All that the service is made of."""

    store: Store
    supervisor: Supervisor
    uploads: Uploads
    began: float = field(default_factory=time.time)


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
        MissingDependencyError: 501,
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
    return problem(
        507, "the disk is full", "there is no room to note the order", {"retry-after": "30"}
    )


HANDLERS: dict[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    ImpastoError: _on_impasto_error,
    HTTPException: _on_http,
    RequestValidationError: _on_validation,
    sqlite3.OperationalError: _on_database,
}
