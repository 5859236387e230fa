"""Which style goes where: the parts of a picture, what each takes from which style, what is kept.

Masks are ``(1, 1, H, W)`` in [0, 1]: white is inside, grey half. They come from files (one mask for
each region, or one map in which each region has a colour), from arrays, or from the encoder's own
features (:mod:`impasto.objective.segmentation`). Where regions overlap they share; what none of
them covers stays as it is in the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from impasto.config.groups import LAYER_GROUPS, RegionsConfig
from impasto.encoders.base import IMAGE, stage_of
from impasto.errors import ConfigError
from impasto.image.io import Picture, resize, size_to_fit
from impasto.image.wrap import Axes, resized
from impasto.objective.masks import (
    ALL,
    APART,
    EMPTY,
    LARGEST,
    REST,
    Masks,
    check_shape,
    fit_mask,
    is_coloured,
    mask_of,
    read_map,
    soften,
)


@dataclass(frozen=True)
class Share:
    """What a style gives to a region: which style (from 0), its weight against the region's other
    styles, and the part of it that is taken (None: all)."""

    style: int
    weight: float
    mask: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Region:
    """A part of the picture (``mask`` None: all of it), the styles that paint it, how strongly
    and in whose colours (None: as the rest of the run), and how large they are, times
    ``style_scale``. ``styles`` are the run's pictures in this region's colours, where those are its
    own (:func:`impasto.objective.colors.match_region_colors`)."""

    mask: Tensor | None = field(repr=False)
    shares: tuple[Share, ...]
    strength: float | None = None
    scale: float = 1.0
    color: str | None = None
    styles: tuple[Picture, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RegionMap:
    """All regions of a run, and what stays as it is (``kept`` None: nothing)."""

    regions: tuple[Region, ...]
    kept: Tensor | None = field(default=None, repr=False)


T = TypeVar("T")

AutoRegions = Sequence[tuple[Tensor, Share]]
"""Regions that were found rather than given: each one's mask, and what it takes."""


def build_regions(
    config: RegionsConfig,
    masks: Masks,
    content: tuple[int, int],
    styles: Sequence[tuple[int, int]],
    found: AutoRegions = (),
    style_layers: Sequence[str] = (),
) -> RegionMap:
    """The regions that ``config`` and ``masks`` mean, for pictures of these sizes (height, width).

    ``style_layers`` are those of the style loss, for ``layers_per_style`` to choose from;
    ``found`` takes the place of ``masks.regions`` where those are ``auto``. Raises ConfigError for
    numbers of styles, masks and weights that do not go together, for masks that are empty or have
    another aspect ratio than their picture, and for colours that a map has not.
    """
    _check_numbers(config, len(styles), style_layers)
    size = size_to_fit(*content, min(max(content), LARGEST))
    if found:
        parts, shares = [mask for mask, _ in found], [[share] for _, share in found]
    else:
        parts, shares = _regions_from_masks(config, masks, content, styles)
    for name in ("region_strengths", "region_scales", "region_colors"):
        values = getattr(config, name)
        if values is not None and len(values) != len(parts):
            raise ConfigError(
                f"{name} has {len(values)} entries for {len(parts)} regions",
                "give one for each region" if parts else "give regions, too",
            )
    keep = None
    if masks.keep is not None:
        check_shape("keep", masks.keep.size, content, "content")
        keep = soften(fit_mask(mask_of(masks.keep, "keep"), size), config.feather)
    if not parts and keep is None:
        return RegionMap((Region(None, tuple(shares[0])),))
    soft = [soften(fit_mask(part, size), config.feather) for part in parts]
    soft = soft or [torch.ones(1, 1, *size)]
    crowd = torch.stack(soft).sum(0).clamp_min(1)
    free = 1 - keep if keep is not None else torch.ones(1, 1, *size)
    regions = []
    for number, part in enumerate(soft):
        mask = part / crowd * free
        if float((part * free).max()) < float(part.max()) / 2:  # what soft edges leave is nothing
            raise ConfigError(
                f"nothing is left of region {number + 1} beside what is kept",
                "use a smaller mask for keep",
            )
        strength = config.region_strengths[number] if config.region_strengths else None
        scale = config.region_scales[number] if config.region_scales else 1.0
        color = config.region_colors[number] if config.region_colors else None
        if strength != 0:
            regions.append(Region(mask, tuple(shares[number]), strength, scale, color))
    if not regions:
        raise ConfigError("every region has strength 0", "raise one of region_strengths")
    kept = 1 - torch.stack([region.mask for region in regions if region.mask is not None]).sum(0)
    return RegionMap(tuple(regions), kept.clamp(0, 1) if float(kept.max()) > EMPTY else None)


