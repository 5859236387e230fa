"""A run through levels, with next to nothing made in each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Event, Finished, LevelDone, LevelStarted, Step, StylizeConfig
from impasto.errors import ConfigError
from impasto.losses import Objective, TotalVariation
from impasto.optim.loop import optimize
from impasto.optim.pyramid import Level
from impasto.optim.state import State
from impasto.runs.base import Run


class Smoothing(Run[Tensor]):
    """Noise that becomes smoother; remembers how many levels it has begun."""

    def __init__(self, encoder: Encoder, checkpoint: Path | None = None, resume: bool = False):
        self.config, self.encoder = StylizeConfig(), encoder
        self.device, self.dtype, self.tile = torch.device("cpu"), torch.float32, None
        self.height, self.width, self.sources = 16, 16, {}
        self.levels = [Level(8, 8, 3), Level(16, 16, 3)]
        self.begun, self.name = 0, "noise"
        self.begin(checkpoint, resume=resume)

    def run_level(self, number: int) -> Iterator[Step]:
        if self.state is None:
            self.state = State(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
        elif number > self.level:
            self.state = self.state.grow(self.levels[number])
        self.level, self.begun = number, number + 1
        objective = Objective(tv=(TotalVariation(), 1.0))
        return optimize(self.state.image, self.encoder, objective, steps=3, state=self.state)

    def picture(self) -> Tensor:
        return torch.zeros(1, 3, 16, 16) if self.state is None else self.state.picture()

    def result(self) -> Tensor:
        return self.picture()

    def inputs(self) -> dict[str, Any]:
        return {"name of the noise": self.name}

    def extras(self) -> dict[str, Any]:
        return {"begun": self.begun}


def test_events_and_history(encoder: Encoder) -> None:
    run = Smoothing(encoder)
    kinds = [type(event) for event in run]
    assert kinds == 2 * [LevelStarted, Step, Step, Step, LevelDone] + [Finished]
    assert [(entry["step"], entry["level"]) for entry in run.history] == [
        (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1),
    ]  # fmt: skip
    assert run.done
    assert run.provenance(method="smoothing")["method"] == "smoothing"
    assert run.provenance()["steps"] == 6


@pytest.mark.parametrize("after", [2, 7])
def test_it_goes_on_with_its_extras(encoder: Encoder, tmp_path: Path, after: int) -> None:
    whole = Smoothing(encoder)
    for _ in whole:
        pass
    first = Smoothing(encoder, tmp_path / "c")
    for _, _ in zip(range(after), first, strict=False):
        pass
    first.save_checkpoint()
    again = Smoothing(encoder, tmp_path / "c", resume=True)
    assert again.begun == first.begun > 0
    for _ in again:
        pass
    assert torch.equal(again.picture(), whole.picture())
    assert again.history == whole.history


def test_another_runs_checkpoint(encoder: Encoder, tmp_path: Path) -> None:
    first = Smoothing(encoder, tmp_path / "c")
    for event in first:
        if isinstance(event, Step):
            break
    first.name = "other"
    first.save_checkpoint()
    with pytest.raises(ConfigError, match="a run with another name of the noise"):
        Smoothing(encoder, tmp_path / "c", resume=True)


def test_finishing_passes_on_all_events(encoder: Encoder) -> None:
    events: list[Event] = []
    picture = Smoothing(encoder).finish(events.append)
    assert [type(event) for event in events] == [type(event) for event in Smoothing(encoder)]
    last = events[-1]
    assert isinstance(last, Finished)
    assert torch.equal(picture, last.image)


def test_nothing_to_do(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Smoothing, "paints", lambda self: False)
    assert [type(event) for event in Smoothing(encoder)] == [Finished]
