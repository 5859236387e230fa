"""From what was asked for to what a run works with: pictures read, sizes, encoder, regions, memory.

``prepare`` is the whole of it, step by step; nothing is painted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from impasto.config.stylize import STARTS, StylizeConfig
from impasto.encoders import Encoder, get_encoder
from impasto.encoders.base import CIRCULAR, IMAGE
from impasto.encoders.wrappers import PadToStride, QuantizedFeatures
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.image.inputs import Source, as_list, fill_under_alpha, provenance_of, read_role
from impasto.image.io import Picture, read_image, size_to_fit
from impasto.image.wrap import AXES
from impasto.machine.devices import choose_device, choose_dtype
from impasto.objective.build import OwnLosses, content_kinds, non_tileable, style_kinds
from impasto.objective.colors import match_region_colors, match_style_colors
from impasto.objective.masks import AUTO, Masks, read_masks
from impasto.objective.regions import (
    AutoRegions,
    RegionMap,
    build_regions,
    check_auto,
    check_styles,
)
from impasto.objective.segmentation import find_regions
from impasto.objective.style_cache import StyleCache
from impasto.objective.subject import detail_map, read_or_find_subject
from impasto.objective.targets import Targets
from impasto.optim.memory import MemoryEstimate, choose_tile, memory_budget, rss_bytes
from impasto.optim.pyramid import Level, plan

MASKS = ("regions", "style_regions", "keep", "subject")
"""Settings that name files, or may be masks themselves."""

# What an encoder must see beyond the border for the borders along these axes to meet.
PADDING = {axes: name for name, axes in CIRCULAR.items()}
# Pictures in memory while nothing but colours is changed.
COPIES_OF_COLORS = 4


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    ``config`` has no "auto" left that the pictures decide on; ``encoder`` is the one that was
    chosen, with what the run needs around it; ``init`` is a picture to start from; ``sources`` say
    in the metadata what was read; ``own`` are losses that impasto does not know; ``tile`` and
    ``demand`` are the plan of memory.
    """

    config: StylizeConfig
    content: Picture | None
    height: int
    width: int
    levels: list[Level]
    encoder: Encoder
    device: torch.device
    dtype: torch.dtype
    targets: Targets
    init: Picture | None
    sources: dict[str, Any]
    own: OwnLosses
    tile: int | None
    demand: MemoryEstimate = field(repr=False)


def prepare(
    content: Source | None,
    style: Source | Sequence[Source],
    config: StylizeConfig,
    *,
    encoder: Encoder | None = None,
    masks: Mapping[str, Any] | None = None,
    own: OwnLosses | None = None,
    init: Picture | None = None,
    style_cache: StyleCache | None = None,
    max_pixels: int | None = None,
) -> Prepared:
    """Read, check and plan all that a run needs; ``content`` None is a texture.

    ``masks`` are those of :data:`MASKS` that are given as pictures, in place of the settings of
    those names, ``init`` a picture in place of the setting; ``style_cache`` keeps what the encoder
    sees in the styles. Raises what :func:`impasto.stylize` raises.
    """
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    # 1. The settings, as far as they go without a picture, and the content.
    config = for_texture(config) if content is None else for_content(config)
    photo = None if content is None else read_role("content", content, **limit)
    height, width = output_size(photo, config)
    config = config.with_style_loss(max(height, width), texture=photo is None)
    kinds = [*content_kinds(config, own), *style_kinds(config, own)]
    own = {kind.name: kind.loss for kind in kinds if own and kind.name in own}
    # 2. The styles.
    styles = check_styles(config, as_list(style), config.style_layers)
    pictures = [read_role("style", x, True, **limit) for x in styles]
    # 3. Coarse to fine: the sizes, and how many steps each takes. Colours alone take none.
    axes = AXES[config.wrap]
    steps, ratio = config.schedule(max(height, width), texture=photo is None)
    levels = plan(height, width, steps, ratio, axes) if config.color != "only" else []
    # 4. The encoder, where it computes and how precisely.
    device = choose_device(config.device)
    dtype = choose_dtype(_precision(config), device)
    encoder = get_encoder(
        encoder or config.encoder,
        flavour=config.flavour,
        pooling=config.pooling,
        padding=config.padding,
    )
    check_layers(encoder, config)
    encoder.to(device, dtype)
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    # 5. Masks, and everything that was read, for the metadata.
    read, masks_told = _read_masks(config, masks or {}, limit)
    told = [provenance_of(x, picture) for x, picture in zip(styles, pictures, strict=True)]
    sources: dict[str, Any] = {"style": told[0] if len(told) == 1 else told, **masks_told}
    if photo is not None:
        sources = {"content": provenance_of(content, photo), **sources}
    init = init or read_init(config.init)
    if init is not None:
        sources["init"] = provenance_of(config.init, init)
        init = fill_under_alpha(init)
    photo = None if photo is None else fill_under_alpha(photo)
    pictures = [fill_under_alpha(picture) for picture in pictures]
    # 6. Which style goes where, in whose colours, and what is held most.
    regions = _regions(config, read, photo, pictures, encoder)
    regions = match_region_colors(regions, pictures, photo, config)
    subject: Tensor | None = None
    detail: Tensor | None = None
    if photo is not None:
        subject, found = read_or_find_subject(read, photo, config.subject)
        sources |= found
        detail = None if config.subject == "off" else detail_map(photo.pixels, axes)
    reader: Encoder = PadToStride(encoder)
    if config.precision == "exact":
        reader = QuantizedFeatures(reader)
    targets = Targets(
        photo,
        [match_style_colors(picture, photo, config) for picture in pictures],
        reader.with_padding(PADDING[axes]) if axes else reader,
        config,
        device,
        regions,
        axes=axes,
        detail=detail,
        subject=subject,
        style_encoder=reader,
        style_cache=style_cache,
    )
    # 7. Will it fit? In tiles, where it does not as a whole.
    tile, demand = _plan_memory(config, own, targets.encoder, device, (height, width), levels)
    return Prepared(
        config=config,
        content=photo,
        height=height,
        width=width,
        levels=levels,
        encoder=targets.encoder,
        device=device,
        dtype=dtype,
        targets=targets,
        init=init,
        sources=sources,
        own=own,
        tile=tile,
        demand=demand,
    )


