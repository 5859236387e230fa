"""Fourier's numbers for pictures."""

from __future__ import annotations

import pytest
import torch

from impasto.dream.parametrize import Fourier, hartley
from impasto.losses import FeatureLoss, Objective
from impasto.optim.loop import optimize
from impasto.optim.state import State
from tests.optim.test_loop import Blur


def test_hartley_by_its_definition() -> None:
    """The sum over x of cas(2 pi k x / N), with cas = cos + sin (Bracewell 1983)."""
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    rows = torch.arange(4)[:, None] * torch.arange(4)[None] / 4
    columns = torch.arange(5)[:, None] * torch.arange(5)[None] / 5
    angle = 2 * torch.pi * (rows[:, None, :, None] + columns[None, :, None, :])  # (k, l, y, x)
    kernel = (angle.cos() + angle.sin()).double() / 20**0.5
    expected = torch.einsum("klyx,nyx->nkl", kernel, x)
    assert torch.allclose(hartley(x).double(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (9, 5)])
def test_there_and_back(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size) * 0.98 + 0.01
    fourier = Fourier(decay=1.3)
    values = fourier.values(image)
    assert values.shape == image.shape
    assert torch.allclose(fourier.image(values), image, atol=1e-4)


def test_the_noise_has_the_spectrum_of_photos() -> None:
    """Amplitude falls as one over frequency; and a seed is a picture."""
    noise = Fourier().noise((8, 3, 64, 64), torch.Generator().manual_seed(0))
    again = Fourier().noise((8, 3, 64, 64), torch.Generator().manual_seed(0))
    assert noise.equal(again)
    assert (noise - 0.5).abs().max() < 0.4
    power = torch.fft.fft2(noise.mean(1)).abs().square().mean(0)
    ratio = (power[0, 4] / power[0, 16]).sqrt()
    assert 2.5 < ratio < 6.5  # 4 but for chance


def test_the_engine_moves_the_numbers() -> None:
    """With a parametrization the optimum is the same picture, and each step stays in [0, 1]."""
    encoder = Blur()
    target = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.2
    objective = Objective(content=(FeatureLoss(encoder(target, ["relu1_1"])), 1.0))
    start = torch.full((1, 3, 12, 12), 0.5)
    state = State(start, "adam", 0.1, Fourier())
    assert torch.allclose(state.picture(), start, atol=1e-4)
    steps = list(optimize(start, encoder, objective, steps=60, state=state))
    assert steps[-1].total < 0.05 * steps[0].total
    assert 0 < state.picture().min() < state.picture().max() < 1
    assert not state.values.equal(state.image)


def test_a_state_with_a_parametrization_is_saved_and_goes_on() -> None:
    encoder = Blur()
    objective = Objective(c=(FeatureLoss(encoder(torch.rand(1, 3, 12, 12), ["relu1_1"])), 1.0))
    fourier, start = Fourier(), torch.rand(1, 3, 12, 12) * 0.5 + 0.2
    one = State(start, "adam", 0.1, fourier)
    for _ in optimize(start, encoder, objective, steps=3, state=one):
        pass
    other = State.from_state_dict(one.state_dict(), torch.device("cpu"), fourier)
    ends = [list(optimize(start, encoder, objective, steps=6, state=s)) for s in (one, other)]
    assert len(ends[0]) == len(ends[1]) == 3
    assert ends[0][-1].image.equal(ends[1][-1].image)
