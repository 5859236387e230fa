"""Mini with an untrained decoder, and the network that ships."""

from __future__ import annotations

import pytest
import torch

from impasto import swatch
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.network import LEVELS, Quick, load_quick


@pytest.fixture(scope="session")
def network() -> Quick:
    """Random weights, but always the same, and a last layer that is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Quick()
        torch.nn.init.normal_(network.decoder.colour.weight, std=0.005)
    features = network.features(swatch("waves", size=128))
    for name in LEVELS:
        mean, std = features[name].mean((0, 2, 3)), features[name].std((0, 2, 3))
        network.decoder.get_buffer(f"centre_{name}").copy_(mean)
        network.decoder.get_buffer(f"scale_{name}").copy_(std + 0.02 * std.mean())
    return network


@pytest.fixture(scope="session")
def fused(network: Quick) -> FusedQuick:
    return FusedQuick(network)


@pytest.fixture(scope="session")
def shipped() -> FusedQuick:
    """The network that ships."""
    return FusedQuick(load_quick())
