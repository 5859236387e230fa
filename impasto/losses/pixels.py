"""Losses on the picture itself: they read the layer called ``image``."""

from __future__ import annotations

from torch import Tensor

from impasto.encoders.base import IMAGE, Features
from impasto.image.wrap import Axes
from impasto.losses.base import Loss
from impasto.losses.functional import total_variation


class TotalVariation(Loss):
    """Discourages differences of neighbouring pixels; see ``functional.total_variation``."""

    layers = (IMAGE,)
    tileable = True  # it reads no features

    def __init__(self, axes: Axes = ()) -> None:
        self.axes = axes

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar, under ``image``."""
        return {IMAGE: total_variation(features[IMAGE], self.axes)}
