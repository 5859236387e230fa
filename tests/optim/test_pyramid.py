from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.optim.pyramid import SMALLEST, Level, grow, plan


def test_three_levels_by_hand() -> None:
    assert plan(300, 401, (5, 6, 7)) == [
        Level(75, 100, 5),
        Level(150, 200, 6),
        Level(300, 401, 7),
    ]


def test_another_ratio() -> None:
    levels = plan(270, 270, (1, 1, 1), ratio=3)
    assert [x.height for x in levels] == [90, 270]  # 30 x 30 would be too small


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.lists(st.integers(1, 500), min_size=1, max_size=6),
    st.floats(1.05, 8),
)
def test_levels_in_general(height: int, width: int, steps: list[int], ratio: float) -> None:
    levels = plan(height, width, steps, ratio)
    assert levels[-1] == Level(height, width, steps[-1])  # the last is always the picture's
    assert [x.steps for x in levels] == steps[len(steps) - len(levels) :]  # coarse ones go first
    for small, large in itertools.pairwise(levels):
        assert min(small.height, small.width) >= SMALLEST
        assert abs(small.height * ratio - large.height) <= (ratio + 1) / 2 + 1e-6
        assert abs(small.width * ratio - large.width) <= (ratio + 1) / 2 + 1e-6
    if len(levels) < len(steps):
        distance = len(levels)
        assert min(round(height / ratio**distance), round(width / ratio**distance)) < SMALLEST


@pytest.mark.parametrize("positive", [True, False])
def test_growing_has_the_size_and_keeps_a_constant(positive: bool) -> None:
    larger = grow(torch.full((1, 3, 5, 7), 0.25), Level(11, 13, 1), positive=positive)
    assert larger.shape == (1, 3, 11, 13)
    assert torch.allclose(larger, torch.tensor(0.25))


def test_growing_to_the_same_size_changes_nothing() -> None:
    image = torch.rand(1, 3, 5, 7)
    assert grow(image, Level(5, 7, 1)) is image


def test_positive_stays_positive_where_bicubic_does_not() -> None:
    spike = torch.zeros(1, 1, 8, 8)
    spike[..., 4, 4] = 1
    level = Level(19, 17, 1)
    assert grow(spike, level).min() < 0
    assert grow(spike, level, positive=True).min() == 0


def test_growing_keeps_where_things_are() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    centres = (torch.arange(64) + 0.5) / 2 - 0.5  # of the small pixels, in large ones
    expected = centres / 31
    linear = grow(ramp, Level(64, 64, 1), positive=True)[0, 0, 20, 8:-8]
    cubic = grow(ramp, Level(64, 64, 1))[0, 0, 20, 8:-8]
    assert torch.allclose(linear, expected[8:-8], atol=1e-5)
    assert torch.allclose(cubic, expected[8:-8], atol=0.1 / 31)  # torch's kernel bends ramps a bit


def test_levels_that_go_round_are_multiples_of_16() -> None:
    levels = plan(500, 250, (1, 1, 1), 1.5, (2, 3))
    assert all(level.height % 16 == level.width % 16 == 0 for level in levels)
    assert (levels[-1].height, levels[-1].width) == (496, 256)


def test_growing_does_not_open_a_seam() -> None:
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    level = Level(32, 32, 1)
    ours = grow(image, level, axes=(2, 3))
    copies = grow(image.repeat(1, 1, 3, 3), Level(96, 96, 1))[..., 32:64, 32:64]
    assert torch.allclose(ours, copies, atol=1e-9)
    plain = grow(image, level)
    assert not torch.allclose(ours, plain, atol=1e-3)