def restore_kept(image: Tensor, content: Tensor, layout: RegionMap, axes: Axes = ()) -> Tensor:
    """``image`` ``(1, 3, H, W)`` with the pixels of ``content``, of any size, where it is kept.

    ``axes`` are those along which the picture wraps.
    """
    if layout.kept is None:
        return image
    size = (image.shape[-2], image.shape[-1])
    kept = resized(layout.kept, size, axes, resize).clamp(0, 1).to(image.device)
    return image + kept * (resized(content, size, axes, resize).to(image.device) - image)


def style_scale(config: RegionsConfig, style: int) -> float:
    """``style_scale`` of a style, counted from 0."""
    return config.style_scale[style if len(config.style_scale) > 1 else 0]


def layers_of(config: RegionsConfig, style: int, style_layers: Sequence[str]) -> tuple[str, ...]:
    """Those of the style loss's layers whose target a style gives.

    >>> layers_of(RegionsConfig(layers_per_style=("fine", "all")), 0, ["relu2_1", "relu3_1"])
    ('relu2_1',)
    """
    if config.layers_per_style is None:
        return tuple(style_layers)
    choice = config.layers_per_style[style]
    if choice in LAYER_GROUPS:
        stages = LAYER_GROUPS[choice]
        return tuple(x for x in style_layers if (1 if x == IMAGE else stage_of(x)) in stages)
    return tuple(x for x in style_layers if x in choice.split("+"))


def check_styles(
    config: RegionsConfig, styles: Sequence[T], style_layers: Sequence[str]
) -> Sequence[T]:
    """``styles`` themselves, if they are as many as ``config`` has numbers for; else ConfigError.

    Before they are read, that is: which may take a while.
    """
    if not styles:
        raise ConfigError("there is no style", "give one or more")
    _check_numbers(config, len(styles), style_layers)
    return styles


def check_auto(config: RegionsConfig, masks: Masks) -> None:
    """ConfigError for what does not go with regions that are yet to be found."""
    if len(masks.regions) > 1:
        raise ConfigError("regions holds 'auto' and more", "give auto alone, or masks")
    for name, given in (
        ("style_regions", bool(masks.style_regions)),
        ("region_styles", config.region_styles is not None),
        ("layers_per_style", config.layers_per_style is not None),
        ("blend", config.blend is not None),
    ):
        if given:
            raise ConfigError(
                f"{name} is given with regions auto, which chooses itself",
                f"leave out {name}, or give masks",
            )


def _check_numbers(config: RegionsConfig, styles: int, style_layers: Sequence[str]) -> None:
    for name in ("blend", "layers_per_style", "style_scale"):
        values = getattr(config, name)
        if values is None or len(values) == styles or (name == "style_scale" and len(values) == 1):
            continue
        raise ConfigError(
            f"{name} has {len(values)} entries for {styles} style{'s' if styles > 1 else ''}",
            "give one for each style",
        )
    for style, choice in enumerate(config.layers_per_style or ()):
        if unknown := [x for x in choice.split("+") if x not in (*LAYER_GROUPS, *style_layers)]:
            raise ConfigError(
                f"layers_per_style holds {unknown[0]}, which is none of the style loss's layers",
                f"those are: {', '.join(style_layers)}",
            )
        if not layers_of(config, style, style_layers):
            raise ConfigError(
                f"no layer is {choice}, and style {style + 1} gives nothing",
                f"the style loss reads: {', '.join(style_layers)}",
            )
    given = {layer for style in range(styles) for layer in layers_of(config, style, style_layers)}
    if missing := [layer for layer in style_layers if layer not in given]:
        raise ConfigError(
            f"no style gives {missing[0]}",
            "let layers_per_style name a style for it, or leave it out of style_layers",
        )


# --- what was given ------------------------------------------------------------------------------


def _regions_from_masks(
    config: RegionsConfig,
    masks: Masks,
    content: tuple[int, int],
    styles: Sequence[tuple[int, int]],
) -> tuple[list[Tensor], list[list[Share]]]:
    """The mask and the shares of each region; no masks, and one list of shares, without regions."""
    if not masks.regions:
        if config.region_styles is not None:
            raise ConfigError("region_styles is given without regions", "give regions, too")
        taken = _style_masks(masks, len(styles), "style", styles, range(len(styles)))
        return [], [_shares(config, range(len(styles)), taken)]
    first = masks.regions[0]
    if len(masks.regions) == 1 and isinstance(first, Picture) and is_coloured(first):
        return _from_map(config, masks, first, content, styles)
    regions: list[Tensor | None] = []
    for number, given in enumerate(masks.regions, start=1):
        if isinstance(given, Picture):
            check_shape(f"the mask of region {number}", given.size, content, "content")
            regions.append(mask_of(given, f"the mask of region {number}"))
        elif given == REST:
            regions.append(None)
        else:
            raise ConfigError(f"regions holds '{given}'", "use masks, or auto alone")
    if regions.count(None) > 1:
        raise ConfigError("regions holds 'rest' twice", "use it once")
    size = size_to_fit(*content, min(max(content), LARGEST))
    fitted = [None if part is None else fit_mask(part, size) for part in regions]
    covered = sum((part for part in fitted if part is not None), torch.zeros(1, 1, *size))
    parts = [(1 - covered).clamp_min(0) if part is None else part for part in fitted]
    chosen = _assign_styles(config, len(parts), len(styles))
    names = [members[0] for members in chosen]
    taken = _style_masks(masks, len(parts), "region", styles, names)
    shares = [
        _shares(config, members, [mask] * len(members))
        for members, mask in zip(chosen, taken, strict=True)
    ]
    return parts, shares


