"""A run's state on disk, so that it goes on after a kill as if nothing had happened.

One file per output, beside it: ``out.png`` has ``.out.png.checkpoint`` while it is being made. It
is replaced atomically, so there is a whole one at any moment, and deleted when the run is over.

Its first line names the version of impasto that wrote it and the SHA-256 of what follows, which is
torch's format. Nothing is read of a file whose line or checksum is another.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import torch

from impasto.config.version import __version__
from impasto.errors import ConfigError, ImpastoError, IntegrityError, ResourceError, UsageError
from impasto.image.files import NewFile, fit_name, quoted

FORMAT = 1
"""Of a checkpoint's content; counts up where a field changes its meaning."""

_LINE = "impasto checkpoint {format} of {version}, sha256 {digest}\n"
_HEAD = re.compile(rb"impasto checkpoint (\d{1,9}) of ([!-~]+), sha256 ([0-9a-f]{64})\n")
_LONGEST = 200  # bytes of the first line, at most
_BLOCK = 1 << 20


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of the run that makes ``output`` lies.

    >>> checkpoint_path(Path("pictures/out.png")).name
    '.out.png.checkpoint'
    """
    return output.parent / fit_name(f".{output.name}", ".checkpoint")


def lock_path(output: Path) -> Path:
    """Where the lock lies that is held while ``output`` is made.

    >>> lock_path(Path("pictures/out.png")).name
    '.out.png.lock'
    """
    return output.parent / fit_name(f".{output.name}", ".lock")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, texts, lists and dicts of those), all or nothing.

    Its ``fingerprint`` says which run it belongs to. Raises ResourceError where it cannot be
    written; an older checkpoint is then still there. Raises what :func:`check_is_ours` raises.
    """
    check_is_ours(path)
    line = _LINE.format(format=FORMAT, version=__version__, digest="0" * 64)
    try:
        with NewFile(path) as new:
            new.file.write(line.encode())
            torch.save(state, cast(IO[bytes], _Appended(new.file)))
            digest = _digest_after(new.file, len(line))
            new.file.seek(0)
            new.file.write(line.replace("0" * 64, digest).encode())
            new.put_in_place(overwrite=True)
    except (OSError, RuntimeError) as error:
        # torch closes its archive on a full disk as well, and stumbles over that instead.
        first = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = getattr(first, "strerror", None) or first
        raise ResourceError(
            f"cannot write the checkpoint {path} ({reason})", "free some space"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state that was saved, or None where there is no checkpoint.

    Raises IntegrityError for a file that is not a checkpoint, is damaged, or was written by another
    version.
    """
    try:
        with _opened(path) as file:
            head = _HEAD.match(file.readline(_LONGEST))
            if head is None:
                raise _refused(path, "its first line is another")
            if int(head[1]) != FORMAT or head[2].decode() != __version__:
                raise _refused(
                    path, f"impasto {head[2].decode()} wrote it, this is impasto {__version__}"
                )
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from None
    if hashlib.sha256(content).hexdigest() != head[3].decode():
        raise _refused(path, "it is damaged: its checksum is another")
    try:
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), weights_only=True, map_location="cpu"
        )
        fingerprint = state["fingerprint"]
    except Exception as error:  # for damaged files torch raises a dozen kinds
        raise _refused(path, type(error).__name__) from None
    if not isinstance(fingerprint, dict):
        raise _refused(path, "its fingerprint is none")
    return state


def resume(
    path: Path, fingerprint: dict[str, Any], kind: str, restore: Callable[[dict[str, Any]], None]
) -> None:
    """Let ``restore`` set a run to the state that was saved at ``path``, if there is one; ``kind``
    is "run" or "training".

    Raises ConfigError where it was not saved with ``fingerprint``, IntegrityError for whatever
    ``restore`` raises (a field is not what it must be), and what :func:`load_checkpoint` raises.
    """
    saved = load_checkpoint(path)
    if saved is None:
        return
    if differing := [k for k, v in fingerprint.items() if saved["fingerprint"].get(k) != v]:
        raise ConfigError(
            f"{path} was made by a {kind} with another {', '.join(differing)}",
            f"repeat that {kind}'s command to resume it, or leave out --resume to start anew",
        )
    try:
        restore(saved)
    except ImpastoError as error:
        raise _refused(path, error.message) from None
    except Exception as error:
        raise _refused(path, f"{type(error).__name__}: {error}".splitlines()[0]) from None


def checked(found: bool, what: str) -> None:
    """ValueError unless ``found``: for the fields of a checkpoint."""
    if not found:
        raise ValueError(f"{what} is not what it must be")


def is_count(value: Any, least: int = 0) -> bool:
    """Whether a value is a whole number from ``least`` on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_finite(value: Any, least: float = -math.inf) -> bool:
    """Whether a value is a number from ``least`` on, neither infinite nor NaN."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= least


def check_is_ours(path: Path) -> None:
    """Raise UsageError where something else than a checkpoint of impasto has its name."""
    if not (is_ours(path) or _is_free(path)):
        raise UsageError(
            f"a run would keep its checkpoint in {quoted(path)}, which is another file",
            "rename that file, or give another output",
        )


def is_ours(path: Path) -> bool:
    """Whether impasto wrote the file: a checkpoint, whole or damaged, of any version."""
    try:
        with _opened(path) as file:
            return file.readline(_LONGEST).startswith(b"impasto checkpoint ")
    except OSError:
        return False


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint; what is not ours stays, and so does one that cannot be deleted."""
    if is_ours(path):
        with contextlib.suppress(OSError):
            path.unlink()


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """The file itself, never what a link points to, nor a pipe. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        yield file


def _is_free(path: Path) -> bool:
    """Whether nothing that can be seen has the name; what cannot be written says so itself."""
    return not os.path.lexists(path)


def _digest_after(file: Any, start: int) -> str:
    file.seek(start)
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _refused(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a checkpoint of impasto that can be resumed ({reason})",
        "delete it and start anew",
    )


class _Appended:
    """A file as torch needs it to write at its end only."""

    def __init__(self, file: Any) -> None:
        self.write = file.write
        self.flush = file.flush
