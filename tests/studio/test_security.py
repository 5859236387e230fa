"""Names, origins, tokens, bodies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from impasto.studio.app import create_app
from impasto.studio.security import HEADERS, Guard, is_loopback
from impasto.studio.service import Studio
from tests.studio.in_process import picture

HEAD = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
TOKEN = "0123456789abcdef0123"


def guarded(studio: Studio, **options: Any) -> TestClient:
    options = {"hosts": ("localhost",), "most_bytes": 10_000, **options}
    return TestClient(Guard(create_app(studio), **options), "http://localhost:7860")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[", "127.0.0.1.x"])
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v1/jobs", headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_orders_from_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for call in (client.post, client.put):
        assert call("/v1/jobs", headers=headers).status_code == 403
    assert client.delete("/v1/jobs/" + "0" * 32, headers=headers).status_code == 403


def test_the_page_itself_may_order(client: TestClient) -> None:
    headers = {"origin": "http://localhost:7860", "sec-fetch-site": "same-origin"}
    assert client.post("/v1/jobs", json={}, headers=headers).status_code == 422


def test_a_token_is_wanted_everywhere_but_by_health_checks(studio: Studio) -> None:
    client = guarded(studio, token=TOKEN)
    for path in ("/", "/page/main.js", "/v1/jobs", "/metrics", "/v1/openapi.json"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_a_browser_is_let_in_by_a_link(studio: Studio) -> None:
    client = guarded(studio, token=TOKEN)
    assert client.get("/?token=wrong").status_code == 401
    answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    for part in ("HttpOnly", "SameSite=Strict"):
        assert part in answer.headers["set-cookie"]
    assert client.get("/v1/jobs").status_code == 200


def test_a_body_is_cut_off_at_the_limit(studio: Studio) -> None:
    client = guarded(studio)
    big = {"file": ("cat.png", bytes(20_000))}
    assert client.post("/v1/pictures", files=big).status_code == 413

    async def stream() -> tuple[int, int]:
        """Without a length: counted while it comes."""
        taken, told = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal taken
            part = bytes(1000) if taken else HEAD
            taken += len(part)
            return {"type": "http.request", "body": part, "more_body": True}

        async def send(message: Any) -> None:
            told.append(message)

        kind = b"multipart/form-data; boundary=x"
        headers = [(b"host", b"localhost"), (b"content-type", kind)]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/pictures",
            "headers": headers,
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }
        await client.app(scope, receive, send)
        return taken, told[0]["status"]

    taken, status = asyncio.run(stream())
    assert status == 413
    assert taken <= 12_000


def test_a_body_that_stalls_is_given_up(studio: Studio) -> None:
    guard = Guard(create_app(studio), hosts=("localhost",), most_bytes=1000, stall=0.05)

    async def stalled() -> int:
        told = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {}

        async def send(message: Any) -> None:
            told.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/jobs",
            "headers": headers,
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }
        await guard(scope, receive, send)
        return int(told[0]["status"])

    assert asyncio.run(stalled()) == 408


def test_every_answer_has_the_headers(client: TestClient) -> None:
    for path in ("/", "/page/main.js", "/v1/styles", "/v1/jobs/x", "/nowhere"):
        found = client.get(path).headers
        for name, value in HEADERS:
            assert found[name.decode()] == value.decode()


def test_paths_do_not_leave_the_page(client: TestClient) -> None:
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page//etc/passwd",
    ):
        assert client.get(path).status_code in (404, 405)


def test_files_of_pictures_are_asked_for_by_id_alone(client: TestClient) -> None:
    files = {"file": ("../../../x.png", picture())}
    found = client.post("/v1/pictures", files=files).json()
    assert found["name"] == "x.png"
    for wrong in ("..%2f..", "%2e%2e", found["id"][:-1], found["id"].upper()):
        assert client.get(f"/v1/pictures/{wrong}/file").status_code in (404, 405)


def test_loopback_is_what_only_this_machine_reaches() -> None:
    assert [is_loopback(x) for x in ("::1", "127.8.8.8", "10.0.0.1", "example.org")] == [
        *(True, True),
        *(False, False),
    ]
