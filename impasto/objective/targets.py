"""What a run aims at: its pictures at each level's size, and the objective made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.config.layers import parse_selections
from impasto.config.stylize import StylizeConfig, mixture
from impasto.encoders import Encoder
from impasto.encoders.base import IMAGE, Features
from impasto.errors import ConfigError
from impasto.image.io import Picture, resize, size_to_fit
from impasto.image.wrap import AXES, Axes, resized
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
from impasto.losses.activation import ActivationLoss
from impasto.losses.base import Sums
from impasto.objective.guidance import GUIDANCES, inside_masks, layer_masks
from impasto.objective.masks import Masks
from impasto.objective.regions import (
    Layout,
    Region,
    Share,
    lay_out,
    layers_of,
    put_back,
    style_scale,
)
from impasto.objective.subject import detail_map
from impasto.optim.balance import balanced
from impasto.optim.pyramid import Level
from impasto.optim.tiling import encode, measure

# The odds (1 - s) / s are 1 at strength 0.5; their power spreads 0.2 to 0.8 over a range of the
# content weight that one sees: 16 down to 1/16.
STRENGTH_POWER = 2.0

# How far the content may move at strength 0.5, as its relative loss, and how fast that grows.
LIMIT, LIMIT_POWER = 0.46, 1.3
# The depth of the map over what matters, times strength, up to one.
DEPTH = 2.0
# Of a mean, a face would be given up for the rest of a figure; not of a mean of squares.
SUBJECT_POWER = 2.0
LEAST_SUBJECT = 0.003  # a share of the picture: what is smaller is nothing found

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


class _ContentPart(NamedTuple):
    """A part of the content that is held by a term of its own: how much each position counts in it
    ``(1, 1, H, W)``, by what its weight is multiplied, how far it may move (None: no limit), and
    how much more what has moved far counts."""

    name: str
    where: Tensor | None
    weight: float
    limit: float | None = None
    power: float = 1.0


class Targets:
    """The pictures of a run, and what ``config`` makes of them.

    ``content`` None is a texture: an objective of style and smoothness alone. ``style_encoder``
    (default: ``encoder``) looks at the styles, ``encoder`` at the content and the picture.

    ``content`` and ``styles`` have colours under their transparent pixels already (see
    :func:`impasto.image.inputs.filled`); ``layout`` says which style goes where (default: all
    styles, blended, everywhere), ``subject`` ``(1, 1, h, w)`` in [0, 1] where the subject is.
    Tensors are made on ``device``, when they are asked for.
    """

    def __init__(
        self,
        content: Picture | None,
        styles: Sequence[Picture],
        encoder: Encoder,
        config: StylizeConfig,
        device: torch.device,
        layout: Layout | None = None,
        *,
        subject: Tensor | None = None,
        style_encoder: Encoder | None = None,
    ) -> None:
        self.content, self.styles = content, tuple(styles)
        self.encoder, self.config, self.device = encoder, config, device
        # A style does not go round: its borders would be taught as seams.
        self.style_encoder = style_encoder or encoder
        self.axes = AXES[config.wrap]
        size = (1, 1) if content is None else content.size  # without masks, any
        sizes = [style.size for style in styles]
        self.layout = layout or lay_out(config, Masks(), size, sizes)
        self._detail: Tensor | None = None
        self._subject = subject
        if content is not None and config.subject != "off":
            self._detail = detail_map(content.pixels, self.axes)
            if (kept := self.layout.kept) is not None:  # what stays is held as the subject is
                shape = (kept.shape[-2], kept.shape[-1])
                self._subject = kept if subject is None else kept.maximum(resize(subject, shape))

    @torch.no_grad()
    def objective(self, level: Level, tile: int | None = None) -> Objective:
        """What is minimised at ``level``: content, style and smoothness, weighted.

        Each region has a style term of its own, ``style_1``, ``style_2``, ..., that weighs as much
        as its share of the picture: so each of its pixels feels the style as strongly as in a run
        with one style for all. Without regions the only one is called ``style``. Where several
        kinds of loss are mixed, each has a term: ``style-gram``, ``style_2-histogram``.
        """
        config = self.config
        content, limits = self._content_terms(level, tile)
        objective = Objective(
            **content,
            **self._style_terms(level, tile),
            tv=(TotalVariation(self.axes), config.tv_weight),
            **self._dream_term(level, tile),
        ).with_limits(limits)
        return objective if config.balance == "off" else self._balanced(objective, level, tile)

    def _balanced(self, objective: Objective, level: Level, tile: int | None) -> Objective:
        """With gains measured at the photo (a texture: at a style), as far as that fits in a tile:
        in larger pictures with the gains of a smaller one."""
        config, largest = self.config, max(level.height, level.width)
        measured = objective
        if tile is not None and largest > tile:
            share = tile / largest
            small = round(level.height * share), round(level.width * share)
            level = replace(level, height=max(16, small[0]), width=max(16, small[1]))
            measured = Objective(**self._style_terms(level, None))
        kinds = mixture("style_loss", config.style_loss)
        wanted: dict[str, dict[str, float]] = {}
        for name, (loss, weight) in measured.terms.items():
            if name.startswith("style") and weight:
                kind = next((kind for kind in kinds if f"-{kind}" in name), next(iter(kinds)))
                weights: dict[str, float] = loss.weights  # type: ignore[attr-defined]  # all of ours
                wanted[name] = {layer: kinds[kind] * weights[layer] for layer in loss.layers}
        image = self.style_at(level) if self.content is None else self.content_at(level)
        found = balanced(measured, image, self.encoder, wanted)
        return objective.with_gains(found.gains)

    def _dream_term(self, level: Level, tile: int | None) -> dict[str, tuple[Loss, float]]:
        """The term that lets activations grow, as a keyword; none unless asked for."""
        if not self.config.dream:
            return {}
        chosen = parse_selections(self.config.dream)
        layers = [selection.layer for selection in chosen]
        start = self.style_at(level) if self.content is None else self.content_at(level)
        seen = encode(self.encoder, start, layers, tile)
        return {"dream": (ActivationLoss.of(chosen, seen), 1.0)}

    def content_loss(
        self,
        name: str,
        level: Level,
        features: Features,
        where: Tensor | None = None,
        power: float = 1.0,
    ) -> Loss:
        """The content loss called ``name`` in settings, at ``level``, where the content has these
        ``features`` at the layers that it reads; ``where`` ``(1, 1, H, W)`` says how much each
        pixel counts, ``power`` how much more those that have moved far."""
        config, content = self.config, self.content_at(level)
        if name == "laplacian":
            mask = None if where is None else {IMAGE: where}
            return LaplacianLoss({IMAGE: content}, form=config.content_form, position_weight=mask)
        weights = _weights(config.content_layers, config.content_weights)
        masks = self._masks(where, config.content_layers)
        if name == "self-similarity":
            return SelfSimilarityLoss(features, weights, position_weight=masks, seed=config.seed)
        return FeatureLoss(
            features, weights, form=config.content_form, position_weight=masks, power=power
        )

    def style_losses(
        self,
        name: str,
        level: Level,
        region: Region | None = None,
        where: dict[str, Tensor] | None = None,
        tile: int | None = None,
    ) -> list[Loss]:
        """The style loss called ``name`` in settings for a region (default: the first), at
        ``level``; ``where`` says how much each position of the picture counts, by layer.

        Statistics that are sums blend in one loss; others make one for each style, whose layers
        share the weight of that layer.
        """
        region = region or self.layout.regions[0]
        kind, form = STYLE_LOSSES[name], self.config.style_form
        if issubclass(kind, StatisticLoss):
            measured = [
                (share.weight, self._measure(kind, share, region, level, tile))
                for share in region.shares
            ]
            sums = kind.blend(measured)
            weights = {x: w for x, w in self._layer_weights().items() if x in sums}
            return [kind.from_sums(sums, weights, form=form, position_weight=where)]
        losses: list[Loss] = []
        for share in region.shares:
            if not share.weight:
                continue
            weights = self._layer_weights(region, share)
            features, masks = self._turned(kind, share, region, level)
            losses.append(
                kind(
                    features,
                    weights,
                    form=form,
                    target_weight=masks,
                    position_weight=where,
                    seed=self.config.seed,
                )
            )
        return losses

    def _content_terms(
        self, level: Level, tile: int | None
    ) -> tuple[dict[str, tuple[Loss, float]], dict[str, float]]:
        """The terms that keep the subject, by name, and the limits of those that have one; none for
        a texture, and at strength 1.

        Where regions have strengths of their own, each has a term: ``content_1``.
        """
        terms: dict[str, tuple[Loss, float]] = {}
        limits: dict[str, float] = {}
        config = self.config
        kinds = mixture("content_loss", config.content_loss)
        features: Features = {}  # the same for all parts and kinds
        if set(kinds) != {"laplacian"} and self.content is not None:
            features = encode(self.encoder, self.content_at(level), config.content_layers, tile)
        for part in self._content_parts(level):
            for name, share in kinds.items():
                key = part.name if len(kinds) == 1 else f"{part.name}-{name}"
                force = FORCE[name] if config.content_form == "relative" else 1.0
                weight = config.content_weight * part.weight * share * force
                loss = self.content_loss(name, level, features, part.where, part.power)
                terms[key] = loss, weight
                if weight and part.limit is not None:
                    limits[key] = part.limit / force
        return terms, limits

    def _content_parts(self, level: Level) -> Iterator[_ContentPart]:
        """What of the content is held: all of it, and the subject for itself; for each region, if
        regions have strengths of their own."""
        if self.content is None:
            return
        config, alpha = self.config, self.content_alpha_at(level)
        if not config.holds_limit:
            where, factor = self._content_weight(level)
            yield _ContentPart(
                "content", _product(where, self._detail_at(level, config.strength)), factor
            )
            yield from self._subject_part("subject", level, alpha, factor)
            return
        regions = self.layout.regions
        if all(region.strength is None for region in regions):
            regions = (replace(regions[0], mask=None),)
        for number, region in enumerate(regions, start=1):
            strength = config.strength if region.strength is None else region.strength
            if strength == 1:
                continue
            where, area = alpha, 1.0
            if region.mask is not None:
                mask = self.mask_at(region.mask, (level.height, level.width), self.axes)
                where, area = _product(where, mask), float(mask.mean())
            end = "" if len(regions) == 1 else f"_{number}"
            factor, limit = odds(strength) * area, limit_at(strength)
            detail = self._detail_at(level, strength)
            yield _ContentPart(f"content{end}", _product(where, detail), factor, limit)
            yield from self._subject_part(f"subject{end}", level, where, factor / area, limit)

    def _subject_part(
        self,
        name: str,
        level: Level,
        where: Tensor | None,
        factor: float,
        limit: float | None = None,
    ) -> Iterator[_ContentPart]:
        """The subject, where there is one: held closer than the rest of the content."""
        protect = self.config.protect
        if self._subject is None or not protect:
            return
        mask = _product(where, self.mask_at(self._subject, (level.height, level.width), self.axes))
        assert mask is not None
        if (area := float(mask.mean())) < LEAST_SUBJECT:
            return
        looser = 1 - protect
        limit = None if limit is None else limit * looser
        power = SUBJECT_POWER if self.config.content_form == "relative" else 1.0
        yield _ContentPart(name, mask, factor * area / looser, limit, power)

    def _detail_at(self, level: Level, strength: float) -> Tensor | None:
        """How much each position matters, ``(1, 1, H, W)`` with a mean of about one; None where
        all matter alike. Under a weak style all do more alike: it is a photo that is touched up."""
        if self._detail is None:
            return None
        found = self._detail ** min(1.0, DEPTH * strength)
        size = (level.height, level.width)
        return self._resized(found / found.mean(), size, self.axes).clamp_min(0)

    def _style_terms(self, level: Level, tile: int | None) -> dict[str, tuple[Loss, float]]:
        """The terms that make the style, by name: for each region and each kind of loss."""
        config = self.config
        terms: dict[str, tuple[Loss, float]] = {}
        kinds, regions = mixture("style_loss", config.style_loss), self.layout.regions
        for number, region in enumerate(regions, start=1):
            where, area = self._place(region, level)
            for name, part in kinds.items():
                if not part:
                    continue
                key = "style" if len(regions) == 1 else f"style_{number}"
                key = key if len(kinds) == 1 else f"{key}-{name}"
                force = FORCE[name] if config.style_form == "relative" else 1.0
                losses = self.style_losses(name, level, region, where, tile)
                for index, loss in enumerate(losses, start=1):
                    own = key if len(losses) == 1 else f"{key}-of-{index}"
                    terms[own] = loss, config.style_weight * area * part * force
        return terms

    def _place(self, region: Region, level: Level) -> tuple[dict[str, Tensor] | None, float]:
        """How much each position counts for a region, and the region's share of the picture."""
        layers, alpha = self.config.style_layers, self.content_alpha_at(level)
        masks = self._masks(alpha, layers)
        if region.mask is None:
            return masks, 1.0
        mask = self.mask_at(region.mask, (level.height, level.width), self.axes)
        opaque = torch.ones_like(mask) if alpha is None else alpha
        area = float((mask * opaque).sum() / opaque.sum().clamp_min(1e-6))
        inside = self._inside(mask, layers, GUIDANCES[self.config.guidance])
        return {x: m * masks[x] if masks else m for x, m in inside.items()}, area

    def _layer_weights(
        self, region: Region | None = None, share: Share | None = None
    ) -> dict[str, float]:
        """The weight of each layer; for a share of a region, its part of that."""
        config = self.config
        layers = config.style_layers
        weights = _weights(layers, config.style_weights) or dict.fromkeys(layers, 1 / len(layers))
        if region is None or share is None:
            return weights
        total = {
            layer: sum(x.weight for x in region.shares if layer in layers_of(config, x.style))
            for layer in layers
        }
        own = layers_of(config, share.style)
        return {x: w * share.weight / total[x] for x, w in weights.items() if x in own and w}

    def _turned(
        self, kind: type[Loss], share: Share, region: Region, level: Level
    ) -> tuple[list[Features], list[Features]]:
        """Features and masks of a style for losses that compare positions; for patches, of the
        style in all four orientations."""
        layers = layers_of(self.config, share.style)
        image = self.style_at(level, share.style, region)
        alpha = self.style_alpha_at(level, share.style, region)
        part = None if share.mask is None else self.mask_at(share.mask, tuple(image.shape[-2:]))
        features, masks = [], []
        for quarters in range(4) if kind is PatchLoss else (0,):
            turned = torch.rot90(image, quarters, (2, 3))
            features.append(encode(self.style_encoder, turned, layers))
            here = self._masks(
                None if alpha is None else torch.rot90(alpha, quarters, (2, 3)), layers
            )
            if part is not None:
                inside = self._inside(torch.rot90(part, quarters, (2, 3)), layers)
                here = {x: m * here[x] if here else m for x, m in inside.items()}
            masks.append(here or {})
        return features, masks

    def _measure(
        self,
        kind: type[StatisticLoss],
        share: Share,
        region: Region,
        level: Level,
        tile: int | None,
    ) -> Sums:
        """A style's statistics where a region takes from it: strictly inside, for what is near the
        border of the style's region costs nothing to leave out."""
        layers = layers_of(self.config, share.style)
        alpha = self.style_alpha_at(level, share.style, region)
        masks = self._masks(alpha, layers)
        image = self.style_at(level, share.style, region)
        if share.mask is not None:
            inside = self._inside(self.mask_at(share.mask, tuple(image.shape[-2:])), layers)
            masks = {x: m * masks[x] if masks else m for x, m in inside.items()}
        return measure(kind, self.style_encoder, image, layers, masks, tile)

    def _content_weight(self, level: Level) -> tuple[Tensor | None, float]:
        """How much each position counts for the content, and how much the content counts in all.

        In a region with a strength of its own its odds hold; what is kept counts in full at least.
        """
        alpha, usual = self.content_alpha_at(level), odds(self.config.strength)
        kept, regions = self.layout.kept, self.layout.regions
        if all(region.strength is None for region in regions) and (kept is None or usual >= 1):
            return alpha, usual
        size = (level.height, level.width)
        weight = torch.zeros(1, 1, *size, device=self.device)
        for region in regions:
            own = usual if region.strength is None else odds(region.strength)
            weight += own * (
                1.0 if region.mask is None else self.mask_at(region.mask, size, self.axes)
            )
        if kept is not None:
            weight += max(usual, 1.0) * self.mask_at(kept, size, self.axes)
        mean = float(weight.mean())
        weight = weight / max(mean, 1e-12)
        return (weight if alpha is None else weight * alpha), mean

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

    def style_at(self, level: Level, style: int = 0, region: Region | None = None) -> Tensor:
        """A style ``(1, 3, h, w)`` at the size that goes with a level; in a region's own size and
        colours, where it has such."""
        own = None if region is None else region.styles
        picture = (own or self.styles)[style]
        return self._resized(picture.pixels, self._style_size(level, style, region))

    def styles_at(self, level: Level) -> list[Tensor]:
        """All of the styles at the sizes that go with a level."""
        return [self.style_at(level, number) for number in range(len(self.styles))]

    def style_alpha_at(
        self, level: Level, style: int = 0, region: Region | None = None
    ) -> Tensor | None:
        """How opaque it is there, ``(1, 1, h, w)``; None if all of it is."""
        alpha = self.styles[style].alpha
        if alpha is None:
            return None
        return self._resized(alpha, self._style_size(level, style, region)).clamp(0, 1)

    def keep(self, image: Tensor) -> Tensor:
        """``image`` ``(1, 3, H, W)``, any size, with the content's own pixels where it is kept."""
        if self.content is None:
            return image
        return put_back(image, self.content.pixels, self.layout, self.axes)

    def _style_size(self, level: Level, style: int, region: Region | None) -> tuple[int, int]:
        height, width = self.styles[style].size
        scale = 1.0 if region is None else region.scale
        wanted = round(max(level.height, level.width) * style_scale(self.config, style) * scale)
        least = math.ceil(16 * max(height, width) / min(height, width))  # relu5_1 needs 16 pixels
        # Enlarging would teach the blur of the enlargement as part of the style.
        return size_to_fit(height, width, min(max(wanted, least), max(height, width)))

    def _masks(self, mask: Tensor | None, layers: Sequence[str]) -> dict[str, Tensor] | None:
        if mask is None:
            return None
        sizes = {layer: self.encoder.feature_size(layer, *mask.shape[-2:]) for layer in layers}
        return layer_masks(mask, sizes)

    def _inside(self, mask: Tensor, layers: Sequence[str], share: float = 1.0) -> dict[str, Tensor]:
        windows = {layer: (self.encoder.stride(layer), self._reach(layer)) for layer in layers}
        height, width = mask.shape[-2:]
        grids = {layer: self.encoder.feature_size(layer, height, width) for layer in layers}
        # As large as what the positions stand for, the last ones too.
        lacking = [
            max(0, *(grid[axis] * windows[layer][0] - length for layer, grid in grids.items()))
            for axis, length in enumerate((height, width))
        ]
        mask = F.pad(mask, (0, lacking[1], 0, lacking[0]), mode="replicate")
        masks = inside_masks(mask, windows, share)
        return {layer: masks[layer][..., :h, :w] for layer, (h, w) in grids.items()}

    def _reach(self, layer: str) -> int:
        try:
            return self.encoder.receptive_field(layer)
        except ConfigError:  # an encoder that does not know: its positions count by their pixels
            return 0

    def mask_at(self, mask: Tensor, size: tuple[int, ...], axes: Axes = ()) -> Tensor:
        return self._resized(mask, (size[0], size[1]), axes).clamp(0, 1)

    def _resized(self, pixels: Tensor, size: tuple[int, int], axes: Axes = ()) -> Tensor:
        return resized(pixels, size, axes, resize).to(self.device)


def non_tileable(config: StylizeConfig) -> str:
    """Which of the losses in ``config`` cannot be computed in tiles; "" if all can."""
    names = [x for x, share in mixture("style_loss", config.style_loss).items() if share]
    found = [x for x in names if not issubclass(STYLE_LOSSES[x], AdditiveLoss)]
    if mixture("content_loss", config.content_loss).get("self-similarity"):
        found.append("self-similarity")
    return ", ".join(found)


def odds(strength: float) -> float:
    """By what the content's weight is multiplied: 1 at strength 0.5, 16 at 0.2, 0 at 1."""
    return float(((1 - strength) / max(strength, 1e-6)) ** STRENGTH_POWER)


def limit_at(strength: float) -> float:
    """How far the content may move: the relative content loss, weighed by detail.

    >>> round(limit_at(0.5), 3)
    0.46
    """
    return float(LIMIT * (strength / 0.5) ** LIMIT_POWER)


def _product(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """``a * b``; None is one everywhere."""
    if a is None or b is None:
        return b if a is None else a
    return a * b


def _weights(layers: tuple[str, ...], weights: tuple[float, ...] | None) -> dict[str, float] | None:
    return None if weights is None else dict(zip(layers, weights, strict=True))
