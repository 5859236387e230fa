"""Nearest neighbours against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.losses import EarthMoverLoss, PatchLoss
from impasto.losses import patches as module


def features(height: int, width: int, seed: int, channels: int = 4) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64)


def cosine_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    distances = np.empty((len(x), len(y)))
    for i, j in itertools.product(range(len(x)), range(len(y))):
        distances[i, j] = 1 - x[i] @ y[j] / np.sqrt((x[i] @ x[i]) * (y[j] @ y[j]))
    return distances


def all_patches(x: Tensor, size: int) -> np.ndarray:
    """Patches cut out one by one, positions outermost as in the loss."""
    array = x[0].numpy()
    rows, columns = array.shape[1] - size + 1, array.shape[2] - size + 1
    crop_to_window = [
        array[:, i : i + size, j : j + size].transpose(1, 2, 0).ravel()
        for i in range(rows)
        for j in range(columns)
    ]
    return np.stack(crop_to_window)


def test_patches_by_brute_force() -> None:
    style, ours = features(6, 7, 0), features(5, 8, 1)
    turned = torch.rot90(style, 1, (2, 3))
    ys = [all_patches(x, 3) for x in (style, turned)]
    xs, y = all_patches(ours, 3), np.concatenate(ys)
    distances = cosine_distances(xs - xs.mean(0), y - y.mean(0))
    value = PatchLoss([{"a": style}, {"a": turned}])({"a": ours})["a"]
    assert value.item() == pytest.approx(distances.min(1).mean(), rel=1e-8)


def test_earth_movers_by_brute_force() -> None:
    for seeds in ((0, 1), (1, 0)):
        style, ours = features(6, 7, seeds[0]), features(5, 8, seeds[1])
        x, y = all_patches(ours, 1), all_patches(style, 1)
        distances = cosine_distances(x, y)
        expected = max(distances.min(1).mean(), distances.min(0).mean())
        value = EarthMoverLoss({"a": style})({"a": ours})["a"]
        assert value.item() == pytest.approx(expected, rel=1e-8)


def test_both_directions_are_used() -> None:
    """One vector of the style everywhere is near the style; the style is not near it."""
    style = features(4, 4, 0)
    ours = style[..., :1, :1].expand(-1, -1, 4, 4)
    loss = EarthMoverLoss({"a": style})
    assert loss({"a": ours})["a"] > 0.3


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(9, 9, 0)[0].flatten(1).T, features(7, 9, 1)[0].flatten(1).T
    whole = module.nearest_both_ways(x, y)
    assert torch.equal(module.nearest(x, y), whole[0])
    monkeypatch.setattr(module, "CHUNK", 10)
    for a, b in zip(whole, module.nearest_both_ways(x, y), strict=True):
        assert torch.equal(a, b)
    similarity = x @ y.T
    assert torch.equal(whole[0], similarity.argmax(1))
    assert torch.equal(whole[1], similarity.argmax(0))


def test_a_style_turned_is_recognised() -> None:
    style = features(8, 8, 0)
    turned = torch.rot90(style, 1, (2, 3))
    alone = PatchLoss({"a": style})({"a": turned})["a"]
    both = PatchLoss([{"a": style}, {"a": turned}])({"a": turned})["a"]
    assert alone > 0.1
    assert both < 0.01  # not 0: means over patches are not quite the same


def test_an_empty_picture_costs_one() -> None:
    zero = torch.zeros(1, 4, 5, 5).double().requires_grad_(True)
    for cls in (PatchLoss, EarthMoverLoss):
        value = cls({"a": features(6, 6, 0)})({"a": zero})["a"]
        assert value.item() == pytest.approx(1, abs=1e-6)
        torch.autograd.backward(value)
        assert zero.grad is not None
        assert zero.grad.isfinite().all()
