"""Losses on the picture itself: smoothness and edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import TotalVariation
from impasto.losses.functional import total_variation
from impasto.losses.pixels import LaplacianLoss


def features(height: int, width: int, seed: int, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, height, width, generator=draw, dtype=torch.float64)


def test_it_reads_the_image_and_is_the_function() -> None:
    loss, image = TotalVariation(), torch.rand(1, 3, 9, 7)
    assert loss.layers == ("image",)
    assert loss({"image": image}) == {"image": total_variation(image)}


def test_a_checkerboard_is_rougher_than_a_ramp() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    board, ramp = ((x + y) % 2).expand(1, 3, 8, 8), (x / 7).expand(1, 3, 8, 8)
    loss = TotalVariation()
    assert loss({"image": board})["image"] > 10 * loss({"image": ramp})["image"]


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


def test_sizes_and_normalizations_of_laplacians() -> None:
    with pytest.raises(ConfigError, match="give picture and content the same size"):
        LaplacianLoss({"image": features(4, 4, 0)})({"image": features(4, 5, 0)})
    with pytest.raises(ConfigError, match="normalization is 'gatys'; use one of: mean, relative"):
        LaplacianLoss({"image": features(4, 4, 0)}, normalization="gatys")
