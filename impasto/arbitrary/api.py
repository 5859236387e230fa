"""The other recipe: the picture in one forward pass, in a fraction of the time.

``quick`` takes pictures as :func:`impasto.stylize` does and returns the same kind of result. What
it does with them is in :mod:`impasto.arbitrary.network`.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.arbitrary.backends import Backend, choose_backend, make_backend, version
from impasto.arbitrary.inference import Zone, draft, measure
from impasto.arbitrary.network import Quick, Statistics, load_quick
from impasto.arbitrary.upsampler import FACTOR, Enlarger, load_enlarger
from impasto.config.networks import LARGEST, QuickConfig
from impasto.config.version import __version__
from impasto.devices import choose_device, choose_dtype, describe_machine
from impasto.errors import ConfigError
from impasto.feedforward.inference import paint_with
from impasto.feedforward.network import FeedForward, load_feedforward
from impasto.image.color import match_colors
from impasto.image.inputs import (
    Source,
    as_list,
    fill_under_alpha,
    pop_mask_objects,
    provenance_of,
    read_picture,
)
from impasto.image.io import Picture, read_image, resize, size_to_fit
from impasto.objective.colors import (
    ONLY_COLORS,
    match_style_colors,
    recolor_content,
    restore_content_colors,
)
from impasto.objective.masks import AUTO, Masks, read_masks
from impasto.objective.regions import RegionMap, build_regions, restore_kept
from impasto.objective.subject import read_or_find_subject
from impasto.runs.result import Result

STYLE_SIZE = 384
"""Long side in pixels at which a style is read, at most. The decoder was trained on styles of about
that size and smaller; of larger ones it takes some for photos, and adds nothing."""

REMEMBERED = 8
"""Of so many styles, those read last, the moments are kept: a style that was read before, of the
same size, costs nothing again (an eighth of the time of a small picture)."""

MASKS = ("regions", "keep", "subject")
"""Settings that name files, or may be masks themselves."""

MEANT_FOR_STYLES = frozenset(
    (
        *("quality", "blend", "style_scale", "coarsest"),
        *("regions", "region_styles", "region_strengths", "subject", "protect"),
    )
)
"""Settings that say nothing to a model of one style."""


def quick(
    content: Source,
    style: Source | Sequence[Source] | None = None,
    config: QuickConfig | None = None,
    *,
    model: Quick | FeedForward | str | Path | None = None,
    max_pixels: int | None = None,
    **settings: Any,
) -> Result:
    """Paint ``content`` in the style of ``style`` with one pass through a network.

    Pictures and masks are given as to :func:`impasto.stylize`; several styles are mixed in
    proportion to ``blend``, or paint each its region, with the moments that the content has there.
    ``settings`` are fields of :class:`QuickConfig` and change ``config`` (default: the
    defaults). ``strength`` goes from 0, the content itself, to 1; with tiles (of ``tile`` pixels)
    the picture is the same up to rounding. ``model`` is a network of your own: one for
    any style, or one that :func:`impasto.train` made for one style (the object, or where it lies).
    That has its style already: give none. There ``strength`` mixes photo and painting pixel by
    pixel. The metadata tell which backend it was.

    Raises ConfigError and UnknownNameError for bad settings, InputError for bad pictures and models
    that are not there, IntegrityError for damaged ones, MissingDependencyError for a backend that
    is not installed.

    >>> import impasto
    >>> photo = impasto.swatch("waves", size=64)
    >>> impasto.quick(photo, ["mosaic", "night"], blend=[3, 1], size=64).image.shape
    torch.Size([1, 3, 64, 64])
    """
    given = pop_mask_objects(settings, MASKS)
    config = (config or QuickConfig()).with_changes(**settings)
    sources = as_list(style)
    if isinstance(model, str | Path):
        loaded = load_feedforward(model)
        return _per_style(content, sources, config, given, loaded, model, max_pixels)
    if isinstance(model, FeedForward):
        return _per_style(content, sources, config, given, model, None, max_pixels)
    _check_weights(len(sources), config)
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    device = choose_device(config.device)
    picture = read_image(content, **limit)
    masks, masks_told = _masks(config, given, limit)
    height, width = _size(picture, config)
    enlarger = _enlarger(config, device, model)
    painted = max(height, width) if enlarger is None else max(height, width) / FACTOR
    long_side = min(painted, STYLE_SIZE) * config.style_scale
    styles = [read_picture(source, **limit) for source in sources]
    shared = config.for_pictures()
    layout = build_regions(shared, masks, picture.size, [style.size for style in styles])
    backend = _backend(config, device, model)
    network = model or _shipped()
    began = time.perf_counter()
    seen = fill_under_alpha(picture)
    photo = resize(seen.pixels, (height, width))
    if config.color == "only":
        image = recolor_content(photo, seen, fill_under_alpha(styles[0]), shared)
    else:
        paints = [match_style_colors(fill_under_alpha(one), seen, shared) for one in styles]
        image = draft(
            network,
            photo.to(device),
            [style_at(one.pixels, long_side).to(device) for one in paints],
            zones=_zones(layout, len(styles), config),
            tile=config.tile,
            coarsest=config.coarsest,
            backend=backend,
            read=partial(_moments, backend, config.tile) if model is None else None,
            enlarger=enlarger,
        )
        subject, found = read_or_find_subject(masks, seen, config.subject)
        masks_told |= found
        image = restore_content_colors(
            _protected(image.cpu(), photo, subject, config.protect), photo, shared
        )
    image = restore_kept(image, photo, layout)
    told = [provenance_of(source, one) for source, one in zip(sources, styles, strict=True)]
    network_told = {
        "style": told[0] if len(told) == 1 else told,
        **masks_told,
        "encoder": {"name": network.name, "sha256": network.sha256},
        **({} if enlarger is None else {"enlarger": {"sha256": enlarger.sha256}}),
    }
    machine = describe_machine(device, backend.dtype)
    about = provenance_of(content, picture)
    return _result(image, picture, config, about, network_told, backend.name, machine, began)


def _per_style(
    content: Source,
    sources: Sequence[Source],
    config: QuickConfig,
    given: dict[str, Any],
    model: FeedForward,
    place: str | Path | None,
    max_pixels: int | None,
) -> Result:
    """What :func:`quick` does with a network that has its style already."""
    if sources:
        raise ConfigError(
            f"a style is given, and a model of the style '{model.name}'", "leave out one of them"
        )
    if config.backend not in ("auto", "torch"):
        raise ConfigError(
            f"backend is {config.backend}, and a model of one style runs on torch",
            "leave it out, or give the file that impasto export writes to another program",
        )
    if meant_for_styles := MEANT_FOR_STYLES & (set(config.changes()) | set(given)):
        raise ConfigError(
            f"{', '.join(sorted(meant_for_styles))} says nothing to a model of one style",
            "leave it out",
        )
    if config.color in ("match", "only"):
        raise ConfigError(
            f"color is '{config.color}', and a model knows the colours of its style no longer",
            "use style or keep",
        )
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    picture = read_image(content, **limit)
    shared = config.for_pictures()
    masks, masks_told = _masks(config, given, limit)
    layout = build_regions(shared, masks, picture.size, [picture.size])
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    model = model.to(device)
    began = time.perf_counter()
    pixels = resize(fill_under_alpha(picture).pixels, _size(picture, config)).to(device)
    image = paint_with(model, pixels, strength=config.strength, tile=config.tile, dtype=dtype)
    image = restore_kept(restore_content_colors(image.cpu(), pixels.cpu(), shared), pixels, layout)
    told = {} if place is None else {"path": str(Path(place).expanduser().resolve())}
    network_told = {**masks_told, "model": {**told, "style": model.name, "sha256": model.sha256}}
    machine = describe_machine(device, dtype)
    about = provenance_of(content, picture)
    return _result(image, picture, config, about, network_told, "torch", machine, began)


def _masks(
    config: QuickConfig, given: dict[str, Any], limit: dict[str, int]
) -> tuple[Masks, dict[str, Any]]:
    """The masks that are files, or that were ``given``, and how they are named in the metadata."""
    regions, keep, subject = (given.get(name, getattr(config, name)) for name in MASKS)
    masks, told = read_masks(as_list(regions), (), keep, subject, **limit)
    if AUTO in masks.regions:
        raise ConfigError("regions is auto, which quick does not know", "give masks, or a map")
    return masks, told


def _protected(image: Tensor, photo: Tensor, subject: Tensor | None, protect: float) -> Tensor:
    """The painting ``image`` with a share of the ``photo``, in its colours, where the ``subject``
    is: a face is too small for the network's strokes. Pictures are ``(1, 3, H, W)``."""
    if not protect or subject is None:
        return image
    mask = resize(subject, (image.shape[-2], image.shape[-1])).clamp(0, 1)
    painted = (image != photo).any(1, keepdim=True)  # what was left alone stays to the bit
    return torch.lerp(image, match_colors(photo, image), protect * mask * painted)


