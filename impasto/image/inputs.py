"""What may be given as a picture, and how it is read and named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.image.io import Picture, fill_transparent, read_image
from impasto.objective.finder import find_subject, finder_sha256
from impasto.objective.regions import ALL, AUTO, OFF, REST, Masks, subject_of
from impasto.swatches import SWATCHES, swatch

Source = Any
"""What may be given as a picture: a path, PIL image, numpy array, tensor or Picture."""


def read_style(style: Source, size: float, seed: int, **limit: int) -> Picture:
    """A style picture, or the swatch of that name; see :func:`read_picture`."""
    return read_picture(style, round(size), seed, **limit)


def read_picture(source: Source, size: int, seed: int = 0, **limit: int) -> Picture:
    """A picture, as it is; or the swatch of that name, with about ``size`` pixels on its long side.

    A file wins over a swatch of the same name.
    """
    if _is_swatch(source):
        return read_image(swatch(source, size=min(max(32, size), 4096), seed=seed))
    is_word = isinstance(source, str) and not Path(source).suffix
    if is_word and not Path(source).expanduser().exists():
        raise UnknownNameError("style picture or swatch", source, SWATCHES)
    return read_image(source, **limit)


def several(sources: Source | Sequence[Source] | None) -> list[Source]:
    """One source or a list of them -> a list; None is none."""
    if sources is None:
        return []
    return list(sources) if isinstance(sources, list | tuple) else [sources]


def read_masks(
    regions: Sequence[Source],
    style_regions: Sequence[Source],
    keep: Source | None,
    subject: Source = AUTO,
    **limit: int,
) -> tuple[Masks, dict[str, Any]]:
    """Masks, and how they are named in the metadata; the words auto, rest and all stay words.
    ``subject`` may be one of the words auto and off, which give no mask.

    Raises what :func:`impasto.read_image` raises, and says which mask it is about.
    """
    told: dict[str, Any] = {}
    read: dict[str, list[Picture | str]] = {}
    for role, given in (("regions", regions), ("style_regions", style_regions)):
        read[role] = [_read_mask(role, source, limit) for source in given]
        if given:
            told[role] = [
                {"word": mask} if isinstance(mask, str) else describe(source, mask)
                for source, mask in zip(given, read[role], strict=True)
            ]
    single: dict[str, Picture] = {}
    words = isinstance(subject, str) and subject in (AUTO, OFF) and not Path(subject).is_file()
    for role, source in (("keep", keep), ("subject", None if words else subject)):
        if source is not None:
            mask = _read_mask(role, source, limit)
            if isinstance(mask, str):
                raise ConfigError(f"{role} is '{mask}'", "give a mask")
            single[role], told[role] = mask, describe(source, mask)
    return Masks(tuple(read["regions"]), tuple(read["style_regions"]), **single), told


def read_or_find_subject(
    masks: Masks, content: Picture, subject: str
) -> tuple[Tensor | None, dict[str, Any]]:
    """Where the subject of ``content`` is, ``(1, 1, h, w)`` in [0, 1], and how that is named in the
    metadata: as a mask says, whose name is known already; as it is found; or nowhere, where the
    setting ``subject`` is off. Raises what :func:`impasto.objective.regions.subject_of` raises."""
    given = subject_of(masks, content.size)
    if given is not None or subject == OFF:
        return given, {}
    return find_subject(content.pixels), {"subject": {"word": AUTO, "sha256": finder_sha256()}}


def taken_masks(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of ``settings`` called ``names`` that are masks themselves, taken out of them.

    The others are named by path or word, as settings are.
    """

    def is_text(value: Any) -> bool:
        return value is None or all(isinstance(x, str) for x in several(value))

    return {name: settings.pop(name) for name in names if not is_text(settings.get(name))}


def _read_mask(role: str, source: Source, limit: dict[str, int]) -> Picture | str:
    if isinstance(source, str) and source in (AUTO, REST, ALL) and not Path(source).is_file():
        return source
    if str(getattr(source, "dtype", "")) in ("bool", "torch.bool"):
        source = source * np.uint8(255) if isinstance(source, np.ndarray) else source.float()
    try:
        return read_image(source, **limit)
    except InputError as error:
        raise type(error)(f"{role}: {error.message}", error.remedy) from error


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
