"""Whose colours a run uses."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto import Picture, StylizeConfig
from impasto.image.color import srgb_to_oklab
from impasto.objective.colors import (
    keeps_colors,
    match_region_colors,
    match_style_colors,
    recolor_content,
    restore_content_colors,
)
from impasto.objective.regions import Region, RegionMap, Share


def mean(image: Tensor) -> Tensor:
    return image.mean((2, 3))


def test_which_settings_recolour_the_style(photo: Tensor, painting: Tensor) -> None:
    content, style = Picture(photo, None), Picture(painting, None)
    for color in ("style", "only"):
        assert match_style_colors(style, content, StylizeConfig(color=color)) is style
    assert match_style_colors(style, None, StylizeConfig(color="match")) is style  # a texture
    for color in ("keep", "match"):
        found = match_style_colors(style, content, StylizeConfig(color=color)).pixels  # type: ignore[arg-type]
        before, after = ((mean(x) - mean(photo)).norm() for x in (painting, found))
        assert after < 0.3 * before


def test_only_colours(photo: Tensor, painting: Tensor) -> None:
    content, style = Picture(photo, None), Picture(painting, None)
    assert recolor_content(photo, content, style, StylizeConfig()) is photo
    found = recolor_content(photo, content, style, StylizeConfig(color="only"))
    assert (mean(found) - mean(painting)).norm() < 0.3 * (mean(photo) - mean(painting)).norm()
    assert found.shape == photo.shape


def test_colours_are_kept_where_that_is_asked_for(photo: Tensor) -> None:
    grey = torch.full_like(photo, 0.5)
    assert restore_content_colors(grey, photo, StylizeConfig()) is grey
    assert restore_content_colors(grey, None, StylizeConfig(color="keep")) is grey
    kept = restore_content_colors(grey, photo, StylizeConfig(color="keep"))
    assert (kept - grey).abs().max() > 0.05


def halves(like: Tensor, *colors: str | None) -> RegionMap:
    """The left half and the right one, with colours of their own."""
    left = torch.zeros_like(like[:, :1])
    left[..., : like.shape[-1] // 2] = 1
    regions = zip((left, 1 - left), colors, strict=True)
    return RegionMap(tuple(Region(m, (Share(0, 1.0),), color=color) for m, color in regions))


def test_a_region_takes_its_styles_in_the_colours_that_the_content_has_there(
    photo: Tensor, painting: Tensor
) -> None:
    left, right = photo.chunk(2, 3)
    photo = torch.cat([left * 0.4, 0.6 + right * 0.4], 3)
    content, styles = Picture(photo, None), [Picture(painting, None)]
    layout = halves(photo, "match", None)
    matched, plain = match_region_colors(layout, styles, content, StylizeConfig()).regions
    assert plain.styles is None
    assert matched.styles is not None
    found = mean(matched.styles[0].pixels)
    assert (found - mean(photo.chunk(2, 3)[0])).norm() < 0.1 * (found - mean(photo)).norm() + 0.03
    layout = halves(photo, "style", None)  # the run's own colours are kept ones; this region's not
    plain, _ = match_region_colors(layout, styles, content, StylizeConfig(color="keep")).regions
    assert plain.styles == (styles[0],)


def test_colours_are_kept_in_one_region_only(photo: Tensor) -> None:
    grey = torch.full_like(photo, 0.5)
    layout, config = halves(photo, "keep", "style"), StylizeConfig()
    assert keeps_colors(layout, config)
    left, right = restore_content_colors(grey, photo, config, layout).chunk(2, 3)
    assert torch.equal(right, grey.chunk(2, 3)[1])
    chroma, wanted = (srgb_to_oklab(x)[:, 1:] for x in (left, photo.chunk(2, 3)[0]))
    assert (chroma - wanted).abs().max() < 1e-3
    assert not keeps_colors(halves(photo, "match", None), config)
    # Where the run keeps colours, a region may still have the style's.
    _, right = restore_content_colors(
        grey, photo, StylizeConfig(color="keep"), halves(photo, None, "style")
    ).chunk(2, 3)
    assert torch.equal(right, grey.chunk(2, 3)[1])
