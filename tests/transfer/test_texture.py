"""Textures without a content, and borders that meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import (
    Encoder,
    Finished,
    Stylization,
    StylizeConfig,
    read_metadata,
    stylize,
    texture,
)
from impasto.config.groups import Wrap
from impasto.errors import ConfigError

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_a_texture(encoder: Encoder, painting: Tensor, tmp_path: Path) -> None:
    result = texture(painting, SMALL, encoder=encoder, size=96, aspect=2, steps=(20, 10))
    assert result.image.shape == (1, 3, 48, 96)
    assert set(result.history[-1]["losses"]) >= {"style", "tv"}
    assert not any(name.startswith("content") for name in result.history[-1]["losses"])
    assert result.history[-1]["losses"]["style"] < 0.2 * result.history[0]["losses"]["style"]
    told = read_metadata(result.save(tmp_path / "texture.png"))
    assert "content" not in told
    assert told["config"]["init"] == "style"
    tall = texture(painting, SMALL, encoder=encoder, size=96, aspect=0.5, steps=1)
    assert tall.image.shape == (1, 3, 96, 48)


@pytest.mark.parametrize("tile", [None, 64])
def test_a_seamless_texture_has_no_seam(
    encoder: Encoder, painting: Tensor, tile: int | None
) -> None:
    """Across the seam neighbours differ as they do inside; without wrap they differ more."""

    def jump(wrap: Wrap, axis: int) -> float:
        image = texture(
            painting, SMALL, encoder=encoder, size=112, wrap=wrap, tile=tile, steps=(30, 20)
        ).image
        inside = image.diff(dim=axis).abs().mean()
        return float((image.select(axis, 0) - image.select(axis, -1)).abs().mean() / inside)

    for axis in (2, 3):
        assert jump("both", axis) < 1.25
        assert jump("off", axis) > 1.4
    assert jump("horizontal", 3) < 1.25
    assert jump("horizontal", 2) > 1.4


def test_a_seamless_texture_of_any_size(encoder: Encoder, painting: Tensor) -> None:
    """Levels are multiples of 16, the picture is as asked for; and shifting changes nothing."""
    run = Stylization(
        None, painting, SMALL.with_changes(size=100, wrap="both", init="style"), encoder=encoder
    )
    assert [(level.height, level.width) for level in run.levels] == [(48, 48), (96, 96)]
    assert run.picture().shape == (1, 3, 100, 100)
    *_, last = run
    assert isinstance(last, Finished)
    assert last.image.shape == (1, 3, 100, 100)


def test_a_panorama_of_a_content(encoder: Encoder, painting: Tensor) -> None:
    """A photo whose left and right meet keeps them together."""
    x = torch.arange(128) / 128 * 2 * torch.pi
    row = torch.stack([x.sin(), x.cos(), (2 * x).sin()]) * 0.3 + 0.5
    content = row[None, :, None].expand(1, 3, 64, 128).contiguous()
    image = stylize(
        content, painting, SMALL, encoder=encoder, size=128, wrap="horizontal", steps=(20, 20)
    ).image
    inside = image.diff(dim=3).abs().mean((0, 1, 2))  # of each column to the next
    assert float((image[..., 0] - image[..., -1]).abs().mean()) < float(inside.max())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"color": "keep"}, "color is 'keep', and a texture has no content"),
        ({"init": "recolored"}, "init is 'recolored', and a texture has no content"),
        ({"size": None}, "size is none, and a texture has no content to take it from"),
    ],
)
def test_what_a_texture_cannot_have(
    encoder: Encoder, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        texture("waves", encoder=encoder, **settings)
