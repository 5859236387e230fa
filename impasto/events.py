"""What a run tells about itself while it goes: small frozen dataclasses.

They are the only contract between the engine and user interfaces: a progress bar, a browser and a
log all just iterate over them. ``to_json()`` leaves the pictures out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Event:
    """Base of all events."""

    def to_json(self) -> dict[str, Any]:
        """The event as plain numbers, texts and lists, with its kind under ``event``."""
        plain: dict[str, Any] = {"event": type(self).__name__}
        for item in fields(self):
            if item.metadata.get("json", True):
                value = getattr(self, item.name)
                plain[item.name] = dict(value) if isinstance(value, Mapping) else value
        return plain


def pass_on(events: Iterable[Event], on_event: Callable[[Event], None] | None) -> None:
    """Take all events, which carries a run through, and call ``on_event`` with each."""
    for event in events:
        if on_event is not None:
            on_event(event)


@dataclass(frozen=True)
class LevelStarted(Event):
    """A pyramid level begins: ``level`` of ``levels`` (from 0), its size and number of steps."""

    level: int
    levels: int
    height: int
    width: int
    steps: int


@dataclass(frozen=True)
class Step(Event):
    """One step of the optimiser is done.

    ``index`` counts from 1 within the level, ``losses`` are the weighted terms whose sum is
    ``total``, ``parts`` the weighted share of each layer in them (``style.relu1_1``). ``image`` is
    the picture after the step ``(1, 3, H, W)`` in [0, 1], the iterate average where one is kept; it
    is shared with the optimiser: clone it to keep it. It has its level's size and the colours of
    the optimiser; ``Stylization.picture()`` is what would come out now. ``distances`` are the terms
    that are held to a limit, without their weights: how far the content has moved. ``note`` tells
    of something unusual, such as L-BFGS giving way to Adam.
    """

    index: int
    steps: int
    total: float
    losses: Mapping[str, float]
    parts: Mapping[str, float]
    image: Tensor = field(repr=False, metadata={"json": False})
    level: int = 0
    seconds: float = 0.0
    note: str = ""
    distances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LevelDone(Event):
    """A pyramid level is finished; ``image`` ``(1, 3, H, W)`` is what it reached."""

    level: int
    levels: int
    seconds: float
    image: Tensor = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class Finished(Event):
    """The run is over; ``image`` ``(1, 3, H, W)`` in [0, 1] is the picture."""

    seconds: float
    steps: int
    image: Tensor = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class Trained(Event):
    """One step of a training is done: number ``step``, from 1.

    ``progress`` is the share of the training that is over, ``losses`` are the weighted terms whose
    sum is ``total``, for the crops of this step; ``seconds`` are those since the beginning, over
    all parts of a training that was resumed.
    """

    step: int
    progress: float
    total: float
    losses: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Validated(Event):
    """The network was tried on photos that it does not learn from.

    ``total`` and ``losses`` are means over those photos, ``best`` says whether there was none so
    small before, ``image`` ``(1, 3, H, W)`` has some of the photos and what became of them.
    """

    step: int
    total: float
    losses: Mapping[str, float]
    best: bool
    image: Tensor = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class FrameDone(Event):
    """A frame of a clip is painted: number ``frame`` of ``frames`` (None: not known), from 1.

    ``cut`` says that a shot begins with it, ``time`` when it is shown, in seconds. ``image``
    ``(1, 3, H, W)`` in [0, 1] is its painting; ``seconds`` are those of the run so far.
    """

    frame: int
    frames: int | None
    time: float
    cut: bool
    seconds: float
    image: Tensor = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class ItemDone(Event):
    """An item of a batch is over: ``state`` is done, skipped, retried or failed.

    ``done`` of ``total`` are over by now (retries are not), ``failed`` of them did not succeed;
    ``output`` is its file, ``error`` what went wrong, ``seconds`` those of the item itself.
    """

    output: str
    state: str
    done: int
    total: int
    failed: int
    seconds: float = 0.0
    error: str = ""
