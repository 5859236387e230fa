"""Whose colours a run uses: the settings ``color``, ``color_match`` and ``color_strength``, and
``region_colors`` for regions whose colours are their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from impasto.config.groups import ColorConfig
from impasto.image.color import keep_colors, keep_contrast, match_colors
from impasto.image.io import Picture, resize
from impasto.image.wrap import Axes, resized
from impasto.objective.regions import RegionMap

ONLY_COLORS = "colours matched (Pitie & Kokaram 2007)"
"""How the metadata name the making of a picture that nothing was painted in."""


def match_style_colors(
    style: Picture,
    content: Picture | None,
    config: ColorConfig,
    *,
    color: str | None = None,
    mask: Tensor | None = None,
) -> Picture:
    """The style picture in the content's colours, where the result shall have those.

    Before ``keep`` as well: lightness has the content's contrasts then, and edges that only colour
    shows are still seen by the encoder, which a transfer between grey pictures (Gatys et al.)
    loses. Where the painting has more contrast than the photo, it keeps some of it: flat paint
    hides the subject. ``color`` (default: ``config``'s) says whose; with ``mask``
    ``(1, 1, H, W)`` only the content's colours in that part of it count.
    """
    if content is None or (color or config.color) not in ("keep", "match"):
        return style
    like, weight = content.pixels, content.alpha
    if mask is not None:
        size = (mask.shape[-2], mask.shape[-1])
        like = resize(like, size)
        weight = mask if weight is None else mask * resize(weight, size).clamp(0, 1)
    pixels = match_colors(
        style.pixels,
        like,
        method=config.color_match,
        strength=config.color_strength,
        weight=style.alpha,
        like_weight=weight,
    )
    pixels = keep_contrast(pixels, style.pixels, weight=style.alpha)
    return replace(style, pixels=pixels)


def match_region_colors(
    layout: RegionMap, styles: Sequence[Picture], content: Picture | None, config: ColorConfig
) -> RegionMap:
    """``layout`` with ``styles``, which are as they were given, in the colours of each region that
    has its own: those that the content has there."""
    regions = [
        region
        if region.color is None
        else replace(
            region,
            styles=tuple(
                match_style_colors(x, content, config, color=region.color, mask=region.mask)
                for x in styles
            ),
        )
        for region in layout.regions
    ]
    return replace(layout, regions=tuple(regions))


def recolor_content(photo: Tensor, content: Picture, style: Picture, config: ColorConfig) -> Tensor:
    """``photo``, which is the content ``(1, 3, H, W)`` at the run's size, as it is; or in the
    style's colours, where those are all that is wanted."""
    if config.color != "only":
        return photo
    size = (photo.shape[-2], photo.shape[-1])
    return match_colors(
        photo,
        style.pixels,
        method=config.color_match,
        strength=config.color_strength,
        weight=None if content.alpha is None else resize(content.alpha, size),
        like_weight=style.alpha,
    )


def keeps_colors(layout: RegionMap, config: ColorConfig) -> bool:
    """Whether the photo's colours are kept somewhere, so that the photo is needed."""
    return any((region.color or config.color) == "keep" for region in layout.regions)


def restore_content_colors(
    image: Tensor,
    photo: Tensor | None,
    config: ColorConfig,
    layout: RegionMap | None = None,
    axes: Axes = (),
) -> Tensor:
    """The optimiser's picture, with the content's colours where those are kept.

    ``image`` and ``photo`` are ``(1, 3, H, W)``. In a region with colours of its own its mask says
    how far to go; ``axes`` are those along which the picture wraps.
    """
    own = layout is not None and any(region.color is not None for region in layout.regions)
    keeps = config.color == "keep" if layout is None else keeps_colors(layout, config)
    if photo is None or not keeps:
        return image
    kept = keep_colors(image, photo, config.color_strength)
    if layout is None or not own:
        return kept
    size = (image.shape[-2], image.shape[-1])
    share = torch.zeros(1, 1, *size)
    for region in layout.regions:
        if (region.color or config.color) == "keep" and region.mask is not None:
            share += resized(region.mask, size, axes, resize).clamp(0, 1)
    return torch.lerp(image, kept, share.clamp_(0, 1).to(image.device))
