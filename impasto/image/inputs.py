"""Input pictures: files, arrays, PIL images or swatches, read and named for the metadata."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from impasto.errors import InputError, UnknownNameError
from impasto.image.files import expanded, is_stdin
from impasto.image.io import Picture, fill_transparent, read_image
from impasto.image.swatches import SWATCHES

Source = Any
"""A picture as users give it: a path, PIL image, numpy array, tensor or Picture."""


def read_picture(source: Source, **limit: int | None) -> Picture:
    """Read a picture, or the swatch of that name, at its own size.

    A file takes precedence over a swatch of the same name. Raises ``UnknownNameError`` for a word
    that is neither, and what ``read_image`` raises.
    """
    if _is_swatch(source):
        return read_image(SWATCHES[source].read_bytes())
    is_word = isinstance(source, str) and source != "-" and not Path(source).suffix
    if is_word and not os.path.exists(os.path.expanduser(source)):
        raise UnknownNameError("style picture or swatch", source, SWATCHES)
    return read_image(source, **limit)


def read_role(role: str, source: Source, word: bool = False, /, **limit: int | None) -> Picture:
    """Read the picture for ``role``, which errors about it name first; ``word``: a swatch will do.

    Raises what ``read_image`` and, with ``word``, ``read_picture`` raise.
    """
    try:
        return read_picture(source, **limit) if word else read_image(source, **limit)
    except InputError as error:
        raise error.about(role) from None


def as_list(sources: Source | Sequence[Source] | None) -> list[Source]:
    """The sources as a list, whether one, several or None are given."""
    if sources is None:
        return []
    return list(sources) if isinstance(sources, list | tuple) else [sources]


def pop_mask_objects(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Pop the settings called ``names`` that hold masks as objects; paths and words stay."""

    def is_text(value: Any) -> bool:
        return value is None or all(isinstance(x, str) for x in as_list(value))

    return {name: settings.pop(name) for name in names if not is_text(settings.get(name))}


def fill_under_alpha(picture: Picture) -> Picture:
    """The picture with its transparent pixels filled, so that no pyramid level repeats it."""
    if picture.alpha is None:
        return picture
    return replace(picture, pixels=fill_transparent(picture.pixels, picture.alpha))


def _is_swatch(source: Source) -> bool:
    # A folder of that name does not count: this package's own is called like a swatch.
    return isinstance(source, str) and source in SWATCHES and not os.path.isfile(source)


def provenance_of(source: Source, picture: Picture) -> dict[str, Any]:
    """What the metadata say about an input: its path or swatch, if any, and its SHA-256."""
    digest = picture.sha256 or _hash(picture)
    if _is_swatch(source):
        return {"swatch": source, "sha256": digest}
    if isinstance(source, str | os.PathLike) and not is_stdin(source):
        return {"path": str(expanded(source).resolve()), "sha256": digest}
    return {"sha256": digest}


def _hash(picture: Picture) -> str:
    digest = hashlib.sha256(picture.pixels.numpy().tobytes())
    if picture.alpha is not None:
        digest.update(picture.alpha.numpy().tobytes())
    return digest.hexdigest()
