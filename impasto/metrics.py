"""How good is a picture? Distances on a network that was not optimised against.

The judge should be another network than the one that painted: the real VGG-19 for pictures made
with mini. All distances are relative to the target's own size, so 0 is "the same" and 1 is "as far
as an empty picture".
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor

from impasto.encoders import Encoder
from impasto.encoders.base import Features
from impasto.losses.functional import gram

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"


@torch.no_grad()
def style_distance(image: Tensor, style: Tensor, judge: Encoder) -> dict[str, float]:
    """``|G - G_style|² / |G_style|²`` for each of relu1_1 to relu5_1; G per position.

    Both pictures are ``(1, 3, H, W)`` in [0, 1], of any size; compare at the same scale.
    """
    ours, theirs = judge(image, STYLE_LAYERS), judge(style, STYLE_LAYERS)
    return {name: _relative(gram(ours[name]), gram(theirs[name])) for name in STYLE_LAYERS}


@torch.no_grad()
def content_distance(image: Tensor, content: Tensor, judge: Encoder) -> float:
    """``|F - F_content|² / |F_content|²`` at relu4_2; pictures of one size, ``(1, 3, H, W)``."""
    ours = judge(image, [CONTENT_LAYER])[CONTENT_LAYER].float()
    theirs = judge(content, [CONTENT_LAYER])[CONTENT_LAYER].float()
    return _relative(ours, theirs)


@dataclass(frozen=True)
class Score:
    """What a judge says of a stylised picture.

    ``style`` is the mean style distance over the layers, ``content`` the content distance, ``gap``
    the share of the style gap that was closed: one minus the style distance over that of the
    untouched content.
    """

    style: float
    content: float
    gap: float
    layers: dict[str, float]


class Case:
    """A content and a style, both ``(1, 3, H, W)``, and a judge who has looked at them: for many
    pictures of one pair, each of which is one pass through the network then."""

    @torch.no_grad()
    def __init__(self, content: Tensor, style: Tensor, judge: Encoder) -> None:
        self.judge = judge
        features = judge(style, STYLE_LAYERS)
        self._grams = {name: gram(features[name]) for name in STYLE_LAYERS}
        features = judge(content, (*STYLE_LAYERS, CONTENT_LAYER))
        self._content = features[CONTENT_LAYER].float()
        self.untouched = mean(self._style(features).values())

    @torch.no_grad()
    def score(self, image: Tensor) -> Score:
        """Judge ``image``, of the content's size."""
        features = self.judge(image, (*STYLE_LAYERS, CONTENT_LAYER))
        layers = self._style(features)
        style = mean(layers.values())
        moved = _relative(features[CONTENT_LAYER].float(), self._content)
        gap = 1 - style / self.untouched if self.untouched > 0 else 0.0
        return Score(style, moved, gap, layers)

    def _style(self, features: Features) -> dict[str, float]:
        return {name: _relative(gram(features[name]), self._grams[name]) for name in STYLE_LAYERS}


def score(image: Tensor, content: Tensor, style: Tensor, judge: Encoder) -> Score:
    """Judge ``image``, made from ``content`` (same size) and ``style``; all ``(1, 3, H, W)``."""
    return Case(content, style, judge).score(image)


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).square().sum() / theirs.square().sum())
