"""Addresses, ports, folders."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from filelock import FileLock

from impasto.errors import ConfigError, UsageError
from impasto.studio.server import Address, PromptProtocol, make_config, serve

TOKEN = "x" * 16
HEADER_TIME = 0.6
ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers when the body is there."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where the app is served as the studio is, with a short time for headers."""
    monkeypatch.setattr(PromptProtocol, "header_time", HEADER_TIME)
    server = uvicorn.Server(make_config(answering))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def answer(connection: socket.socket) -> bytes:
    """What the app answers."""
    came = b""
    while not came.endswith(b"ok"):
        part = connection.recv(1000)
        assert part, came
        came += part
    return came


def until_closed(connection: socket.socket, drip: bytes = b"") -> tuple[bytes, float]:
    """What came until the other side closed, and after how many seconds that was; a byte of
    ``drip`` is sent every tenth of a second."""
    began, came = time.monotonic(), b""
    connection.settimeout(0.1)
    while time.monotonic() - began < 6:
        try:
            if drip:
                connection.sendall(drip[:1])
                drip = drip[1:]
            part = connection.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            break
        came += part
        if not part:
            break
    return came, time.monotonic() - began


def test_others_need_a_token() -> None:
    with pytest.raises(ConfigError, match="there is no token"):
        Address("0.0.0.0")
    with pytest.raises(ConfigError, match="at least 16"):
        Address("0.0.0.0", token="short")
    assert "*" in Address("0.0.0.0", token=TOKEN).hosts
    assert "*" not in Address("192.168.1.5", token=TOKEN).hosts
    assert set(Address().hosts) == {"127.0.0.1", "localhost", "::1"}


def test_one_studio_has_a_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / "studio.lock"), pytest.raises(UsageError, match="another studio"):
        serve(Address(), tmp_path)


def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    with connect(port) as connection:
        came, seconds = until_closed(connection)
    assert came == b""
    assert HEADER_TIME * 0.9 < seconds < 4


def test_headers_that_drip_are_cut_off(port: int) -> None:
    with connect(port) as connection:
        came, seconds = until_closed(connection, ASK[:20] + b"x-slow: " + b"a" * 200)
    assert came.startswith(b"HTTP/1.1 408")
    assert HEADER_TIME * 0.9 < seconds < 4


def test_the_second_request_of_a_connection_has_no_more_time(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(ASK)
        assert answer(connection).startswith(b"HTTP/1.1 200")
        came, seconds = until_closed(connection, ASK[:-2] + b"x-slow: " + b"a" * 200)
    assert came.startswith(b"HTTP/1.1 408")
    assert HEADER_TIME * 0.9 < seconds < 4


def test_a_body_may_take_longer_than_headers(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(HEADER_TIME / 4)
            connection.sendall(b"x")
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_who_asks_while_others_drip_is_answered(port: int) -> None:
    slow = [connect(port) for _ in range(100)]
    try:
        for one in slow:
            one.sendall(ASK[:20])
        with connect(port) as connection:
            connection.sendall(ASK)
            assert answer(connection).startswith(b"HTTP/1.1 200")
        assert all(until_closed(one)[0].startswith(b"HTTP/1.1 408") for one in slow)
    finally:
        for one in slow:
            one.close()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            serve(Address(port=taken.getsockname()[1]), tmp_path)
