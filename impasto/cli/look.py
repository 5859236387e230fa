"""``impasto look``."""

from __future__ import annotations

from pathlib import Path

from impasto.cli import options
from impasto.cli.options import argument, option, output_option, switch
from impasto.cli.outputs import Outputs, default_name
from impasto.cli.settings import parse_all, with_settings
from impasto.config.dream import LookConfig
from impasto.errors import UsageError
from impasto.image.files import expanded

EXAMPLES = """
impasto look waves --show gram
impasto look cat.jpg --show where --style mosaic
impasto look cat.jpg --subject -o subject.png
impasto look --channels relu3_1:0-15
"""


@with_settings(LookConfig)
def look(
    picture: str | None = argument(
        "The picture to look at; none with --channels.", "[PICTURE]", default=None
    ),
    output: Path | None = output_option(
        "Where the sheet goes.  [default: PICTURE-SHOW.png, or channels.png]"
    ),
    style: str | None = option("With --show where: the style to compare with.", "FILE"),
    subject: bool = switch("Short for --show subject: what stylize holds most.", "--subject"),
    overwrite: bool = options.OVERWRITE,
    threads: int | None = options.THREADS,
    max_pixels: int | None = options.MAX_PIXELS,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
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
    config = LookConfig().with_changes(**given)
    default = default_name(["channels"] if picture is None else [picture, config.show], ".png")
    outputs = Outputs(expanded(output or default), overwrite=overwrite)

    from impasto.cli.run import checked, execute, report_result
    from impasto.dream.visualize import Look

    checked(outputs, [picture, style], config)

    def make(checkpoint: Path | None, resume: bool) -> Look:
        return Look(picture, config, style=style, max_pixels=max_pixels)

    result, written = execute(make, outputs, threads=threads, quiet=quiet)
    report_result(result, outputs, written, as_json=as_json, quiet=quiet)
