"""How errors are told."""

from __future__ import annotations

import json
import sqlite3

import pytest

from impasto.errors import (
    ConfigError,
    ImageTooLargeError,
    ImpastoError,
    InvalidImageError,
    ResourceError,
    UsageError,
)
from impasto.studio.service import HANDLERS, problem
from impasto.studio.store import KeyReusedError, NotFoundError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("no"), 404),
        (UsageError("no"), 409),
        (KeyReusedError("no"), 409),
        (ImageTooLargeError("no"), 413),
        (ConfigError("no"), 422),
        (InvalidImageError("no"), 422),
        (ResourceError("no", "free disk"), 507),
    ],
)
def test_each_error_has_its_code(error: ImpastoError, code: int) -> None:
    answer = HANDLERS[ImpastoError](None, error)  # type: ignore[arg-type]
    assert answer.status_code == code
    told = json.loads(bytes(answer.body))
    assert (told["status"], told["detail"], told["remedy"]) == (code, "no", error.remedy)


def test_a_full_disk_says_when_to_come_back() -> None:
    answer = HANDLERS[sqlite3.OperationalError](None, sqlite3.OperationalError("disk is full"))  # type: ignore[arg-type]
    assert answer.status_code == 507
    assert answer.headers["retry-after"] == "30"


def test_problems_have_their_type() -> None:
    assert problem(400, "t", "d").headers["content-type"] == "application/problem+json"
