"""The network in halves computes what the network computes."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.encoders.base import IMAGE
from impasto.networks import Plan, Quick, moments, plan_for
from impasto.networks.halves import (
    INPUTS,
    Encode,
    Paint,
    compose,
    tap_channels,
    through_head,
)
from impasto.networks.quick import LEVELS, STRIDES, statistics


@pytest.fixture(scope="module")
def content() -> Tensor:
    return torch.cat([swatch("waves", size=(48, 64)), swatch("mosaic", size=(48, 64))])


@pytest.fixture(scope="module")
def plan(network: Quick, content: Tensor) -> Plan:
    """From both pictures to a third."""
    towards = statistics(network.features(swatch("night", size=64)))
    return plan_for(network.decoder, statistics(network.features(content)), towards)


def test_taps_have_the_shapes_that_are_foretold(network: Quick, content: Tensor) -> None:
    taps = Encode(network)(content)
    for tap, stride, channels in zip(taps, STRIDES, tap_channels(network), strict=True):
        assert tap.shape == (2, 48 // stride, 64 // stride, channels)


def test_moments_go_through_heads(network: Quick, content: Tensor) -> None:
    wanted = statistics(network.features(content))
    for name, tap in zip(LEVELS, Encode(network)(content), strict=True):
        found = through_head(network, name, moments(tap.permute(0, 3, 1, 2)))
        assert torch.allclose(found.mean, wanted[name].mean, rtol=1e-4, atol=1e-4)
        scale = float(wanted[name].covariance.abs().max())
        assert torch.allclose(found.covariance, wanted[name].covariance, atol=1e-4 * scale)


@pytest.mark.parametrize("origin", [(0, 0), (48, 16 * 33)])
def test_both_halves_are_the_network(
    network: Quick, content: Tensor, plan: Plan, origin: tuple[int, int]
) -> None:
    given = (content, *Encode(network)(content), *compose(network, plan).flat())
    assert len(given) + 1 == len(INPUTS)
    found = Paint(network)(*given, torch.tensor(origin))
    assert torch.allclose(found, network(content, plan, origin), atol=1e-4)


def test_scales_and_shifts_fold_into_the_weights(network: Quick, content: Tensor) -> None:
    one = content[:1]
    network = deepcopy(network)
    for name, weight in network.decoder.named_parameters():
        if "film" in name:  # untrained, it says nothing
            draw = torch.Generator().manual_seed(len(name))
            weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
    towards = statistics(network.features(content[1:]))
    plan = plan_for(network.decoder, statistics(network.features(one)), towards)
    given = (one, *Encode(network)(one), *compose(network, plan).flat(), torch.tensor([0, 0]))
    folded, plain = Paint(network, folded=True)(*given), Paint(network)(*given)
    assert torch.allclose(folded, plain, atol=1e-4)
    assert torch.allclose(plain, network(one, plan), atol=1e-4)
    mapped = plan.maps[IMAGE](one)
    assert (plain - mapped).abs().max() > 1e-2  # the decoder has said something
