"""What may be given as a picture, and how it is read and named."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from impasto.config import StylizeConfig
from impasto.errors import UnknownNameError
from impasto.images import Picture, fill_transparent, read_image
from impasto.swatches import SWATCHES, swatch

Source = Any
"""What may be given as a picture: a path, PIL image, numpy array, tensor or Picture."""


def read_style(style: Source, long_side: int, config: StylizeConfig, **limit: int) -> Picture:
    """The style picture: a file, or a swatch of that name painted at the size that is needed.

    A file wins over a swatch of the same name.
    """
    if _is_swatch(style):
        size = min(max(32, round(long_side * config.style_scale)), 4096)
        return read_image(swatch(style, size=size, seed=config.seed))
    if isinstance(style, str) and not Path(style).expanduser().exists() and not Path(style).suffix:
        raise UnknownNameError("style picture or swatch", style, SWATCHES)
    return read_image(style, **limit)


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
