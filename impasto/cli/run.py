"""One run from the command line, from the first step to the last file: stopped, resumed, told of.

The commands differ in what they make a run of; the rest is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from impasto.cli.error_report import Terminated
from impasto.cli.messages import log_shown, message, print_json
from impasto.cli.outputs import AnyOutputs, Outputs, Recorder
from impasto.cli.progress import Progress, make_progress
from impasto.cli.signals import Received, deferred_signals
from impasto.cli.stale_files import remove_stale_files
from impasto.errors import Interrupted, UsageError
from impasto.events import Event, LevelDone, Step

if TYPE_CHECKING:
    from impasto.runs.result import Result, Run

Make = Callable[..., "Run"]
"""Makes the run; takes ``checkpoint`` and ``resume``."""


def checked(
    outputs: AnyOutputs,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    steps: int = 0,
    resume: bool = False,
) -> AnyOutputs:
    """The outputs, which can be written; what a run that is resumed has written is replaced.

    Raises what :meth:`Outputs.check` raises.
    """
    checkpoint = checkpoint_of(outputs)
    if resume and checkpoint is not None and checkpoint.exists():
        outputs = replace(outputs, overwrite=True)
    outputs.check(inputs, steps=steps)
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
    from impasto.devices import keep_freed_memory
    from impasto.devices import threads as use_threads

    checkpoint = checkpoint_of(outputs)
    keep_freed_memory()
    lock: AbstractContextManager[None] = nullcontext()
    if outputs.picture is not None and checkpoint is not None:
        lock = output_lock(checkpoint, outputs.picture.name, resume=resume, quiet=quiet)
    with lock, use_threads(threads):
        with log_shown(quiet=quiet):  # which frame of a file is taken
            run = make(checkpoint=checkpoint, resume=resume)
        outputs.check_result(run)
        progress = make_progress(run.levels, quiet=quiet)
        recorder = Recorder(run, outputs, progress.message)

        def on_event(event: Event) -> None:
            if isinstance(event, Step):
                recorder.on_step()
            elif isinstance(event, LevelDone) and explained:
                for line in _explanation(run, recorder):
                    progress.message(line)

        with deferred_signals(progress.message) as received:
            follow(_first_steps(run, stop_after), progress, received, on_event)
            if received and not run.done:
                run.save_checkpoint()
                _raise_stopped(run, outputs, received)
            result = run.result()
            outputs.save(result)
            written = recorder.finish()
            if checkpoint is not None:  # the last thing: a kill before here is mended by --resume
                checkpoint.unlink(missing_ok=True)
    return result, written


def follow(
    events: Iterable[Event],
    progress: Progress,
    received: Received,
    on_event: Callable[[Event], None] = lambda event: None,
) -> None:
    """Carry a run through, or until a signal comes; each event is shown and passed on."""
    with progress:
        for event in events:
            progress.on_event(event)
            on_event(event)
            if received:
                break


@contextmanager
def output_lock(checkpoint: Path, name: str, *, resume: bool, quiet: bool) -> Iterator[None]:
    """Held while the output ``name`` is made, in a folder without what killed runs have left.

    Raises UsageError where another process holds it: two runs that make the same output would each
    overwrite the other's checkpoint.
    """
    from filelock import FileLock, Timeout

    path = checkpoint.with_suffix(".lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another run is making {name} just now",
            "wait for its end, or choose another output (-o)",
        ) from None
    try:
        remove_stale_files(checkpoint.parent)
        if resume and not checkpoint.exists():
            message("there is no checkpoint to resume from; starting anew", quiet=quiet)
        elif checkpoint.exists() and not resume:
            text = "starting anew; the checkpoint that is there (for --resume) will be replaced"
            message(text, quiet=quiet)
        yield
    finally:
        with suppress(OSError):  # while it is held: nobody can have taken it in between
            path.unlink()
        lock.release()


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
    if received.terminated:
        raise Terminated(f"ended by SIGTERM {where}", again)
    raise Interrupted(f"stopped {where}; {save()} as far as it got", again)


def report_result(
    result: Result, outputs: Outputs, extra: dict[str, Any], *, as_json: bool, quiet: bool
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


def _first_steps(run: Run, count: int | None) -> Iterator[Event]:
    """The events of a run, up to its step number ``count``."""
    for event in run:
        yield event
        if count is not None and len(run.history) >= count:
            return


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