def for_texture(config: StylizeConfig) -> StylizeConfig:
    """The settings for a run without a content: it cannot start from one, so from the style's mean
    and deviation. Raises ConfigError for settings that ask for a content's colours or size."""
    if config.init in ("auto", "content"):
        config = config.with_changes(init="style")
    asked = {
        "color": config.color != "style",
        "region_colors": config.region_colors is not None,
        "init": config.init in ("recolored", "quick"),
    }
    if name := next((name for name, wrong in asked.items() if wrong), None):
        told = f"{name} is '{getattr(config, name)}', and a texture has no content"
        raise ConfigError(told, "leave it out")
    if config.size is None:
        raise ConfigError("size is none, and a texture has no content to take it from", "give it")
    return config


def for_content(config: StylizeConfig) -> StylizeConfig:
    """The settings for a run with a content: where it starts is said."""
    if config.init != "auto":
        return config
    recolors = config.holds_limit and config.color == "style"
    return config.with_changes(init="recolored" if recolors else "content")


def output_size(content: Picture | None, config: StylizeConfig) -> tuple[int, int]:
    """The picture's (height, width)."""
    size = config.size
    if content is not None:
        return content.size if size is None else size_to_fit(*content.size, size)
    assert size is not None
    return max(1, round(size / max(1, config.aspect))), max(1, round(size * min(1, config.aspect)))


def check_layers(encoder: Encoder, config: StylizeConfig) -> None:
    """UnknownNameError for a layer that the encoder has not."""
    known = (IMAGE, *encoder.layers)
    for layer in (*config.content_layers, *config.style_layers, *config.dreamt_layers):
        if layer not in known:
            raise UnknownNameError(f"layer of {encoder.name}", layer, known)


def read_init(init: str) -> Picture | None:
    """The picture to start from, where ``init`` is none of the words. Raises ConfigError."""
    if init in STARTS:
        return None
    try:
        return read_image(init)
    except InputError as error:
        raise ConfigError(
            f"init is '{init}' ({error.message})", f"use {', '.join(STARTS)} or a picture"
        ) from error


def _precision(config: StylizeConfig) -> str:
    if config.precision == "auto" and config.optimizer == "lbfgs":
        return "float32"  # a line search takes the rounding of bfloat16 for a stall
    return config.precision


def _read_masks(
    config: StylizeConfig, masks: Mapping[str, Any], limit: dict[str, int]
) -> tuple[Masks, dict[str, Any]]:
    def given(name: str) -> Any:
        return getattr(config, name) if masks.get(name) is None else masks[name]

    return read_masks(
        as_list(given("regions")),
        as_list(given("style_regions")),
        given("keep"),
        given("subject"),
        **limit,
    )


def _regions(
    config: StylizeConfig,
    masks: Masks,
    content: Picture | None,
    styles: Sequence[Picture],
    encoder: Encoder,
) -> RegionMap:
    """Which style goes where; with ``auto`` after a look at what the pictures show."""
    found: AutoRegions = ()
    if AUTO in masks.regions:
        check_auto(config, masks)
        if content is None:
            raise ConfigError("regions is auto for a texture", "give masks, or leave it out")
        pixels = [style.pixels for style in styles]
        found = find_regions(encoder, content.pixels, pixels, config.region_count, config.seed)
    size = output_size(None, config) if content is None else content.size
    return build_regions(config, masks, size, [x.size for x in styles], found, config.style_layers)


def _plan_memory(
    config: StylizeConfig,
    own: OwnLosses,
    encoder: Encoder,
    device: torch.device,
    size: tuple[int, int],
    levels: Sequence[Level],
) -> tuple[int | None, MemoryEstimate]:
    """The size of tiles, if any, and the memory that the run will take."""
    if not levels:
        copies = COPIES_OF_COLORS * 3 * 4 * size[0] * size[1]
        return None, MemoryEstimate(base=rss_bytes(), pictures=copies, targets=0, step=0)
    return choose_tile(
        encoder,
        (*config.content_layers, *config.dreamt_layers),
        config.style_layers,
        size,
        config.optimizer,
        memory_budget(config.max_memory, device),
        tile=config.tile,
        non_tileable=non_tileable(config, own),
    )
