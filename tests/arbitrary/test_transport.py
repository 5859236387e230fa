"""The shortest way between two clouds of points, against other ways of computing it."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from impasto.arbitrary import transport as module
from impasto.arbitrary.export import solve_by_products
from impasto.arbitrary.transport import Moments, blend, moments, optimal_map, solve_by_factors


def cloud(channels: int = 6, seed: int = 0) -> Tensor:
    """Correlated features ``(1, C, 12, 15)`` around some mean."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(channels, channels, generator=draw)
    rows = torch.randn(180, channels, generator=draw) @ mix + torch.randn(channels, generator=draw)
    return rows.T.reshape(1, channels, 12, 15)


def test_moments_are_those_of_torch() -> None:
    features = cloud()
    found = moments(features)
    rows = features[0].flatten(1)
    assert torch.allclose(found.mean[0], rows.mean(1), atol=1e-5)
    assert torch.allclose(found.covariance[0], torch.cov(rows, correction=0), atol=1e-4)


def test_the_moved_cloud_has_the_targets_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RIDGE", 0.0)
    source, target = moments(cloud(seed=1)), moments(cloud(seed=2))
    moved = moments(optimal_map(source, target)(cloud(seed=1)))
    assert torch.allclose(moved.mean, target.mean, atol=1e-3)
    assert torch.allclose(moved.covariance, target.covariance, atol=1e-2)


def test_no_other_way_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean squared way is the Wasserstein distance of Gaussians (by scipy's square roots), and
    whitening and colouring, which ends at the same moments, goes further."""
    monkeypatch.setattr(module, "RIDGE", 0.0)
    features = cloud(seed=1)
    source, target = moments(features), moments(cloud(seed=2))
    way = (optimal_map(source, target)(features) - features).square().sum(1).mean()
    s, t = source.covariance[0].double().numpy(), target.covariance[0].double().numpy()
    root = sqrtm(s)
    least = (source.mean - target.mean).square().sum().double() + (
        s + t - 2 * sqrtm(root @ t @ root).real
    ).trace()
    assert float(way) == pytest.approx(float(least), rel=1e-3)
    low, high = torch.linalg.cholesky(source.covariance), torch.linalg.cholesky(target.covariance)
    rows = features.flatten(2) - source.mean.unsqueeze(2)
    coloured = high @ torch.linalg.solve_triangular(low, rows, upper=False)
    other = (coloured + target.mean.unsqueeze(2) - features.flatten(2)).square().sum(1).mean()
    assert other > 1.05 * way


def test_products_solve_what_factors_do() -> None:
    """Which is symmetric, and leads from the one covariance to the other."""
    source, target = (moments(cloud(9, seed)).covariance.double() for seed in (1, 2))
    source, target = (source + source.mT) / 2, (target + target.mT) / 2  # rounding
    by_factors = solve_by_factors(source, target, 0.0)
    assert torch.allclose(by_factors, by_factors.mT)
    assert torch.allclose(by_factors @ source @ by_factors, target)
    assert torch.allclose(solve_by_products(source, target, 1e-3), by_factors, rtol=1e-4)


def test_strength_goes_a_part_of_the_way() -> None:
    features = cloud(seed=1)
    source, target = moments(features), moments(cloud(seed=2))
    whole = optimal_map(source, target)(features) - features
    half = optimal_map(source, target, 0.5)(features) - features
    assert torch.allclose(half, whole / 2, atol=1e-3)
    assert torch.allclose(optimal_map(source, target, 0.0)(features), features, atol=1e-4)


def test_flat_pictures_do_no_harm() -> None:
    flat = moments(torch.ones(1, 6, 4, 4))
    moved = optimal_map(flat, moments(cloud()))(torch.ones(1, 6, 4, 4))
    assert torch.isfinite(moved).all()
    assert moved.std((2, 3)).max() < 1e-3


def test_blending_ends_at_its_parts() -> None:
    first, second = moments(cloud(seed=1)), moments(cloud(seed=2))
    assert torch.equal(blend([first, second], [1.0, 0.0]).covariance, first.covariance)
    middle = blend([first, second], [0.5, 0.5])
    assert torch.allclose(middle.mean, (first.mean + second.mean) / 2)
    assert isinstance(middle, Moments)
