"""Files on disk: read whole, written whole or not at all, with clear errors.

Decoders and encoders work on bytes in memory (``impasto.image.codecs``); only this module touches
the file system, and nothing in it knows what a picture is.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from impasto.errors import (
    DiskFullError,
    InputError,
    OutputExistsError,
    ResourceError,
    UsageError,
)

__all__ = [
    "MAX_BYTES",
    "MAX_NAME",
    "NewFile",
    "check_apart",
    "check_folder",
    "expanded",
    "fit_name",
    "quoted",
    "read_bytes",
    "read_text",
    "write_bytes",
]

MAX_BYTES = 2 * 1024**3
"""Upper bound of a file's size: more than any picture within the pixel limit needs."""

MAX_NAME = 255
"""Bytes that a file's name may have on every file system in use."""

_TEMPORARY = ".impasto-"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def quoted(path: str | os.PathLike[str]) -> str:
    """The path in quotes, printable and on one line, whatever bytes it holds.

    >>> quoted("a\\nb.png")
    "'a\\\\nb.png'"
    """
    if is_stdin(path):
        return "standard input"
    try:
        return repr(os.fsencode(path).decode("utf-8", "replace"))
    except UnicodeEncodeError:  # half of a surrogate pair: no name of a file
        return repr(os.fspath(path))


def is_stdin(path: str | os.PathLike[str]) -> bool:
    """Whether the path is ``-``."""
    return os.fspath(path) == "-"


def read_bytes(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a regular file; ``~`` stands for the home folder, ``-`` for standard input.

    Raises ``InputError`` for a file that is missing, empty, too large or unreadable, and for a
    folder, a pipe or a device (which might never end).
    """
    name = quoted(path)
    if is_stdin(path):
        return _read_stdin(max_bytes)
    try:
        # O_NONBLOCK: opening a pipe without a writer would otherwise block for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(_expanded(path), flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{name} is not a regular file", "give the path of a file")
            if status.st_size > max_bytes:
                raise InputError(
                    f"{name} has {status.st_size:,} bytes; at most {max_bytes:,} are read",
                    "save a smaller copy of it first",
                )
            data = file.read(status.st_size)  # and no more: that much is allocated first
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", "check the path") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder", "give the path of a file in it") from None
    except PermissionError as error:
        if os.path.isdir(_expanded(path)):  # what Windows raises for folders
            raise InputError(f"{name} is a folder", "give the path of a file") from None
        raise InputError(
            f"{name} may not be read: {error.strerror}", "change its permissions"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read: {reason}", "check the path") from None
    if not data:
        raise InputError(f"{name} is empty", "give a file that holds something")
    return data


def _read_stdin(max_bytes: int) -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise InputError("nothing comes in on standard input", "pipe a file into it, or name one")
    parts: list[bytes] = []
    size = 0
    while part := stream.read(2**20):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise InputError(
                f"standard input has over {max_bytes:,} bytes", "save a smaller copy of it first"
            )
    if not parts:
        raise InputError("standard input is empty", "pipe a file into it; it is read once only")
    return b"".join(parts)


def read_text(path: str | os.PathLike[str], *, max_bytes: int) -> str:
    """Read a text in UTF-8, with or without a byte order mark, or in UTF-16 with one (as Windows'
    PowerShell writes it).

    Raises what ``read_bytes`` raises, and ``InputError`` for other bytes.
    """
    data = read_bytes(path, max_bytes=max_bytes)
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{quoted(path)} is no text in UTF-8: {error.reason} at byte {error.start}",
            "save it as UTF-8",
        ) from None


def write_bytes(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = True) -> Path:
    """Write a file whole or not at all; return its path, with ``~`` expanded.

    The bytes go to a temporary file beside the target, which is then renamed: a crash, a full disk
    or Ctrl-C leaves either the old file or the new one. A symbolic link stays, and the file that it
    points to is replaced.

    Raises ``OutputExistsError`` when ``overwrite`` is False and the file is there, ``UsageError``
    when the folder is missing or the target is no regular file, ``DiskFullError`` when the disk
    is full, another ``ResourceError`` when it is read-only or failing.
    """
    target = _target(path, overwrite)
    try:
        with NewFile(target) as new:
            new.file.write(data)
            new.put_in_place(overwrite=overwrite)
    except OSError as error:
        raise _cannot_write(path, error) from None
    return expanded(path)


class NewFile:
    """A file that is being written beside ``target``, to take its place: ``file`` is open for it.

    It is created exclusively, so that it is no file of anybody else's, nor reached through a link.
    At the end of the ``with`` block it is gone, unless :meth:`put_in_place` was called.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        name = f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}.tmp"
        self.path = target.parent / name
        # 0o666 less the umask, as for any new file; tempfile would use 0o600.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self.file: IO[bytes] = os.fdopen(os.open(self.path, flags, 0o666), "w+b")

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def put_in_place(self, *, overwrite: bool) -> None:
        """Give the file its name, once it is on the disk. Raises ``OutputExistsError`` where the
        name is taken, unless ``overwrite``; and OSError."""
        with contextlib.suppress(OSError):  # a replaced file keeps its permissions
            os.chmod(self.path, stat.S_IMODE(self.target.stat().st_mode))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if overwrite:
            os.replace(self.path, self.target)
        else:
            _claim(self.path, self.target)
        _sync_folder(self.target.parent)


