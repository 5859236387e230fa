"""What is carried follows what it belongs to; a cut carries nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.video.carry import ANCHOR_EVERY, Memory, confident


def painted(shot: Callable[..., Tensor], number: int) -> Tensor:
    """A painting that belongs to the frame: its colours turned round."""
    return shot(number).flip(1)


def test_nothing_is_carried_to_the_first_frame(shot: Callable[..., Tensor]) -> None:
    assert Memory(0.35).carry(shot(0)) is None


def test_paint_moves_with_the_frames(shot: Callable[..., Tensor]) -> None:
    memory = Memory(0.35)
    memory.remember(shot(0), painted(shot, 0))
    for number in range(1, ANCHOR_EVERY + 4):
        carried = memory.carry(shot(number))
        assert carried is not None
        memory.remember(shot(number), carried.picture)
    assert carried is not None
    error = (carried.picture - painted(shot, number))[..., 6:-6, 20:-6]
    assert float(error.abs().mean()) < 0.04
    assert float(carried.trust[..., 6:-6, 20:-6].mean()) > 0.9


def test_a_cut_is_found(shot: Callable[..., Tensor]) -> None:
    memory = Memory(0.35)
    memory.remember(shot(0), painted(shot, 0))
    other = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    assert memory.carry(other) is None
    assert memory.carry(shot(1)) is None  # nothing of the old shot is left


def test_a_state_goes_on_to_the_bit(shot: Callable[..., Tensor]) -> None:
    memory = Memory(0.35)
    memory.remember(shot(0), painted(shot, 0))
    for number in (1, 2):
        assert memory.carry(shot(number)) is not None
        memory.remember(shot(number), painted(shot, number))
    other = Memory(0.35)
    other.load_state_dict(memory.state_dict())
    here, there = memory.carry(shot(3)), other.carry(shot(3))
    assert here is not None
    assert there is not None
    assert torch.equal(here.picture, there.picture)
    assert torch.equal(here.trust, there.trust)


def test_a_key_pulls_for_good(shot: Callable[..., Tensor]) -> None:
    memory = Memory(0.35)
    memory.add_key(shot(0), painted(shot, 0))
    for number in range(1, ANCHOR_EVERY + 3):
        carried = memory.carry(shot(number))
        assert carried is not None
        memory.remember(shot(number), torch.full_like(carried.picture, 0.5))
    assert [anchor.fixed for anchor in memory.anchors] == [False, True]
    assert memory.anchors[-1].age == ANCHOR_EVERY + 2


def test_confidence_is_monotonous() -> None:
    found = confident(torch.linspace(0, 1, 11))
    assert bool((found.diff() >= 0).all())
