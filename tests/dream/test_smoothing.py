"""Gradients without their fine grain."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.dream.smoothing import FILTERS, STRENGTHS, fourier, laplacian


def noise(height: int = 64, width: int = 96, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def roughness(x: Tensor) -> float:
    """Mean squared difference of neighbours over the variance: 2 for white noise."""
    return float((x[..., 1:] - x[..., :-1]).square().mean() / x.var())


@pytest.mark.parametrize("name", ["laplacian", "fourier"])
def test_noise_becomes_smooth_and_keeps_its_shape(name: str) -> None:
    smooth = FILTERS[name]
    assert smooth is not None
    for size in ((64, 96), (33, 51), (5, 7)):
        assert smooth(noise(*size)).shape == (1, 3, *size)
    assert roughness(noise()) > 1.8
    assert roughness(smooth(noise())) < {"laplacian": 0.8, "fourier": 1.4}[name]


@pytest.mark.parametrize("name", ["laplacian", "fourier"])
def test_it_does_not_tint(name: str) -> None:
    smooth = FILTERS[name]
    assert smooth is not None
    result = smooth(noise() + 5)
    assert result.mean().abs() < 0.1 * result.std()


@pytest.mark.parametrize("name", ["laplacian", "fourier"])
def test_what_is_left_still_climbs(name: str) -> None:
    """Its inner product with the gradient is positive: a small step along it is a step up."""
    smooth = FILTERS[name]
    assert smooth is not None
    assert (smooth(noise()) * noise()).sum() > 0


def test_the_strength_of_each_band_is_its_own() -> None:
    """A gradient of one scale only comes out as strong however strong it was."""
    x = torch.linspace(0, 40 * torch.pi, 256)
    wave = torch.sin(x)[None, None, None].expand(1, 3, 64, 256)
    assert torch.allclose(laplacian(wave), laplacian(100 * wave), atol=1e-4)
    one = laplacian(noise(), strengths=(1.0, 0.0, 0.0, 0.0))
    assert one.square().mean().sqrt() == pytest.approx(1, rel=0.01)
    assert len(STRENGTHS) == 4


def test_pictures_of_a_batch_do_not_mix() -> None:
    both = torch.cat([noise(), 100 * noise()])
    assert torch.allclose(laplacian(both)[0], laplacian(both[:1])[0], atol=1e-5)


def test_fourier_by_hand() -> None:
    """A cosine that fits the mirrored picture is only scaled."""
    x = (torch.arange(64) + 0.5) / 64
    found = {}
    for cycles in (8, 16):  # wavelengths of 8 and 4 pixels
        wave = torch.cos(2 * torch.pi * cycles * x)[None, None, None].expand(1, 1, 32, 64)
        result = fourier(wave)
        factor = float((result * wave).sum() / wave.square().sum())
        assert torch.allclose(result, factor * wave, atol=1e-4 * factor)
        square = (cycles / 64) ** 2
        assert factor == pytest.approx(square / (square + 16**-2) ** 1.5, rel=1e-3)
        found[cycles] = factor
    assert found[8] > 1.5 * found[16]
