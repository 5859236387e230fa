"""``impasto train``."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.options import AsJson, Quiet, Threads
from impasto.cli.settings import parse_all, with_settings
from impasto.cli.stylize import SectionedCommand
from impasto.config.train import TrainConfig

if TYPE_CHECKING:
    from impasto.cli.stopping import Stop
    from impasto.feedforward.training import Training

app = typer.Typer()


@app.command(cls=SectionedCommand)
@partial(with_settings, config=TrainConfig)
def train(
    style: Annotated[
        str, typer.Argument(metavar="STYLE", help="The picture, or swatch, to paint like.")
    ],
    images: Annotated[
        Path,
        typer.Option(
            help="Photos to learn from: some hundred, in this folder and below.", metavar="FOLDER"
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--output"),
            help="The folder to make, with the network in it.  [default: STYLE-model]",
            metavar="FOLDER",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a network that is there.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where a training was stopped or killed.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **settings: str | None,
) -> None:
    """Train a network that paints any photo in one style, for impasto quick --model.

    Twenty minutes are enough to begin with. Previews lie in the folder as it learns. Ctrl-C writes
    the network as it is and ends; --resume goes on from there, and after a kill.
    """
    config = TrainConfig().with_changes(**parse_all(settings, TrainConfig))
    folder = (output or Path(f"{Path(style).stem}-model")).expanduser()

    from impasto.cli.run import alone, print_json
    from impasto.cli.sweeping import sweep
    from impasto.devices import keep_freed_memory
    from impasto.devices import threads as use_threads
    from impasto.feedforward.training import Training, check_output, checkpoint_in

    check_output(folder, resume=resume, overwrite=overwrite)
    checkpoint = checkpoint_in(folder)
    if not quiet:
        _tell_of_checkpoint(checkpoint, resume)
    keep_freed_memory()
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with alone(checkpoint, str(folder)), use_threads(threads):
            sweep(folder)
            training = Training(style, images, folder, config, resume=resume, overwrite=overwrite)
            carry_through(training, quiet=quiet)
    finally:
        if is_new:
            _remove_if_empty(folder)
    if as_json:
        print_json({"output": str(folder), **training.metadata()})
    elif not quiet and sys.stderr is not None:
        told = training.metadata()
        print(
            f"impasto: {folder} ({told['steps']} steps, {told['seconds'] / 60:.1f} minutes; "
            f"{told['ended']}); try: impasto quick PHOTO --model {folder}",
            file=sys.stderr,
        )


def carry_through(training: Training, *, quiet: bool) -> None:
    """Train to the end and write everything; raises Interrupted after Ctrl-C, with the network
    and a checkpoint written, and Terminated after SIGTERM, with a checkpoint."""
    from impasto.cli.progress import make_training_progress
    from impasto.cli.stopping import stopping

    progress = make_training_progress(quiet=quiet)
    with stopping(progress.say) as stop:
        with progress:
            if training.step:
                progress.say(f"going on after step {training.step}")
            for event in training:
                progress.on_event(event)
                if stop and not training.reason:
                    break
        if stop and not training.reason:
            training.save_checkpoint()
            _raise_stopped(training, stop)
        training.finish()


def _raise_stopped(training: Training, stop: Stop) -> None:
    from impasto.cli.failures import Terminated
    from impasto.errors import Interrupted

    again = "the same command with --resume goes on"
    where = f"after step {training.step}"
    if stop.terminated:
        raise Terminated(f"ended by SIGTERM {where}", again)
    folder = training.save()
    raise Interrupted(f"stopped {where}; {folder} has the network as far as it got", again)


def _tell_of_checkpoint(checkpoint: Path, resume: bool) -> None:
    there = checkpoint.exists()
    if resume == there or sys.stderr is None:
        return
    text = (
        "there is no checkpoint to resume from; starting anew"
        if resume
        else "starting anew; the checkpoint that is there (for --resume) will be replaced"
    )
    print(f"impasto: {text}", file=sys.stderr)


def _remove_if_empty(folder: Path) -> None:
    """A command that failed before its first step leaves nothing behind."""
    with suppress(OSError):
        folder.rmdir()
