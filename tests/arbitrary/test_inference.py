"""Pictures of any size: tiles, strength, mixtures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import measure, transfer_style
from impasto.arbitrary.network import Quick, statistics
from impasto.image.io import resize
from impasto.metrics.evaluate import Case


@pytest.fixture(scope="module")
def content() -> Tensor:
    return swatch("waves", size=(120, 184))


@pytest.fixture(scope="module")
def styles() -> list[Tensor]:
    return [swatch("mosaic", size=96), swatch("night", size=96)]


def test_moments_of_tiles_are_those_of_the_whole(network: Quick, fused: FusedQuick) -> None:
    content = swatch("waves", size=(208, 320))  # multiples of MULTIPLE: the network knows no others
    whole = statistics(network.features(content))
    for tile in (64, 1024):
        for name, found in measure(fused, content, tile).items():
            assert torch.allclose(found.mean, whole[name].mean, rtol=1e-3, atol=1e-3)
            scale = float(whole[name].covariance.abs().max())
            assert torch.allclose(found.covariance, whole[name].covariance, atol=1e-4 * scale)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_tiles_and_the_whole_agree(
    content: Tensor, styles: list[Tensor], network: Quick, precision: torch.dtype
) -> None:
    fused = FusedQuick(network, precision)
    whole = transfer_style(fused, content, styles[:1])
    tiled = transfer_style(fused, content, styles[:1], tile=56)
    assert (whole - tiled).abs().max() < (0.1 if precision == torch.float32 else 2) / 255


def test_any_size(fused: FusedQuick, styles: list[Tensor]) -> None:
    for size in ((1, 1), (7, 50), (33, 41)):
        picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        found = transfer_style(fused, picture, styles)
        assert found.shape == picture.shape
        assert ((found >= 0) & (found <= 1)).all(), size  # and no NaN


def test_strength_0_is_the_content_and_leads_there(
    fused: FusedQuick, content: Tensor, styles: list[Tensor]
) -> None:
    assert torch.equal(transfer_style(fused, content, styles, strength=0), content)
    near = transfer_style(fused, content, styles, strength=0.02)
    assert (near - content).abs().mean() < 0.02
    distances = [
        float((transfer_style(fused, content, styles, strength=s) - content).square().mean())
        for s in (0.02, 0.3, 0.6, 1.0)
    ]
    assert distances == sorted(distances)


def test_from_coarse_to_fine_strokes_are_larger(shipped: FusedQuick, styles: list[Tensor]) -> None:
    """The network that ships: what it changes of a photo, seen from afar."""
    content = swatch("waves", size=(256, 384))
    seen = {}
    for coarsest in (None, 96, 384):
        changed = transfer_style(shipped, content, styles[:1], coarsest=coarsest) - content
        afar = resize(changed + 0.5, (32, 48)) - 0.5
        seen[coarsest] = float((afar - afar.mean((2, 3), keepdim=True)).square().mean())
    assert seen[96] > 1.2 * seen[None]
    assert seen[384] == seen[None]  # no larger: at once


def test_large_pictures_say_how_far_they_are(
    fused: FusedQuick, content: Tensor, styles: list[Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "impasto"):
        transfer_style(fused, content, styles, coarsest=92)
        assert not caplog.messages
        transfer_style(fused, content, styles, coarsest=92, tile=150)
    assert caplog.messages == [
        "painting at 60x92, size 1 of 2",
        "painting at 120x184, size 2 of 2",
    ]


def test_from_coarse_to_fine_strength_0_is_the_content(
    fused: FusedQuick, content: Tensor, styles: list[Tensor]
) -> None:
    assert torch.equal(transfer_style(fused, content, styles, strength=0, coarsest=64), content)
    near = transfer_style(fused, content, styles, strength=0.02, coarsest=64)
    assert near.shape == content.shape
    assert (near - content).abs().mean() < 0.02


def test_more_strength_is_nearer_to_the_style(
    shipped: FusedQuick, content: Tensor, styles: list[Tensor]
) -> None:
    """The network that ships, as its own encoder sees it."""
    for style in (styles[0], swatch("woodcut", size=96)):
        case = Case(content, style, shipped.model.encoder)
        pictures = (transfer_style(shipped, content, [style], strength=k / 4) for k in range(5))
        found = [case.score(picture) for picture in pictures]
        distances = [x.style for x in found]
        assert distances == sorted(distances, reverse=True)
        moved = [x.content for x in found]
        assert moved == sorted(moved)


def test_mixtures_end_at_single_styles(
    fused: FusedQuick, content: Tensor, styles: list[Tensor]
) -> None:
    first, second = (transfer_style(fused, content, [style]) for style in styles)
    assert torch.equal(transfer_style(fused, content, styles, weights=[1, 0]), first)
    assert torch.equal(transfer_style(fused, content, styles, weights=[0, 3]), second)
    mixed = transfer_style(fused, content, styles)
    assert torch.equal(mixed, transfer_style(fused, content, styles, weights=[2, 2]))
    way = (first - second).abs().mean()
    assert 0.1 * way < (mixed - first).abs().mean() < way
