"""Flags and arguments: those that several commands have, each written once as a type, and the
makers of those that one command has. ::

    overwrite: options.Overwrite = False
    preview: Path | None = option("A picture that is refreshed every second.", "FILE")
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MACHINE = "Machine"
"""The panel of help for threads, memory and the like."""

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from where a run was stopped or killed.")
]
Depth = Annotated[
    int, typer.Option(help="Bits per channel: 8, or 16 for PNG and TIFF.", metavar="8|16")
]
JpegQuality = Annotated[
    int,
    typer.Option(
        "--jpeg-quality",
        help="Of JPEG, WebP (100 is lossless) and AVIF, from 1 to 100.",
        metavar="N",
        min=1,
        max=100,
    ),
]
Evolution = Annotated[
    Path | None,
    typer.Option(help="How the picture forms, as .gif, .webp, .png or .mp4.", metavar="FILE"),
]
Plot = Annotated[
    Path | None,
    typer.Option(help="The losses over the steps, as .png, .svg or .pdf.", metavar="FILE"),
]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads to use.", metavar="N", min=1, rich_help_panel=MACHINE),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help="Refuse input pictures with more.  [default: 100 million]",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")]


def argument(help: str, metavar: str | None = None, default: Any = ...) -> Any:
    """An argument; it must be given unless it has a default."""
    return typer.Argument(default, help=help, metavar=metavar)


def option(
    help: str, metavar: str | None = None, default: Any = None, *names: str, **more: Any
) -> Any:
    """A flag with a value, called after its parameter unless it has ``names``."""
    return typer.Option(default, *names, help=help, metavar=metavar, **more)


def switch(name: str, help: str, **more: Any) -> Any:
    """A flag that is given or not."""
    return typer.Option(False, name, help=help, **more)


def output_option(help: str, metavar: str = "FILE", default: Any = None) -> Any:
    """The flag ``-o``, which says something else in each command."""
    return option(help, metavar, default, "-o", "--output")