def check_folder(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise what ``write_bytes`` would raise for this path, as far as can be known beforehand.

    Creates and removes an empty temporary file, because permission bits do not reveal read-only
    file systems.
    """
    target = _target(path, overwrite)
    try:
        with NewFile(target):
            pass
    except OSError as error:
        raise _cannot_write(path, error) from None


def check_apart(
    outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """``UsageError`` where an output is an input or another output, under whatever name.

    Links, hard links and names that differ in case only are seen through.
    """
    taken = {key: "an input" for path in inputs for key in _identities(path)}
    for path in outputs:
        keys = _identities(path)
        if role := next((taken[key] for key in keys if key in taken), None):
            raise UsageError(f"{quoted(path)} is {role} already", "give each file its own name")
        taken |= dict.fromkeys(keys, "an output")


def fit_name(name: str, suffix: str) -> str:
    """``name + suffix``, shortened in the middle where no file could be called so.

    What was cut is replaced by digits that depend on it.

    >>> fit_name("cat-waves", ".png")
    'cat-waves.png'
    >>> len(fit_name("n" * 300, ".png"))
    255
    """
    whole = os.fsencode(name + suffix)
    if len(whole) <= MAX_NAME:
        return name + suffix
    end = f"~{hashlib.sha256(whole).hexdigest()[:12]}{suffix}"
    room = MAX_NAME - len(os.fsencode(end))
    return os.fsencode(name)[:room].decode("utf-8", "ignore") + end


def _identities(path: str | os.PathLike[str]) -> set[object]:
    """What is the same for two names of one file: its resolved path and, if it is there, its number
    on the disk."""
    found: set[object] = set()
    try:
        place = os.path.realpath(_expanded(path))
        found.add(os.path.normcase(place))
        status = os.stat(place)
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    except (OSError, ValueError):  # not there, not to be seen, or no path at all
        pass
    return found


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` as the home folder; as it stands where there is no such home.

    >>> expanded("~nobody of that name/a.png").name
    'a.png'
    """
    return Path(_expanded(path))


def _expanded(path: str | os.PathLike[str]) -> str:
    return os.path.expanduser(os.fspath(path))


def _target(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """The path with links resolved; its folder exists, and the target is a file or nothing."""
    mode: int | None = None
    try:
        target = Path(os.path.realpath(_expanded(path)))
        folder_exists = os.path.isdir(target.parent)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = os.lstat(target).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "check the path"
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            remedy = "give a shorter name"
        raise UsageError(f"{quoted(path)} cannot be written: {reason}", remedy) from None
    if not folder_exists:
        raise UsageError(
            f"{quoted(path)} cannot be written: there is no folder {quoted(target.parent)}",
            "make the folder first",
        )
    if mode is not None and not stat.S_ISREG(mode):
        # The rename would replace /dev/null or a pipe by a file.
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise UsageError(f"{quoted(path)} is {what}", "give the path of the picture to write")
    if mode is not None and not overwrite:
        raise _exists(path)
    return target


def _claim(temporary: Path, target: Path) -> None:
    """Move the file into place unless the target has appeared meanwhile."""
    try:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            os.replace(temporary, target)
    except FileExistsError:
        raise _exists(target) from None


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut, on systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _exists(path: str | os.PathLike[str]) -> OutputExistsError:
    return OutputExistsError(
        f"{quoted(path)} exists already", "give another name, or allow overwriting"
    )


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> ResourceError:
    message = f"{quoted(path)} cannot be written: {error.strerror or error}"
    if error.errno in _NO_SPACE:
        return DiskFullError(message, "free some space")
    return ResourceError(message, "choose another folder")
