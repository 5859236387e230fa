"""One run from the command line, from the first step to the last file: stopped, resumed, told of.

``stylize`` and ``replay`` differ in where the settings come from; the rest is here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.failures import Terminated
from impasto.cli.outputs import Outputs, Recorder
from impasto.cli.progress import make_progress
from impasto.cli.stopping import stopping
from impasto.cli.sweeping import sweep
from impasto.errors import Interrupted, UsageError
from impasto.events import LevelDone, Step

if TYPE_CHECKING:
    from impasto.runs.result import Result, Run

Make = Callable[..., "Run"]
"""Makes the run; takes ``checkpoint`` and ``resume``."""


def paint(
    make: Make,
    outputs: Outputs,
    *,
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
    checkpoint = checkpoint_of(outputs)
    if checkpoint is None:
        return _paint(make, outputs, None, resume, quiet, stop_after, explained)
    with alone(checkpoint, checkpoint.stem.removeprefix(".")):
        sweep(checkpoint.parent)
        if not quiet:
            _tell_of_checkpoint(checkpoint, resume)
        return _paint(make, outputs, checkpoint, resume, quiet, stop_after, explained)


def _paint(
    make: Make,
    outputs: Outputs,
    checkpoint: Path | None,
    resume: bool,
    quiet: bool,
    stop_after: int | None,
    explained: bool,
) -> tuple[Result, dict[str, str]]:
    from impasto.devices import keep_freed_memory

    keep_freed_memory()
    run = make(checkpoint=checkpoint, resume=resume)
    outputs.check_result(run)
    recorder = Recorder(run, outputs)
    progress = make_progress(run.levels, quiet=quiet)
    with stopping(progress.say) as stop:
        with progress:
            for event in run:
                progress.on_event(event)
                if isinstance(event, Step):
                    recorder.on_step(event)
                elif isinstance(event, LevelDone) and explained:
                    for line in _explanation(run, recorder):
                        progress.say(line)
                if stop and not run.done:
                    break
                if stop_after is not None and len(run.history) >= stop_after:
                    break
        if stop and not run.done:
            run.save_checkpoint()
            _raise_stopped(run, outputs, terminated=stop.terminated)
        result = run.result()
        outputs.save(result)
        written = recorder.finish()
        if checkpoint is not None:  # the last thing: a kill before here is mended by --resume
            checkpoint.unlink(missing_ok=True)
    return result, written


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


@contextmanager
def alone(checkpoint: Path, output: str) -> Iterator[None]:
    """Two runs that make the same ``output`` would each overwrite the other's checkpoint."""
    from filelock import FileLock, Timeout

    path = checkpoint.with_suffix(".lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another run is making {output} just now",
            "wait for its end, or choose another output (-o)",
        ) from None
    try:
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


def is_resumable(outputs: Outputs) -> bool:
    """Whether an earlier run that made the same output has left a checkpoint."""
    checkpoint = checkpoint_of(outputs)
    return checkpoint is not None and checkpoint.exists()


def tell_result(
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
    elif not quiet and sys.stderr is not None:
        where = "standard output" if outputs.picture is None else str(outputs.picture)
        files = "".join(f", {path}" for path in extra.values() if isinstance(path, str))
        print(f"impasto: {where}{files} ({height}x{width}, {seconds:.1f} s)", file=sys.stderr)
        for text in _not_held(result):
            print(f"impasto: {text}", file=sys.stderr)


def _not_held(result: Result) -> Iterator[str]:
    """What of the content has moved further than the strength allows, and what helps."""
    for name, told in result.metadata.get("moved", {}).items():
        if not told["held"]:
            yield (
                f"the {name} has moved by {told['distance']:.2f}, and this strength allows "
                f"{told['limit']:.2f}: more steps (--quality best) would hold it"
            )


def print_json(document: Any) -> None:
    """The one JSON document on standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=True))


def _tell_of_checkpoint(checkpoint: Path, resume: bool) -> None:
    there = checkpoint.exists()
    if resume and not there:
        text = "there is no checkpoint to resume from; starting anew"
    elif there and not resume:
        text = "starting anew; the checkpoint that is there (for --resume) will be replaced"
    else:
        return
    if sys.stderr is not None:
        print(f"impasto: {text}", file=sys.stderr)


def _raise_stopped(run: Run, outputs: Outputs, *, terminated: bool) -> None:
    steps = sum(level.steps for level in run.levels)
    where = f"at step {len(run.history)} of {steps}"
    again = "the same command with --resume goes on" if run.checkpoint else ""
    if terminated:
        raise Terminated(f"ended by SIGTERM {where}", again)
    outputs.save(run.result())
    reached = outputs.picture or "standard output"
    raise Interrupted(f"stopped {where}; {reached} has the picture as far as it got", again)
