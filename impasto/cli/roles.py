"""Which of the pictures on a command line is the content, and which are styles.

They are told apart by their places only, and ``quick a.jpg b.jpg waves`` may have been meant as two
photos: so it is said, and what looks like a mistake is refused or warned of.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from impasto.cli.messages import message
from impasto.errors import UsageError
from impasto.image.camera import is_from_camera
from impasto.image.files import expanded, quoted

MOST_STYLES = 4
"""Styles that are mixed without being asked for by ``--blend``, or given their regions."""


def check_styles(styles: Sequence[str], config: Any) -> None:
    """UsageError for a style that looks like a name for the output, and for more styles than
    anybody gives by intent. ``config`` has ``blend`` and ``regions``."""
    last = expanded(styles[-1]) if styles else None
    if last is not None and len(styles) > 1 and last.suffix and not os.path.exists(last):
        raise UsageError(
            f"{styles[-1]}, taken for a style, is not there",
            f"if the picture is to go there: -o {styles[-1]}",
        )
    if len(styles) > MOST_STYLES and not config.blend and not config.regions:
        raise UsageError(
            f"{len(styles)} pictures are taken for styles: {styles[0]} to {styles[-1]}",
            "give one photo at a time; to mix so many styles, say how much of each with --blend",
        )


def tell_roles(content: str | None, styles: Sequence[str], *, quiet: bool = False) -> None:
    """The first line of a command: what is repainted, and in the style of what. A warning for each
    style that a camera made, where there are several, or a content like it."""
    named = [] if content is None else [f"content {_shown(content)}"]
    if styles:
        kind = "style" if len(styles) == 1 else "styles"
        named.append(f"{kind} {', '.join(map(_shown, styles))}")
    message("; ".join(named), quiet=quiet)
    for style in styles:
        if is_from_camera(style):
            message(
                f"warning: {_shown(style)}, taken for a style, is a camera's picture; photos are "
                "repainted one at a time",
                quiet=quiet,
            )


def _shown(name: str) -> str:
    """The name as it is, or quoted where it has something in it that cannot be printed."""
    return name if name.isprintable() else quoted(name)
