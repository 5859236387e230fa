"""What a run aims at: its pictures at each level's size, and the objective made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.config import StylizeConfig, mixture
from impasto.encoders import Encoder
from impasto.encoders.base import IMAGE
from impasto.images import Picture, resize, size_to_fit
from impasto.losses import (
    STYLE_LOSSES,
    AdditiveLoss,
    FeatureLoss,
    LaplacianLoss,
    Loss,
    Objective,
    PatchLoss,
    SelfSimilarityLoss,
    StatisticLoss,
    TotalVariation,
)
from impasto.losses.masks import layer_masks
from impasto.periodic import AXES, Axes, resized
from impasto.pyramid import Level
from impasto.tiles import encode, measure

# The odds (1 - s) / s are 1 at strength 0.5; their power spreads 0.2 to 0.8 over a range of the
# content weight that one sees: 16 down to 1/16.
STRENGTH_POWER = 2.0

# Relative losses are all 1 at an empty picture, but near the goal some pull harder than others.
# With these factors each holds its own against the content as Gram matrices do (docs/losses.md).
FORCE = {
    "gram": 1.0,
    "mean-std": 4.0,
    "wasserstein": 0.55,
    "histogram": 3.3,
    "sliced": 3.5,
    "patches": 0.4,
    "emd": 0.55,
    "features": 1.0,
    "self-similarity": 19.0,
    "laplacian": 20.0,
}


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
        terms = self._content_terms(level, tile)
        styles = mixture("style_loss", config.style_loss)
        for name, share in styles.items():
            key = "style" if len(styles) == 1 else f"style-{name}"
            force = FORCE[name] if config.style_form == "relative" else 1.0
            terms[key] = self.style_loss(name, level, tile), config.style_weight * share * force
        return Objective(**terms, tv=(TotalVariation(self.axes), config.tv_weight))

    def content_loss(self, name: str, level: Level, tile: int | None = None) -> Loss:
        """The content loss called ``name`` in settings, at ``level``."""
        config, content = self.config, self.content_at(level)
        alpha = self.content_alpha_at(level)
        if name == "laplacian":
            mask = None if alpha is None else {IMAGE: alpha}
            return LaplacianLoss({IMAGE: content}, form=config.content_form, position_weight=mask)
        features = encode(self.encoder, content, config.content_layers, tile)
        weights = _weights(config.content_layers, config.content_weights)
        masks = self._masks(alpha, config.content_layers)
        if name == "self-similarity":
            return SelfSimilarityLoss(features, weights, position_weight=masks, seed=config.seed)
        return FeatureLoss(features, weights, form=config.content_form, position_weight=masks)

    def style_loss(self, name: str, level: Level, tile: int | None = None) -> Loss:
        """The style loss called ``name`` in settings, at ``level``."""
        config, layers = self.config, self.config.style_layers
        style, alpha, loss = self.style_at(level), self.style_alpha_at(level), STYLE_LOSSES[name]
        weights = _weights(layers, config.style_weights)
        masks = self._masks(self.content_alpha_at(level), layers)
        if issubclass(loss, StatisticLoss):
            sums = measure(
                loss, self.style_encoder, style, layers, self._masks(alpha, layers), tile
            )
            return loss.from_sums(sums, weights, form=config.style_form, position_weight=masks)
        features, style_masks = [], []
        for quarters in range(4) if loss is PatchLoss else (0,):
            turned = None if alpha is None else torch.rot90(alpha, quarters, (2, 3))
            features.append(
                encode(self.style_encoder, torch.rot90(style, quarters, (2, 3)), layers)
            )
            style_masks.append(self._masks(turned, layers) or {})
        return loss(
            features,
            weights,
            form=config.style_form,
            target_weight=style_masks,
            position_weight=masks,
            seed=config.seed,
        )

    def _content_terms(self, level: Level, tile: int | None) -> dict[str, tuple[Loss, float]]:
        """The terms that keep the subject, by name; none for a texture."""
        terms: dict[str, tuple[Loss, float]] = {}
        if self.content is None:
            return terms
        config = self.config
        odds = (1 - config.strength) / max(config.strength, 1e-6)
        losses = mixture("content_loss", config.content_loss)
        for name, share in losses.items():
            key = "content" if len(losses) == 1 else f"content-{name}"
            force = FORCE[name] if config.content_form == "relative" else 1.0
            weight = config.content_weight * odds**STRENGTH_POWER * share * force
            terms[key] = self.content_loss(name, level, tile), weight
        return terms

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


def whole_only(config: StylizeConfig) -> str:
    """Which of the losses in ``config`` cannot be computed in tiles; "" if all can."""
    names = [x for x, share in mixture("style_loss", config.style_loss).items() if share]
    found = [x for x in names if not issubclass(STYLE_LOSSES[x], AdditiveLoss)]
    if mixture("content_loss", config.content_loss).get("self-similarity"):
        found.append("self-similarity")
    return ", ".join(found)


def _weights(layers: tuple[str, ...], weights: tuple[float, ...] | None) -> dict[str, float] | None:
    return None if weights is None else dict(zip(layers, weights, strict=True))
