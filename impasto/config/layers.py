"""Layers, their channels and their weights, in one text: ``relu4_3:12+40=0.5``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from impasto.errors import ConfigError

FORM = re.compile(r"([A-Za-z]\w*)(?::([\d+-]+))?(?:=(.+))?")
MOST_CHANNELS = 65_536


class Selection(NamedTuple):
    """A layer, some of its ``channels`` (None: all of them), and a weight."""

    layer: str
    channels: tuple[int, ...] | None = None
    weight: float = 1.0


def parse_selection(text: str) -> Selection:
    """``LAYER``, ``LAYER=WEIGHT`` or ``LAYER:CHANNELS=WEIGHT``; channels are joined with ``+`` and
    spans of them written with ``-``. A negative weight turns the wish round.

    Raises ConfigError for anything else.

    >>> parse_selection("relu4_3:12+40-42=0.5")
    Selection(layer='relu4_3', channels=(12, 40, 41, 42), weight=0.5)
    """
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise _error(text)
    layer, channels, weight = found.groups()
    try:
        value = 1.0 if weight is None else float(weight)
        wanted = None if channels is None else tuple(_channels(channels))
    except ValueError:
        raise _error(text) from None
    if not math.isfinite(value) or value == 0:
        raise ConfigError(f"the weight in '{text}' is {value:g}", "use any other number than 0")
    return Selection(layer, wanted, value)


def parse_selections(texts: Iterable[str], setting: str = "") -> tuple[Selection, ...]:
    """Several of them; raises ConfigError, which names the ``setting`` if there is one, also where
    a layer is named twice."""
    try:
        return _distinct(parse_selection(text) for text in texts)
    except ConfigError as error:
        if not setting:
            raise
        raise ConfigError(f"{setting}: {error.message}", error.remedy) from None


def _distinct(parsed: Iterable[Selection]) -> tuple[Selection, ...]:
    selections = tuple(parsed)
    names = [selection.layer for selection in selections]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"{twice[0]} is named twice", f"join its channels with +, as in {twice[0]}:3+7"
        )
    return selections


def _channels(text: str) -> Iterable[int]:
    for part in text.split("+"):
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not 0 < len(span) <= MOST_CHANNELS:
            raise ValueError(part)
        yield from span


def _error(text: str) -> ConfigError:
    return ConfigError(
        f"'{text}' is no layer with channels and a weight",
        "write relu4_3, relu4_3=0.5 or relu4_3:12+40-42=0.5",
    )
