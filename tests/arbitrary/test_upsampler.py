"""Drafts: painted at half of the size, and upsampled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto import swatch
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import StyleRegion, transfer_style
from impasto.arbitrary.network import EMBEDDING, Quick, statistics
from impasto.arbitrary.upsampler import ASSET, Upsampler, load_upsampler, noise_for, upsample
from impasto.errors import IntegrityError
from impasto.metrics.evaluate import Case


@pytest.fixture(scope="module")
def upsampler() -> Upsampler:
    """The one that ships."""
    return load_upsampler()


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return swatch("waves", size=(200, 256))


@pytest.fixture(scope="module")
def style() -> Tensor:
    return swatch("mosaic", size=192)


def test_untrained_it_adds_the_photos_detail(photo: Tensor, network: Quick) -> None:
    painting = F.avg_pool2d(1 - photo, 2)
    code, noise = torch.zeros(1, EMBEDDING), noise_for(network.decoder, painting)
    with torch.no_grad():
        found = Upsampler()(painting, photo, code, noise)
    detail = photo - F.interpolate(F.avg_pool2d(photo, 2), scale_factor=2.0, mode="nearest")
    smooth = F.interpolate(painting, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert torch.allclose(found, smooth + 0.5 * detail, atol=1e-6)


def test_what_is_even_becomes_no_grid() -> None:
    """Whatever it has learned, the four pixels of a position are alike where nothing changes."""
    torch.manual_seed(0)
    upsampler = Upsampler()
    for parameter in upsampler.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    painting, photo = torch.rand(1, 3, 1, 1), torch.rand(1, 3, 1, 1)
    code, noise = torch.rand(1, EMBEDDING), torch.rand(1, 4, 1, 1).expand(-1, -1, 6, 8)
    with torch.no_grad():
        found = upsampler(painting.expand(-1, -1, 6, 8), photo.expand(-1, -1, 12, 16), code, noise)
    assert (found[..., 0, 0] - painting[..., 0, 0]).abs().min() > 1e-3
    assert torch.allclose(found, found[..., :1, :1].expand_as(found), atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_tiles_and_the_whole_agree(
    upsampler: Upsampler, shipped: FusedQuick, photo: Tensor, style: Tensor, precision: torch.dtype
) -> None:
    with torch.no_grad():
        code = shipped.model.decoder.style_code(statistics(shipped.model.features(style)))
    painting = F.avg_pool2d(photo, 2)
    whole, tiled = (
        upsample(
            upsampler, shipped.model.decoder, painting, photo, code, tile=tile, dtype=precision
        )
        for tile in (1024, 50)
    )
    assert whole.dtype == tiled.dtype == torch.float32
    assert (whole - tiled).abs().max() < (1e-5 if precision == torch.float32 else 2 / 255)


def test_any_size(upsampler: Upsampler, shipped: FusedQuick, style: Tensor) -> None:
    for size in ((1, 1), (2, 5), (33, 41), (48, 64)):
        picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        found = transfer_style(shipped, picture, [style], upsampler=upsampler)
        assert found.shape == picture.shape
        assert ((found >= 0) & (found <= 1)).all(), size  # and no NaN


def test_strength_leads_from_the_content_to_the_style(
    upsampler: Upsampler, shipped: FusedQuick, photo: Tensor, style: Tensor
) -> None:
    def drafted(strength: float) -> Tensor:
        half = F.avg_pool2d(style, 2)
        return transfer_style(shipped, photo, [half], strength=strength, upsampler=upsampler)

    assert torch.equal(drafted(0), photo)
    assert (drafted(0.02) - photo).abs().mean() < 0.02
    case = Case(photo, style, shipped.model.encoder)
    found = [case.score(drafted(strength)) for strength in (0, 0.3, 0.6, 1)]
    distances, moved = [x.style for x in found], [x.content for x in found]
    assert distances == sorted(distances, reverse=True)
    assert moved == sorted(moved)


def test_nearer_to_both_than_mere_enlargement(
    upsampler: Upsampler, shipped: FusedQuick, photo: Tensor, style: Tensor
) -> None:
    """As the encoder sees it."""
    case = Case(photo, style, shipped.model.encoder)
    small = transfer_style(shipped, F.avg_pool2d(photo, 2), [F.avg_pool2d(style, 2)])
    plain = F.interpolate(small, scale_factor=2.0, mode="bicubic", align_corners=False)
    drafted = transfer_style(shipped, photo, [F.avg_pool2d(style, 2)], upsampler=upsampler)
    ours, theirs = case.score(drafted), case.score(plain.clamp(0, 1))
    assert ours.style < theirs.style
    assert ours.content < theirs.content


def test_regions_are_painted_each_by_its_style(
    upsampler: Upsampler, shipped: FusedQuick, photo: Tensor, style: Tensor
) -> None:
    mask = torch.zeros(1, 1, *photo.shape[-2:])
    mask[..., :100] = 1
    regions = [StyleRegion(mask, [1.0], 1.0)]
    found = transfer_style(shipped, photo, [style], regions=regions, upsampler=upsampler)
    assert torch.equal(found[..., 104:], photo[..., 104:])
    assert (found - photo)[..., :96].abs().mean() > 0.02


def test_noise_is_another_for_each_pixel_to_come(network: Quick) -> None:
    painting = torch.zeros(1, 3, 20, 30)
    noise = noise_for(network.decoder, painting)
    assert noise.shape == (1, 4, 20, 30)
    apart = noise.flatten(2) @ noise.flatten(2).mT / 600
    assert (apart - torch.eye(4)).abs().max() < 0.25
    shifted = noise_for(network.decoder, painting, (7, 3))
    assert torch.equal(shifted[..., :-7, :-3], noise[..., 7:, 3:])


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / ASSET
    path.write_bytes(b"nonsense")
    with pytest.raises(IntegrityError, match="upsampler's weights"):
        load_upsampler(path)
