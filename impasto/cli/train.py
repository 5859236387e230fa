"""``impasto train``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli import options
from impasto.cli.messages import message, print_json
from impasto.cli.options import argument, option, output_option
from impasto.cli.outputs import default_name
from impasto.cli.settings import parse_all, with_settings
from impasto.config.train import TrainConfig
from impasto.image.files import expanded

if TYPE_CHECKING:
    from impasto.feedforward.training import Training

EXAMPLES = """
impasto train waves --images photos -o waves-model
impasto train painting.jpg --images photos --minutes 60 --strength 0.4
impasto train waves --images photos -o waves-model --resume
"""


@with_settings(TrainConfig)
def train(
    style: str = argument("The picture, or swatch, to paint like.", "STYLE"),
    images: Path = option(
        "Photos to learn from: some hundred, in this folder and below.", "FOLDER", default=...
    ),
    output: Path | None = output_option(
        "The folder to make, with the network in it.  [default: STYLE-model]", "FOLDER"
    ),
    overwrite: bool = options.OVERWRITE,
    resume: bool = options.RESUME,
    threads: int | None = options.THREADS,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Train a network that paints any photo in one style, for impasto quick --model.

    Twenty minutes are enough to begin with. Previews lie in the folder as it learns. Ctrl-C writes
    the network as it is and ends; --resume goes on from there, and after a kill.
    """
    config = TrainConfig().with_changes(**parse_all(settings, TrainConfig))
    folder = expanded(output or default_name([style, "model"], ""))

    from impasto.cli.run import output_lock
    from impasto.feedforward.network import MODEL
    from impasto.feedforward.training import Training, check_output
    from impasto.machine import devices

    check_output(folder, resume=resume, overwrite=overwrite)
    devices.keep_freed_memory()
    is_new = not os.path.exists(folder)
    folder.mkdir(exist_ok=True)
    try:
        with output_lock(folder / MODEL, resume=resume, quiet=quiet), devices.threads(threads):
            check_output(folder, resume=resume, overwrite=overwrite)
            training = Training(style, images, folder, config, resume=resume, overwrite=overwrite)
            carry_through(training, quiet=quiet)
    finally:
        if is_new:  # a command that failed before its first step leaves nothing behind
            with suppress(OSError):
                folder.rmdir()
    told = training.metadata()
    if as_json:
        print_json({"output": str(folder), **told})
        return
    message(
        f"{folder} ({told['steps']} steps, {told['seconds'] / 60:.1f} minutes; "
        f"{told['ended']}); try: impasto quick PHOTO --model {folder}",
        quiet=quiet,
    )


def carry_through(training: Training, *, quiet: bool) -> None:
    """Train to the end and write everything; raises Interrupted after Ctrl-C, with the network
    and a checkpoint written, and Terminated after SIGTERM, with a checkpoint."""
    from impasto.cli.progress import make_progress
    from impasto.cli.run import raise_stopped
    from impasto.cli.signals import deferred_signals

    if training.step:
        message(f"going on after step {training.step}", quiet=quiet)
    progress = make_progress(quiet=quiet)
    with deferred_signals(progress.message) as received:
        with progress:
            for event in training:
                progress.on_event(event)
                if received:
                    break
        if received and not training.reason:
            training.save_checkpoint()
            raise_stopped(
                received,
                f"after step {training.step}",
                lambda: f"{training.save()} has the network",
            )
        training.finish()
