"""Regions that nobody drew."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import impasto
from impasto import Encoder, StylizeConfig
from impasto.encoders.mini import load_mini
from impasto.errors import ConfigError
from impasto.objective.segmentation import find_regions, guided_filter, kmeans


def halves(upper: Tensor, lower: Tensor) -> Tensor:
    """Two pictures one above the other."""
    return torch.cat([upper, lower], 2)


def test_kmeans_finds_three_heaps_whatever_the_seed() -> None:
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    truth = torch.arange(3).repeat_interleave(50)
    points = centres[truth] + torch.randn(150, 2, generator=generator)
    for seed in range(5):
        labels, found = kmeans(points, 3, seed)
        pairs = {(int(a), int(b)) for a, b in zip(truth, labels, strict=True)}
        assert len(pairs) == 3
        assert float(torch.cdist(centres, found).amin(1).max()) < 0.6
        assert torch.equal(labels, kmeans(points, 3, seed)[0])


def test_kmeans_of_equal_points() -> None:
    labels, centres = kmeans(torch.ones(10, 4), 3)
    assert labels.shape == (10,)
    assert centres.isfinite().all()


def test_a_guided_mask_follows_the_edge() -> None:
    guide = torch.zeros(1, 1, 64, 64)
    guide[..., 30:] = 1
    coarse = torch.zeros(1, 1, 64, 64)
    coarse[..., 27:] = 1  # three pixels off
    made = guided_filter(guide, coarse)[0, 0, 32]
    assert made[29] < 0.5 < made[30]


def test_like_takes_from_like() -> None:
    """Stripes above dots; the style the other way round: stripes find the stripes below."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(192.0), indexing="ij")
    stripes = (torch.sin(x * 0.8) > 0).float().expand(1, 3, -1, -1)
    flat = (0.5 + 0.0 * y).expand(1, 3, -1, -1)
    content, style = halves(stripes, flat), halves(0.9 * flat, 0.8 * stripes)
    found = find_regions(load_mini(), content, [style], 2)
    (upper, first), (lower, second) = found
    assert float(upper[..., : upper.shape[-2] // 3, :].mean()) > 0.9
    assert float(lower[..., -lower.shape[-2] // 3 :, :].mean()) > 0.9
    assert first.mask is not None
    assert second.mask is not None
    assert float(first.mask[..., -60:, :].mean()) > 0.9
    assert float(second.mask[..., :60, :].mean()) > 0.9


def test_a_run_with_regions_found(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = StylizeConfig(size=64, steps=(2,), regions=("auto",), region_count=2)
    run = impasto.Stylization(photo, [painting, "waves"], config, encoder=encoder)
    masks = [region.mask for region in run.targets.regions.regions if region.mask is not None]
    assert torch.allclose(torch.stack(masks).sum(0), torch.ones(1), atol=0.05)
    list(run)
    assert run.metadata()["regions"] == [{"word": "auto"}]
    with pytest.raises(ConfigError, match="blend is given with regions auto"):
        impasto.stylize(photo, [painting, "waves"], config, encoder=encoder, blend=[1, 1])
    with pytest.raises(ConfigError, match="regions holds 'auto' and more"):
        impasto.stylize(photo, painting, config, encoder=encoder, regions=["auto", "rest"])
