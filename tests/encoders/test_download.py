"""Downloads, proved against a server on this machine that misbehaves on demand."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from impasto.encoders import download as module
from impasto.encoders.download import fetch, sha256_of
from impasto.errors import IntegrityError, ResourceError, WeightsNotFoundError

DATA = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """What it serves and how; and a list of the requests it had."""

    daemon_threads = True
    ranges = True
    status = 200
    break_after: list[int | None]
    redirect: str | None = None
    lengthless = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.break_after = []
        self.requests: list[tuple[str, str | None]] = []
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.pth"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:  # http.server wants it so
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        if server.hold is not None:
            server.hold.wait(10)
        if server.redirect and self.path != "/moved":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if match and server.ranges:
            start = int(match[1])
        if server.status != 200 or start >= len(DATA):
            self.send_error(server.status if server.status != 200 else 416)
            return
        body = DATA[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        if not server.lengthless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = server.break_after.pop(0) if server.break_after else None
        self.wfile.write(body[:end])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.01, 0.01, 0.01))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            if server.hold is not None:
                server.hold.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.pth"


def left_over(target: Path) -> list[str]:
    return sorted(file.name for file in target.parent.iterdir() if file.suffix != ".lock")


def test_a_file_is_fetched_checked_and_put_in_place(server: Server, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = fetch(
        server.url, target, sha256=[SHA256, SHA256[:8].upper()],
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert path == target
    assert target.read_bytes() == DATA
    assert left_over(target) == ["file.pth"]
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told)
    fetch(server.url, target, sha256=[SHA256])
    assert len(server.requests) == 1


def test_a_file_that_is_there_but_wrong_is_fetched_anew(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    fetch(server.url, target, sha256=[SHA256])
    assert target.read_bytes() == DATA


def test_a_broken_transfer_is_resumed_within_a_call(server: Server, target: Path) -> None:
    server.break_after = [300_000, 300_000, None]
    fetch(server.url, target, sha256=[SHA256])
    assert [part for _, part in server.requests] == [None, "bytes=300000-", "bytes=600000-"]
    assert target.read_bytes() == DATA


def test_a_broken_transfer_is_resumed_by_a_later_call(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    server.break_after = [123_456]
    with pytest.raises(WeightsNotFoundError, match=r"broke off after 123,456 of 1,048,576 bytes"):
        fetch(server.url, target, sha256=[SHA256])
    assert left_over(target) == ["file.pth.part"]
    fetch(server.url, target, sha256=[SHA256])
    assert server.requests[-1][1] == "bytes=123456-"
    assert target.read_bytes() == DATA
    assert left_over(target) == ["file.pth"]


def test_another_version_is_not_glued_to_the_first(server: Server, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "file.pth.part").write_bytes(b"from the old version")
    with pytest.raises(IntegrityError, match="it was deleted; try again"):
        fetch(server.url, target, sha256=[SHA256])
    fetch(server.url, target, sha256=[SHA256])
    assert [part for _, part in server.requests] == ["bytes=20-", None]
    assert target.read_bytes() == DATA


def test_without_a_checksum_nothing_is_resumed(server: Server, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "file.pth.part").write_bytes(b"from the old version")
    fetch(server.url, target)
    assert server.requests[0][1] is None
    assert target.read_bytes() == DATA


def test_without_ranges_it_starts_again(server: Server, target: Path) -> None:
    server.ranges = False
    server.break_after = [300_000, None]
    fetch(server.url, target, sha256=[SHA256])
    assert target.read_bytes() == DATA


def test_a_part_that_is_too_long_is_dropped(server: Server, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "file.pth.part").write_bytes(DATA + b"more")
    fetch(server.url, target, sha256=[SHA256])
    assert target.read_bytes() == DATA


def test_a_server_that_does_not_tell_the_length(server: Server, target: Path) -> None:
    server.lengthless = True
    told: list[int | None] = []
    fetch(server.url, target, sha256=[SHA256], on_progress=lambda _, total: told.append(total))
    assert target.read_bytes() == DATA
    assert set(told) == {None}


def test_a_wrong_checksum_installs_nothing(server: Server, target: Path) -> None:
    with pytest.raises(IntegrityError, match=f"checksum {SHA256}, expected was 00000000"):
        fetch(server.url, target, sha256=["00000000"])
    assert left_over(target) == []


def test_a_failed_check_installs_nothing(server: Server, target: Path) -> None:
    def check(path: Path) -> None:
        assert path.read_bytes() == DATA
        raise IntegrityError("not what was wanted")

    with pytest.raises(IntegrityError, match="not what was wanted"):
        fetch(server.url, target, check=check)
    assert left_over(target) == []


def test_not_found_is_told_at_once(server: Server, target: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsNotFoundError, match=r"HTTP 404 Not Found\); get it elsewhere"):
        fetch(server.url, target, remedy="get it elsewhere")
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(server: Server, target: Path) -> None:
    server.status = 503
    with pytest.raises(WeightsNotFoundError, match="HTTP 503"):
        fetch(server.url, target)
    assert len(server.requests) == len(module.PAUSES)


def test_a_silent_server_is_given_up(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    server.hold = threading.Event()
    with pytest.raises(WeightsNotFoundError, match="timed out"):
        fetch(server.url, target, timeout=0.2)


def test_no_server_at_all(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(WeightsNotFoundError, match="refused"):
        fetch("http://127.0.0.1:9/file.pth", target)


def test_two_at_once_fetch_once(server: Server, target: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(fetch, server.url, target, sha256=[SHA256]) for _ in range(2)]
        assert [job.result() for job in jobs] == [target, target]
    assert len(server.requests) == 1
    assert target.read_bytes() == DATA


def test_redirects(server: Server, target: Path) -> None:
    server.redirect = server.url.replace("file.pth", "moved")
    fetch(server.url, target, sha256=[SHA256])
    assert [path for path, _ in server.requests] == ["/file.pth", "/moved"]


@pytest.mark.parametrize("place", ["http://example.org/f", "file:///etc/passwd", "ftp://a/b"])
def test_redirects_to_unsafe_places_are_not_followed(
    server: Server, target: Path, place: str
) -> None:
    server.redirect = place
    with pytest.raises(WeightsNotFoundError, match=r"not safe|not allowed"):
        fetch(server.url, target)
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ResourceError, match="cannot be written"):
        fetch(server.url, tmp_path / "cache" / "file.pth")


def test_stopping_keeps_what_has_come(server: Server, target: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, target, on_progress=stop)
    assert left_over(target) == ["file.pth.part"]
    fetch(server.url, target, sha256=[SHA256])
    assert server.requests[-1][1] is not None


def test_sha256_of(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    assert sha256_of(tmp_path / "f") == SHA256
