"""Fetch one file: resumed after a break, checked, then put in place whole or not at all.

While it comes in, ``file.part`` lies beside the target. A lock keeps two processes from fetching
the same file at once; the second one then finds it there.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Collection
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from impasto.errors import IntegrityError, ResourceError, WeightsNotFoundError

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes that are there and the total, None where the server does not tell it."""

PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds to wait before each attempt."""
TIMEOUT = 30.0
"""Seconds that the server may be silent."""
CHUNK = 1 << 18


def fetch(
    url: str,
    target: Path,
    *,
    sha256: Collection[str] = (),
    check: Callable[[Path], object] | None = None,
    remedy: str = "",
    on_progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch ``url`` into the file ``target`` and return its path.

    ``sha256`` are checksums, whole or their leading digits, that all have to fit; ``check`` may
    look at the file before it is put in place and raise. A file that is there and fits the
    checksums is not fetched again.

    Raises WeightsNotFoundError with ``remedy`` when it cannot be had, IntegrityError when it is
    another file than expected (it is then deleted), ResourceError when it cannot be written.
    """
    from filelock import FileLock

    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if os.path.isfile(target) and fits(sha256_of(target), sha256):
                return target
            if not sha256:  # nothing would tell that two versions were glued together
                part.unlink(missing_ok=True)
            _receive(url, part, remedy, on_progress, timeout)
            try:
                if not fits(actual := sha256_of(part), sha256):
                    raise IntegrityError(
                        f"{url} gave a file with the checksum {actual}, expected was "
                        + " and ".join(sha256),
                        "it was deleted; try again, or report it if that happens twice",
                    )
                if check is not None:
                    check(part)
            except IntegrityError:
                part.unlink()
                raise
            os.replace(part, target)
    except OSError as error:  # those of the network do not come here
        raise ResourceError(
            f"{target} cannot be written: {error.strerror or error}",
            "free some space, or check the folder and its permissions",
        ) from None
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def fits(digest: str, expected: Collection[str]) -> bool:
    """Whether a checksum begins with all of the ``expected`` digits.

    >>> fits("00b39a1b77", ["00B39A1B", "00"]), fits("00b39a1b77", ["01"])
    (True, False)
    """
    return all(digest.startswith(digits.lower()) for digits in expected)


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirections to https, and to the same host by the same protocol; to no others."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        new, old = urlsplit(newurl), urlsplit(req.full_url)
        if new.scheme != "https" and new[:2] != old[:2]:
            raise HTTPError(newurl, code, "redirects to where it is not safe", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(url: str, part: Path, remedy: str, report: Progress | None, timeout: float) -> None:
    """Bring ``part`` to completion, in several attempts if need be."""
    reason = ""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            return _transfer(url, part, report, timeout)
        except HTTPError as error:
            error.close()
            reason = f"HTTP {error.code} {error.msg}"
            if error.code == 416:  # more is here than there: start anew
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                break
        except (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            cause = getattr(error, "reason", None) or error
            reason = str(cause) or type(cause).__name__
            if isinstance(cause, socket.gaierror | ssl.SSLCertVerificationError):
                break  # no such host, or not the right one: it will not be there in a second
    raise WeightsNotFoundError(f"{url} could not be downloaded ({reason})", remedy)


def _transfer(url: str, part: Path, report: Progress | None, timeout: float) -> None:
    """One attempt. Raises ConnectionError when it breaks off; what has come stays in ``part``."""
    done = part.stat().st_size if os.path.isfile(part) else 0
    headers = {"User-Agent": "impasto"} | ({"Range": f"bytes={done}-"} if done else {})
    opener = build_opener(_SafeRedirects)
    with opener.open(Request(url, headers=headers), timeout=timeout) as response:
        if response.status != 206:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with part.open("ab" if done else "wb") as file:
            while block := response.read(CHUNK):
                file.write(block)
                done += len(block)
                if report is not None:
                    report(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"it broke off after {done:,} of {total:,} bytes")
