"""Statistics against loops in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.losses.functional import mean_std, total_variation
from impasto.losses.gram import gram, gram_sum

Array = NDArray[np.float64]


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("masked", [False, True])
def test_mean_and_std_by_loops(masked: bool) -> None:
    x = features(2, 3, 4, 5)
    weight = features(2, 1, 4, 5, seed=1).abs() if masked else torch.ones(2, 1, 4, 5)
    ours = mean_std(x, weight if masked else None)
    assert ours.mean.shape == ours.std.shape == (2, 3)
    for n, c in itertools.product(range(2), range(3)):
        values, shares = x[n, c].numpy().ravel(), weight[n, 0].numpy().ravel()
        mean = sum(v * s for v, s in zip(values, shares, strict=True)) / sum(shares)
        square = sum(s * (v - mean) ** 2 for v, s in zip(values, shares, strict=True))
        assert ours.mean[n, c].item() == pytest.approx(mean, rel=1e-6)
        assert ours.std[n, c].item() == pytest.approx((square / sum(shares)) ** 0.5, rel=1e-6)


def test_total_variation_by_loops() -> None:
    """The nine-point stencil: neighbours weigh 2/3, diagonal ones 1/6, borders replicated."""
    image = features(2, 3, 4, 6)
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    expected = 0.0
    for (dy, dx), weight in {(0, 1): 2 / 3, (1, 0): 2 / 3, (1, 1): 1 / 6, (1, -1): 1 / 6}.items():
        squares = []
        for n, c, y, x in itertools.product(range(2), range(3), range(6), range(8)):
            if 0 <= y + dy < 6 and 0 <= x + dx < 8:
                squares.append((padded[n, c, y + dy, x + dx] - padded[n, c, y, x]) ** 2)
        expected += weight * sum(squares) / len(squares)
    assert total_variation(image).item() == pytest.approx(expected, rel=1e-12)


def test_total_variation_of_a_flat_picture_is_zero() -> None:
    assert total_variation(torch.full((1, 3, 1, 1), 0.3)) == 0
    assert total_variation(torch.full((1, 3, 8, 5), 0.3)) == 0


@pytest.mark.parametrize("statistic", [gram, mean_std])
def test_all_ones_is_no_mask_and_a_scaled_mask_the_same(statistic: object) -> None:
    assert callable(statistic)
    x, weight = features(1, 3, 6, 6).float(), torch.ones(1, 1, 6, 6)
    plain = torch.cat([t.flatten() for t in statistic(x)])
    for scale in (1.0, 0.25):
        masked = torch.cat([t.flatten() for t in statistic(x, weight * scale)])
        assert torch.allclose(plain, masked, atol=1e-5)


@pytest.mark.parametrize("statistic", [gram, mean_std])
def test_what_is_masked_does_not_count(statistic: object) -> None:
    assert callable(statistic)
    x, weight = features(1, 3, 6, 6), torch.ones(1, 1, 6, 6)
    weight[..., 3:] = 0
    x[..., 3:] = 1e3
    whole = torch.cat([t.flatten() for t in statistic(x, weight)])
    half = torch.cat([t.flatten() for t in statistic(x[..., :3])])
    assert torch.allclose(whole, half, rtol=1e-7)


@pytest.mark.parametrize("statistic", [gram, mean_std])
def test_an_empty_mask_gives_numbers(statistic: object) -> None:
    assert callable(statistic)
    x = features(1, 3, 6, 6).requires_grad_(True)
    result = torch.cat([t.flatten() for t in statistic(x, torch.zeros(1, 1, 6, 6))])
    torch.autograd.backward(result.sum())
    assert result.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("statistic", [gram, mean_std, total_variation])
def test_gradients(statistic: object, masked: bool) -> None:
    assert callable(statistic)
    x = features(1, 2, 3, 4).requires_grad_(True)
    weight = features(1, 1, 3, 4, seed=1).abs()
    more = (weight,) if masked and statistic is not total_variation else ()
    assert torch.autograd.gradcheck(lambda t: statistic(t, *more), (x,))


@pytest.mark.parametrize(("statistic", "tolerance"), [(gram, 2e-3), (mean_std, 1e-5)])
def test_sums_of_bfloat16_are_float32(statistic: object, tolerance: float) -> None:
    """A bfloat16 sum of 4096 ones would stop growing at 256. Of Grams, products are rounded."""
    assert callable(statistic)
    x = features(1, 3, 64, 65).bfloat16()
    for ours, exact in zip(statistic(x), statistic(x.double()), strict=True):
        assert ours.dtype == torch.float32
        assert (ours.double() - exact).norm() < tolerance * exact.norm()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "shape", [(1, 5, 3, 2), (2, 3, 31, 37), (1, 4, 100, 101), (1, 2, 700, 600)]
)
def test_products_of_bfloat16_block_by_block(shape: tuple[int, ...], masked: bool) -> None:
    """No position is lost or counted twice, however many blocks and whatever is left over."""
    x = features(*shape).bfloat16()
    weight = (features(shape[0], 1, *shape[2:], seed=1) > 0).bfloat16() if masked else None
    exact = gram_sum(x.double(), None if weight is None else weight.double())
    ours = gram_sum(x, weight)
    assert ours.dtype == torch.float32
    assert (ours.double() - exact).norm() < 3e-3 * exact.norm()


def test_a_flat_channel_has_a_finite_gradient() -> None:
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    torch.autograd.backward(mean_std(x).std.sum())
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("axes", [(3,), (2, 3)])
@pytest.mark.parametrize("size", [(5, 7), (300, 3)])
def test_total_variation_that_goes_round(axes: tuple[int, ...], size: tuple[int, int]) -> None:
    """By rolling; rows that do not go round are replicated, as they are elsewhere."""
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    image.requires_grad_()
    tall = image
    if 2 not in axes:
        tall = torch.cat([image[..., :1, :], image, image[..., -1:, :]], 2)
    wanted = torch.zeros(()).double()
    for (dy, dx), weight in {(0, 1): 2 / 3, (1, 0): 2 / 3, (1, 1): 1 / 6, (1, -1): 1 / 6}.items():
        difference = tall.roll((-dy, -dx), (2, 3)) - tall
        if 2 not in axes and dy:
            difference = difference[..., :-1, :]
        wanted = wanted + weight * difference.square().mean()
    ours = total_variation(image, axes)
    assert ours.item() == pytest.approx(wanted.item(), rel=1e-12)
    (a,) = torch.autograd.grad(ours, image)
    (b,) = torch.autograd.grad(wanted, image)
    assert torch.allclose(a, b)
