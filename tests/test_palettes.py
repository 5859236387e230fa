"""Whose colours a run uses."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto import Picture, StylizeConfig
from impasto.palettes import finished, recolored, repainted


def mean(image: Tensor) -> Tensor:
    return image.mean((2, 3))


def test_which_settings_recolour_the_style(photo: Tensor, painting: Tensor) -> None:
    content, style = Picture(photo, None), Picture(painting, None)
    for color in ("style", "only"):
        assert recolored(style, content, StylizeConfig(color=color)) is style
    assert recolored(style, None, StylizeConfig(color="match")) is style  # a texture
    for color in ("keep", "match"):
        found = recolored(style, content, StylizeConfig(color=color)).pixels  # type: ignore[arg-type]
        before, after = ((mean(x) - mean(photo)).norm() for x in (painting, found))
        assert after < 0.3 * before


def test_only_colours(photo: Tensor, painting: Tensor) -> None:
    content, style = Picture(photo, None), Picture(painting, None)
    assert repainted(photo, content, style, StylizeConfig()) is photo
    found = repainted(photo, content, style, StylizeConfig(color="only"))
    assert (mean(found) - mean(painting)).norm() < 0.3 * (mean(photo) - mean(painting)).norm()
    assert found.shape == photo.shape


def test_colours_are_kept_where_that_is_asked_for(photo: Tensor) -> None:
    grey = torch.full_like(photo, 0.5)
    assert finished(grey, photo, StylizeConfig()) is grey
    assert finished(grey, None, StylizeConfig(color="keep")) is grey
    kept = finished(grey, photo, StylizeConfig(color="keep"))
    assert (kept - grey).abs().max() > 0.05
