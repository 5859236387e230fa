"""``impasto quick``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.info import masks_of
from impasto.cli.options import AsJson, Depth, MaxPixels, OverwriteOne, Quiet, Threads
from impasto.cli.outputs import Outputs
from impasto.cli.settings import parse_all, with_settings
from impasto.cli.stylize import SectionedCommand, default_output
from impasto.config.quick import QuickConfig
from impasto.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from impasto.runs.result import Result

app = typer.Typer()


@app.command(cls=SectionedCommand)
@partial(with_settings, config=QuickConfig)
def quick(
    content: Annotated[str, typer.Argument(metavar="CONTENT", help="The picture to repaint.")],
    styles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STYLE...]", help="Pictures, or swatches, to paint it like."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A network that impasto train made, in the place of styles.", metavar="FOLDER"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--output"),
            help="Where the picture goes; - is standard output.  [default: CONTENT-STYLE.png, or "
            "CONTENT-FOLDER.png]",
            metavar="FILE",
        ),
    ] = None,
    depth: Depth = 8,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    overwrite: OverwriteOne = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **settings: str | None,
) -> None:
    """Paint one picture in the style of others, in one pass.

    A draft in a fraction of the time that stylize takes; impasto stylize --init quick goes on from
    one. Several styles are mixed (--blend), or painted each in its region (--regions). With
    --model, a network that impasto train made paints in the one style that it has learned.
    """
    styles = styles or []
    if bool(styles) == (model is not None):
        raise UsageError(
            "both styles and --model are given" if styles else "there is no STYLE and no --model",
            "give pictures to paint it like, or a network that impasto train made",
        )
    if depth not in (8, 16):
        raise ConfigError(f"--depth is {depth}", "give 8 or 16")
    to_stdout = output is not None and str(output) == "-"
    if to_stdout and as_json:
        raise UsageError("-o - and --json would both use standard output", "leave one of them out")
    if output is None:
        output = default_output(content, styles or [str(model)])
    config = QuickConfig().with_changes(**parse_all(settings, QuickConfig))
    outputs = Outputs(None if to_stdout else output.expanduser(), depth=depth, overwrite=overwrite)
    outputs.check([content, *styles, *masks_of(config)], steps=0)

    from impasto.arbitrary.api import quick as paint
    from impasto.cli.progress import log_shown
    from impasto.cli.run import tell_result
    from impasto.devices import keep_freed_memory
    from impasto.devices import threads as use_threads

    keep_freed_memory()
    with use_threads(threads), log_shown(quiet=quiet):
        result = paint(content, styles, config, model=model, max_pixels=max_pixels)
        outputs.save(result)
    tell_result(result, outputs, {}, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        _tell_if_smaller(result)


def _tell_if_smaller(result: Result) -> None:
    """One line on stderr where the picture has fewer pixels than its photo."""
    height, width = result.metadata["size"]
    own_height, own_width = result.metadata["content"]["size"]
    if max(height, width) < max(own_height, own_width) and sys.stderr is not None:
        print(
            f"impasto: painted at {height}x{width}; the photo has {own_height}x{own_width}: "
            "--size none for all of it",
            file=sys.stderr,
        )
