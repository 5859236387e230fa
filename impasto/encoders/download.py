"""Fetch one file over https: resumed after a break, checked, then put in place whole or not at all.

While it comes in, ``file.part`` lies beside the target, and ``file.part.version`` with what the
server calls this version of it (its ETag or date): only the same version is resumed. A lock keeps
two processes from fetching the same file at once; the second one then finds it there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from impasto.errors import IntegrityError, ResourceError, WeightsNotFoundError

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes that are there and the total, None where the server does not tell it."""

ATTEMPTS = 4
PAUSE = 0.5
"""Seconds before the second attempt; doubled each time."""
TIMEOUT = 30.0
"""Seconds that the server may be silent."""
MAX_BYTES = 2 * 1024**3
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
    version = target.with_name(f"{target.name}.part.version")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.is_file() and _misfit(sha256_of(target), sha256) is None:
                return target
            _receive(url, part, version, remedy, on_progress, timeout)
            try:
                if expected := _misfit(actual := sha256_of(part), sha256):
                    raise IntegrityError(
                        f"{url} gave a file with the checksum {actual}, expected was {expected}",
                        "it was deleted; try again, or report it if that happens twice",
                    )
                if check is not None:
                    check(part)
            except IntegrityError:
                part.unlink()
                version.unlink(missing_ok=True)
                raise
            os.replace(part, target)
            version.unlink(missing_ok=True)
    except OSError as error:  # those of the network do not come here
        raise _unwritable(target, error) from None
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def is_trusted(url: str, *, origin: str | None = None) -> bool:
    """Whether the address may be asked: https, or (for tests) plain http on this very machine.

    A redirection from ``origin`` leaves neither.

    >>> [is_trusted(u) for u in ("https://a.org/x", "http://a.org/x", "http://127.0.0.1:80/x")]
    [True, False, True]
    >>> is_trusted("http://127.0.0.1/x", origin="https://a.org/x")
    False
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    return local and (origin is None or urlsplit(origin).scheme == "http")


class _TrustedRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if not is_trusted(newurl, origin=req.full_url):
            raise HTTPError(newurl, code, "redirects to where it is not safe", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(
    url: str, part: Path, version: Path, remedy: str, report: Progress | None, timeout: float
) -> None:
    """Bring ``part`` to completion, in several attempts if need be."""
    reason = "only https is" if not is_trusted(url) else ""
    for attempt in range(ATTEMPTS if not reason else 0):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _transfer(url, part, version, report, timeout)
        except HTTPError as error:
            error.close()
            reason = f"HTTP {error.code} {error.msg}"
            if error.code == 416:  # more is here than there: start anew
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                break
        except (OSError, HTTPException) as error:  # urllib's URLError is an OSError
            cause = getattr(error, "reason", None) or error
            reason = str(cause) or type(cause).__name__
            if isinstance(cause, socket.gaierror | ssl.SSLCertVerificationError):
                break  # no such host, or not the right one: it will not be there in a second
    raise WeightsNotFoundError(f"{url} could not be downloaded ({reason})", remedy)


def _transfer(url: str, part: Path, version: Path, report: Progress | None, timeout: float) -> None:
    """One attempt. Raises ConnectionError when it breaks off; what has come stays in ``part``."""
    headers = {"User-Agent": "impasto", "Accept-Encoding": "identity"}
    done = 0
    if part.is_file() and version.is_file():
        done = part.stat().st_size
        # If-Range: the server sends the rest of the same version, or all of another one.
        headers |= {"Range": f"bytes={done}-", "If-Range": version.read_text("ascii").strip()}
    opener = build_opener(_TrustedRedirects)
    with opener.open(Request(url, headers=headers), timeout=timeout) as response:
        if response.status != 206:
            done = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            with _local(part):
                part.unlink(missing_ok=True)
            raise ConnectionError("the server sent another part than it was asked for")
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with _local(part):
            _make_room(part, total, done)
            if not done:
                _note_version(version, response.headers)
            file = part.open("ab" if done else "wb", buffering=0)
        with file:
            while block := response.read(CHUNK):
                done += len(block)
                if done > MAX_BYTES:
                    raise ResourceError(f"{url} is more than {MAX_BYTES:,} bytes", "report it")
                with _local(part):
                    file.write(block)
                if report is not None:
                    report(done, total)
            with _local(part):
                os.fsync(file.fileno())
    if total is not None and done != total:
        raise ConnectionError(f"it broke off after {done:,} of {total:,} bytes")


def _note_version(version: Path, headers: HTTPMessage) -> None:
    """Keep what allows to resume; a weak ETag does not."""
    name = headers.get("ETag", "")
    name = name if name.startswith('"') else headers.get("Last-Modified", "")
    if name and name.isascii():
        version.write_text(name, "ascii")
    else:
        version.unlink(missing_ok=True)


def _make_room(part: Path, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - done > free:
        raise OSError(errno.ENOSPC, f"{total - done:,} bytes are needed, {free:,} are free")


@contextlib.contextmanager
def _local(path: Path) -> Iterator[None]:
    """Tell the disk's errors from those of the network, which are OSErrors too."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ResourceError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return ResourceError(
        f"{path} cannot be written: {error.strerror or error}",
        "free some space" if full else "check the folder and its permissions",
    )


def _misfit(actual: str, expected: Collection[str]) -> str | None:
    """The first of the ``expected`` leading digits with which ``actual`` does not begin."""
    return next((e for e in expected if not actual.startswith(e.lower())), None)