def _from_map(
    config: RegionsConfig,
    masks: Masks,
    picture: Picture,
    content: tuple[int, int],
    styles: Sequence[tuple[int, int]],
) -> tuple[list[Tensor], list[list[Share]]]:
    """Regions by colour, in the order in which one meets them reading from the top left."""
    check_shape("the map of regions", picture.size, content, "content")
    colours, parts = read_map(picture, "the map of regions")
    chosen = _assign_styles(config, len(parts), len(styles))
    if masks.style_regions and len(masks.style_regions) != len(styles):
        raise ConfigError(
            f"style_regions has {len(masks.style_regions)} entries for {len(styles)} styles",
            "with a map of colours, give one map for each style (or all)",
        )
    maps: list[tuple[Tensor, list[Tensor]] | None] = []
    for style, given in enumerate(masks.style_regions or [ALL] * len(styles)):
        if isinstance(given, Picture):
            check_shape(f"the map of style {style + 1}", given.size, styles[style], "style")
            maps.append(read_map(given, f"the map of style {style + 1}"))
        else:
            _check_word(given)
            maps.append(None)
    shares = []
    for colour, members in zip(colours, chosen, strict=True):
        taken: list[Tensor | None] = []
        for style in members:
            there = maps[style]
            taken.append(None if there is None else _part_of(colour, *there, style))
        shares.append(_shares(config, members, taken))
    return parts, shares


def _part_of(colour: Tensor, colours: Tensor, parts: list[Tensor], style: int) -> Tensor:
    distances = (colours - colour).norm(dim=1)
    if float(distances.min()) > APART:
        wanted = "#" + "".join(f"{int(x):02x}" for x in colour)
        there = ", ".join("#" + "".join(f"{int(x):02x}" for x in row) for row in colours)
        raise ConfigError(
            f"the map of style {style + 1} has no {wanted}, which the content's has",
            f"its colours are {there}; or let region_styles name another style for that region",
        )
    return parts[int(distances.argmin())]


def _assign_styles(config: RegionsConfig, regions: int, styles: int) -> list[list[int]]:
    """The styles (from 0) that paint each region."""
    if config.region_styles is None:
        if styles == 1:
            return [[0]] * regions
        if styles == regions:
            return [[number] for number in range(regions)]
        raise ConfigError(
            f"there are {regions} regions and {styles} styles",
            "give one style for each region, or say with region_styles which one paints which",
        )
    if len(config.region_styles) != regions:
        raise ConfigError(
            f"region_styles has {len(config.region_styles)} entries for {regions} regions",
            "give one for each region",
        )
    chosen = [[int(x) - 1 for x in text.split("+")] for text in config.region_styles]
    for members in chosen:
        if max(members) >= styles:
            raise ConfigError(
                f"region_styles names style {max(members) + 1}, and there are {styles}",
                "count the styles from 1",
            )
    return chosen


def _shares(
    config: RegionsConfig, members: Sequence[int], masks: Sequence[Tensor | None]
) -> list[Share]:
    weights = [1.0 if config.blend is None else config.blend[style] for style in members]
    if len(members) == 1:
        weights = [1.0]
    if not any(weights):
        raise ConfigError("the styles of a region all weigh 0 in blend", "raise one of them")
    total = sum(weights)
    return [
        Share(style, weight / total, mask)
        for style, weight, mask in zip(members, weights, masks, strict=True)
    ]


def _style_masks(
    masks: Masks,
    count: int,
    what: str,
    styles: Sequence[tuple[int, int]],
    of: Sequence[int],
) -> list[Tensor | None]:
    """One mask in a style, or None, for each of ``count`` regions (or styles)."""
    if not masks.style_regions:
        return [None] * count
    if len(masks.style_regions) != count:
        raise ConfigError(
            f"style_regions has {len(masks.style_regions)} entries for {count} {what}s",
            f"give one for each {what} (or all)",
        )
    found: list[Tensor | None] = []
    for number, given in enumerate(masks.style_regions):
        if isinstance(given, Picture):
            name = f"style_regions' mask {number + 1}"
            check_shape(name, given.size, styles[of[number]], f"style {of[number] + 1}")
            found.append(mask_of(given, name))
        else:
            _check_word(given)
            found.append(None)
    return found


def _check_word(word: str) -> None:
    if word != ALL:
        raise ConfigError(f"style_regions holds '{word}'", "use masks or all")
