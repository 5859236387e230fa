"""What a run aims at: its pictures at each level's size, and the objective made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.config import StylizeConfig
from impasto.encoders import Encoder
from impasto.images import Picture, resize, size_to_fit
from impasto.losses import STYLE_LOSSES, FeatureLoss, Loss, Objective, TotalVariation
from impasto.losses.masks import layer_masks
from impasto.periodic import AXES, Axes, resized
from impasto.pyramid import Level
from impasto.tiles import encode, measure

# The odds (1 - s) / s are 1 at strength 0.5; their power spreads 0.2 to 0.8 over a range of the
# content weight that one sees: 16 down to 1/16.
STRENGTH_POWER = 2.0


class Targets:
    """The pictures of a run, and what ``config`` makes of them.

    ``content`` None is a texture: an objective of style and smoothness alone. ``style_encoder``
    (default: ``encoder``) looks at the style, ``encoder`` at the content and the picture.

    ``content`` and ``style`` have colours under their transparent pixels already (see
    :func:`impasto.sources.filled`). Tensors are made on ``device``, when they are asked for.
    """

    def __init__(
        self,
        content: Picture | None,
        style: Picture,
        encoder: Encoder,
        config: StylizeConfig,
        device: torch.device,
        *,
        style_encoder: Encoder | None = None,
    ) -> None:
        self.content, self.style = content, style
        self.encoder, self.config, self.device = encoder, config, device
        # A style does not go round: its borders would be taught as seams.
        self.style_encoder = style_encoder or encoder
        self.axes = AXES[config.wrap]

    @torch.no_grad()
    def objective(self, level: Level, tile: int | None = None) -> Objective:
        """What is minimised at ``level``: content, style and smoothness, weighted."""
        config = self.config
        style_masks = self._masks(self.style_alpha_at(level), config.style_layers)
        content_alpha = self.content_alpha_at(level)
        style_loss = STYLE_LOSSES[config.style_loss]
        style_sums = measure(
            *(style_loss, self.style_encoder, self.style_at(level), config.style_layers),
            *(style_masks, tile),
        )
        return Objective(
            **self._content_term(level, tile),
            style=(
                style_loss.from_sums(
                    style_sums,
                    _weights(config.style_layers, config.style_weights),
                    form=config.style_form,
                    position_weight=self._masks(content_alpha, config.style_layers),
                ),
                config.style_weight,
            ),
            tv=(TotalVariation(self.axes), config.tv_weight),
        )

    def _content_term(self, level: Level, tile: int | None) -> dict[str, tuple[Loss, float]]:
        """The term that keeps the subject, as a keyword; none for a texture."""
        if self.content is None:
            return {}
        config = self.config
        layers = config.content_layers
        odds = (1 - config.strength) / max(config.strength, 1e-6)
        loss = FeatureLoss(
            encode(self.encoder, self.content_at(level), layers, tile),
            _weights(layers, config.content_weights),
            form=config.content_form,
            position_weight=self._masks(self.content_alpha_at(level), layers),
        )
        return {"content": (loss, config.content_weight * odds**STRENGTH_POWER)}

    def content_at(self, level: Level) -> Tensor:
        """The content ``(1, 3, H, W)`` at a level's size."""
        assert self.content is not None
        return self._resized(self.content.pixels, (level.height, level.width), self.axes)

    def content_alpha_at(self, level: Level) -> Tensor | None:
        """How opaque it is there, ``(1, 1, H, W)``; None if all of it is."""
        if self.content is None or self.content.alpha is None:
            return None
        size = (level.height, level.width)
        return self._resized(self.content.alpha, size, self.axes).clamp(0, 1)

    def style_at(self, level: Level) -> Tensor:
        """The style ``(1, 3, h, w)`` at the size that goes with a level."""
        return self._resized(self.style.pixels, self._style_size(level))

    def style_alpha_at(self, level: Level) -> Tensor | None:
        """How opaque it is there, ``(1, 1, h, w)``; None if all of it is."""
        if self.style.alpha is None:
            return None
        return self._resized(self.style.alpha, self._style_size(level)).clamp(0, 1)

    def _style_size(self, level: Level) -> tuple[int, int]:
        height, width = self.style.pixels.shape[-2:]
        wanted = round(max(level.height, level.width) * self.config.style_scale)
        least = math.ceil(16 * max(height, width) / min(height, width))  # relu5_1 needs 16 pixels
        # Enlarging would teach the blur of the enlargement as part of the style.
        return size_to_fit(height, width, min(max(wanted, least), max(height, width)))

    def _masks(self, mask: Tensor | None, layers: Sequence[str]) -> dict[str, Tensor] | None:
        if mask is None:
            return None
        sizes = {layer: self.encoder.grid(layer, *mask.shape[-2:]) for layer in layers}
        return layer_masks(mask, sizes)

    def _resized(self, pixels: Tensor, size: tuple[int, int], axes: Axes = ()) -> Tensor:
        return resized(pixels, size, axes, resize).to(self.device)


def _weights(layers: tuple[str, ...], weights: tuple[float, ...] | None) -> dict[str, float] | None:
    return None if weights is None else dict(zip(layers, weights, strict=True))
