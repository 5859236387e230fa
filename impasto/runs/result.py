"""A picture that was made, and all that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from impasto.events import Event
from impasto.image.files import expanded
from impasto.image.io import save_image
from impasto.optim.pyramid import Level
from impasto.outputs.notebook import png

INPUTS = ("content", "style", "model", "init", "guide", "regions", "style_regions", "keep")
"""What stands in the metadata for files that went into a run; lists where there are several."""


@dataclass(frozen=True)
class Result:
    """A picture that was made: ``image`` ``(1, 3, H, W)`` in [0, 1], ``alpha`` ``(1, 1, H, W)`` or
    None, ``metadata`` that tells how, and ``history``, the losses of every step."""

    image: Tensor = field(repr=False)
    alpha: Tensor | None = field(default=None, repr=False)
    depth: int = 8
    exif: bytes = b""
    metadata: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def save(self, path: str | Path, *, depth: int | None = None, overwrite: bool = True) -> Path:
        """Write the picture with its parameters inside; ``depth`` 16 for PNG and TIFF (default 8).

        The places of content and style are noted relative to the picture's, so that
        ``impasto replay`` finds them and no more of your folders is told than needed. Raises
        OutputExistsError, UsageError for a format that is not written, ResourceError if it fails.
        """
        path = expanded(path)
        metadata = with_places(self.metadata, lambda place: _relative(place, path.parent))
        return save_image(
            path,
            self.image,
            alpha=self.alpha,
            depth=depth,
            metadata=metadata,
            exif=self.exif,
            overwrite=overwrite,
        )

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the picture, at most 512 pixels on the long side."""
        return png(self.image, self.alpha)


class Run(Protocol):
    """What user interfaces know of a run, whatever it makes: it is iterated over, and at any moment
    it has a picture, a result and a history; ``attachments`` are theirs, and are part of what
    ``save_checkpoint`` writes to ``checkpoint`` (None: nowhere)."""

    height: int
    width: int
    checkpoint: Path | None
    history: list[dict[str, Any]]
    attachments: dict[str, Any]
    done: bool

    @property
    def levels(self) -> Sequence[Level]: ...

    def __iter__(self) -> Iterator[Event]: ...

    def picture(self) -> Tensor: ...

    def result(self) -> Result: ...

    def metadata(self) -> dict[str, Any]: ...

    def save_checkpoint(self) -> None: ...


def with_places(metadata: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Metadata in which ``change`` was applied to the place of each input: pictures and masks."""

    def changed(told: Any) -> Any:
        if isinstance(told, list):
            return [changed(part) for part in told]
        if isinstance(told, dict) and "path" in told:
            return {**told, "path": change(told["path"])}
        return told

    return {key: changed(told) if key in INPUTS else told for key, told in metadata.items()}


def _relative(place: str, folder: Path) -> str:
    try:
        return Path(os.path.relpath(place, folder.resolve())).as_posix()
    except ValueError:  # another drive, on Windows
        return place
