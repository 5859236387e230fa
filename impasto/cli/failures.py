"""How a command ends when it fails: one line on stderr, an exit code, a JSON document if asked."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import NamedTuple

from impasto.errors import ImpastoError, Interrupted, OutputExistsError, ResourceError

BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended
TERMINATED = 143


class Terminated(Interrupted):
    """SIGTERM asked the run to end; its checkpoint has been saved."""

    exit_code = TERMINATED


class Failure(NamedTuple):
    """What is told of an error."""

    line: str
    exit_code: int
    kind: str
    message: str
    remedy: str


def failure_of(error: BaseException) -> Failure:
    """What to say of ``error``, whatever it is.

    >>> failure_of(ValueError("odd")).line
    'impasto: internal error: ValueError: odd; run again with --debug and report it'
    """
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        error = Interrupted("stopped; nothing more was written")
    elif is_out_of_memory(error):
        error = ResourceError("memory ran out", "choose a smaller --size, or fewer --style-layers")
    elif isinstance(error, OutputExistsError):
        error = OutputExistsError(error.message, "give another name, or --overwrite")
    if isinstance(error, ImpastoError):
        lead = "impasto:" if isinstance(error, Interrupted) else "impasto: error:"
        line, kind = f"{lead} {error}", type(error).__name__
        return Failure(_one_line(line), error.exit_code, kind, error.message, error.remedy)
    say = getattr(error, "format_message", None)
    if say is not None:  # typer's own errors; where its classes live differs between versions
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", None) or "impasto"
        message = _one_line(say()).rstrip(".")
        remedy = f"see {command} --help"
        line = f"impasto: error: {message}; {remedy}"
        return Failure(line, 2, "UsageError", message, remedy)
    message = _one_line(f"{type(error).__name__}: {error}").rstrip(": ")
    remedy = "run again with --debug and report it"
    line = f"impasto: internal error: {message}; {remedy}"
    return Failure(line, 1, type(error).__name__, message, remedy)


def report(error: BaseException, *, as_json: bool = False, debug: bool = False) -> int:
    """Tell the user of ``error``; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        _give_up_stdout()
        return BROKEN_PIPE
    failure = failure_of(error)
    try:
        if sys.stderr is not None:
            if debug:
                traceback.print_exception(error)
            print(failure.line, file=sys.stderr)
        if as_json:
            told = {
                "type": failure.kind,
                "message": failure.message,
                "remedy": failure.remedy,
                "exit_code": failure.exit_code,
            }
            print(json.dumps({"error": told}), flush=True)
    except BrokenPipeError:
        _give_up_stdout()
    return failure.exit_code


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's way of saying so, or one of torch's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error) if isinstance(error, RuntimeError) else ""
    return "can't allocate memory" in text or "not enough memory" in text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _give_up_stdout() -> None:
    """Nobody reads any more; what is still buffered must not complain when Python ends."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        return
