"""Whose colours a run uses: the settings ``color``, ``color_match`` and ``color_strength``."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from impasto.color import keep_colors, match_colors
from impasto.config import StylizeConfig
from impasto.images import Picture, resize


def recolored(style: Picture, content: Picture | None, config: StylizeConfig) -> Picture:
    """The style picture in the content's colours, where the result shall have those.

    Before ``keep`` as well: lightness has the content's contrasts then, and edges that only colour
    shows are still seen by the encoder, which a transfer between grey pictures (Gatys et al.)
    loses.
    """
    if content is None or config.color not in ("keep", "match"):
        return style
    pixels = match_colors(
        style.pixels,
        content.pixels,
        method=config.color_match,
        strength=config.color_strength,
        weight=style.alpha,
        like_weight=content.alpha,
    )
    return replace(style, pixels=pixels)


def repainted(photo: Tensor, content: Picture, style: Picture, config: StylizeConfig) -> Tensor:
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


def finished(image: Tensor, photo: Tensor | None, config: StylizeConfig) -> Tensor:
    """The optimiser's picture, with the content's colours where those are kept."""
    if config.color != "keep" or photo is None:
        return image
    return keep_colors(image, photo, config.color_strength)
