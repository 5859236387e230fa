"""``impasto look``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.options import AsJson, MaxPixels, OverwriteOne, Quiet, Threads
from impasto.cli.outputs import Outputs
from impasto.cli.settings import parse_all, with_settings
from impasto.cli.stylize import SectionedCommand
from impasto.config.dream import LookConfig
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.dream.visualize import Look

app = typer.Typer()


@app.command(cls=SectionedCommand)
@partial(with_settings, config=LookConfig)
def look(
    picture: Annotated[
        str | None,
        typer.Argument(metavar="[PICTURE]", help="The picture to look at; none with --channels."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--output"),
            help="Where the sheet goes.  [default: PICTURE-SHOW.png, or channels.png]",
            metavar="FILE",
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(help="With --show where: the style to compare with.", metavar="FILE"),
    ] = None,
    subject: Annotated[
        bool, typer.Option("--subject", help="Short for --show subject: what stylize holds most.")
    ] = False,
    overwrite: OverwriteOne = False,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **settings: str | None,
) -> None:
    """Show what the encoder sees: in a picture, or in single channels.

    It makes one sheet. --show says what of a picture. --channels relu3_1 or relu3_1:0-15 needs
    none: from noise, it makes for each channel the picture that excites it most. PICTURE and
    --style may be the names of swatches.
    """
    given = parse_all(settings, LookConfig)
    if subject and given.setdefault("show", "subject") != "subject":
        raise UsageError(f"--subject with --show {given['show']}", "leave out one of them")
    if "channels" in given:
        given.setdefault("show", "channels")
        if picture is not None:
            raise UsageError("--channels looks at no picture", f"leave out {picture}")
    elif picture is None:
        raise UsageError("there is nothing to look at", "give a picture, or --channels LAYER")
    chosen = LookConfig().with_changes(**given)
    if output is None:
        output = Path(
            "channels.png" if picture is None else f"{Path(picture).stem}-{chosen.show}.png"
        )

    from impasto.cli.run import paint, tell_result
    from impasto.devices import threads as use_threads
    from impasto.dream.visualize import Look

    outputs = Outputs(output.expanduser(), overwrite=overwrite)
    outputs.check([x for x in (picture, style) if x is not None], steps=0)

    def make(checkpoint: Path | None, resume: bool) -> Look:
        return Look(picture, chosen, style=style, max_pixels=max_pixels)

    with use_threads(threads):
        result, written = paint(make, outputs, quiet=quiet)
    tell_result(result, outputs, dict(written), as_json=as_json, quiet=quiet)
