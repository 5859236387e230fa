"""How a command ends when it fails: one line on stderr, an exit code, a JSON document if asked."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from typing import NamedTuple

from impasto.cli.messages import flush_stdout, give_up, message, print_json
from impasto.errors import ImpastoError, InputError, Interrupted, OutputExistsError, ResourceError
from impasto.image.files import quoted

BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended
EXHAUSTED = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


class Terminated(Interrupted):
    """SIGTERM asked the run to end; its checkpoint has been saved."""

    exit_code = 143


class HungUp(Terminated):
    """SIGHUP did: the terminal is gone."""

    exit_code = 129


ENDED = {"SIGTERM": Terminated, "SIGHUP": HungUp}
"""Signal -> the error that ends a run which it has stopped."""


class ErrorReport(NamedTuple):
    """An error as it is reported to the user; ``type`` is the name of its class."""

    type: str
    message: str
    remedy: str
    exit_code: int
    lead: str = "error: "  # of the line; nothing where the user stopped the run

    @property
    def line(self) -> str:
        """The error in one line."""
        text = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return self.lead + " ".join(text.split())


def error_report(error: BaseException) -> ErrorReport:
    """The report of any error.

    >>> error_report(ValueError("odd")).line
    'internal error: ValueError: odd; run again with --debug and report it'
    """
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        error = Interrupted("stopped; nothing more was written")
    elif is_out_of_memory(error):
        error = ResourceError("memory ran out", "choose a smaller --size, or fewer --style-layers")
    elif isinstance(error, OutputExistsError) and "allow" in error.remedy:
        error = OutputExistsError(error.message, "give another name, or --overwrite")
    elif isinstance(error, OSError) and error.errno is not None:
        error = _of_the_system(error)
    kind = type(error).__name__
    if isinstance(error, ImpastoError):
        lead = "" if isinstance(error, Interrupted) else "error: "
        return ErrorReport(kind, error.message, error.remedy, error.exit_code, lead)
    text = getattr(error, "format_message", None)
    if text is not None:  # typer's own errors; where its classes live differs between versions
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", None) or "impasto"
        told = " ".join(text().split()).rstrip(".")
        return ErrorReport("UsageError", told, f"see {command} --help", 2)
    told = " ".join(f"{kind}: {error}".split()).rstrip(": ")
    return ErrorReport(kind, told, "run again with --debug and report it", 1, "internal error: ")


def _of_the_system(error: OSError) -> ImpastoError:
    """What the system refused: a file that was named, or memory, disk, standard output."""
    reason = error.strerror or str(error)
    if error.filename is None and error.errno == errno.ENOENT:
        return InputError("the current folder is gone", "change to one that is there")
    if error.filename is None:
        return ResourceError(f"the output cannot be written: {reason}", "send it to a file")
    name = quoted(os.fsdecode(error.filename)) if error.filename else "a file"
    if error.errno in EXHAUSTED:
        return ResourceError(f"{name} cannot be written: {reason}", "choose another folder")
    return InputError(f"{name} cannot be used: {reason}", "check the path and its permissions")


def report(error: BaseException, *, as_json: bool = False, debug: bool = False) -> int:
    """Tell the user of ``error``; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        give_up(sys.stdout)
        return BROKEN_PIPE
    if isinstance(error, OSError) and error.filename is None:  # what is printed goes nowhere
        with suppress(ImpastoError, BrokenPipeError):
            flush_stdout()
    found = error_report(error)
    if debug and sys.stderr is not None:
        with suppress(OSError, ValueError):
            traceback.print_exception(error)
    message(found.line)
    if as_json:
        told = found._asdict()
        del told["lead"]
        with suppress(ResourceError):
            print_json({"error": told})
    return found.exit_code


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's way of saying so, or one of torch's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error) if isinstance(error, RuntimeError) else ""
    return "can't allocate memory" in text or "not enough memory" in text
