"""The built-in styles: the table, the pictures, and the contract of ``swatch``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import impasto
from impasto.errors import ConfigError, UnknownNameError
from impasto.image.io import read_image
from impasto.image.swatches import SIDE, SWATCHES, render_swatch, swatch

every_swatch = pytest.mark.parametrize("name", SWATCHES)


@every_swatch
def test_table_entry_is_complete(name: str) -> None:
    entry = SWATCHES[name]
    assert entry.title.replace(" ", "-").lower() == name == entry.name
    assert 10 < len(entry.description) < 80
    assert not entry.description.endswith(".")


def test_each_picture_has_an_entry_and_together_they_are_small() -> None:
    files = sorted((Path(impasto.__file__).parent / "assets" / "swatches").iterdir())
    assert [path.stem for path in files] == sorted(SWATCHES)
    assert sum(path.stat().st_size for path in files) < 4.2e6


@every_swatch
def test_the_picture_is_a_painting(name: str) -> None:
    picture = read_image(SWATCHES[name].read_bytes())
    assert picture.size == (SIDE, SIDE)
    assert picture.alpha is None
    grey = picture.pixels.mean(dim=1, keepdim=True)
    low, high = torch.quantile(grey.flatten()[::16], torch.tensor([0.02, 0.98]))
    assert low < 0.3
    assert high > 0.65
    assert F.adaptive_avg_pool2d(grey, 6).std() > 0.04  # masses of light and dark
    windows = F.avg_pool2d(grey.square(), 64) - F.avg_pool2d(grey, 64).square()
    assert (windows.clamp_min(0).sqrt() > 0.012).float().mean() > 0.97  # no flat fill


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (37, 300), (SIDE, SIDE)])
def test_layout_and_range(size: tuple[int, int]) -> None:
    picture = swatch("waves", size=size)
    assert picture.shape == (1, 3, *size)
    assert picture.dtype == torch.float32
    assert picture.is_contiguous()
    assert 0 <= picture.min() <= picture.max() <= 1
    samples = torch.from_numpy(np.asarray(render_swatch("waves", size=size)).copy())
    assert torch.equal((picture[0] * 255).round().byte().permute(1, 2, 0), samples)


def test_full_size_is_the_file_and_a_smaller_one_its_average() -> None:
    full = swatch("mosaic", size=SIDE)
    assert torch.equal(full, read_image(SWATCHES["mosaic"].read_bytes()).pixels)
    small = swatch("mosaic", size=64)
    assert (small - F.avg_pool2d(full, SIDE // 64)).abs().mean() < 0.03  # antialiased


def test_another_aspect_ratio_crops_at_the_centre() -> None:
    square = swatch("stained-glass", size=SIDE)
    assert torch.equal(swatch("stained-glass", size=(SIDE, 512)), square[..., 256:768])
    assert torch.equal(swatch("stained-glass", size=(512, SIDE)), square[..., 256:768, :])


def test_unknown_name_gets_a_hint() -> None:
    with pytest.raises(
        UnknownNameError, match="no swatch is called 'mosiac'; did you mean 'mosaic'"
    ):
        swatch("mosiac")


@pytest.mark.parametrize("size", [0, -64, SIDE + 1, (64, 0), (9000, 64)])
def test_size_out_of_range(size: int | tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="from 1 to 1024"):
        swatch("waves", size=size)


@pytest.mark.parametrize("size", [64.5, "64", (64, 64, 3), (64, 64.0), None])
def test_size_of_the_wrong_kind(size: object) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        swatch("waves", size=size)  # type: ignore[arg-type]  # what is tested