def _zones(layout: RegionMap, styles: int, config: QuickConfig) -> list[Zone]:
    """The regions as the network takes them, for so many styles."""
    zones = []
    for region in layout.regions:
        own = {share.style: share.weight for share in region.shares}
        zones.append(
            Zone(
                region.mask,
                [own.get(style, 0.0) for style in range(styles)],
                config.strength if region.strength is None else region.strength,
            )
        )
    return zones


def _size(picture: Picture, config: QuickConfig) -> tuple[int, int]:
    """The result's height and width."""
    if config.size is None or (config.size == "auto" and max(picture.size) <= LARGEST):
        return picture.size
    return size_to_fit(*picture.size, LARGEST if config.size == "auto" else config.size)


def _result(
    image: Tensor,
    picture: Picture,
    config: QuickConfig,
    content: dict[str, Any],
    network: dict[str, Any],
    backend: str,
    machine: dict[str, Any],
    began: float,
) -> Result:
    """``image`` with what the content's ``picture`` had beside its pixels, and what made it."""
    size, alpha = _size(picture, config), picture.alpha
    return Result(
        image=image.cpu(),
        alpha=None if alpha is None else resize(alpha, size).clamp(0, 1),
        depth=picture.depth,
        exif=picture.exif,
        metadata={
            "impasto": __version__,
            "command": "quick",
            "method": ONLY_COLORS if config.color == "only" else "one forward pass",
            "config": config.to_dict(),
            "content": {**content, "size": list(picture.size)},
            **network,
            "size": list(size),
            "backend": {"name": backend, "version": version(backend)},
            "machine": machine,
            "seconds": round(time.perf_counter() - began, 2),
        },
    )


