"""Wasserstein-2 against scipy's matrix roots, and the iteration against eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from impasto.losses import WassersteinLoss
from impasto.losses.wasserstein import basis, covariance, root_trace, roots


def features(channels: int, height: int, width: int, seed: int) -> Tensor:
    """Mixed channels, so that covariances are far from diagonal."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64)
    mix = torch.randn(channels, channels, generator=draw, dtype=torch.float64)
    return torch.einsum("ij,njhw->nihw", mix, x) + 0.5 * seed


def distance_by_scipy(ours: Tensor, style: Tensor) -> float:
    a, b = style[0].flatten(1).numpy(), ours[0].flatten(1).numpy()
    cov_a, cov_b = np.cov(a, bias=True), np.cov(b, bias=True)
    root = sqrtm(cov_a)
    cross = np.real(np.trace(sqrtm(root @ cov_b @ root)))
    mean = ((a.mean(1) - b.mean(1)) ** 2).sum()
    return float(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


@pytest.mark.parametrize("normalization", ["mean", "relative"])
def test_the_distance_by_scipy(normalization: str) -> None:
    style, ours = features(7, 9, 10, 1), features(7, 6, 11, 2)
    flat = style[0].flatten(1)
    own = float(flat.var(1, correction=0).sum() + flat.mean(1).square().sum())
    expected = distance_by_scipy(ours, style) / {"mean": 7, "relative": own}[normalization]
    value = WassersteinLoss({"a": style}, normalization=normalization)({"a": ours})["a"]
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_float32_is_near() -> None:
    style, ours = features(7, 9, 10, 1), features(7, 6, 11, 2)
    value = WassersteinLoss({"a": style.float()})({"a": ours.float()})["a"]
    assert value.item() == pytest.approx(distance_by_scipy(ours, style) / 7, rel=1e-3)


def test_with_fewer_positions_than_channels() -> None:
    """Where the style varies in few directions only, small matrices are enough."""
    style, ours = features(12, 2, 3, 1), features(12, 4, 5, 2)
    loss = WassersteinLoss({"a": style})
    assert loss.basis["a"].shape == (1, 12, 5)
    expected = distance_by_scipy(ours, style) / 12
    assert loss({"a": ours})["a"].item() == pytest.approx(expected, rel=1e-4)


def test_a_mean_alone_costs_its_square() -> None:
    style = features(5, 8, 8, 1)
    value = WassersteinLoss({"a": style})({"a": style + 2.0})["a"]
    assert value.item() == pytest.approx(4.0, rel=1e-9)


def test_relative_is_one_for_an_empty_picture() -> None:
    loss = WassersteinLoss({"a": features(5, 8, 8, 1)}, normalization="relative")
    assert loss({"a": torch.zeros(1, 5, 3, 3).double()})["a"].item() == pytest.approx(1, rel=1e-3)


def test_bfloat16_features_of_little_variance() -> None:
    """A covariance is a small difference: products must not be rounded before it."""
    draw = torch.Generator().manual_seed(0)
    style = (torch.randn(1, 16, 40, 40, generator=draw) * 0.1 + 1).bfloat16()
    ours = (torch.randn(1, 16, 40, 40, generator=draw) * 0.2 + 1).bfloat16().requires_grad_(True)
    loss = WassersteinLoss({"a": style})
    value = loss({"a": ours})["a"]
    assert value.item() == pytest.approx(0.01, rel=0.1)  # (0.2 - 0.1)²
    torch.autograd.backward(value)
    assert ours.grad is not None
    assert ours.grad.dtype == torch.bfloat16
    assert ours.grad.isfinite().all()


def positive(size: int, condition: float) -> Tensor:
    draw = torch.Generator().manual_seed(size)
    q = torch.linalg.qr(torch.randn(size, size, generator=draw, dtype=torch.float64)).Q
    values = torch.logspace(0, -np.log10(condition), size, dtype=torch.float64)
    found: Tensor = 5 * (q * values @ q.T).unsqueeze(0)
    return found


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e6, 1e10])
def test_roots_by_eigenvalues(condition: float) -> None:
    matrix = positive(9, condition)
    root, inverse = roots(matrix)
    assert torch.allclose(root @ root, matrix, atol=1e-9)
    expected = torch.linalg.eigvalsh(matrix).sqrt().sum(-1)
    assert torch.allclose(root_trace(matrix), expected, rtol=1e-5)
    if condition <= 1e6:
        assert torch.allclose(inverse @ root, torch.eye(9).double(), atol=1e-5)


def test_a_root_in_float32_survives_what_rounding_leaves_below_zero() -> None:
    matrix = positive(40, 1e12).float()
    matrix -= 1e-6 * torch.eye(40)
    assert torch.linalg.eigvalsh(matrix.double()).min() < 0
    matrix.requires_grad_(True)
    value = root_trace(matrix)
    torch.autograd.backward(value.sum())
    values = torch.linalg.eigvalsh(positive(40, 1e12)).sqrt()
    assert value.item() == pytest.approx(values.sum().item(), rel=1e-2)
    assert matrix.grad is not None
    assert matrix.grad.isfinite().all()


def test_a_root_of_nothing() -> None:
    zero = torch.zeros(1, 4, 4, requires_grad=True)
    value = root_trace(zero)
    torch.autograd.backward(value.sum())
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


def test_the_gradient_of_the_trace() -> None:
    matrix = positive(5, 100).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda m: root_trace((m + m.mT) / 2), (matrix,))


def test_a_basis_makes_its_covariance() -> None:
    moments = torch.cat([positive(6, 10), torch.zeros(1, 6, 1).double()], -1)
    found = basis(covariance(moments))
    assert torch.allclose(found @ found.mT, moments[..., :-1])
