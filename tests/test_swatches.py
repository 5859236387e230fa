"""The built-in styles: the table, the contract of ``swatch``, and that each is a painting."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import ConfigError, UnknownNameError
from impasto.swatches import LARGEST, SMALLEST, SWATCHES, swatch
from impasto.swatches.sheet import Sheet, blur, ramp, resize, rgb, step

SIZE = (132, 108)
every_swatch = pytest.mark.parametrize("name", SWATCHES)


@functools.cache
def painted(name: str) -> Tensor:
    """(1, 3, *SIZE), painted once for all tests."""
    return swatch(name, size=SIZE)


def grey(picture: Tensor) -> Tensor:
    """(1, 1, H, W)"""
    return picture.mean(dim=1, keepdim=True)


def local_spread(picture: Tensor, window: int) -> Tensor:
    """Standard deviation of the grey picture within each window: (1, 1, h, w)."""
    mean = F.avg_pool2d(grey(picture), window)
    square = F.avg_pool2d(grey(picture) ** 2, window)
    return (square - mean**2).clamp_min(0).sqrt()


@every_swatch
def test_table_entry_is_complete(name: str) -> None:
    entry = SWATCHES[name]
    assert entry.name == name == name.lower()
    assert " " not in name
    assert entry.title.replace(" ", "-").lower() == name
    assert 10 < len(entry.description) < 80
    assert "\n" not in entry.description
    assert not entry.description.endswith(".")
    assert callable(entry.painter)


def test_table_is_long_enough_to_choose_from() -> None:
    assert len(SWATCHES) >= 10
    assert len({entry.description for entry in SWATCHES.values()}) == len(SWATCHES)


@every_swatch
def test_layout_and_range(name: str) -> None:
    picture = painted(name)
    assert picture.shape == (1, 3, *SIZE)
    assert picture.dtype == torch.float32
    assert picture.is_contiguous()
    assert picture.isfinite().all()
    assert picture.min() >= 0
    assert picture.max() <= 1


@every_swatch
def test_same_seed_same_pixels_whatever_the_global_state(name: str) -> None:
    first = painted(name)
    np.random.seed(5)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = swatch(name, size=SIZE, seed=0)
    assert torch.equal(first, again)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", sorted(SWATCHES.keys() - {"night", "fauve"}))  # slow, like impasto
def test_another_seed_and_an_odd_size(name: str) -> None:
    other = swatch(name, size=(37, 45), seed=1)
    assert other.shape == (1, 3, 37, 45)
    assert other.isfinite().all()
    same_size = F.interpolate(painted(name), (37, 45), mode="area")
    assert (other - same_size).abs().mean() > 0.03


@pytest.mark.parametrize("name", ["watercolour", "woodcut", "mosaic", "stained-glass", "facets"])
def test_another_size_has_the_same_composition(name: str) -> None:
    half = (SIZE[0] // 2, SIZE[1] // 2)
    small = F.adaptive_avg_pool2d(grey(swatch(name, size=half)), 8)
    large = F.adaptive_avg_pool2d(grey(painted(name)), 8)
    together = torch.stack([small.flatten(), large.flatten()])
    assert torch.corrcoef(together)[0, 1] > 0.9


@every_swatch
@pytest.mark.parametrize(("window", "least"), [(8, 0.012), (32, 0.03)])
def test_no_flat_fill(name: str, window: int, least: float) -> None:
    spread = local_spread(painted(name), window)
    assert (spread > least).float().mean() > 0.97
    assert spread.median() > 2 * least


@every_swatch
def test_full_tonal_range(name: str) -> None:
    low, high = torch.quantile(grey(painted(name)).flatten(), torch.tensor([0.02, 0.98]))
    assert low < 0.3
    assert high > 0.65
    assert 0.2 < grey(painted(name)).mean() < 0.75


@every_swatch
def test_many_colours(name: str) -> None:
    levels = (painted(name)[0] * 15).round().to(torch.int64)  # (3, H, W), 16 levels each
    codes, counts = torch.unique(levels[0] * 256 + levels[1] * 16 + levels[2], return_counts=True)
    assert len(codes) >= 60
    assert counts.max() < 0.2 * counts.sum()  # none rules


@every_swatch
def test_the_picture_has_masses_of_light_and_dark(name: str) -> None:
    masses = F.adaptive_avg_pool2d(grey(painted(name)), 6)
    assert masses.std() > 0.04


def test_seeds_give_different_paintings() -> None:
    pictures = [swatch("stained-glass", size=64, seed=seed) for seed in range(4)]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (one - other).abs().mean() > 0.02


def test_unknown_name_gets_a_hint() -> None:
    with pytest.raises(
        UnknownNameError, match="no swatch is called 'mosiac'; did you mean 'mosaic'"
    ):
        swatch("mosiac")


@pytest.mark.parametrize("size", [SMALLEST - 1, LARGEST + 1, 0, -64, (64, 8), (9000, 64)])
def test_size_out_of_range(size: int | tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="from 32 to 8192"):
        swatch("waves", size=size)


@pytest.mark.parametrize("size", [64.5, "64", (64, 64, 3), (64, 64.0), None])
def test_size_of_the_wrong_kind(size: object) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        swatch("waves", size=size)  # type: ignore[arg-type]  # what is tested


def test_negative_seed() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        swatch("waves", size=64, seed=-1)


@pytest.mark.parametrize("size", [SMALLEST, (SMALLEST, 3 * SMALLEST), (3 * SMALLEST, SMALLEST)])
def test_smallest_and_narrow(size: int | tuple[int, int]) -> None:
    for name in ("waves", "stained-glass", "woodcut"):
        assert swatch(name, size=size).isfinite().all()


def test_noise_is_the_same_field_at_every_size() -> None:
    small, large = Sheet(64, 96, 3).noise("a", 5, 2), Sheet(128, 192, 3).noise("a", 5, 2)
    halved = large.reshape(64, 2, 96, 2).mean((1, 3))
    assert np.abs(small - halved).max() < 0.1
    assert 0.5 < small.std() < 2


def test_named_parts_have_streams_of_their_own() -> None:
    sheet = Sheet(32, 32, 0)
    assert sheet.rng("a").random() == sheet.rng("a").random()
    assert sheet.rng("a").random() != sheet.rng("b").random()
    assert sheet.rng("a").random() != Sheet(32, 32, 1).rng("a").random()


@pytest.mark.parametrize("radius", [0.1, 1.5, 8.0])
def test_blur_keeps_the_mean(radius: float) -> None:
    field = Sheet(80, 64, 0).noise("a", 9)
    smooth = blur(field, radius)
    assert smooth.shape == field.shape
    assert abs(smooth.mean() - field.mean()) < 0.05
    assert smooth.std() <= field.std() + 1e-6


def test_step_ramp_and_resize() -> None:
    value = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert step(0.0, 1.0, value).tolist() == [0, 0, 0.5, 1, 1]
    assert step(1.0, 0.0, value).tolist() == [1, 1, 0.5, 0, 0]
    assert ramp(rgb("000000", "ffffff"), value)[:, 0].tolist() == [0, 0, 0.5, 1, 1]
    assert rgb("ff0080").tolist() == pytest.approx([1, 0, 128 / 255])
    assert resize(np.ones((4, 5, 3), np.float32), (8, 9)).shape == (8, 9, 3)
