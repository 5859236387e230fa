"""Self-similarity and Laplacians against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import LaplacianLoss, SelfSimilarityLoss


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
        loss.begin(step)
        assert loss({"a": content})["a"].item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("normalization", ["mean", "relative"])
def test_laplacians_by_loops(normalization: str) -> None:
    content, ours = features(8, 12, 0), features(8, 12, 1)

    def laplacian(x: Tensor) -> np.ndarray:
        small = x[0].numpy().reshape(3, 4, 2, 6, 2).mean((2, 4))
        p = np.pad(small, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]
        return np.asarray(4 * small - around)

    a, b = laplacian(content), laplacian(ours)
    expected = ((a - b) ** 2).sum() / (a.size if normalization == "mean" else (a**2).sum())
    value = LaplacianLoss({"image": content}, pool=(2,), normalization=normalization)(
        {"image": ours}
    )["image"]
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_no_row_or_column_is_free() -> None:
    """Where the pooling does not divide the picture its last pixels count, too."""
    content = features(10, 15, 0)
    loss = LaplacianLoss({"image": content}, pool=(4,))
    for y, x in ((9, 0), (0, 14), (9, 14), (4, 4)):
        changed = content.clone()
        changed[..., y, x] += 1
        assert loss({"image": changed})["image"].item() > 0, (y, x)


def test_several_poolings_are_averaged() -> None:
    content, ours = {"image": features(8, 12, 0)}, {"image": features(8, 12, 1)}
    one, two = (LaplacianLoss(content, pool=(p,))(ours)["image"] for p in (1, 4))
    both = LaplacianLoss(content, pool=(1, 4))(ours)["image"]
    assert both.item() == pytest.approx((one + two).item() / 2)


def test_brightness_is_free_and_edges_are_not() -> None:
    content = features(16, 16, 0)
    loss = LaplacianLoss({"image": content}, normalization="relative")
    assert loss({"image": content + 0.3})["image"].item() == pytest.approx(0, abs=1e-12)
    assert loss({"image": torch.zeros_like(content)})["image"].item() == pytest.approx(1, rel=1e-6)


def test_transparent_pixels_have_no_gradient() -> None:
    mask = torch.ones(1, 1, 16, 16)
    mask[..., 7:] = 0
    x = features(16, 16, 1).requires_grad_(True)
    loss = LaplacianLoss({"image": features(16, 16, 0)}, pool=(2,), position_weight={"image": mask})
    torch.autograd.backward(loss({"image": x})["image"])
    assert x.grad is not None
    assert (x.grad[..., 7:] == 0).all()
    assert x.grad[..., :4].abs().min() > 0


def test_tiny_pictures() -> None:
    content = {"image": features(2, 3, 0)}
    assert LaplacianLoss(content, pool=(16,))(content)["image"] == 0


def test_sizes_must_agree() -> None:
    with pytest.raises(ConfigError, match="give picture and content the same size"):
        SelfSimilarityLoss({"a": features(4, 4, 0)})({"a": features(4, 5, 0)})
    with pytest.raises(ConfigError, match="give picture and content the same size"):
        LaplacianLoss({"image": features(4, 4, 0)})({"image": features(4, 5, 0)})
    with pytest.raises(ConfigError, match="normalization is 'gatys'; use one of: mean, relative"):
        LaplacianLoss({"image": features(4, 4, 0)}, normalization="gatys")
