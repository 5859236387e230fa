"""A per-style network on pictures of any size: the whole, tiles, strength."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.feedforward.inference import apply, freeze_instance_norm
from impasto.feedforward.network import FeedForward


@pytest.fixture(scope="module")
def model() -> FeedForward:
    """Untrained, but with a last layer that says something."""
    model = FeedForward((6, 8, 12), 1, seed=2).eval().requires_grad_(False)
    model.last.weight.mul_(20)
    return model


@pytest.fixture(scope="module")
def content() -> Tensor:
    return swatch("waves", size=(210, 331))


def test_what_fits_a_tile_is_painted_whole(model: FeedForward, content: Tensor) -> None:
    assert torch.equal(apply(model, content, tile=331), model(content))


@pytest.mark.parametrize("tile", [64, 100, 256])
def test_tiles_agree_with_the_whole(model: FeedForward, content: Tensor, tile: int) -> None:
    """Given the same statistics, to rounding: so there are no seams."""
    whole = freeze_instance_norm(model, content, tile)(content)
    tiles = apply(model, content, tile=tile)
    assert whole.std() > 0.05
    assert (tiles - whole).abs().max() < 1e-5


def test_statistics_are_nearly_those_of_the_whole(model: FeedForward, content: Tensor) -> None:
    """Of a smooth picture, on which a smaller copy loses little."""
    y, x = torch.meshgrid(torch.linspace(0, 9, 210), torch.linspace(0, 12, 331), indexing="ij")
    smooth = 0.5 + 0.4 * torch.stack([torch.sin(x + k * y) for k in (0.3, 1.0, -0.7)])[None]
    exact = model(smooth)

    def error(painted: Tensor) -> float:
        return float((painted - exact).abs().mean() / exact.std())

    assert error(apply(model, smooth, tile=256)) < 0.1
    assert error(freeze_instance_norm(model, content)(smooth)) > 0.3  # those of another picture


def test_painting_changes_no_network(model: FeedForward, content: Tensor) -> None:
    apply(model, content, tile=64)
    assert all(norm.frozen is None and not norm.freezing for norm in model.norms())


def test_strength_mixes_photo_and_painting(model: FeedForward, content: Tensor) -> None:
    full = apply(model, content)
    assert torch.equal(apply(model, content, strength=0), content)
    half = apply(model, content, strength=0.5)
    assert torch.allclose(half, (content + full) / 2, atol=1e-6)


def test_bfloat16_is_close(model: FeedForward, content: Tensor) -> None:
    exact = apply(model, content)
    rough = apply(model, content, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().mean() < 0.02


def test_odd_shapes(model: FeedForward) -> None:
    sizes = [(3, 200), (200, 3), (70, 65)]
    found = [tuple(apply(model, torch.rand(1, 3, *size), tile=64).shape[2:]) for size in sizes]
    assert found == sizes
