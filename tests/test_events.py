from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest
import torch

from impasto.events import Event, Finished, LevelDone, LevelStarted, Step, Trained, Validated

IMAGE = torch.zeros(1, 3, 2, 2)
MOVED = {"content": 0.25}
EVENTS: list[tuple[Event, dict[str, object]]] = [
    (
        LevelStarted(0, 2, 24, 32, 150),
        {"event": "LevelStarted", "level": 0, "levels": 2, "height": 24, "width": 32, "steps": 150},
    ),
    (
        Step(
            3,
            9,
            1.5,
            {"style": 1.5},
            {"style.relu1_1": 1.5},
            IMAGE,
            level=1,
            note="odd",
            distances=MOVED,
        ),
        {
            "event": "Step",
            "index": 3,
            "steps": 9,
            "total": 1.5,
            "losses": {"style": 1.5},
            "parts": {"style.relu1_1": 1.5},
            "level": 1,
            "seconds": 0.0,
            "note": "odd",
            "distances": {"content": 0.25},
        },
    ),
    (LevelDone(0, 2, 1.5, IMAGE), {"event": "LevelDone", "level": 0, "levels": 2, "seconds": 1.5}),
    (
        Trained(3, 0.25, 1.5, {"style": 1.5}, 2.5),
        {
            "event": "Trained",
            "step": 3,
            "progress": 0.25,
            "total": 1.5,
            "losses": {"style": 1.5},
            "seconds": 2.5,
        },
    ),
    (
        Validated(250, 1.5, {"style": 1.5}, True, IMAGE),
        {
            "event": "Validated",
            "step": 250,
            "total": 1.5,
            "losses": {"style": 1.5},
            "best": True,
        },
    ),
    (Finished(2.5, 250, IMAGE), {"event": "Finished", "seconds": 2.5, "steps": 250}),
]


@pytest.mark.parametrize(("event", "plain"), EVENTS)
def test_json_is_everything_but_the_picture(event: Event, plain: dict[str, object]) -> None:
    assert event.to_json() == plain
    assert json.loads(json.dumps(event.to_json(), allow_nan=False)) == plain


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_events_are_frozen_and_print_without_the_picture(event: Event) -> None:
    with pytest.raises(FrozenInstanceError):
        event.level = 7  # type: ignore[attr-defined]
    assert "tensor" not in repr(event)


def test_the_json_of_a_step_shares_nothing_with_it() -> None:
    losses = {"style": 1.0}
    step = Step(1, 1, 1.0, losses, {}, IMAGE)
    step.to_json()["losses"]["style"] = 2.0
    assert losses == {"style": 1.0}
