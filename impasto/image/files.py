"""Files on disk: read whole, written whole or not at all, with clear errors.

Decoders and encoders work on bytes in memory (``impasto.image.codecs``); only this module touches
the file system, and nothing in it knows what a picture is.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import secrets
import stat
import sys
from pathlib import Path

from impasto.errors import InputError, OutputExistsError, ResourceError, UsageError

__all__ = ["MAX_BYTES", "check_folder", "quoted", "read_bytes", "read_text", "write_bytes"]

MAX_BYTES = 2 * 1024**3
"""Upper bound of a file's size: more than any picture within the pixel limit needs."""

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
        if Path(_expanded(path)).is_dir():  # what Windows raises for folders
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
    when the folder is missing or the target is no regular file, ``ResourceError`` when the disk
    is full, read-only or failing.
    """
    target = _target(path, overwrite)
    temporary = target.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        _write_synced(temporary, data, target)
        if overwrite:
            os.replace(temporary, target)
        else:
            _claim(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Path(path).expanduser()


def check_folder(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise what ``write_bytes`` would raise for this path, as far as can be known beforehand.

    Creates and removes an empty temporary file, because permission bits do not reveal read-only
    file systems.
    """
    target = _target(path, overwrite)
    temporary = target.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from None


def _expanded(path: str | os.PathLike[str]) -> str:
    return os.path.expanduser(os.fspath(path))


def _target(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """The path with links resolved; its folder exists, and the target is a file or nothing."""
    try:
        target = Path(os.path.realpath(_expanded(path)))
        folder_exists = target.parent.is_dir()
        mode = target.lstat().st_mode if os.path.lexists(target) else None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{quoted(path)} cannot be written: {reason}", "check the path") from None
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


def _write_synced(temporary: Path, data: bytes, target: Path) -> None:
    # 0o666 less the umask, as for any new file; tempfile would use 0o600.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, flags, 0o666), "wb") as file:
        with contextlib.suppress(OSError):  # a replaced file keeps its permissions
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _claim(temporary: Path, target: Path) -> None:
    """Move the file into place unless the target has appeared meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _exists(target) from None
        os.replace(temporary, target)


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
    remedy = "free some space" if error.errno in _NO_SPACE else "choose another folder"
    reason = error.strerror or str(error)
    return ResourceError(f"{quoted(path)} cannot be written: {reason}", remedy)
