"""What may be given as a picture, and how it is read and named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from impasto.errors import UnknownNameError
from impasto.image.io import Picture, fill_transparent, read_image
from impasto.image.swatches import SWATCHES

Source = Any
"""What may be given as a picture: a path, PIL image, numpy array, tensor or Picture."""


def read_picture(source: Source, **limit: int) -> Picture:
    """A picture, or the swatch of that name, in its own size.

    A file wins over a swatch of the same name.
    """
    if _is_swatch(source):
        return read_image(SWATCHES[source].read_bytes())
    is_word = isinstance(source, str) and not Path(source).suffix
    if is_word and not Path(source).expanduser().exists():
        raise UnknownNameError("style picture or swatch", source, SWATCHES)
    return read_image(source, **limit)


def several(sources: Source | Sequence[Source] | None) -> list[Source]:
    """One source or a list of them -> a list; None is none."""
    if sources is None:
        return []
    return list(sources) if isinstance(sources, list | tuple) else [sources]


def taken_masks(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of ``settings`` called ``names`` that are masks themselves, taken out of them.

    The others are named by path or word, as settings are.
    """

    def is_text(value: Any) -> bool:
        return value is None or all(isinstance(x, str) for x in several(value))

    return {name: settings.pop(name) for name in names if not is_text(settings.get(name))}


def filled(picture: Picture) -> Picture:
    """The picture with colours under its transparent pixels, found once for all levels."""
    if picture.alpha is None:
        return picture
    return replace(picture, pixels=fill_transparent(picture.pixels, picture.alpha))


def _is_swatch(source: Source) -> bool:
    # A folder of that name is no rival: this very package lies in one called like a swatch.
    return isinstance(source, str) and source in SWATCHES and not Path(source).is_file()


def describe(source: Source, picture: Picture) -> dict[str, Any]:
    """How a picture is named in the metadata: its place, or the swatch, and its hash."""
    digest = picture.sha256 or _hash(picture)
    if _is_swatch(source):
        return {"swatch": source, "sha256": digest}
    if isinstance(source, str | os.PathLike):
        return {"path": str(Path(source).expanduser().resolve()), "sha256": digest}
    return {"sha256": digest}


def _hash(picture: Picture) -> str:
    digest = hashlib.sha256(picture.pixels.numpy().tobytes())
    if picture.alpha is not None:
        digest.update(picture.alpha.numpy().tobytes())
    return digest.hexdigest()
