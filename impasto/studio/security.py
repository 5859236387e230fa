"""Who may ask, and how much: ASGI middleware around the service.

Loopback is served without a token, yet not to every page that a browser has open: names other than
the service's own are refused (DNS rebinding), and so are orders that another site sends.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "impasto_token"
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/healthz", "/readyz")
"""What a load balancer asks, without a token."""
STALL = 30.0
"""Seconds in which the next part of a body must come."""
JSON_BYTES = 256 * 2**10
"""Of the body of anything but an upload."""

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a service at ``host``.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuses what is not for us: names, origins, tokens, bodies; adds headers to what goes out.

    ``hosts`` are the names that the service goes by; ``token`` is needed for everything where it is
    given, as a bearer or as a cookie that ``/?token=...`` sets. ``most_bytes`` bounds an upload.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str],
        token: str = "",
        most_bytes: int,
        stall: float = STALL,
    ) -> None:
        self.app, self.token, self.stall = app, token, stall
        self.hosts = {host.lower() for host in hosts}
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        send = _with_headers(send)
        if not self._is_our_name(headers.get("host", "")):
            await refuse(send, 421, "this service does not go by that name")
        elif not self._is_our_page(scope, headers):
            await refuse(send, 403, "orders from other sites are refused")
        elif not self._has_token(scope, headers):
            await self._welcome_or_refuse(scope, send)
        else:
            await self._pass_on(scope, receive, send, headers)

    def _is_our_name(self, host: str) -> bool:
        name = _name_of(host)
        return name in self.hosts or ("*" in self.hosts and _is_address(name))

    def _is_our_page(self, scope: Scope, headers: dict[str, str]) -> bool:
        if scope["method"] in SAFE:
            return True
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            return False
        return site in ("same-origin", "none")

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        if not self.token or scope["path"] in OPEN_PATHS:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            try:
                cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                cookie = None
            given = cookie.value if cookie is not None else ""
        return self._is_token(given.strip())

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _welcome_or_refuse(self, scope: Scope, send: Send) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] != "/" or scope["method"] != "GET" or not self._is_token(given):
            await refuse(send, 401, "a token is needed", (b"www-authenticate", b"Bearer"))
            return
        cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        is_upload = scope["path"] == "/v1/pictures"
        most = self.most_bytes if is_upload else JSON_BYTES
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > most:
            await refuse(send, 413, f"a body may have {most:,} bytes", (b"connection", b"close"))
            return
        counted, begun, whole, refused = 0, False, False, 0

        async def counting() -> Message:
            nonlocal counted, whole, refused
            if refused:
                return {"type": "http.disconnect"}
            if scope["method"] in SAFE:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), None if whole else self.stall)
            except asyncio.TimeoutError:
                refused = 408
                raise _Refused from None
            counted += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if counted > most:
                refused = 413
                raise _Refused
            return message

        async def noting(message: Message) -> None:
            nonlocal begun
            if refused:
                return
            begun = True
            await send(message)

        try:
            await self.app(scope, counting, noting)
        except _Refused:
            pass
        except BaseException:
            if not refused:
                raise
        if refused and not begun:
            told = {408: "the body stalled", 413: f"a body may have {most:,} bytes"}[refused]
            await refuse(send, refused, told, (b"connection", b"close"))


class _Refused(Exception):
    pass


async def refuse(send: Send, status: int, detail: str, *more: tuple[bytes, bytes]) -> None:
    """Answer with a problem (RFC 9457)."""
    body = json.dumps({"type": "about:blank", "status": status, "detail": detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), *more]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            added = [pair for pair in HEADERS if pair[0] not in there]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending


def _name_of(host: str) -> str:
    """The host of a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
