"""What a command says: lines on stderr, or one JSON document on stdout.

Nothing that is said may cost a picture: where stderr cannot be written to, it is given up. Names
and metadata may be a stranger's: no control character of theirs reaches a terminal.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from impasto.errors import ResourceError


def prepare_streams() -> None:
    """Make what is printed harmless: a name that an encoding lacks is escaped, no file that is
    opened takes the number of a stream that is closed, and a closed standard output says so."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file to be opened would get this number
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if sys.stdout is None:
        sys.stdout = _Closed()


def flush_stdout() -> None:
    """Bring out what was printed. Raises ResourceError where that cannot be, BrokenPipeError where
    nobody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise undeliverable(error) from None


def undeliverable(error: Exception) -> ResourceError:
    """What is raised where ``error`` has kept something from standard output, which is given up."""
    give_up(sys.stdout)
    reason = getattr(error, "strerror", None) or str(error)
    return ResourceError(
        f"the result cannot be written to standard output: {reason}", "send it to a file"
    )


def message(text: str, *, quiet: bool = False) -> None:
    """One line for the user on stderr; never raises."""
    if quiet or sys.stderr is None:
        return
    try:
        print(f"impasto: {printable(text)}", file=sys.stderr, flush=True)
    except RuntimeError:  # a signal came in the middle of another print
        return
    except (OSError, ValueError):  # nobody reads any more, or it is closed
        give_up(sys.stderr)


def printable(text: str) -> str:
    r"""The text in one line that a terminal shows and does not obey: what is no printable character
    is written as its escape.

    >>> printable("cat\x1b[2J.png")
    'cat\\x1b[2J.png'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_lines(*lines: str) -> None:
    """Lines on standard output, each of them :func:`printable`."""
    print("\n".join(map(printable, lines)))


def shell_words(words: Iterable[str]) -> str:
    r"""The words as a shell reads them, in one line that can be shown.

    Names may hold anything: what is not printable is written as in ``$'\x1b'``, which bash, zsh and
    ksh read.

    >>> shell_words(["impasto", "info", "my cat.png"])
    "impasto info 'my cat.png'"
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    try:
        data = word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair: no name of a file
        data = word.encode("utf-8", "surrogatepass")
    plain = {ord("'"): "\\'", ord("\\"): "\\\\"}
    shown = (plain.get(x, chr(x)) if 32 <= x < 127 else f"\\x{x:02x}" for x in data)
    return f"$'{''.join(shown)}'"


def print_json(document: Any) -> None:
    """The one JSON document on standard output; null stands for NaN and infinity, which JSON has
    not. Raises what :func:`deliver` raises."""
    text = json.dumps(_finite(document), indent=2, ensure_ascii=True, allow_nan=False)
    deliver((text + "\n").encode())


def deliver(data: bytes) -> None:
    """Write a result, which is not to be lost, to standard output. Raises ResourceError where that
    is closed, full or read by nobody."""
    try:
        sys.stdout.flush()
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:  # a text stream of somebody's own
            sys.stdout.write(data.decode(errors="replace"))
        else:
            binary.write(data)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise undeliverable(error) from None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """A table on standard output; the columns with ``numbers`` are aligned at the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in titles:
        if title in numbers:
            table.add_column(title, justify="right")
        else:
            table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 240, highlight=False).print(table)


@contextmanager
def log_shown(*, quiet: bool = False) -> Iterator[None]:
    """Show what the package logs inside the block (what takes long and has no steps)."""
    log, handler = logging.getLogger("impasto"), _MessageHandler()
    level = log.level
    if not quiet:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def give_up(stream: TextIO) -> None:
    """Send ``stream`` nowhere: what it still buffers must not complain when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class _Closed(io.TextIOBase):
    """Standard output that was closed before the process began."""

    def write(self, text: str) -> int:
        """Fail; without a word, a result would be lost."""
        raise OSError(errno.EBADF, "it is closed")


class _MessageHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """One message for each record."""
        message(record.getMessage())
