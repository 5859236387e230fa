"""What a notebook shows: pictures side by side, and how far a run is.

IPython is no dependency: it is used where a notebook has loaded it.
"""

from __future__ import annotations

import base64
import html
import io
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from impasto.errors import InputError
from impasto.events import Event, Finished, LevelStarted, Step, Trained
from impasto.image.io import resize, size_to_fit, to_pil
from impasto.outputs.contact_sheet import Cell, contact_sheet

SHOWN = 512
"""Pixels on the long side of what a notebook shows, at most."""
PREVIEW = 192  # pixels on the long side of the picture below a bar
PAUSE = 0.5  # seconds between two states of a bar


class HasImage(Protocol):
    """A result, a cell, a sheet: what has a picture ``(1, 3, H, W)``."""

    @property
    def image(self) -> Tensor: ...


@dataclass(frozen=True)
class Sheet:
    """Pictures side by side, which a notebook shows: ``image`` ``(1, 3, H, W)`` in [0, 1]."""

    image: Tensor = field(repr=False)

    def _repr_png_(self) -> bytes:
        return png(self.image, largest=max(self.image.shape[-2:]))


def compare(
    *pictures: HasImage | Tensor,
    labels: Sequence[str] = (),
    width: int = 240,
    columns: int = 5,
) -> Sheet:
    """``pictures`` side by side, each ``width`` pixels wide, in rows of ``columns``.

    Pictures are results or tensors ``(1, 3, H, W)`` in [0, 1]; ``labels`` stand below them. The
    sheet shows itself where it is a cell's last line, and its ``image`` can be saved.

    Raises InputError where there is no picture, or another number of labels than of pictures.

    >>> import impasto
    >>> waves = impasto.swatch("waves", size=64)
    >>> compare(waves, waves, labels=["before", "after"], width=64).image.shape
    torch.Size([1, 3, 94, 146])
    """
    if not pictures:
        raise InputError("there is nothing to compare", "give results or pictures")
    if labels and len(labels) != len(pictures):
        raise InputError(
            f"{len(labels)} labels for {len(pictures)} pictures", "give one for each, or none"
        )
    names = list(labels) or [""] * len(pictures)
    cells = [
        Cell(name, (x if isinstance(x, Tensor) else x.image).detach())
        for name, x in zip(names, pictures, strict=True)
    ]
    rows = [cells[k : k + columns] for k in range(0, len(cells), columns)]
    return Sheet(contact_sheet(rows, width))


class NotebookProgress:
    """A bar that follows a run in a notebook, with the picture so far below it.

    To be given as ``on_event``: ``impasto.stylize(photo, "waves", on_event=NotebookProgress())``.
    Where IPython is not loaded, or nothing can be displayed, it does nothing.
    """

    def __init__(self, *, picture: bool = True) -> None:
        self.picture = picture
        self.level = "", 0.0, 1.0  # its text, where it begins, what share of the run it is
        self.drawn = -math.inf
        self.handle: Any = None
        self.preview = ""

    def __call__(self, event: Event) -> None:
        """Show where the run is now."""
        if isinstance(event, LevelStarted):
            share = 1 / event.levels
            text = f"level {event.level + 1}/{event.levels} ({event.height}x{event.width})"
            self.level = text, event.level * share, share
            self._show(text, self.level[1])
        elif isinstance(event, Step):
            text, begins, share = self.level
            place = f"{text}, step {event.index}/{event.steps}, loss {event.total:.4g}"
            self._show(place, begins + share * event.index / event.steps, event.image)
        elif isinstance(event, Trained):
            self._show(f"step {event.step}, loss {event.total:.4g}", event.progress)
        elif isinstance(event, Finished):
            self.drawn, self.picture, self.preview = -math.inf, False, ""  # the result shows itself
            self._show(f"{event.steps} steps in {event.seconds:.1f} s", 1.0)

    def _show(self, text: str, progress: float, image: Tensor | None = None) -> None:
        now = time.monotonic()
        if now - self.drawn < PAUSE or not (display := _display()):
            return
        self.drawn = now
        if self.picture and image is not None:
            data = base64.b64encode(png(image, largest=PREVIEW)).decode()
            self.preview = f'<br><img alt="the picture so far" src="data:image/png;base64,{data}">'
        bar = f'<progress value="{progress:.3f}" max="1"></progress> {html.escape(text)}'
        shown = {"text/html": bar + self.preview, "text/plain": f"{progress:4.0%} {text}"}
        if self.handle is None:
            self.handle = display(shown, raw=True, display_id=True)
        elif self.handle:
            self.handle.update(shown, raw=True)


def png(image: Tensor, alpha: Tensor | None = None, *, largest: int = SHOWN) -> bytes:
    """A picture ``(1, 3, H, W)`` as a PNG of at most ``largest`` pixels on the long side."""
    height, width = image.shape[-2:]
    if max(height, width) > largest:
        size = size_to_fit(height, width, largest)
        image = resize(image.float(), size)
        alpha = None if alpha is None else resize(alpha.float(), size)
    buffer = io.BytesIO()
    to_pil(image, alpha).save(buffer, "PNG")
    return buffer.getvalue()


def _display() -> Any:
    """IPython's ``display`` in a notebook, None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return sys.modules["IPython.display"].display if getattr(shell, "kernel", None) else None
