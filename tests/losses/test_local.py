"""The style in parts of a picture, against loops and against all of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

import impasto
from impasto.errors import ConfigError
from impasto.losses import GramLoss, LocalLoss
from impasto.losses.base import LossOptions, Measurable

LAYER = "relu3_1"


def features(height: int, width: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, height, width, generator=draw, dtype=torch.float64)


def covariance(part: Tensor) -> Tensor:
    """By numpy's rule, of features ``(1, C, h, w)``."""
    return part[0].flatten(1).cov(correction=0).reshape(1, 3, 3)


def cuts_of(loss: LocalLoss, height: int, width: int) -> tuple[list[int], list[int]]:
    return loss._cuts((height, width))


def test_each_part_counts_by_its_share() -> None:
    style, ours = features(9, 7, 1), features(12, 18)
    loss = LocalLoss({LAYER: style}, seed=4)
    loss.on_step_start(2)
    rows, columns = cuts_of(loss, 12, 18)
    assert (rows[0], rows[-1], len(rows)) == (0, 12, 3)
    assert (columns[0], columns[-1], len(columns)) == (0, 18, 4)
    expected = 0.0
    for y, bottom in pairwise(rows):
        for x, right in pairwise(columns):
            part = ours[..., y:bottom, x:right]
            share = part[0, 0].numel() / ours[0, 0].numel()
            difference = covariance(part) - covariance(style)
            expected += share * float(difference.square().mean())
    assert loss({LAYER: ours})[LAYER].item() == pytest.approx(expected, rel=1e-6)


def test_a_picture_with_all_of_its_style_in_one_corner() -> None:
    """Its Gram matrix is the style's. Its parts' are not."""
    style = features(24, 24)
    heap = torch.zeros_like(style)
    heap[..., :12, :12] = 2 * style[..., ::2, ::2]
    loss = LocalLoss({LAYER: style}, normalization="relative")
    gram = GramLoss({LAYER: style}, normalization="relative")
    assert gram({LAYER: heap})[LAYER].item() < 0.1
    assert loss({LAYER: heap})[LAYER].item() > 1
    assert loss({LAYER: style})[LAYER].item() < 0.1


def test_a_part_may_be_lighter_than_another() -> None:
    style = features(24, 24)
    lighter = style.clone()
    lighter[..., 12:] += 3
    loss = LocalLoss({LAYER: style}, normalization="relative")
    loss._cuts = lambda size: ([0, size[0]], [0, 12, size[1]])  # type: ignore[method-assign]
    assert loss({LAYER: lighter})[LAYER].item() < 0.1
    assert GramLoss({LAYER: style}, normalization="relative")({LAYER: lighter})[LAYER].item() > 1


def test_cuts_move_from_step_to_step_and_are_drawn_again() -> None:
    loss, other = (LocalLoss({LAYER: features(9, 9)}, seed=seed) for seed in (0, 1))
    found = []
    for step in (0, 1, 0):
        loss.on_step_start(step)
        found.append(cuts_of(loss, 60, 90))
    assert found[0] == found[2] != found[1]
    other.on_step_start(0)
    assert cuts_of(other, 60, 90) != found[0]
    for step in range(50):
        loss.on_step_start(step)
        _, columns = cuts_of(loss, 60, 90)
        assert 15 <= columns[1] <= 45 <= columns[2] <= 75
    assert cuts_of(loss, 2, 90)[0] == [0, 2]  # a strip is cut along its length only


def test_tiles_are_the_whole() -> None:
    ours = features(12, 18)
    mask = torch.rand(1, 1, 12, 18, dtype=torch.float64)
    loss = LocalLoss({LAYER: features(9, 7, 1)}, position_weight={LAYER: mask}, seed=4)
    expected = loss({LAYER: ours})[LAYER]
    whole = slice(0, 12), slice(0, 18)
    with pytest.raises(ConfigError, match="of unknown size"):
        loss.sums({LAYER: ours}, {LAYER: whole})
    loss.sizes = {LAYER: (12, 18)}
    sums: dict[str, Tensor] = {}
    for rows in (slice(0, 5), slice(5, None)):
        for columns in (slice(0, 10), slice(10, None)):
            found = loss.sums({LAYER: ours[..., rows, columns]}, {LAYER: (rows, columns)})
            for key, value in found.items():
                sums[key] = sums.get(key, torch.zeros_like(value)) + value
    assert loss.from_sums(sums)[LAYER].item() == pytest.approx(expected.item(), rel=1e-9)


def test_what_is_transparent_does_not_count() -> None:
    style, ours = features(9, 7, 1), features(12, 18)
    mask = torch.ones(1, 1, 12, 18, dtype=torch.float64)
    mask[..., 9:] = 0
    loss = LocalLoss({LAYER: style}, position_weight={LAYER: mask})
    before = loss({LAYER: ours})[LAYER].item()
    ours[..., 9:] = 100
    assert loss({LAYER: ours})[LAYER].item() == pytest.approx(before)
    nothing = LocalLoss({LAYER: style}, position_weight={LAYER: 0 * mask})
    assert nothing({LAYER: ours})[LAYER].item() < 1e-3


class Style:
    """A style as a run hands it to losses."""

    share = 1.0

    def __init__(self, *layers: str) -> None:
        self.seen = {layer: features(9, 7) for layer in layers}
        self.weights = dict.fromkeys(layers, 1 / len(layers))

    def features(self, quarter_turns: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.seen, {}

    def measure(self, loss: type[Measurable]) -> dict[str, Tensor]:
        return loss.measure(self.seen, {})


def test_it_reads_the_layers_that_see_strokes() -> None:
    layers = ("relu1_1", "relu3_1", "conv4_2", "relu5_1")
    options = LossOptions("relative", seed=3)
    [loss] = LocalLoss.from_styles([Style(*layers)], dict.fromkeys(layers, 0.25), options)
    assert isinstance(loss, LocalLoss)
    assert (loss.layers, loss.seed) == (("relu3_1", "conv4_2"), 3)
    assert loss.weights["relu3_1"] == 0.25
    [other] = LocalLoss.from_styles([Style("relu1_1")], {"relu1_1": 1.0}, options)
    assert other.layers == ("relu1_1",)


def test_it_has_no_form_of_gatys() -> None:
    with pytest.raises(ConfigError, match="use one of: mean, relative"):
        LocalLoss({LAYER: features(9, 7)}, normalization="gatys")


def test_a_run_with_it_paints_the_same_in_tiles(photo: Tensor, painting: Tensor) -> None:
    config = impasto.StylizeConfig(steps=(3,), style_loss=("local",), precision="exact", size=96)
    whole, tiled = (
        impasto.stylize(photo, painting, config=config.with_changes(tile=x)) for x in (None, 64)
    )
    assert torch.equal(whole.image, tiled.image)