def first_draft(
    content: Tensor,
    styles: Sequence[Tensor],
    weights: Sequence[float] | None,
    strength: float,
    dtype: torch.dtype,
) -> Tensor:
    """What the network that ships makes of ``content`` and ``styles``, on their device."""
    network = _placed(_shipped(), content.device)
    backend = make_backend("torch", network, dtype)
    styles = [style_at(style, min(max(style.shape[-2:]), STYLE_SIZE)) for style in styles]
    return draft(network, content, styles, weights=weights, strength=strength, backend=backend)


KNOWN: OrderedDict[tuple[object, ...], Statistics] = OrderedDict()
"""Moments of the styles that were read last; ``KNOWN.clear()`` forgets them."""


def _moments(backend: Backend, tile: int, style: Tensor) -> Statistics:
    """Those of a style to the network that ships, remembered by the style's content."""
    digest = hashlib.sha256(style.cpu().numpy().tobytes()).digest()
    key = (digest, style.shape, style.device, backend.name, backend.dtype, tile)
    found = KNOWN.pop(key, None) or measure(_shipped(), style, tile, backend)
    KNOWN[key] = found
    while len(KNOWN) > REMEMBERED:
        KNOWN.popitem(last=False)
    return found


def style_at(pixels: Tensor, long_side: float) -> Tensor:
    """A style ``(1, 3, h, w)`` so large that its long side is ``long_side``, but never enlarged:
    the blur of the enlargement would become part of the style."""
    height, width = pixels.shape[-2:]
    return resize(
        pixels, size_to_fit(height, width, min(max(8, round(long_side)), max(height, width)))
    )


def _check_weights(count: int, config: QuickConfig) -> None:
    """ConfigError where ``blend`` is not for so many styles."""
    if count == 0:
        raise ConfigError("there is no style", "give at least one")
    if config.blend is None:
        return
    if len(config.blend) != count:
        raise ConfigError(
            f"blend has {len(config.blend)} numbers for {count} styles",
            "give one weight for each style",
        )
    if not any(config.blend):
        raise ConfigError(f"blend is {config.blend}", "use numbers >= 0, not all 0")


def _backend(config: QuickConfig, device: torch.device, model: Quick | None) -> Backend:
    """What computes ``model``, or the network that ships, by the settings."""
    name = choose_backend(config.backend, device, config.precision)
    dtype = choose_dtype(config.precision, device)
    if name == "torch":
        return make_backend(name, _placed(model or _shipped(), device), dtype)
    if model is not None:
        return make_backend(name, model, dtype)
    return _prepared(name, dtype, torch.get_num_threads())


def _enlarger(config: QuickConfig, device: torch.device, model: Quick | None) -> Enlarger | None:
    """What enlarges a draft, where one is asked for."""
    if config.quality == "standard":
        return None
    if model is not None:
        raise ConfigError(
            "quality is draft, which the network that ships knows only", "leave it, or model, out"
        )
    return _shipped_enlarger().to(device)


def _placed(model: Quick, device: torch.device) -> Quick:
    """``model`` itself, moved to where it shall compute."""
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    return model


@cache
def _prepared(name: str, dtype: torch.dtype, threads: int) -> Backend:
    """A backend of the network that ships, with so many threads: made once for all pictures."""
    return make_backend(name, _shipped(), dtype)


@cache
def _shipped() -> Quick:
    """The network that ships, read once."""
    return load_quick()


@cache
def _shipped_enlarger() -> Enlarger:
    """What enlarges the drafts of the network that ships, read once."""
    return load_enlarger()
