"""The objective of a run at one level, built from its targets: content, style and smoothness.

``build_objective`` is the whole of it; below it, in the order in which it asks for them, what holds
the content, what makes the style, and what is added on request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.config.layers import parse_selections
from impasto.config.stylize import ObjectiveConfig, StylizeConfig, mixture
from impasto.encoders.base import IMAGE, Features
from impasto.errors import ConfigError, UnknownNameError
from impasto.losses import CONTENT_LOSSES, STYLE_LOSSES, Loss, Objective, TotalVariation
from impasto.losses.activation import ActivationLoss
from impasto.losses.base import LossOptions
from impasto.objective.guidance import GUIDANCES
from impasto.objective.regions import Region, Share, layers_of
from impasto.objective.targets import Targets
from impasto.optim.gradients import equalize_gradients
from impasto.optim.pyramid import Level
from impasto.optim.tiling import encode

# (1 - s) / s is 1 at strength 0.5; its power spreads 0.2 to 0.8 over a range of the content weight
# that one sees: 16 down to 1/16.
STRENGTH_POWER = 2.0

# How far the content may move at strength 0.5, as its relative loss, and how fast that grows.
LIMIT, LIMIT_POWER = 0.46, 1.3
# The depth of the map over what matters, times strength, up to one.
DEPTH = 2.0
# Of a mean, a face would be given up for the rest of a figure; not of a mean of squares.
SUBJECT_POWER = 2.0
LEAST_SUBJECT = 0.003  # a share of the picture: what is smaller is nothing found
# A subject that fills the picture would stay a photo if it were held as a small one is. From this
# share of the picture to that it becomes a close-up: it may move further, and is held by its forms
# (the deepest layer) alone, so that its surface is painted.
CLOSE_FROM, CLOSE_TO, CLOSE_LIMIT = 0.5, 0.7, 1.6
# What surrounds a subject is the painter's: leaves and litter, full of detail, would stay a photo
# if they were held as a subject is. It may move further, and its detail counts for nothing; all of
# that from this share of the picture on that the subject has. But only where the subject is sure:
# of a city the finder marks a tower or two, and the rest is no less a subject. How sure it is, is
# the mean of the squares of what it marks over the mean.
AROUND_FROM, AROUND_LIMIT = 0.04, 3.0
SURE_FROM, SURE_TO = 0.8, 0.9

Terms = dict[str, tuple[Loss, float]]
"""The terms of an objective by name, each with its weight."""

OwnLosses = Mapping[str, Loss | type[Loss]]
"""Losses that settings name and that impasto does not know: classes, or objects ready for use."""


@torch.no_grad()
def build_objective(
    targets: Targets,
    config: StylizeConfig,
    level: Level,
    tile: int | None = None,
    own: OwnLosses | None = None,
) -> Objective:
    """What is minimised at ``level``: content, style and smoothness, weighted (Gatys et al. 2016,
    eq. 7).

    Each region has a style term of its own, ``style_1``, ``style_2``, ..., that weighs as much as
    its share of the picture: so each of its pixels feels the style as strongly as in a run with one
    style for all. Without regions the only one is called ``style``. Where several kinds of loss are
    mixed, each has a term: ``style-gram``, ``style_2-histogram``.

    Sums over large pictures are taken in tiles of ``tile`` pixels a side.
    """
    content, limits = content_terms(targets, config, level, tile, own)
    objective = Objective(
        **content,
        **style_terms(targets, config, level, tile, own),
        tv=(TotalVariation(targets.axes), config.tv_weight),
        **dream_term(targets, config, level, tile),
    ).with_limits(limits)
    if config.balance == "off":
        return objective
    return equalized(objective, targets, config, level, tile, own)


# --- which losses --------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A loss that settings name: its class (or itself, ready for use) and its share."""

    name: str
    loss: Loss | type[Loss]
    share: float


def content_kinds(config: ObjectiveConfig, own: OwnLosses | None = None) -> list[Kind]:
    """The losses that ``content_loss`` names. Raises UnknownNameError for a name that is none, and
    ConfigError for a normalization that a loss does not have."""
    return _kinds("content_loss", "content_form", CONTENT_LOSSES, config, own)


def style_kinds(config: ObjectiveConfig, own: OwnLosses | None = None) -> list[Kind]:
    """The same for ``style_loss``."""
    return _kinds("style_loss", "style_form", STYLE_LOSSES, config, own)


