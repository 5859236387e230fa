"""The pictures of a run at each level's size."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from impasto import Encoder, Stylization, StylizeConfig, stylize

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_the_scale_of_the_style(encoder: Encoder, photo: Tensor) -> None:
    style = torch.rand(1, 3, 100, 50)
    sizes = {}
    for scale in (0.05, 0.5, 1.0, 1.5, 10.0):
        made = Stylization(photo, style, replace(SMALL, style_scale=(scale,)), encoder=encoder)
        sizes[scale] = [tuple(made.targets.style_at(level).shape[-2:]) for level in made.levels]
    assert sizes[0.5] == [(32, 16)]
    assert sizes[1.0] == [(64, 32)]
    assert sizes[1.5] == [(96, 48)]
    assert sizes[10.0] == [(100, 50)]  # never enlarged
    assert sizes[0.05] == [(32, 16)]  # never too small for the deepest layer


def test_a_long_style_is_not_shrunk_to_nothing(encoder: Encoder, photo: Tensor) -> None:
    """At 64 pixels this panorama would be 6 high, too small for relu5_1."""
    result = stylize(photo, torch.rand(1, 3, 40, 400), SMALL, encoder=encoder, steps=(1,))
    assert result.image.shape == (1, 3, 48, 64)


def test_masks_are_never_negative(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """Bicubic overshoots at a hard edge; a negative weight would repel."""
    hard = torch.cat([photo, (torch.rand(1, 1, 96, 128) > 0.5).float()], 1)
    style = torch.cat([painting, (torch.rand(1, 1, 96, 96) > 0.5).float()], 1)
    made = Stylization(hard, style, replace(SMALL, size=100), encoder=encoder)
    for level in made.levels:
        [region] = made.targets.regions.regions
        source = made.targets.style_source(level, region, region.shares[0], {"image": 1.0}, None)
        for mask in (made.targets.content_alpha_at(level), source.features()[1]["image"]):
            assert mask is not None
            assert 0 <= mask.min() <= mask.max() <= 1
