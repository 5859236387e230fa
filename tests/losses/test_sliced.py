"""One-dimensional transport against scipy's assignment, numpy's quantiles and sorting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from impasto.losses import HistogramLoss, SlicedLoss
from impasto.losses.sliced import directions, distance_on_lines, quantiles


def features(height: int, width: int, seed: int, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64)
    return x * (1 + seed) + seed


def equal(count: int) -> Tensor:
    return torch.full((count,), 1 / count, dtype=torch.float64)


def cheapest(x: np.ndarray, y: np.ndarray) -> float:
    """The least mean cost over all ways to pair the values."""
    cost = (x[:, None] - y[None, :]) ** 2
    return float(cost[linear_sum_assignment(cost)].mean())


def test_sorting_is_the_best_assignment() -> None:
    x, y = features(4, 5, 0)[0].flatten(1), features(4, 5, 1)[0].flatten(1)
    found = distance_on_lines(x.T, equal(20), y.T, equal(20))
    for channel in range(3):
        expected = cheapest(x[channel].numpy(), y[channel].numpy())
        assert found[channel].item() == pytest.approx(expected, rel=1e-10)


def test_other_counts_by_numpys_quantiles() -> None:
    y = features(6, 7, 1)[0].flatten(1)
    ranks = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    found = quantiles(ranks[None], y.T, equal(42))
    for channel in range(3):
        middles = (np.arange(42) + 0.5) / 42
        expected = np.interp(ranks.numpy(), middles, np.sort(y[channel].numpy()))
        assert np.allclose(found[channel].numpy(), expected, rtol=1e-10)


def test_weights_by_numpys_quantiles() -> None:
    draw = torch.Generator().manual_seed(5)
    x, y = features(4, 5, 0)[0].flatten(1), features(3, 7, 1)[0].flatten(1)
    a, b = (torch.rand(n, generator=draw, dtype=torch.float64) + 0.1 for n in (20, 21))
    a, b = a / a.sum(), b / b.sum()
    found = distance_on_lines(x.T, a, y.T, b)
    for channel in range(3):
        i, j = x[channel].argsort(), y[channel].argsort()
        ours, style = x[channel][i].numpy(), y[channel][j].numpy()
        at = a[i].cumsum(0).numpy() - a[i].numpy() / 2
        places = b[j].cumsum(0).numpy() - b[j].numpy() / 2
        expected = (a[i].numpy() * (ours - np.interp(at, places, style)) ** 2).sum()
        assert found[channel].item() == pytest.approx(expected, rel=1e-10)


def test_one_value_takes_all() -> None:
    found = quantiles(torch.tensor([[0.25, 0.75]]), torch.tensor([[7.0]]), torch.ones(1))
    assert found.tolist() == [[7.0, 7.0]]


@pytest.mark.parametrize("normalization", ["mean", "relative"])
def test_histograms_by_assignment(normalization: str) -> None:
    style, ours = features(4, 5, 1), features(5, 4, 0)
    a, b = style[0].flatten(1).numpy(), ours[0].flatten(1).numpy()
    distance = sum(cheapest(x, y) for x, y in zip(a, b, strict=True))
    expected = distance / (3 if normalization == "mean" else (a**2).sum() / 20)
    value = HistogramLoss({"a": style}, normalization=normalization)({"a": ours})["a"]
    assert value.item() == pytest.approx(expected, rel=1e-7)


def test_slices_by_assignment() -> None:
    style, ours = features(4, 5, 1, channels=40), features(5, 4, 0, channels=40)
    loss = SlicedLoss({"a": style})
    loss.on_step_start(3)
    value = loss({"a": ours})["a"]
    lines = directions(40, 32, loss.generator("a", 3)).numpy()
    a, b = style[0].flatten(1).numpy().T @ lines, ours[0].flatten(1).numpy().T @ lines
    expected = np.mean([cheapest(a[:, k], b[:, k]) for k in range(32)])
    assert value.item() == pytest.approx(float(expected), rel=1e-10)


def test_directions_are_perpendicular_and_other_ones_each_step() -> None:
    v = directions(10, 4, torch.Generator().manual_seed(0))
    assert torch.allclose(v.T @ v, torch.eye(4).double(), atol=1e-12)
    style, ours = features(4, 5, 1, channels=40), features(5, 4, 0, channels=40)
    loss, values = SlicedLoss({"a": style}), []
    for step in (0, 1, 0):
        loss.on_step_start(step)
        values.append(loss({"a": ours})["a"].item())
    assert values[0] == values[2] != values[1]


def test_few_slices_expect_what_all_say() -> None:
    """Relative, the mean over many draws is the distance in all directions."""
    style, ours = features(6, 6, 1, channels=48), features(6, 6, 0, channels=48)
    few = SlicedLoss({"a": style}, normalization="relative")
    few.directions = 4
    values = []
    for step in range(300):
        few.on_step_start(step)
        values.append(few({"a": ours})["a"].item())
    every = SlicedLoss({"a": style}, normalization="relative")
    every.directions = 48
    means = []
    for step in range(20):
        every.on_step_start(step)
        means.append(every({"a": ours})["a"].item())
    assert np.mean(values) == pytest.approx(np.mean(means), rel=0.05)


def test_gram_cannot_tell_what_slices_can() -> None:
    """Equal means and second moments, but two values against four."""
    draw = torch.Generator().manual_seed(0)
    two = torch.randint(0, 2, (1, 2, 30, 30), generator=draw).double() * 2 - 1
    normal = torch.randn(1, 2, 30, 30, generator=draw, dtype=torch.float64)
    assert SlicedLoss({"a": two})({"a": normal})["a"] > 0.1
