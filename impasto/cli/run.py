"""One run from the command line, from the first step to the last file: stopped, resumed, told of.

The commands differ in what they make a run of; the rest is here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from impasto.cli.error_report import ENDED
from impasto.cli.messages import log_shown, message, print_json
from impasto.cli.outputs import (
    AnyOutputs,
    Outputs,
    Recorder,
    installed_files,
    settings_files,
)
from impasto.cli.progress import make_progress
from impasto.cli.signals import Received, deferred_signals
from impasto.cli.stale_files import remove_stale_files
from impasto.config.base import Settings
from impasto.errors import Interrupted, OutputExistsError, ResourceError, UsageError
from impasto.events import LevelDone, Step

if TYPE_CHECKING:
    from impasto.runs.result import Result, Run

Make = Callable[..., "Run"]
"""Makes the run; takes ``checkpoint`` and ``resume``."""


def checked(
    outputs: AnyOutputs,
    inputs: Iterable[str | os.PathLike[str] | None],
    config: Settings,
    *,
    steps: int = 0,
    resume: bool = False,
) -> AnyOutputs:
    """The outputs, which can be written; what a run that is resumed has written is replaced.

    Of ``inputs``, those that are given, of what ``config`` names and of what is installed nothing
    is written to. Raises what :meth:`Outputs.check` raises.
    """
    from impasto.runs.checkpoint import check_is_ours, is_ours

    checkpoint = checkpoint_of(outputs)
    if checkpoint is not None:
        if resume and is_ours(checkpoint):
            outputs = outputs.resumed(steps)
        elif not resume:
            check_is_ours(checkpoint)
    given = [x for x in inputs if x is not None]
    outputs.check([*given, *settings_files(config), *installed_files()], steps=steps)
    return outputs


def execute(
    make: Make,
    outputs: Outputs,
    *,
    threads: int | None = None,
    resume: bool = False,
    quiet: bool = False,
    stop_after: int | None = None,
    explained: bool = False,
) -> tuple[Result, dict[str, str]]:
    """Make the run and carry it through; returns its result and what else was written.

    ``stop_after`` ends it, as it is, after so many steps; ``explained`` tells at each level's end
    who drives a stylisation. Raises Interrupted after Ctrl-C, with the picture so far and a
    checkpoint written, and Terminated after SIGTERM, with a checkpoint.
    """
    from impasto.machine import devices
    from impasto.runs.checkpoint import remove_checkpoint

    checkpoint = checkpoint_of(outputs)
    devices.keep_freed_memory()
    with output_lock(outputs.picture, resume=resume, quiet=quiet), devices.threads(threads):
        with log_shown(quiet=quiet):  # which frame of a file is taken
            run = make(checkpoint=checkpoint, resume=resume)
        outputs.check_result(run)
        progress = make_progress(run.levels, quiet=quiet)
        recorder = Recorder(run, outputs, progress.message)
        with deferred_signals(progress.message) as received:
            with progress:
                for event in run:
                    progress.on_event(event)
                    if isinstance(event, Step):
                        recorder.on_step()
                    elif isinstance(event, LevelDone) and explained:
                        for line in _explanation(run, recorder):
                            progress.message(line)
                    if received or (stop_after is not None and len(run.history) >= stop_after):
                        break
            if received and not run.done:
                run.save_checkpoint()
                _raise_stopped(run, outputs, received)
            result = run.result()
            try:
                outputs.save(result)
                written = recorder.finish()
            except OutputExistsError as error:
                run.save_checkpoint()
                again = "" if checkpoint is None else "; with --resume, too, it is not painted anew"
                raise OutputExistsError(
                    error.message, f"give another name, or --overwrite{again}"
                ) from None
            if checkpoint is not None:  # the last thing: a kill before here is mended by --resume
                remove_checkpoint(checkpoint)
    return result, written


@contextmanager
def output_lock(output: Path | None, *, resume: bool, quiet: bool) -> Iterator[None]:
    """Held while ``output`` is made (None: standard output, which needs no lock), in a folder
    without what killed runs have left.

    Raises UsageError where another process holds it (two runs that make the same output would each
    overwrite the other's checkpoint), or where something that is no lock has its name.
    """
    from filelock import FileLock, Timeout

    from impasto.runs.checkpoint import checkpoint_path, lock_path

    if output is None:
        yield
        return
    place = Path(os.path.realpath(output))
    path, checkpoint = lock_path(place), checkpoint_path(place)
    _check_is_lock(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another run is making {output.name} just now",
            "wait for its end, or choose another output (-o)",
        ) from None
    except OSError as error:
        raise ResourceError(
            f"the lock {path} cannot be made ({error.strerror or error})", "choose another folder"
        ) from None
    try:
        remove_stale_files(checkpoint.parent)
        there = os.path.lexists(checkpoint)
        if resume and not there:
            message("there is no checkpoint to resume from; starting anew", quiet=quiet)
        elif there and not resume:
            text = "starting anew; the checkpoint that is there (for --resume) will be replaced"
            message(text, quiet=quiet)
        yield
    finally:
        with suppress(OSError):  # while it is held: nobody can have taken it in between
            path.unlink()
        lock.release()


def _check_is_lock(path: Path) -> None:
    """Raise UsageError where something else than a lock, an empty file, has its name."""
    with suppress(FileNotFoundError):
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size or status.st_nlink > 1:
            raise UsageError(
                f"a run would keep its lock in {path}, which is another file",
                "rename that file, or give another output",
            )


def checkpoint_of(outputs: Outputs) -> Path | None:
    """Where the run's checkpoint lies; None for a picture that goes to standard output."""
    from impasto.runs.checkpoint import checkpoint_path

    if outputs.picture is None:
        return None
    return checkpoint_path(Path(os.path.realpath(outputs.picture)))


def raise_stopped(
    received: Received, where: str, save: Callable[[], str], *, resumable: bool = True
) -> NoReturn:
    """End a run that a signal has stopped ``where``; ``save`` writes what there is, after Ctrl-C
    only, and says so."""
    again = "the same command with --resume goes on" if resumable else ""
    if received.ended_by:
        raise ENDED[received.ended_by](f"ended by {received.ended_by} {where}", again)
    raise Interrupted(f"stopped {where}; {save()} as far as it got", again)


def report_result(
    result: Result, outputs: Outputs, extra: Mapping[str, Any], *, as_json: bool, quiet: bool
) -> None:
    """Say what was made: one line on stderr, or one JSON document on stdout."""
    height, width = result.image.shape[-2:]
    seconds = result.metadata["seconds"]
    if as_json:
        final = result.history[-1] if result.history else {"total": None, "losses": {}}
        print_json(
            {
                "output": str(outputs.picture),
                "size": [height, width],
                "seconds": seconds,
                "losses": {"total": final["total"], **final["losses"]},
                "metadata": result.metadata,
                **extra,
            }
        )
        return
    where = "standard output" if outputs.picture is None else str(outputs.picture)
    files = "".join(f", {path}" for path in extra.values() if isinstance(path, str))
    message(f"{where}{files} ({height}x{width}, {seconds:.1f} s)", quiet=quiet)
    for name, told in result.metadata.get("moved", {}).items():
        if not told["held"]:
            message(
                f"the {name} has moved by {told['distance']:.2f}, and this strength allows "
                f"{told['limit']:.2f}: more steps (--quality best) would hold it",
                quiet=quiet,
            )


def _explanation(run: Run, recorder: Recorder) -> Iterator[str]:
    """Who drives the picture at the end of a level, and what one might do about it; for the plot,
    too."""
    from impasto.optim.gradients import hints, text
    from impasto.transfer.stylization import Stylization

    if not isinstance(run, Stylization):
        return
    found = run.explain()
    if found is None:
        yield "what drives the picture is not told in tiles"
        return
    recorder.on_explained(found)
    yield from text(found)
    for hint in hints(found, run.targets.styles[0].pixels):
        yield f"hint: {hint}"


def _raise_stopped(run: Run, outputs: Outputs, received: Received) -> NoReturn:
    def save() -> str:
        outputs.save(run.result())
        return f"{outputs.picture or 'standard output'} has the picture"

    steps = sum(level.steps for level in run.levels)
    where = f"at step {len(run.history)} of {steps}"
    raise_stopped(received, where, save, resumable=run.checkpoint is not None)