def _kinds(
    setting: str,
    form: str,
    shipped: Mapping[str, type[Loss]],
    config: ObjectiveConfig,
    own: OwnLosses | None,
) -> list[Kind]:
    known: dict[str, Loss | type[Loss]] = {**shipped, **(own or {})}
    kinds, normalization = [], getattr(config, form)
    for name, share in mixture(setting, getattr(config, setting)).items():
        if name not in known:
            raise UnknownNameError(setting, name, known)
        loss = known[name]
        if isinstance(loss, type) and name in shipped and normalization not in loss.normalizations:
            allowed = " or ".join(
                x for x in ("relative", "mean", "gatys") if x in loss.normalizations
            )
            raise ConfigError(f"{form} is '{normalization}' for {name}", f"use {allowed}")
        kinds.append(Kind(name, loss, share))
    return kinds


def non_tileable(config: ObjectiveConfig, own: OwnLosses | None = None) -> str:
    """Which of the losses in ``config`` cannot be computed in tiles; "" if all can."""
    kinds = [*style_kinds(config, own), *content_kinds(config, own)]
    return ", ".join(kind.name for kind in kinds if kind.share and not kind.loss.tileable)


# --- content -------------------------------------------------------------------------------------


class HeldPart(NamedTuple):
    """A part of the content that is held by a term of its own: the pixels that belong to it, and
    how much each of them counts ``(1, 1, H, W)`` (None: all alike), by what its weight is
    multiplied, how far it may move (None: no limit), how much of it is held by its forms alone (the
    last layer), from 0 to 1, and how much more what has moved far counts.
    """

    name: str
    inside: Tensor | None
    mask: Tensor | None
    weight: float
    limit: float | None = None
    forms: float = 0.0
    power: float = 1.0
    is_subject: bool = False


def content_terms(
    targets: Targets,
    config: StylizeConfig,
    level: Level,
    tile: int | None = None,
    own: OwnLosses | None = None,
) -> tuple[Terms, dict[str, float]]:
    """The terms that keep the subject, by name, and the limits of those that have one; none for a
    texture, and at strength 1.

    Where regions have strengths of their own, each has a term: ``content_1``. A loss that counts
    twice as much in a mixture may move half as far.
    """
    terms: Terms = {}
    limits: dict[str, float] = {}
    if targets.content is None:
        return terms, limits
    layers, kinds = config.content_layers, content_kinds(config, own)
    content = targets.content_at(level)  # the same for all parts and kinds
    features: Features = {}
    if any(getattr(kind.loss, "layers", ()) != (IMAGE,) for kind in kinds):
        features = encode(targets.encoder, content, layers, tile)
    features = {**features, IMAGE: features.get(IMAGE, content)}
    for part in held_parts(targets, config, level):
        weights = content_weights(config, part.forms)
        for name, kind, share in kinds:
            if part.is_subject and not kind.weighs_positions:
                continue  # it cannot tell the subject from the rest
            key = part.name if len(kinds) == 1 else f"{part.name}-{name}"
            scale = kind.scale if config.content_form == "relative" else 1.0
            weight = config.content_weight * part.weight * share * scale
            limit = part.limit if name in CONTENT_LOSSES else None
            if limit is not None:
                weight *= kind.least
            if isinstance(kind, Loss):
                terms[key] = kind, weight
                continue
            where = part.mask if kind.weighs_positions else part.inside
            masks = None if where is None else {IMAGE: where, **targets.by_area(where, layers)}
            options = LossOptions(config.content_form, masks, config.seed, part.power)
            terms[key] = kind.from_content(features, weights, options), weight
            if weight and limit is not None:
                limits[key] = limit * kind.reach / share
    return terms, limits


def held_parts(targets: Targets, config: StylizeConfig, level: Level) -> Iterator[HeldPart]:
    """What of the content is held: all of it, and the subject for itself; for each region, if
    regions have strengths of their own."""
    alpha = targets.content_alpha_at(level)
    close = closeness(targets)
    if not config.holds_limit:
        mask, factor = _content_weight(targets, config.strength, level)
        detail = targets.detail_at(level, depth_at(config.strength))
        yield HeldPart("content", mask, _product(mask, detail), factor, forms=close)
        subject = _held_subject("subject", targets, config, level, alpha, factor)
        if subject is not None:
            yield subject
        return
    regions = targets.regions.regions
    if all(region.strength is None for region in regions):
        regions = (replace(regions[0], mask=None),)
    for number, region in enumerate(regions, start=1):
        strength = config.strength if region.strength is None else region.strength
        if strength == 1:
            continue
        mask, area = alpha, 1.0
        if region.mask is not None:
            own = targets.mask_at(region.mask, level)
            mask, area = _product(mask, own), float(own.mean())
        end = "" if len(regions) == 1 else f"_{number}"
        factor = content_weight_factor(strength)
        limit = limit_at(strength) * (1 + (CLOSE_LIMIT - 1) * close)
        subject = _held_subject(f"subject{end}", targets, config, level, mask, factor, limit)
        depth, around = depth_at(strength), 0.0
        if subject is not None:
            around = (1 - close) * depth * freedom_around(subject, area)
        detail = targets.detail_at(level, depth * (1 - around))
        yield HeldPart(
            f"content{end}",
            mask,
            _product(mask, detail),
            factor * area,
            limit * (1 + (AROUND_LIMIT - 1) * around),
            forms=close,
        )
        if subject is not None:
            yield subject


