"""Gram matrices, and the distance of two, against loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.losses import (
    GramLoss,
    MeanStdLoss,
    WassersteinLoss,
)
from impasto.losses.gram import gram
from impasto.losses.statistics import STYLE_NORMALIZATIONS

STATISTICS = [GramLoss, MeanStdLoss, WassersteinLoss]


Array = NDArray[np.float64]


def features(height: int, width: int, seed: int, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64)


def gram_sums(x: Tensor) -> list[list[float]]:
    """Gatys et al. 2016, eq. 3: sums over positions, not divided."""
    flat = x[0].flatten(1).tolist()
    return [[sum(a * b for a, b in zip(f, g, strict=True)) for g in flat] for f in flat]


def squared_distance(a: list[list[float]], b: list[list[float]], scale: float) -> float:
    return sum(
        (scale * x - scale * y) ** 2
        for x, y in zip(itertools.chain(*a), itertools.chain(*b), strict=True)
    )


def test_gatys_is_the_papers_formula_at_equal_sizes() -> None:
    """Eq. 4: 1/(4 N² M²) times the squared distance of matrices that sum over M positions."""
    style, ours = features(4, 5, 0), features(4, 5, 1)
    n, m = 3, 20
    expected = squared_distance(gram_sums(ours), gram_sums(style), 1.0) / (4 * n**2 * m**2)
    loss = GramLoss({"relu1_1": style}, normalization="gatys")({"relu1_1": ours})["relu1_1"]
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("normalization", STYLE_NORMALIZATIONS)
def test_gram_by_loops_at_different_sizes(normalization: str) -> None:
    style, ours = features(4, 5, 0), features(6, 3, 1)
    a = [[x / 20 for x in row] for row in gram_sums(style)]
    g = [[x / 18 for x in row] for row in gram_sums(ours)]
    zero = [[0.0] * 3] * 3
    own = squared_distance(a, zero, 1.0)
    expected = (
        squared_distance(g, a, 1.0) / {"mean": 9, "gatys": 36, "relative": own}[normalization]
    )
    loss = GramLoss({"relu1_1": style}, normalization=normalization)({"relu1_1": ours})["relu1_1"]
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def batch(count: int, channels: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, 4, 5, generator=source, dtype=torch.float64)


def gram_by_loops(x: Array, weight: Array) -> Array:
    """One picture: (C, h, w), (h, w)."""
    channels, height, width = x.shape
    result: Array = np.zeros((channels, channels))
    for i, j in itertools.product(range(channels), repeat=2):
        for p, q in itertools.product(range(height), range(width)):
            result[i, j] += weight[p, q] * x[i, p, q] * x[j, p, q]
    result /= weight.sum()
    return result


@pytest.mark.parametrize("masked", [False, True])
def test_masked_gram_by_loops(masked: bool) -> None:
    x = batch(2, 3)
    weight = batch(2, 1, seed=1).abs()
    ours = gram(x, weight if masked else None)
    assert ours.shape == (2, 3, 3)
    for n in range(2):
        w = weight[n, 0].numpy() if masked else np.ones((4, 5))
        assert np.allclose(ours[n], gram_by_loops(x[n].numpy(), w), rtol=1e-7)


def test_half_and_half_is_the_mean_of_gram_matrices() -> None:
    one, two = (GramLoss.measure({"relu1_1": features(6, 8, seed)}, {}) for seed in (1, 2))
    half = GramLoss.from_target_sums(GramLoss.blend([(0.5, one), (0.5, two)])).target["relu1_1"]
    mean = (gram(features(6, 8, 1)) + gram(features(6, 8, 2))) / 2
    assert torch.allclose(half, mean, atol=1e-7)
