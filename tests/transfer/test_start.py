"""Where a run starts, and what each finer level begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto import (
    Encoder,
    Stylization,
    StylizeConfig,
    resize,
    save_image,
    stylize,
)
from impasto.image.color import match_colors
from tests.transfer.test_stylization import SMALL


def first_image(content: Tensor, style: Tensor, encoder: Encoder, init: str) -> Tensor:
    config = replace(SMALL, init=init, size=96, steps=(1,), learning_rate=1e-6, average=0.0)
    return stylize(content, style, config, encoder=encoder).image


def test_starting_points(encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path) -> None:
    expected = resize(photo, (72, 96))
    assert torch.allclose(first_image(photo, painting, encoder, "content"), expected, atol=1e-5)
    noise = first_image(photo, painting, encoder, "noise")
    assert noise.mean() == pytest.approx(0.5, abs=0.02)
    assert noise.std() == pytest.approx(0.15, abs=0.02)
    red = torch.tensor([0.7, 0.3, 0.4]).view(1, 3, 1, 1) + 0.1 * (painting - painting.mean())
    toned = first_image(photo, red, encoder, "style")
    assert torch.allclose(toned.mean((2, 3)), red.mean((2, 3)), atol=0.02)
    assert torch.allclose(toned.std((2, 3)), red.std((2, 3)), atol=0.02)
    path = save_image(tmp_path / "start.png", painting, depth=16)
    given = first_image(photo, painting, encoder, str(path))
    assert torch.allclose(given, resize(painting, (72, 96)), atol=1e-4)


def test_finer_levels_begin_with_the_detail_of_the_content(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    """With next to no steps in between: the photo again, or what its enlargement has left of it."""
    still = replace(SMALL, size=128, steps=(1, 1), learning_rate=1e-6, init="content")
    content = (0.8 * photo + 0.2 * torch.rand(photo.shape)).clamp(0, 1)

    def distance(**settings: Any) -> float:
        made = stylize(content, painting, still, encoder=encoder, **settings)
        return float((made.image - content).abs().mean())

    assert distance(detail=1.0) < 1e-3
    assert distance(detail=0.0) > 0.02
    assert distance(detail=0.5) == pytest.approx(distance(detail=0.0) / 2, rel=0.1)
    assert distance(strength=0.75) == pytest.approx(distance(detail=0.5), rel=0.1)
    assert distance(strength=1.0) == pytest.approx(distance(detail=0.0), rel=0.1)


def test_finer_levels_begin_with_the_detail_of_the_draft(painting: Tensor) -> None:
    """With next to no steps in between: what quick paints."""
    photo = impasto.swatch("night", size=96)
    still = replace(SMALL, size=96, steps=(1, 1), learning_rate=1e-6, init="quick")
    made = stylize(photo, painting, still).image
    settings: dict[str, Any] = {"size": 96, "precision": "float32", "subject": "off"}
    draft = impasto.quick(photo, painting, **settings).image
    assert float((made - draft).abs().mean()) < 2e-3
    without = stylize(photo, painting, still, detail=0.0).image
    assert float((without - draft).abs().mean()) > 0.01


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({}, "recolored"),
        ({"quality": "draft"}, "recolored"),
        ({"strength_mode": "weight"}, "content"),
        ({"color": "keep"}, "content"),
        ({"color": "only"}, "content"),
        ({"init": "content"}, "content"),
        ({"init": "noise"}, "noise"),
    ],
)
def test_where_a_run_begins(
    encoder: Encoder, photo: Tensor, painting: Tensor, settings: dict[str, Any], start: str
) -> None:
    config = StylizeConfig(size=64).with_changes(**settings)
    made = Stylization(photo, painting, config, encoder=encoder)
    assert made.config.init == start
    assert made.metadata()["config"]["init"] == start


def test_a_recolored_start_has_the_styles_colors(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    """As far as the strength goes; in each region those of its own style."""
    still = replace(SMALL, steps=(1,), learning_rate=1e-6)
    plain, half, full = (
        stylize(photo, painting, still, encoder=encoder, strength=s).image.mean((2, 3))
        for s in (0.01, 0.25, 0.5)
    )
    matched = match_colors(resize(photo, (48, 64)), painting).mean((2, 3))
    assert torch.allclose(full, matched, atol=0.02)
    assert torch.allclose(half, (plain + full) / 2, atol=0.05)
    masks = torch.zeros(2, 1, 1, 48, 64)
    masks[0, ..., :32], masks[1, ..., 32:] = 1, 1
    styles = [torch.full((1, 3, 32, 32), x) for x in (0.2, 0.7)]
    made = stylize(photo, styles, still, encoder=encoder, regions=[*masks]).image
    assert float(made[..., :24].mean()) == pytest.approx(0.2, abs=0.05)
    assert float(made[..., 40:].mean()) == pytest.approx(0.7, abs=0.05)


def test_a_picture_that_is_no_file(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """``init`` as an object goes before the setting, and a checkpoint belongs to it."""
    config = replace(SMALL, size=None, steps=(1,), learning_rate=1e-6, average=0.0)
    start = photo.flip(3)
    run = Stylization(photo, painting, config, encoder=encoder, init=start)
    assert torch.allclose(run.finish().image, start, atol=1e-4)
    plain = Stylization(photo, painting, config, encoder=encoder)
    assert run.inputs()["init picture"] is not None
    assert plain.inputs()["init picture"] is None
