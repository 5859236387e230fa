"""The network in parts computes what the network computes."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.arbitrary.fused import (
    PAINT_INPUTS,
    SKETCH_INPUTS,
    Encode,
    Paint,
    Sketch,
    compose,
    tap_channels,
    through_head,
    trunk_of,
)
from impasto.arbitrary.network import DEEP, FINE, LEVELS, STRIDES, Plan, Quick, plan_for, statistics
from impasto.arbitrary.transport import moments
from impasto.encoders.base import IMAGE


@pytest.fixture(scope="module")
def content() -> Tensor:
    return torch.cat([swatch("waves", size=(48, 64)), swatch("mosaic", size=(48, 64))])


@pytest.fixture(scope="module")
def plan(network: Quick, content: Tensor) -> Plan:
    """From both pictures to a third."""
    towards = statistics(network.features(swatch("night", size=64)))
    return plan_for(network.decoder, statistics(network.features(content)), towards)


def painted(
    network: Quick, picture: Tensor, plan: Plan, origin: tuple[int, int] = (0, 0), **how: bool
) -> Tensor:
    """Part by part."""
    taps, brush = Encode(trunk_of(network))(picture), compose(network, plan)
    deep, fine, corner = taps[: len(DEEP)], taps[len(DEEP) :], torch.tensor(origin)
    for_sketch = (*deep, *brush.for_sketch(), corner)
    assert len(for_sketch) == len(SKETCH_INPUTS)
    sketch = Sketch(network.decoder, **how)(*for_sketch)
    for_paint = (picture, sketch, *fine, *brush.for_paint(), corner)
    assert len(for_paint) == len(PAINT_INPUTS)
    found: Tensor = Paint(network.decoder, **how)(*for_paint)
    return found


def test_taps_have_the_shapes_that_are_foretold(network: Quick, content: Tensor) -> None:
    taps = Encode(trunk_of(network))(content)
    for tap, stride, channels in zip(taps, STRIDES, tap_channels(network), strict=True):
        assert tap.shape == (2, 48 // stride, 64 // stride, channels)
    fine = Encode(trunk_of(network), FINE)(content)
    assert all(torch.equal(a, b) for a, b in zip(fine, taps[len(DEEP) :], strict=True))


def test_moments_go_through_heads(network: Quick, content: Tensor) -> None:
    wanted = statistics(network.features(content))
    for name, tap in zip(LEVELS, Encode(trunk_of(network))(content), strict=True):
        found = through_head(network, name, moments(tap.permute(0, 3, 1, 2)))
        assert torch.allclose(found.mean, wanted[name].mean, rtol=1e-4, atol=1e-4)
        scale = float(wanted[name].covariance.abs().max())
        assert torch.allclose(found.covariance, wanted[name].covariance, atol=1e-4 * scale)


@pytest.mark.parametrize("origin", [(0, 0), (48, 16 * 33)])
def test_the_parts_are_the_network(
    network: Quick, content: Tensor, plan: Plan, origin: tuple[int, int]
) -> None:
    found = painted(network, content, plan, origin)
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
    folded, plain = painted(network, one, plan, folded=True), painted(network, one, plan)
    assert torch.allclose(folded, plain, atol=1e-4)
    assert torch.allclose(plain, network(one, plan), atol=1e-4)
    mapped = plan.maps[IMAGE](one)
    assert (plain - mapped).abs().max() > 1e-2  # the decoder has said something
