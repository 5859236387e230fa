"""Flags and arguments of commands, as the defaults of their parameters. ::

    overwrite: bool = options.OVERWRITE
    preview: Path | None = option("A picture that is refreshed every second.", "FILE")

First what makes them; then those that several commands have, each written once.
"""

from __future__ import annotations

from typing import Any

import typer

MACHINE = "Machine"
"""The panel of help for threads, memory and the like."""


def argument(help: str, metavar: str | None = None, *, default: Any = ...) -> Any:
    """An argument; it must be given unless it has a default."""
    return typer.Argument(default, help=help, metavar=metavar)


def option(
    help: str, metavar: str | None = None, *names: str, default: Any = None, **more: Any
) -> Any:
    """A flag with a value, called after its parameter unless it has ``names``."""
    return typer.Option(default, *names, help=help, metavar=metavar, **more)


def switch(help: str, *names: str, **more: Any) -> Any:
    """A flag that is given or not."""
    return typer.Option(False, *names, help=help, **more)


def output_option(help: str, metavar: str = "FILE", *, default: Any = None) -> Any:
    """The flag ``-o``, which says something else in each command."""
    return option(help, metavar, "-o", "--output", default=default)


STYLES = argument("Pictures, or swatches, to paint it like.", "[STYLE...]", default=None)
OVERWRITE = switch("Replace files that are there.", "--overwrite")
RESUME = switch("Go on from where a run was stopped or killed.", "--resume")
DEPTH = option("Bits per channel: 8, or 16 for PNG and TIFF.", "8|16", default=8)
JPEG_QUALITY = option(
    "Of JPEG, WebP (100 is lossless) and AVIF, from 1 to 100.", "N", default=95, min=1, max=100
)
EVOLUTION = option("How the picture forms, as .gif, .webp, .png or .mp4.", "FILE")
PLOT = option("The losses over the steps, as .png, .svg or .pdf.", "FILE")
THREADS = option("CPU threads to use.", "N", min=1, rich_help_panel=MACHINE)
MAX_PIXELS = option(
    "Refuse input pictures with more.  [default: 100 million]", "N", rich_help_panel=MACHINE
)
AS_JSON = switch("One JSON document on standard output.", "--json")
QUIET = switch("Only errors.", "-q", "--quiet")
