"""What a run aims at: weights, the size of the style, masks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Picture, Stylization, StylizeConfig, stylize

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


@pytest.mark.parametrize(("strength", "factor"), [(0.5, 1.0), (0.2, 16.0), (0.8, 1 / 16)])
def test_the_content_weight(
    encoder: Encoder, photo: Tensor, painting: Tensor, strength: float, factor: float
) -> None:
    config = replace(SMALL, strength=strength, content_weight=0.7, style_weight=0.3, tv_weight=0.2)
    terms = Stylization(photo, painting, config, encoder=encoder).objective(0).terms
    assert terms["content"][1] == pytest.approx(0.7 * factor)
    assert terms["style"][1] == 0.3
    assert terms["tv"][1] == 0.2


def test_weights_of_layers(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = replace(
        SMALL, style_layers=("relu1_1", "relu3_1"), style_weights=(0.25, 4.0),
        content_layers=("relu2_1", "image"),
    )  # fmt: skip
    objective = Stylization(photo, painting, config, encoder=encoder).objective(0)
    assert objective.terms["style"][0].weights == {"relu1_1": 0.25, "relu3_1": 4.0}  # type: ignore[attr-defined]
    assert objective.terms["content"][0].weights == {"relu2_1": 0.5, "image": 0.5}  # type: ignore[attr-defined]


def test_the_scale_of_the_style(encoder: Encoder, photo: Tensor) -> None:
    style = torch.rand(1, 3, 100, 50)
    sizes = {}
    for scale in (0.05, 0.5, 1.0, 1.5, 10.0):
        made = Stylization(photo, style, replace(SMALL, style_scale=scale), encoder=encoder)
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
        for mask in (made.targets.content_alpha_at(level), made.targets.style_alpha_at(level)):
            assert mask is not None
            assert 0 <= mask.min() <= mask.max() <= 1


def test_transparent_parts_do_not_count(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """A style of which the wrong half is cut away is the right half."""
    style = torch.cat([painting, 1 - painting], 3)
    alpha = torch.ones(1, 1, 96, 192)
    alpha[..., 96:] = 0
    cut = Picture(style, alpha)
    config = replace(SMALL, size=96, style_layers=("image",), style_scale=2.0)
    masked = Stylization(photo, cut, config, encoder=encoder).objective(-1).terms["style"][0]
    half = replace(config, style_scale=1.0)
    plain = Stylization(photo, painting, half, encoder=encoder).objective(-1).terms["style"][0]
    assert torch.allclose(masked.target["image"], plain.target["image"], atol=1e-4)  # type: ignore[attr-defined]