def _held_subject(
    name: str,
    targets: Targets,
    config: StylizeConfig,
    level: Level,
    mask: Tensor | None,
    factor: float,
    limit: float | None = None,
) -> HeldPart | None:
    """The subject, where there is one: held closer than the rest of the content."""
    subject = targets.subject_at(level)
    if subject is None or not config.protect:
        return None
    mask = subject if mask is None else mask * subject
    if (area := float(mask.mean())) < LEAST_SUBJECT:
        return None
    close = closeness(targets)
    looser = 1 - config.protect * (1 - close)
    limit = None if limit is None else limit * looser
    power = SUBJECT_POWER if config.content_form == "relative" else 1.0
    return HeldPart(name, mask, mask, factor * area / looser, limit, close, power, is_subject=True)


def _content_weight(targets: Targets, strength: float, level: Level) -> tuple[Tensor | None, float]:
    """How much each position counts for the content, and how much the content counts in all.

    In a region with a strength of its own that holds; what is kept counts in full at least.
    """
    alpha, usual = targets.content_alpha_at(level), content_weight_factor(strength)
    kept, regions = targets.regions.kept, targets.regions.regions
    if all(region.strength is None for region in regions) and (kept is None or usual >= 1):
        return alpha, usual
    weight = torch.zeros(1, 1, level.height, level.width, device=targets.device)
    for region in regions:
        own = usual if region.strength is None else content_weight_factor(region.strength)
        weight += own * (1.0 if region.mask is None else targets.mask_at(region.mask, level))
    if kept is not None:
        weight += max(usual, 1.0) * targets.mask_at(kept, level)
    mean = float(weight.mean())
    weight = weight / max(mean, 1e-12)
    return (weight if alpha is None else weight * alpha), mean


def closeness(targets: Targets) -> float:
    """How much of a close-up the content is: 0 where its subject is small, 1 where it fills the
    picture."""
    if targets.subject is None:
        return 0.0
    share = (float(targets.subject.mean()) - CLOSE_FROM) / (CLOSE_TO - CLOSE_FROM)
    return min(max(share, 0.0), 1.0)


def freedom_around(subject: HeldPart, area: float) -> float:
    """How free the rest of a region is, which has ``area`` of the picture: 1 where the subject is
    sure and has a fair share of it, so that it carries the picture."""
    assert subject.mask is not None
    share = float(subject.mask.mean())
    sureness = float(subject.mask.square().mean()) / share
    sure = min(max((sureness - SURE_FROM) / (SURE_TO - SURE_FROM), 0.0), 1.0)
    return sure * min(1.0, share / (AROUND_FROM * area))


def content_weights(config: ObjectiveConfig, forms: float = 0.0) -> dict[str, float]:
    """The weight of each content layer: those given, or equal ones, of which the share ``forms``
    passes to the last."""
    layers = config.content_layers
    weights = layer_weights(layers, config.content_weights)
    if config.content_weights is None and len(layers) > 1 and forms:
        weights = {layer: weight * (1 - forms) for layer, weight in weights.items()}
        weights[layers[-1]] += forms
    return weights


def content_weight_factor(strength: float) -> float:
    """By what the content's weight is multiplied: 1 at strength 0.5, 16 at 0.2, 0 at 1."""
    return float(((1 - strength) / max(strength, 1e-6)) ** STRENGTH_POWER)


def limit_at(strength: float) -> float:
    """How far the content may move: the relative content loss, weighed by detail.

    >>> round(limit_at(0.5), 3)
    0.46
    """
    return float(LIMIT * (strength / 0.5) ** LIMIT_POWER)


def depth_at(strength: float) -> float:
    """How deep the map of detail is. Under a weak style all places matter more alike: it is a photo
    that is touched up."""
    return min(1.0, DEPTH * strength)


# --- style ---------------------------------------------------------------------------------------


