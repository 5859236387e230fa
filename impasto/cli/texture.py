"""``impasto texture``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

from impasto.cli.stylize import stylize
from impasto.config.stylize import CONTENT_SETTINGS
from impasto.config.texts import flag_of
from impasto.errors import UsageError

EXAMPLES = """
impasto texture waves -o waves-texture.png
impasto texture mosaic --size 512 --wrap both -o tile.png
impasto texture night --size 1024 --aspect 2 --wrap horizontal -o panorama.png
"""


def texture(**options: Any) -> None:
    """Make more of a style, without seams if wanted.

    STYLE is a picture file or the name of a swatch (see impasto swatches). --wrap both makes a tile
    without seams, --wrap horizontal --aspect 2 a panorama whose ends meet. The settings and the
    files written are those of impasto stylize, but for the settings of a content.
    """
    for name in CONTENT_SETTINGS:
        if options[name] is not None:
            raise UsageError(
                f"{flag_of(name)} is given, and a texture has no content", "leave it out"
            )
    stylize(content=None, **options)


def _parameters() -> Iterator[inspect.Parameter]:
    """All that stylize takes, but for the content; settings of a content are not shown."""
    for name, parameter in inspect.signature(stylize).parameters.items():
        if name in CONTENT_SETTINGS:
            hidden = copy.copy(parameter.default)
            hidden.hidden = True
            yield parameter.replace(default=hidden)
        elif name != "content":
            yield parameter


texture.__signature__ = inspect.Signature(list(_parameters()))  # type: ignore[attr-defined]
