"""Files on disk: read one whole, write one whole or not at all, and say plainly what went wrong.

Decoders and encoders work on bytes in memory (``impasto.image.codecs``); this is the only place
where pictures meet the file system. Nothing here knows what a picture is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from impasto.errors import InputError, OutputExistsError, ResourceError, UsageError

__all__ = ["MAX_BYTES", "check_folder", "quoted", "read_bytes", "write_bytes"]

MAX_BYTES = 2 * 1024**3
"""Largest file that is read: more than any picture under the pixel cap needs."""

_TEMPORARY = ".impasto-"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def quoted(path: str | os.PathLike[str]) -> str:
    """The path in quotes, on one line and printable, whatever bytes its name holds.

    >>> quoted("a\\nb.png")
    "'a\\\\nb.png'"
    """
    return repr(os.fsencode(path).decode("utf-8", "replace"))


def read_bytes(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file; ``~`` stands for the home folder.

    Raises ``InputError`` when there is no such file, when it is a folder, a pipe or a device
    (which might never end), when it is empty, too big or unreadable.
    """
    name = quoted(path)
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(_expanded(path), flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{name} is not a regular file", "give the path of a picture")
            if status.st_size > max_bytes:
                raise InputError(
                    f"{name} has {status.st_size:,} bytes; at most {max_bytes:,} are read",
                    "save a smaller copy of it first",
                )
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", "check the path") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder", "give the path of a picture in it") from None
    except PermissionError as error:
        if Path(_expanded(path)).is_dir():  # Windows says so
            raise InputError(f"{name} is a folder", "give the path of a picture") from None
        raise InputError(
            f"{name} may not be read: {error.strerror}", "change its permissions"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read: {reason}", "check the path") from None
    if not data:
        raise InputError(f"{name} is empty", "give a file that holds a picture")
    return data


def write_bytes(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = True) -> Path:
    """Write a file whole or not at all, and return the path that was written.

    A temporary file beside the target takes the bytes and is then renamed, so a crash, a full
    disk or Ctrl-C leaves either the old file or the new one. A symbolic link stays one: what it
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
    """Raise what ``write_bytes`` would raise for this path, as far as one can tell beforehand.

    It makes and removes an empty temporary file, because permission bits alone do not tell about
    read-only file systems.
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
    """Where the bytes go: behind links, in a folder that exists, onto nothing but a file."""
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
        # A rename would put a file in the place of /dev/null or of a pipe.
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise UsageError(f"{quoted(path)} is {what}", "give the path of the picture to write")
    if mode is not None and not overwrite:
        raise _exists(path)
    return target


def _write_synced(temporary: Path, data: bytes, target: Path) -> None:
    # 0o666 less the umask, as for any file a program makes; tempfile would give 0o600.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, flags, 0o666), "wb") as file:
        with contextlib.suppress(OSError):  # a file that is replaced keeps its permissions
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _claim(temporary: Path, target: Path) -> None:
    """Put the file in place unless one has appeared there meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _exists(target) from None
        os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can do that."""
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
