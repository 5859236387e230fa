"""The fused network computes what the network computes."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.arbitrary.fused import (
    CoarseDecoder,
    FineDecoder,
    FusedQuick,
    encode_trunk,
    fuse,
    moments_after_head,
    trunk_of,
)
from impasto.arbitrary.network import (
    DEEP,
    FINE,
    LEVELS,
    STRIDES,
    Quick,
    StyleTransform,
    statistics,
    style_transform,
)
from impasto.arbitrary.transport import moments
from impasto.encoders.base import IMAGE


@pytest.fixture(scope="module")
def content() -> Tensor:
    return torch.cat([swatch("waves", size=(48, 64)), swatch("mosaic", size=(48, 64))])


@pytest.fixture(scope="module")
def transform(network: Quick, content: Tensor) -> StyleTransform:
    """From both pictures to a third."""
    towards = statistics(network.features(swatch("night", size=64)))
    return style_transform(network.decoder, statistics(network.features(content)), towards)


def painted(
    network: Quick,
    picture: Tensor,
    transform: StyleTransform,
    origin: tuple[int, int] = (0, 0),
    *,
    folded: bool = False,
) -> Tensor:
    """Part by part."""
    features, weights = encode_trunk(trunk_of(network), picture), fuse(network, transform)
    deep, fine = features[: len(DEEP)], features[len(DEEP) :]
    coarse = CoarseDecoder(network.decoder, folded=folded)(deep, weights, origin)
    decoder = FineDecoder(network.decoder, folded=folded)
    found: Tensor = decoder(picture, coarse, fine, weights, origin)
    return found


def test_features_have_the_strides_of_their_levels(network: Quick, content: Tensor) -> None:
    features = encode_trunk(trunk_of(network), content)
    sizes = [tuple(own.shape[:3]) for own in features]
    assert sizes == [(2, 48 // stride, 64 // stride) for stride in STRIDES]
    fine = encode_trunk(trunk_of(network), content, FINE)
    assert all(torch.equal(a, b) for a, b in zip(fine, features[len(DEEP) :], strict=True))


def test_moments_after_heads_are_those_of_features(network: Quick, content: Tensor) -> None:
    wanted = statistics(network.features(content))
    for name, own in zip(LEVELS, encode_trunk(trunk_of(network), content), strict=True):
        found = moments_after_head(network, name, moments(own.permute(0, 3, 1, 2)))
        assert torch.allclose(found.mean, wanted[name].mean, rtol=1e-4, atol=1e-4)
        scale = float(wanted[name].covariance.abs().max())
        assert torch.allclose(found.covariance, wanted[name].covariance, atol=1e-4 * scale)


@pytest.mark.parametrize("origin", [(0, 0), (48, 16 * 33)])
def test_the_parts_are_the_network(
    network: Quick, content: Tensor, transform: StyleTransform, origin: tuple[int, int]
) -> None:
    found = painted(network, content, transform, origin)
    assert torch.allclose(found, network(content, transform, origin), atol=1e-4)


def test_scales_and_shifts_fold_into_the_weights(network: Quick, content: Tensor) -> None:
    one = content[:1]
    network = deepcopy(network)
    for name, weight in network.decoder.named_parameters():
        if "film" in name:  # zero in an untrained decoder
            draw = torch.Generator().manual_seed(len(name))
            weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
    towards = statistics(network.features(content[1:]))
    transform = style_transform(network.decoder, statistics(network.features(one)), towards)
    folded, plain = (painted(network, one, transform, folded=x) for x in (True, False))
    assert torch.allclose(folded, plain, atol=1e-4)
    assert torch.allclose(plain, network(one, transform), atol=1e-4)
    mapped = transform.maps[IMAGE](one)
    assert (plain - mapped).abs().max() > 1e-2  # the decoder has added something


def test_another_precision_leaves_the_model_as_it_is(network: Quick, content: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    features = FusedQuick(network, torch.bfloat16).encode(content[:1])
    assert {own.dtype for own in features} == {torch.bfloat16}
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype, name
        assert torch.equal(tensor, before[name]), name