def style_terms(
    targets: Targets,
    config: StylizeConfig,
    level: Level,
    tile: int | None = None,
    own: OwnLosses | None = None,
) -> Terms:
    """The terms that make the style, by name: for each region and each kind of loss."""
    terms: Terms = {}
    kinds, regions = style_kinds(config, own), targets.regions.regions
    weights = layer_weights(config.style_layers, config.style_weights)
    sizes = {x: targets.encoder.feature_size(x, level.height, level.width) for x in weights}
    for number, region in enumerate(regions, start=1):
        masks, area = _position_weights(targets, config, region, level)
        sources = [
            targets.style_source(
                level, region, share, _share_of_weights(weights, config, region, share), tile
            )
            for share in region.shares
        ]
        options = LossOptions(config.style_form, masks, config.seed, sizes=sizes)
        for name, kind, part in kinds:
            if not part:
                continue
            key = "style" if len(regions) == 1 else f"style_{number}"
            key = key if len(kinds) == 1 else f"{key}-{name}"
            scale = kind.scale if config.style_form == "relative" else 1.0
            losses: Sequence[Loss] = [kind] if isinstance(kind, Loss) else []
            if isinstance(kind, type):
                losses = kind.from_styles(sources, weights, options)
            for index, loss in enumerate(losses, start=1):
                term = key if len(losses) == 1 else f"{key}-of-{index}"
                terms[term] = loss, config.style_weight * area * part * scale
    return terms


def _position_weights(
    targets: Targets, config: StylizeConfig, region: Region, level: Level
) -> tuple[Features | None, float]:
    """How much each position counts for a region, and the region's share of the picture."""
    layers, alpha = config.style_layers, targets.content_alpha_at(level)
    masks = targets.by_area(alpha, layers)
    if region.mask is None:
        return masks, 1.0
    mask = targets.mask_at(region.mask, level)
    opaque = torch.ones_like(mask) if alpha is None else alpha
    area = float((mask * opaque).sum() / opaque.sum().clamp_min(1e-6))
    inside = targets.inside(mask, layers, GUIDANCES[config.guidance])
    return {x: m * masks[x] if masks else m for x, m in inside.items()}, area


def _share_of_weights(
    weights: dict[str, float], config: StylizeConfig, region: Region, share: Share
) -> dict[str, float]:
    """A style's part of the weight of each layer that it gives to a region."""
    given = {x.style: layers_of(config, x.style, config.style_layers) for x in region.shares}
    found = {}
    for layer in given[share.style]:
        total = sum(x.weight for x in region.shares if layer in given[x.style])
        if weights[layer]:
            found[layer] = weights[layer] * share.weight / (total or 1.0)
    return found


def layer_weights(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """The weight of each layer: those given, or equal ones that sum to one."""
    if weights is None:
        return dict.fromkeys(layers, 1 / len(layers))
    return dict(zip(layers, weights, strict=True))


# --- on request ----------------------------------------------------------------------------------


def dream_term(
    targets: Targets, config: ObjectiveConfig, level: Level, tile: int | None = None
) -> Terms:
    """The term that lets activations grow; none unless asked for."""
    if not config.dream:
        return {}
    chosen = parse_selections(config.dream)
    layers = [selection.layer for selection in chosen]
    seen = encode(targets.encoder, _start(targets, level), layers, tile)
    return {"dream": (ActivationLoss.of(chosen, seen), 1.0)}


def equalized(
    objective: Objective,
    targets: Targets,
    config: StylizeConfig,
    level: Level,
    tile: int | None = None,
    own: OwnLosses | None = None,
) -> Objective:
    """With gains measured at the photo (a texture: at a style), as far as that fits in a tile: in
    larger pictures with the gains of a smaller one."""
    largest = max(level.height, level.width)
    measured = objective
    if tile is not None and largest > tile:
        share = tile / largest
        small = round(level.height * share), round(level.width * share)
        level = replace(level, height=max(16, small[0]), width=max(16, small[1]))
        measured = Objective(**style_terms(targets, config, level, None, own))
    shares = mixture("style_loss", config.style_loss)
    wanted: dict[str, dict[str, float]] = {}
    for name, (loss, weight) in measured.terms.items():
        if name.startswith("style") and weight:
            kind = next((kind for kind in shares if f"-{kind}" in name), next(iter(shares)))
            weights = getattr(loss, "weights", None) or layer_weights(loss.layers, None)
            wanted[name] = {layer: shares[kind] * weights[layer] for layer in loss.layers}
    found = equalize_gradients(measured, _start(targets, level), targets.encoder, wanted)
    return objective.with_gains(found.gains)


def _start(targets: Targets, level: Level) -> Tensor:
    return targets.style_at(level) if targets.content is None else targets.content_at(level)


def _product(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """``a * b``; None is one everywhere."""
    if a is None or b is None:
        return b if a is None else a
    return a * b
