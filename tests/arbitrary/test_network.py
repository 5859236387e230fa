"""The network itself: what goes in, what comes out, what its weights are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto import swatch
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import transfer_style
from impasto.arbitrary.network import (
    CHANNELS,
    LEVELS,
    MULTIPLE,
    NOTCH,
    Decoder,
    Quick,
    alternation,
    anti_imaging,
    load_quick,
    statistics,
    style_transform,
)
from impasto.encoders.base import IMAGE
from impasto.errors import IntegrityError


def pictures(size: int = 32) -> Tensor:
    return torch.rand(2, 3, size, size + 16, generator=torch.Generator().manual_seed(0))


def test_minis_features_have_the_channels_that_the_decoder_takes(network: Quick) -> None:
    features = network.features(pictures())
    assert {name: features[name].shape[1] for name in LEVELS} == CHANNELS
    assert torch.equal(features[IMAGE], pictures())


def test_batches_are_painted_picture_by_picture(network: Quick) -> None:
    both = pictures()
    measured = statistics(network.features(both))
    towards = statistics(network.features(both.flip(0)))
    painted = network(both, style_transform(network.decoder, measured, towards))
    assert painted.shape == both.shape
    for k in range(2):
        one = statistics(network.features(both[k : k + 1]))
        other = statistics(network.features(both.flip(0)[k : k + 1]))
        alone = network(both[k : k + 1], style_transform(network.decoder, one, other))
        assert torch.allclose(alone, painted[k : k + 1], atol=1e-3)


def test_an_untrained_decoder_adds_nothing() -> None:
    network = Quick()
    image = pictures()[:1]
    own = statistics(network.features(image))
    assert torch.allclose(
        network(image, style_transform(network.decoder, own, own)), image, atol=1e-3
    )


def test_the_receptive_field_is_what_gradients_say(network: Quick) -> None:
    """No pixel further than that has a part in a pixel of the picture, and some so far has."""
    size = (2 * network.receptive_field() + 64) // MULTIPLE * MULTIPLE
    image = torch.rand(1, 3, size, MULTIPLE, generator=torch.Generator().manual_seed(1))
    own = statistics(network.features(image))
    transform = style_transform(network.decoder, own, own)
    image.requires_grad_(True)
    row = size // 2
    (slope,) = torch.autograd.grad(network(image, transform)[..., row, :].sum(), image)
    seen = slope.abs().sum((0, 1, 3)).nonzero().flatten()
    furthest = max(row - int(seen.min()), int(seen.max()) - row)
    # MULTIPLE: where it lies on the grid
    assert network.receptive_field() / 2 < furthest <= network.receptive_field() + MULTIPLE


@pytest.mark.parametrize(("period", "gain"), [(2, 0), (3, 0.97), (4, 1), (12, 1)])
def test_the_filter_takes_what_alternates(period: int, gain: float) -> None:
    """In the midst of the picture; nothing of what is even, at its borders, too."""
    wave = torch.cos(torch.arange(96) * 2 * torch.pi / period).expand(1, 3, 48, 96)
    inside = (..., slice(NOTCH, -NOTCH), slice(NOTCH, -NOTCH))
    even = torch.ones(1, 2, 5, 3)
    for x in (wave, wave.mT):
        assert torch.allclose(
            anti_imaging(0.5 + x, alternation())[inside], 0.5 + gain * x[inside], atol=2e-3
        )
    assert torch.allclose(anti_imaging(even, alternation()), even)


@pytest.mark.parametrize(("content", "style"), [("mosaic", "waves"), ("waves", "night")])
def test_what_ships_paints_no_weave(shipped: FusedQuick, content: str, style: str) -> None:
    """Hardly more power at the highest frequency than a little below; it was 8 times as much."""
    picture = transfer_style(shipped, swatch(content, size=192), [swatch(style, size=192)])
    power = torch.fft.fft2(picture.mean((0, 1))).abs().square()
    for line in (power.mean(0), power.mean(1)):
        assert line[96] < 4 * line[84:93].median()


def test_each_level_of_what_ships_contributes(shipped: FusedQuick) -> None:
    """A level whose ReLUs are all dead is not seen in a loss; an earlier version had one."""
    network = shipped.model
    content, style = swatch("waves", size=96), swatch("mosaic", size=96)
    features = network.features(content)
    transform = style_transform(
        network.decoder, statistics(features), statistics(network.features(style))
    )
    moved = {level: transform.maps[level](f) for level, f in features.items()}
    whole = network.decoder(moved, transform.code)
    silent = []
    for name in LEVELS:
        flat = moved[name].mean((2, 3), keepdim=True).expand_as(moved[name])
        without = network.decoder(moved | {name: flat}, transform.code)
        if (whole - without).abs().mean() <= 2e-3:
            silent.append(name)
    assert not silent


def test_weights_come_back_from_a_file(network: Quick, tmp_path: Path) -> None:
    path = tmp_path / "quick.safetensors"
    save_file({k: v.contiguous() for k, v in network.decoder.state_dict().items()}, path)
    again = load_quick(path)
    assert len(again.sha256) == 64
    for ours, theirs in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quick.safetensors"
    path.write_bytes(b"\x10" + bytes(40))
    with pytest.raises(IntegrityError, match="quick's weights"):
        load_quick(path)
    save_file({"colour.weight": torch.zeros(1)}, path)
    with pytest.raises(IntegrityError, match="reinstall"):
        load_quick(path)


def test_it_is_small() -> None:
    assert sum(p.numel() for p in Decoder().parameters()) < 1_200_000
