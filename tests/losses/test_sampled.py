"""Samples: repeatable, bounded, fair, and blind to what weighs nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import (
    EarthMoverLoss,
    HistogramLoss,
    PatchLoss,
    SampledLoss,
    SelfSimilarityLoss,
    SlicedLoss,
)
from impasto.losses.sampled import WeightedSamples

STYLES = [HistogramLoss, SlicedLoss, PatchLoss, EarthMoverLoss]


class Seen(SampledLoss):
    """Keeps what it is shown."""

    limit, target_limit = 20, 30

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        self.ours = ours
        return ours.vectors.sum()


def numbered(height: int, width: int) -> Tensor:
    """Each position is its own number."""
    return torch.arange(1.0, 1 + height * width).view(1, 1, height, width)


def features(height: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, height, width, generator=draw, dtype=torch.float64).to(dtype)


def test_no_more_than_the_limit_and_every_position_has_its_turn() -> None:
    loss, seen = Seen({"a": numbered(9, 9)}), set[float]()
    for step in range(9):  # 13 x 13 positions, 20 at a time: every third row and column
        loss.on_step_start(step)
        loss({"a": numbered(13, 13)})
        assert 16 <= len(loss.ours.vectors) <= 25
        assert loss.ours.weight.sum() == pytest.approx(1)
        fresh = set(loss.ours.vectors.flatten().tolist())
        assert not seen & fresh
        seen |= fresh
    assert seen == set(range(1, 170))
    assert len(loss.target["a"].vectors) == 30


def test_small_pictures_are_seen_whole() -> None:
    loss = Seen({"a": numbered(5, 5)})
    loss({"a": numbered(4, 5)})
    assert loss.ours.vectors.flatten().tolist() == list(range(1, 21))
    assert sorted(loss.target["a"].vectors.flatten().tolist()) == list(range(1, 26))


@pytest.mark.parametrize("size", [1, 3])
def test_what_weighs_nothing_is_not_seen(size: int) -> None:
    mask = torch.ones(1, 1, 8, 10)
    mask[..., 5:] = 0
    loss = Seen({"a": numbered(8, 10)}, target_weight={"a": mask}, position_weight={"a": mask})
    loss.size = size
    for step in range(4):
        loss.on_step_start(step)
        loss({"a": numbered(8, 10)})
        assert ((loss.ours.vectors - 1) % 10 < 5).all()
        assert len(loss.ours.vectors)
    assert ((loss.target["a"].vectors - 1) % 10 < 5).all()


def test_weights_are_those_of_their_positions() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, 0], mask[..., 2, 3] = 0.75, 0.25
    loss = Seen({"a": numbered(4, 4)}, target_weight={"a": mask}, position_weight={"a": mask})
    loss({"a": numbered(4, 4)})
    for rows in (loss.ours, loss.target["a"]):
        assert rows.vectors.flatten().tolist() == [1.0, 12.0]
        assert rows.weight.tolist() == [0.75, 0.25]


def test_a_patch_weighs_as_much_as_its_least_position() -> None:
    class Patches(Seen):
        size, limit = 2, 100

    mask = torch.ones(1, 1, 4, 4)
    mask[..., 1, 1] = 0
    loss = Patches({"a": numbered(4, 4)}, position_weight={"a": mask})
    loss({"a": numbered(4, 4)})
    assert loss.ours.vectors.shape == (5, 4)  # of 9 patches 4 hold the position
    assert loss.ours.vectors[0].tolist() == [3.0, 4.0, 7.0, 8.0]
    assert 6.0 not in loss.ours.vectors


def test_patches_of_a_map_that_is_smaller() -> None:
    class Patches(Seen):
        size = 3

    loss = Patches({"a": numbered(2, 5)})
    loss({"a": numbered(1, 1)})
    assert loss.ours.vectors.tolist() == [[1.0] * 9]
    assert loss.target["a"].vectors.shape == (3, 9)


def test_several_target_pictures_count_alike() -> None:
    loss = Seen([{"a": numbered(2, 2)}, {"a": 100 * numbered(4, 4)}])
    rows = loss.target["a"]
    assert rows.weight[rows.vectors[:, 0] < 100].sum() == pytest.approx(0.5)
    assert len(rows.vectors) == 4 + 15


@pytest.mark.parametrize("cls", STYLES)
def test_the_same_step_gives_the_same_numbers(cls: type[SampledLoss]) -> None:
    """Whatever came before: that is what resuming needs."""
    style, ours = {"a": features(80, 80, 0)}, {"a": features(90, 90, 1)}
    first, again = cls(style, seed=3), cls(style, seed=3)
    for step in range(3):
        first.on_step_start(step)
        value = first(ours)["a"]
    again.on_step_start(2)
    assert torch.equal(value, again(ours)["a"])
    again.on_step_start(1)
    assert not torch.equal(value, again(ours)["a"])
    other = cls(style, seed=4)
    other.on_step_start(2)
    assert not torch.equal(value, other(ours)["a"])


@pytest.mark.parametrize("cls", STYLES)
def test_torchs_own_randomness_is_left_alone(cls: type[SampledLoss]) -> None:
    before = torch.get_rng_state()
    cls({"a": features(80, 80, 0)})({"a": features(90, 90, 1)})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cls", [*STYLES, SelfSimilarityLoss])
def test_transparent_halves_do_not_count(cls: type[SampledLoss]) -> None:
    style, ours = features(6, 10, 0), features(6, 10, 1)
    left = torch.ones(1, 1, 6, 10)
    left[..., 5:] = 0
    expected = cls({"a": style[..., :5]})({"a": ours[..., :5]})["a"]
    style[..., 5:] = 1e3
    x = ours.requires_grad_(True)
    loss: SampledLoss
    if cls is SelfSimilarityLoss:
        loss = SelfSimilarityLoss({"a": style}, position_weight={"a": left})
    else:
        loss = cls({"a": style}, target_weight={"a": left}, position_weight={"a": left})
    value = loss({"a": x})["a"]
    torch.autograd.backward(value)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert x.grad is not None
    assert (x.grad[..., 5:] == 0).all()


@pytest.mark.parametrize("cls", STYLES)
def test_full_masks_are_no_masks(cls: type[SampledLoss]) -> None:
    style, ours = {"a": features(6, 7, 0)}, {"a": features(5, 5, 1)}
    full = {"a": torch.ones(1, 1, 6, 7)}, {"a": torch.ones(1, 1, 5, 5)}
    masked = cls(style, target_weight=full[0], position_weight=full[1])(ours)["a"]
    assert masked.item() == pytest.approx(cls(style)(ours)["a"].item(), rel=1e-6)


@pytest.mark.parametrize("cls", STYLES)
def test_an_empty_mask_costs_nothing(cls: type[SampledLoss]) -> None:
    x = features(5, 5, 1).requires_grad_(True)
    nothing = {"a": torch.zeros(1, 1, 5, 5)}
    value = cls({"a": features(6, 7, 0)}, position_weight=nothing)({"a": x})["a"]
    torch.autograd.backward(value)
    assert value.item() == 0
    assert x.grad is not None
    assert (x.grad == 0).all()
    with pytest.raises(ConfigError, match="nothing of the style is opaque"):
        cls({"a": features(5, 5, 0)}, target_weight=nothing)


@pytest.mark.parametrize("cls", [*STYLES, SelfSimilarityLoss])
def test_unknown_forms(cls: type[SampledLoss]) -> None:
    with pytest.raises(ConfigError, match="normalization is 'gatys'; use one of: mean, relative"):
        cls({"a": features(3, 3, 0)}, normalization="gatys")


@pytest.mark.parametrize("cls", STYLES)
def test_the_gradient_is_as_precise_as_the_features(cls: type[SampledLoss]) -> None:
    x = features(40, 40, 1, torch.bfloat16).requires_grad_(True)
    value = cls({"a": features(40, 40, 0, torch.bfloat16)})({"a": x})["a"]
    assert value.dtype == torch.float32
    torch.autograd.backward(value)
    assert x.grad is not None
    assert x.grad.isfinite().all()
