"""Pictures that come in: decoded in a process of its own, under limits, before anything keeps them.

A decoder that crashes or never ends takes one upload with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shutil
import sqlite3
import threading
import unicodedata
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

from impasto.errors import ConfigError, InvalidImageError, ResourceError
from impasto.studio.store import Store, StoredPicture

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
SCREEN, THUMBNAIL = 1024, 240
"""Long sides in pixels of the copies that are kept beside a picture."""
ROLES = ("photo", "style", "mask")
SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "GIF": ".gif",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
}
"""Pillow's name of a format that is taken -> the suffix of the file."""
MEMORY = 6 * 2**30
"""Bytes of address space for the decoding process."""
TIME = 60.0


@dataclass(frozen=True)
class Copies:
    """What was read of an upload: its format and size, and two copies to show."""

    format: str
    height: int
    width: int
    screen: bytes
    thumbnail: bytes


class Uploads:
    """Takes pictures into a store. :meth:`add` blocks: call it in a thread."""

    def __init__(self, store: Store, *, max_pixels: int = MAX_PIXELS) -> None:
        self.store, self.max_pixels = store, max_pixels
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def add(self, data: bytes, name: str, role: str) -> StoredPicture:
        """Keep a picture, if it is one.

        Raises InputError for what is none or has too many pixels, ConfigError for a ``role`` that
        is not in :data:`ROLES`, ResourceError for a full disk.
        """
        if role not in ROLES:
            raise ConfigError(f"role is {role!r}", f"use {', '.join(ROLES)}")
        copies = self._read(data)
        suffix = SUFFIXES[copies.format]
        name = safe_name(name, suffix)
        digest = hashlib.sha256(b"\0".join((role.encode(), name.encode(), data))).hexdigest()
        identifier = digest[:32]
        folder = self.store.picture_folder(identifier)
        picture = StoredPicture(
            identifier, name, role, copies.format, copies.height, copies.width, len(data)
        )
        files = {
            self.store.picture_path(picture): data,
            self.store.screen_path(identifier): copies.screen,
            self.store.thumbnail_path(identifier): copies.thumbnail,
        }
        from impasto.image.files import write_bytes

        try:
            folder.mkdir(exist_ok=True)
            for path, content in files.items():
                write_bytes(path, content)
            self.store.add_picture(picture)
        except (OSError, ResourceError, sqlite3.OperationalError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise ResourceError("there is no room to keep the picture", "free disk") from error
        return picture

    def close(self) -> None:
        """End the decoding process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _read(self, data: bytes) -> Copies:
        with self._lock:
            pool = self._pool or ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=_limit_memory
            )
            self._pool = pool
        try:
            return pool.submit(read_copies, data, self.max_pixels).result(TIME)
        except MemoryError:
            raise InvalidImageError("the picture takes too much memory", "save it anew") from None
        except (BrokenProcessPool, TooLateError):
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            for process in list(getattr(pool, "_processes", None) or {}):
                with contextlib.suppress(OSError):
                    import os
                    import signal

                    os.kill(process, signal.SIGKILL)
            pool.shutdown(wait=False, cancel_futures=True)
            raise InvalidImageError(
                "the picture cannot be decoded", "save it anew with another program"
            ) from None


def read_copies(data: bytes, max_pixels: int) -> Copies:
    """Decode a file; raises InvalidImageError and ImageTooLargeError."""
    import numpy as np
    from PIL import Image

    from impasto.image.codecs import decode, open_image

    with open_image(data, "the picture", max_pixels=max_pixels) as opened:
        kind = opened.format or ""
    if kind not in SUFFIXES:
        raise InvalidImageError(f"the picture is {kind}", f"use {', '.join(SUFFIXES)}")
    decoded = decode(data, "the picture", max_pixels=max_pixels)
    colors, alpha = decoded.colors, decoded.alpha
    parts = [colors] * (1 if colors.shape[2] == 3 else 3)
    if alpha is not None:
        parts.append(alpha[..., None])
    samples = np.concatenate(parts, axis=2)
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    elif samples.dtype != np.uint8:
        samples = (samples.clip(0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(samples)
    copies = []
    for side, codec in ((SCREEN, "PNG"), (THUMBNAIL, "WEBP")):
        scale = min(1.0, side / max(image.size))
        size = tuple(max(1, round(length * scale)) for length in image.size)
        buffer = io.BytesIO()
        small = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        small.save(buffer, codec, **({"compress_level": 1} if codec == "PNG" else {"quality": 82}))
        copies.append(buffer.getvalue())
    return Copies(kind, image.height, image.width, *copies)


def safe_name(name: str, suffix: str) -> str:
    """A file name that is safe anywhere, of what an upload calls itself.

    >>> safe_name("../../etc/Zoë's cat.jpeg", ".jpg"), safe_name("-rf", ".png")
    ('Zoes-cat.jpg', 'rf.png')
    """
    stem = PurePosixPath(name.replace("\\", "/")).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", plain.replace("'", "")).strip("-_")[:60]
    reserved = plain.lower() in {"", "screen", "thumbnail", "con", "nul", "aux", "prn", "start"}
    return (f"picture-{plain}".strip("-") if reserved else plain) + suffix


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
