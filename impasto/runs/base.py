"""A run through the levels of a pyramid, whatever is made there: its events, its checkpoints.

:class:`impasto.Stylization` and :class:`impasto.Dream` differ in where a level begins and in what
is minimised; the loop that both share is here.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from impasto.config.version import __version__
from impasto.encoders import Encoder
from impasto.events import Event, Finished, LevelDone, LevelStarted, Step, pass_on
from impasto.machine.devices import describe_machine, in_own_modes
from impasto.optim.pyramid import Level
from impasto.optim.state import State
from impasto.runs import checkpoint as checkpoints

# No more than this share of the time goes into writing checkpoints, and none comes sooner after
# the one before than this many seconds.
CHECKPOINT_SHARE = 0.03
CHECKPOINT_PAUSE = 1.0

ResultT = TypeVar("ResultT")


class Run(ABC, Generic[ResultT]):
    """Base of runs: to iterate over, to stop, to save and to resume.

    Subclasses set ``config``, ``encoder``, ``device``, ``dtype``, ``height``, ``width``,
    ``sources`` and ``tile``, call :meth:`begin` last, and implement what is abstract.
    """

    config: Any
    encoder: Encoder
    device: torch.device
    dtype: torch.dtype
    height: int
    width: int
    sources: dict[str, Any]
    tile: int | None
    levels: Sequence[Level]

    def begin(self, checkpoint: Path | None, *, resume: bool) -> None:
        """At the first level, or where ``checkpoint`` says. Raises ConfigError when that belongs to
        another run."""
        self.checkpoint = checkpoint
        self.history: list[dict[str, Any]] = []
        self.attachments: dict[str, Any] = {}
        self.seconds = 0.0
        self.level = 0
        self.done = False
        self.state: State | None = None
        if resume and checkpoint is not None:
            checkpoints.resume(checkpoint, self._fingerprint(), "run", self._restore)
        elif checkpoint is not None:
            checkpoints.check_is_ours(checkpoint)

    @in_own_modes
    def __iter__(self) -> Iterator[Event]:
        began = time.perf_counter() - self.seconds
        saved_at, pause = time.perf_counter(), CHECKPOINT_PAUSE
        for number in range(self.level, len(self.levels) if self.paints() else 0):
            level = self.levels[number]
            yield LevelStarted(number, len(self.levels), level.height, level.width, level.steps)
            level_began = time.perf_counter()
            for step in self.run_level(number):
                self.seconds = time.perf_counter() - began
                self._remember(step, number)
                yield step
                if self.checkpoint and time.perf_counter() - saved_at > pause:
                    before = time.perf_counter()
                    self.save_checkpoint()
                    saved_at = time.perf_counter()
                    pause = max(CHECKPOINT_PAUSE, (saved_at - before) / CHECKPOINT_SHARE)
            duration = time.perf_counter() - level_began
            yield LevelDone(number, len(self.levels), duration, self.picture())
        self.seconds = time.perf_counter() - began
        self.done = True
        yield Finished(self.seconds, len(self.history), self.picture())

    def finish(self, on_event: Callable[[Event], None] | None = None) -> ResultT:
        """Run to the end, pass on each event, and return the result."""
        pass_on(self, on_event)
        return self.result()

    def paints(self) -> bool:
        """Whether there is anything to do."""
        return True

    @abstractmethod
    def run_level(self, number: int) -> Iterator[Step]:
        """The steps of a level; sets ``state`` and ``level`` before the first."""

    @abstractmethod
    def picture(self) -> Tensor:
        """The picture so far ``(1, 3, H, W)`` at its final size, on the CPU."""

    @abstractmethod
    def result(self) -> ResultT:
        """The result as it is now; after :class:`Finished`, the final one."""

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """What else than settings, encoder, size and machine decides on the picture."""

    def extras(self) -> dict[str, Any]:
        """What a checkpoint holds besides the state, by the name of the attribute."""
        return {}

    def provenance(self, **own: Any) -> dict[str, Any]:
        """Metadata: what made the picture, with what is a subclass's ``own`` first."""
        return {
            "impasto": __version__,
            **own,
            "config": self.config.to_dict(),
            **self.sources,
            "encoder": {"name": self.encoder.name, "sha256": self.encoder.sha256},
            "size": [self.height, self.width],
            "machine": describe_machine(self.device, self.dtype),
            "tile": self.tile,
            "steps": len(self.history),
            "finished": self.done,
            "seconds": round(self.seconds, 2),
        }

    def save_checkpoint(self) -> None:
        """Save the state now. Call it between two events only."""
        if self.checkpoint is None or self.state is None:
            return
        state = {
            "fingerprint": self._fingerprint(),
            "level": self.level,
            "tile": self.tile,
            "seconds": self.seconds,
            "history": self.history,
            "attachments": self.attachments,
            **self.extras(),
            "state": self.state.state_dict(),
        }
        checkpoints.save_checkpoint(self.checkpoint, state)

    def _restore(self, saved: dict[str, Any]) -> None:
        """Set what a checkpoint holds; ValueError for what cannot be."""
        checked, is_count = checkpoints.checked, checkpoints.is_count
        level, history, tile = saved["level"], saved["history"], saved["tile"]
        checked(is_count(level) and level < max(len(self.levels), 1), "level")
        checked(checkpoints.is_finite(saved["seconds"], 0), "seconds")
        checked(tile is None or is_count(tile, 1), "tile")
        checked(isinstance(history, list) and all(map(_is_entry, history)), "history")
        checked(isinstance(saved["attachments"], dict), "attachments")
        for name, own in self.extras().items():
            checked(isinstance(saved[name], type(own)), name)
        self.level, self.seconds = level, saved["seconds"]
        self.tile = tile  # whatever memory is free today: another would be other bits
        self.history, self.attachments = history, saved["attachments"]
        for name in self.extras():
            setattr(self, name, saved[name])
        self.state = State.from_state_dict(saved["state"], self.device)
        size = self.levels[level].height, self.levels[level].width
        checked(tuple(self.state.values.shape[-2:]) == size, "the picture's size")

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a resumed run to end in the same picture."""
        return {
            "config": self.config.to_dict(),
            **self.inputs(),
            "encoder": [self.encoder.name, self.encoder.sha256],
            "size": [self.height, self.width],
            "device": self.device.type,
            "precision": str(self.dtype),
            "number of threads": torch.get_num_threads(),
        }

    def _remember(self, step: Step, number: int) -> None:
        level = self.levels[number]
        self.history.append(
            {
                "step": len(self.history) + 1,
                "level": number,
                "size": [level.height, level.width],
                "total": step.total,
                "losses": {**step.losses, **step.parts},
            }
        )


def _is_entry(entry: Any) -> bool:
    """Whether it is what :meth:`Run._remember` writes."""
    return (
        isinstance(entry, dict)
        and checkpoints.is_count(entry.get("step"), 1)
        and isinstance(entry.get("total"), float)
        and isinstance(entry.get("losses"), dict)
        and all(isinstance(value, float) for value in entry["losses"].values())
    )
