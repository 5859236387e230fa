"""The studio on an address: the service, its guard, and the socket."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h11
import uvicorn
from filelock import FileLock, Timeout
from uvicorn.protocols.http.h11_impl import H11Protocol

from impasto.errors import ConfigError, UsageError
from impasto.studio.app import create_app
from impasto.studio.security import App, Guard, is_loopback
from impasto.studio.service import Studio
from impasto.studio.store import Store
from impasto.studio.supervisor import Supervisor
from impasto.studio.uploads import MAX_BYTES, MAX_PIXELS, Uploads

SHORTEST_TOKEN = 16
CONNECTIONS = 256
"""Open connections beyond which new ones are answered with 503."""
FAREWELL = 2
"""Seconds that open connections have when the service ends."""
HEADER_TIME = 10.0
"""Seconds in which the headers of a request must come, from the first byte or the connection on."""


@dataclass(frozen=True)
class Address:
    """Where the studio listens, by which names it goes, and the token that it wants.

    Raises ConfigError for an address that others can reach without a token.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    names: tuple[str, ...] = ()
    token: str = ""

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.token:
            raise ConfigError(
                f"others can reach {self.host}, and there is no token",
                "set IMPASTO_STUDIO_TOKEN, or listen on 127.0.0.1",
            )
        if self.token and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise ConfigError(
                f"the token has {len(self.token)} characters",
                f"use at least {SHORTEST_TOKEN}, of letters and digits",
            )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names in the Host header that are ours; "*" is any address."""
        if is_loopback(self.host):
            return ("127.0.0.1", "localhost", "::1", *self.names)
        anywhere = self.host in ("0.0.0.0", "::")
        return ("127.0.0.1", "localhost", "*" if anywhere else self.host, *self.names)


def serve(
    address: Address,
    folder: Path,
    *,
    threads: int | None = None,
    most_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    memory: int | None = None,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM; ``on_start`` is told where the page is.

    Pictures and jobs lie in ``folder``; what was running when the last service ended goes on.
    Raises UsageError where another studio has the folder or another program the port.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "studio.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another studio is using {folder}", "use that one, or choose another --folder"
        ) from None
    with lock, _listen(address) as listener:
        store = Store(folder)
        supervisor = Supervisor(store, threads=threads, most_bytes=memory)
        uploads = Uploads(store, max_pixels=max_pixels)
        studio = Studio(store, supervisor, uploads)
        guarded = Guard(
            create_app(studio), hosts=address.hosts, token=address.token, most_bytes=most_bytes
        )
        config = make_config(guarded)
        port = listener.getsockname()[1]
        name = f"[{address.host}]" if ":" in address.host else address.host
        on_start(f"http://{name}:{port}/")
        with _quiet_signals():
            uvicorn.Server(config).run(sockets=[listener])


def make_config(app: App) -> uvicorn.Config:
    """How connections to ``app`` are served, and what each may take."""
    return uvicorn.Config(
        app,
        http=PromptProtocol,
        log_level="warning",
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=FAREWELL,
        h11_max_incomplete_event_size=32 * 2**10,
    )


class PromptProtocol(H11Protocol):
    """Closes connections whose headers do not come within ``header_time`` seconds.

    uvicorn itself waits for them for ever, so that a few hundred clients that send a byte now and
    then would keep out all others (slow-loris). Bodies have a limit of their own, in the guard.
    """

    header_time = HEADER_TIME
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def _watch_headers(self) -> None:
        """One timer from the beginning of the wait on; more bytes do not prolong it."""
        if self.conn.their_state is not h11.IDLE:
            self._cancel()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.header_time, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:  # part of a request came
            headers = [("connection", "close"), ("content-length", "0")]
            for event in (h11.Response(status_code=408, headers=headers), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """uvicorn ends in peace after SIGINT or SIGTERM, and then raises them once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{address.host}:{address.port} cannot be had: {error.strerror or error}",
            "choose another --port (0: any that is free)",
        ) from None
    listener.listen(128)
    return listener
