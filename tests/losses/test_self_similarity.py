"""Self-similarity and Laplacians against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import SelfSimilarityLoss


def features(height: int, width: int, seed: int, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, height, width, generator=draw, dtype=torch.float64)


def normalised_distances(x: np.ndarray) -> np.ndarray:
    length = np.sqrt((x**2).sum(1))
    distances = 1 - x @ x.T / np.outer(length, length)
    shares: np.ndarray = distances / distances.sum(0)
    return shares


def test_self_similarity_by_numpy() -> None:
    content, ours = features(4, 5, 0), features(4, 5, 1)
    a, b = (normalised_distances(x[0].flatten(1).T.numpy()) for x in (content, ours))
    value = SelfSimilarityLoss({"a": content})({"a": ours})["a"]
    assert value.item() == pytest.approx(np.abs(a - b).sum() / 20, rel=1e-6)


def test_self_similarity_does_not_see_the_colours_change() -> None:
    """Features turned and scaled are as like each other as before."""
    content = features(4, 5, 0)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1))).Q
    turned = 2 * torch.einsum("ij,njhw->nihw", turn.double(), content)
    assert SelfSimilarityLoss({"a": content})({"a": turned})["a"].item() < 1e-5


def test_self_similarity_samples_both_at_the_same_places() -> None:
    content = features(90, 90, 0)
    loss = SelfSimilarityLoss({"a": content}, seed=1)
    for step in range(3):
        loss.on_step_start(step)
        assert loss({"a": content})["a"].item() == pytest.approx(0, abs=1e-9)


def test_sizes_must_agree() -> None:
    with pytest.raises(ConfigError, match="give picture and content the same size"):
        SelfSimilarityLoss({"a": features(4, 4, 0)})({"a": features(4, 5, 0)})
