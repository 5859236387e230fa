"""``impasto look``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.options import AsJson, MaxPixels, Overwrite, Quiet, Threads, output_flag
from impasto.cli.outputs import Outputs, default_name, installed_files, settings_files
from impasto.cli.settings import parse_all, with_settings
from impasto.config.dream import LookConfig
from impasto.errors import UsageError
from impasto.image.files import expanded

if TYPE_CHECKING:
    from impasto.dream.visualize import Look

app = typer.Typer()

EXAMPLES = """
impasto look waves --show gram
impasto look cat.jpg --show where --style mosaic
impasto look cat.jpg --subject -o subject.png
impasto look --channels relu3_1:0-15
"""


@app.command(epilog=EXAMPLES)
@partial(with_settings, config=LookConfig)
def look(
    picture: Annotated[
        str | None,
        typer.Argument(metavar="[PICTURE]", help="The picture to look at; none with --channels."),
    ] = None,
    output: Annotated[
        Path | None,
        output_flag("Where the sheet goes.  [default: PICTURE-SHOW.png, or channels.png]"),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(help="With --show where: the style to compare with.", metavar="FILE"),
    ] = None,
    subject: Annotated[
        bool, typer.Option("--subject", help="Short for --show subject: what stylize holds most.")
    ] = False,
    overwrite: Overwrite = False,
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
    default = default_name(["channels"] if picture is None else [picture, chosen.show], ".png")
    outputs = Outputs(expanded(output or default), overwrite=overwrite)

    from impasto.cli.run import checked, execute, report_result
    from impasto.dream.visualize import Look

    named = [x for x in (picture, style) if x is not None]
    checked(outputs, [*named, *settings_files(chosen), *installed_files()])

    def make(checkpoint: Path | None, resume: bool) -> Look:
        return Look(picture, chosen, style=style, max_pixels=max_pixels)

    result, written = execute(make, outputs, threads=threads, quiet=quiet)
    report_result(result, outputs, dict(written), as_json=as_json, quiet=quiet)
