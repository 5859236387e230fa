"""Losses that climb, against sums written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from impasto import Mini
from impasto.config.layers import parse_selections
from impasto.errors import ConfigError
from impasto.losses import Objective
from impasto.losses.activation import ActivationLoss, ChannelLoss, GuideLoss
from impasto.losses.base import TileableLoss
from impasto.optim.tiling import differentiate


def features(seed: int, batch: int = 1) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "relu1_1": torch.randn(batch, 4, 6, 8, generator=draw),
        "relu2_1": torch.randn(batch, 5, 3, 4, generator=draw),
    }


def test_the_reference_is_worth_nothing_and_e_times_as_much_minus_one() -> None:
    reference = features(0)
    loss = ActivationLoss(reference, {"relu1_1": 1.0, "relu2_1": 0.5})
    assert all(value.item() == pytest.approx(0, abs=1e-6) for value in loss(reference).values())
    louder = {name: f * math.e for name, f in reference.items()}
    values = loss(louder)
    assert values["relu1_1"].item() == pytest.approx(-1, abs=1e-5)
    assert values["relu2_1"].item() == pytest.approx(-0.5, abs=1e-5)


def test_the_gradient_of_square_is_the_features_themselves() -> None:
    """Mordvintsev et al. 2015 copy the features to where the gradient belongs."""
    ours = features(1)["relu1_1"].requires_grad_(True)
    loss = ActivationLoss(
        {"relu1_1": features(0)["relu1_1"]}, {"relu1_1": 1.0}, normalization="square"
    )
    torch.autograd.backward(loss({"relu1_1": ours})["relu1_1"])
    assert ours.grad is not None
    assert torch.allclose(ours.grad, -ours.detach() / ours.numel())


def test_relative_points_where_square_does() -> None:
    gradients = []
    for normalization in ("square", "relative"):
        ours = features(1)["relu2_1"].requires_grad_(True)
        loss = ActivationLoss({"relu2_1": features(0)["relu2_1"]}, normalization=normalization)
        torch.autograd.backward(loss({"relu2_1": ours})["relu2_1"])
        assert ours.grad is not None
        gradients.append(ours.grad / ours.grad.norm())
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_channels_and_weights() -> None:
    chosen = parse_selections(["relu1_1:1+3=2", "relu2_1=-1"])
    loss = ActivationLoss.of(chosen, features(0), normalization="mean")
    ours = features(1)
    values = loss(ours)
    assert values["relu1_1"].item() == pytest.approx(-2 * ours["relu1_1"][:, [1, 3]].mean().item())
    assert values["relu2_1"].item() == pytest.approx(ours["relu2_1"].mean().item())  # to be calmed


def test_channels_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="relu1_1 has no channel 4; its channels are 0 to 3"):
        ActivationLoss.of(parse_selections(["relu1_1:4"]), features(0))
    with pytest.raises(
        ConfigError, match="normalization is 'l1'; use one of: relative, square, mean"
    ):
        ActivationLoss(features(0), normalization="l1")


def test_one_channel_for_each_picture() -> None:
    ours = features(2, batch=3)["relu1_1"]
    loss = ChannelLoss("relu1_1", (2, 0, 3))
    expected = -sum(ours[n, c].mean() for n, c in enumerate((2, 0, 3)))
    assert loss({"relu1_1": ours})["relu1_1"].item() == pytest.approx(float(expected), abs=1e-6)
    middle = ChannelLoss("relu1_1", (2, 0, 3), center=0.34)
    expected = -sum(ours[n, c, 2:4, 2:5].mean() for n, c in enumerate((2, 0, 3)))
    found = middle({"relu1_1": ours})["relu1_1"].item()
    assert found == pytest.approx(float(expected), abs=1e-6)
    with pytest.raises(ConfigError, match="give one picture for each channel"):
        loss({"relu1_1": ours[:2]})


@pytest.mark.parametrize("normalization", ["product", "cosine"])
def test_the_guide_by_hand(normalization: str) -> None:
    guide, ours = features(3)["relu1_1"], features(4)["relu1_1"]
    loss = GuideLoss({"relu1_1": guide}, normalization=normalization)
    g, f = guide[0].flatten(1).T, ours[0].flatten(1).T
    if normalization == "cosine":
        best = torch.nn.functional.cosine_similarity(f[:, None], g[None], dim=2).amax(1).mean()
    else:
        best = (f @ g.T).amax(1).mean() / g.square().sum(1).mean()
    assert loss({"relu1_1": ours})["relu1_1"].item() == pytest.approx(-float(best), rel=1e-5)


def test_a_guide_of_many_positions_is_looked_at_in_parts() -> None:
    draw = torch.Generator().manual_seed(0)
    guide = torch.randn(1, 3, 80, 80, generator=draw)
    loss = GuideLoss({"relu1_1": guide})
    assert loss.guide["relu1_1"].shape == (2048, 3)
    ours = torch.randn(1, 3, 70, 70, generator=draw)
    matches = ours[0].flatten(1).T @ loss.guide["relu1_1"].T
    expected = -matches.amax(1).mean() / loss.guide["relu1_1"].square().sum(1).mean()
    assert loss({"relu1_1": ours})["relu1_1"].item() == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("kind", ["activation", "guide"])
def test_tiles_give_the_same_gradient(kind: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Mini(stages=((6, 1), (8, 1), (10, 1), (12, 1), (14, 1)))
    draw = torch.Generator().manual_seed(1)
    photo, picture = (torch.rand(1, 3, 48, 64, generator=draw) for _ in range(2))
    target = encoder(photo, ["relu2_1", "relu3_1"])
    loss: TileableLoss = ActivationLoss(target) if kind == "activation" else GuideLoss(target)
    objective = Objective(dream=(loss, 1.0))
    whole, parts = picture.clone().requires_grad_(True), picture.clone().requires_grad_(True)
    one = differentiate(whole, encoder, objective)
    other = differentiate(parts, encoder, objective, 24)
    assert one.total.item() == pytest.approx(other.total.item(), rel=1e-4)
    assert whole.grad is not None
    assert parts.grad is not None
    assert torch.allclose(whole.grad, parts.grad, atol=1e-3 * float(whole.grad.abs().max()))
