"""Flags that several commands have, each written once: types for their parameters.

::

    overwrite: Overwrite = False
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
    typer.Option(help="CPU threads to use.", metavar="N", min=1, rich_help_panel="Machine"),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help="Refuse input pictures with more.  [default: 100 million]",
        metavar="N",
        rich_help_panel="Machine",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")]


def output_flag(help: str, metavar: str = "FILE") -> Any:
    """The flag ``-o``, which says something else in each command."""
    return typer.Option("-o", "--output", help=help, metavar=metavar)
