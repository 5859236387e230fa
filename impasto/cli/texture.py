"""``impasto texture``."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from impasto.cli.stylize import SectionedCommand, stylize

app = typer.Typer()


def texture(**options: Any) -> None:
    """Make more of a style, without seams if wanted.

    STYLE is a picture file or the name of a swatch (see impasto swatches). --wrap both makes a tile
    without seams, --wrap horizontal --aspect 2 a panorama whose ends meet. Settings of the content
    mean nothing here; the others, and the files written, are those of impasto stylize.
    """
    stylize(content=None, **options)


# All that stylize takes, but for the content.
_parameters = inspect.signature(stylize).parameters
texture.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [parameter for name, parameter in _parameters.items() if name != "content"]
)
app.command(cls=SectionedCommand)(texture)
