"""``quick``: a picture in one forward pass, in a fraction of the time of an optimisation.

It takes pictures as :func:`impasto.stylize` does and returns the same kind of result. The network
is in :mod:`impasto.arbitrary.network`, its application to pictures of any size in
:mod:`impasto.arbitrary.inference`.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import StyleRegion, measure, transfer_style
from impasto.arbitrary.network import Quick, Statistics, load_quick
from impasto.arbitrary.upsampler import FACTOR, Upsampler, load_upsampler
from impasto.config.quick import LARGEST, QuickConfig
from impasto.config.version import __version__
from impasto.errors import ConfigError
from impasto.events import Event, Finished, LevelStarted
from impasto.feedforward import inference as feedforward
from impasto.feedforward.network import FeedForward, load_feedforward
from impasto.image.color import match_colors
from impasto.image.files import expanded
from impasto.image.inputs import (
    Source,
    as_list,
    fill_under_alpha,
    pop_mask_objects,
    provenance_of,
    read_role,
)
from impasto.image.io import Picture, resize, size_to_fit
from impasto.machine.devices import choose_device, choose_dtype, describe_machine, in_own_modes
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

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from impasto.config.keywords import QuickKeywords

STYLE_SIZE = 384
"""Long side in pixels at which a style is read, at most. The decoder was trained on styles of about
that size and smaller; some larger ones it takes for photos, and adds nothing."""

REMEMBERED = 8
"""Styles whose moments are kept, the last ones read: reading a style takes an eighth of the time of
a small picture."""

MASKS = ("regions", "keep", "subject")
"""Settings that name files, or are masks themselves."""

NEED_STYLES = frozenset(
    (
        *("quality", "blend", "style_scale", "coarsest"),
        *("regions", "region_styles", "region_strengths", "subject", "protect"),
    )
)
"""Settings that have no meaning for a model of one style."""


@in_own_modes
def quick(
    content: Source,
    style: Source | Sequence[Source] | None = None,
    config: QuickConfig | None = None,
    *,
    model: Quick | FeedForward | str | Path | None = None,
    max_pixels: int | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[QuickKeywords],
) -> Result:
    """Paint ``content`` in the style of ``style`` with one pass through a network.

    Pictures and masks are given as to :func:`impasto.stylize`. Several styles are mixed in
    proportion to ``blend``, or each paints its region, starting from the content's moments there.
    ``settings`` are fields of :class:`QuickConfig` and change ``config`` (default: the defaults).
    ``strength`` goes from 0, the content itself, to 1; tiles (of ``tile`` pixels) change the
    picture by no more than rounding.

    ``model`` is a network of your own: one for any style, or one that :func:`impasto.train` made
    for one style (the object, or its path). ``on_event`` is called with LevelStarted and Finished.
    The latter has its style already, so give none; there
    ``strength`` mixes photo and painting pixel by pixel.

    Raises ConfigError and UnknownNameError for bad settings, InputError for bad pictures and for
    missing models, IntegrityError for damaged ones.

    >>> import impasto
    >>> photo = impasto.swatch("waves", size=64)
    >>> impasto.quick(photo, ["mosaic", "night"], blend=[3, 1], size=64).image.shape
    torch.Size([1, 3, 64, 64])
    """
    changes: dict[str, Any] = dict(settings)
    given = pop_mask_objects(changes, MASKS)
    config = (config or QuickConfig()).with_changes(**changes)
    sources = as_list(style)
    tell = on_event or (lambda event: None)
    if isinstance(model, str | Path | FeedForward):
        return _apply_feedforward(content, sources, config, given, model, max_pixels, tell)
    _check_blend(len(sources), config)
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    device = choose_device(config.device)
    picture = read_role("content", content, **limit)
    masks, mask_provenance = _masks(config, given, limit)
    height, width = _size(picture, config)
    upsampler = _upsampler(config, device, model)
    painted = max(height, width) if upsampler is None else max(height, width) / FACTOR
    long_side = min(painted, STYLE_SIZE) * config.style_scale
    styles = [read_role("style", x, True, **limit) for x in sources]
    layout = build_regions(
        config.styles_and_regions, masks, picture.size, [style.size for style in styles]
    )
    dtype = choose_dtype(config.precision, device)
    network = FusedQuick(_move(model or _shipped(), device), dtype)
    tell(LevelStarted(0, 1, height, width, 1))
    began = time.perf_counter()
    seen = fill_under_alpha(picture)
    photo = resize(seen.pixels, (height, width))
    if config.color == "only":
        image = recolor_content(photo, seen, fill_under_alpha(styles[0]), config)
    else:
        paints = [match_style_colors(fill_under_alpha(one), seen, config) for one in styles]
        image = transfer_style(
            network,
            photo.to(device),
            [style_at(one.pixels, long_side).to(device) for one in paints],
            regions=_style_regions(layout, len(styles), config),
            tile=config.tile,
            coarsest=config.coarsest,
            statistics_of=partial(_statistics, network, config.tile) if model is None else None,
            upsampler=upsampler,
        )
        subject, found = read_or_find_subject(masks, seen, config.subject)
        mask_provenance |= found
        image = restore_content_colors(
            _protect_subject(image.cpu(), photo, subject, config.protect), photo, config
        )
    image = restore_kept(image, photo, layout)
    used = [provenance_of(source, one) for source, one in zip(sources, styles, strict=True)]
    provenance = {
        "style": used[0] if len(used) == 1 else used,
        **mask_provenance,
        "encoder": {"name": network.model.name, "sha256": network.model.sha256},
        **({} if upsampler is None else {"enlarger": {"sha256": upsampler.sha256}}),
    }
    machine = describe_machine(device, dtype)
    about = provenance_of(content, picture)
    return _result(image, picture, config, about, provenance, machine, began, tell)


def _apply_feedforward(
    content: Source,
    sources: Sequence[Source],
    config: QuickConfig,
    given: dict[str, Any],
    model: FeedForward | str | Path,
    max_pixels: int | None,
    tell: Callable[[Event], None],
) -> Result:
    """:func:`quick` with a network of one style."""
    path = None if isinstance(model, FeedForward) else model
    model = model if isinstance(model, FeedForward) else load_feedforward(model)
    if sources:
        raise ConfigError(
            f"a style is given, and a model of the style '{model.name}'", "leave out one of them"
        )
    if unused := NEED_STYLES & (set(config.changes()) | set(given)):
        raise ConfigError(
            f"{', '.join(sorted(unused))} has no meaning for a model of one style", "leave it out"
        )
    if config.color in ("match", "only"):
        raise ConfigError(
            f"color is '{config.color}', and a model does not contain the picture of its style",
            "use style or keep",
        )
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    picture = read_role("content", content, **limit)
    masks, mask_provenance = _masks(config, given, limit)
    layout = build_regions(config.styles_and_regions, masks, picture.size, [picture.size])
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    model = model.to(device)
    tell(LevelStarted(0, 1, *_size(picture, config), 1))
    began = time.perf_counter()
    pixels = resize(fill_under_alpha(picture).pixels, _size(picture, config)).to(device)
    image = feedforward.apply(
        model, pixels, strength=config.strength, tile=config.tile, dtype=dtype
    )
    image = restore_kept(restore_content_colors(image.cpu(), pixels.cpu(), config), pixels, layout)
    origin = {} if path is None else {"path": str(expanded(path).resolve())}
    provenance = {
        **mask_provenance,
        "model": {**origin, "style": model.name, "sha256": model.sha256},
    }
    machine = describe_machine(device, dtype)
    about = provenance_of(content, picture)
    return _result(image, picture, config, about, provenance, machine, began, tell)


def _masks(
    config: QuickConfig, given: dict[str, Any], limit: dict[str, int]
) -> tuple[Masks, dict[str, Any]]:
    """The masks, from files or as ``given``, and their entries in the metadata."""
    regions, keep, subject = (given.get(name, getattr(config, name)) for name in MASKS)
    masks, provenance = read_masks(as_list(regions), (), keep, subject, **limit)
    if AUTO in masks.regions:
        raise ConfigError("regions is auto, which quick does not know", "give masks, or a map")
    return masks, provenance


def _protect_subject(
    image: Tensor, photo: Tensor, subject: Tensor | None, protect: float
) -> Tensor:
    """The painting ``image`` ``(1, 3, H, W)``, blended with the ``photo`` in the painting's colours
    where the ``subject`` is: a face is too small for the network's strokes."""
    if not protect or subject is None:
        return image
    mask = resize(subject, (image.shape[-2], image.shape[-1])).clamp(0, 1)
    painted = (image != photo).any(1, keepdim=True)  # untouched pixels stay to the bit
    return torch.lerp(image, match_colors(photo, image), protect * mask * painted)


def _style_regions(layout: RegionMap, styles: int, config: QuickConfig) -> list[StyleRegion]:
    """The regions of ``layout`` for :func:`transfer_style`, each with a weight per style."""
    regions = []
    for region in layout.regions:
        own = {share.style: share.weight for share in region.shares}
        regions.append(
            StyleRegion(
                region.mask,
                [own.get(style, 0.0) for style in range(styles)],
                config.strength if region.strength is None else region.strength,
            )
        )
    return regions


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
    machine: dict[str, Any],
    began: float,
    tell: Callable[[Event], None],
) -> Result:
    """``image`` with the transparency, depth and credits of ``picture``, and the metadata."""
    size, alpha = _size(picture, config), picture.alpha
    seconds, image = time.perf_counter() - began, image.cpu()
    tell(Finished(seconds, 1, image))
    return Result(
        image=image,
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
            "machine": machine,
            "seconds": round(seconds, 2),
        },
    )


def initial_image(
    content: Tensor,
    styles: Sequence[Tensor],
    weights: Sequence[float] | None,
    strength: float,
    dtype: torch.dtype,
) -> Tensor:
    """``content`` in the style of ``styles`` by the network that ships, on their device: where an
    optimisation may start."""
    network = FusedQuick(_move(_shipped(), content.device), dtype)
    styles = [style_at(style, min(max(style.shape[-2:]), STYLE_SIZE)) for style in styles]
    return transfer_style(network, content, styles, weights=weights, strength=strength)


KNOWN: OrderedDict[tuple[object, ...], Statistics] = OrderedDict()
"""Moments of the styles read last; ``KNOWN.clear()`` forgets them."""


def _statistics(network: FusedQuick, tile: int, style: Tensor) -> Statistics:
    """:func:`measure` of a style by the network that ships, remembered by the style's pixels."""
    digest = hashlib.sha256(style.cpu().numpy().tobytes()).digest()
    # Sums round by the number of threads; a picture is the same whatever was painted before it.
    key = (digest, style.shape, style.device, network.dtype, tile, torch.get_num_threads())
    found = KNOWN.pop(key, None) or measure(network, style, tile)
    KNOWN[key] = found
    while len(KNOWN) > REMEMBERED:
        KNOWN.popitem(last=False)
    return found


def style_at(pixels: Tensor, long_side: float) -> Tensor:
    """A style ``(1, 3, h, w)`` resized to a long side of ``long_side`` pixels, never enlarged: the
    blur would become part of the style."""
    height, width = pixels.shape[-2:]
    return resize(
        pixels, size_to_fit(height, width, min(max(8, round(long_side)), max(height, width)))
    )


def _check_blend(count: int, config: QuickConfig) -> None:
    """Raise ConfigError where ``blend`` does not fit the number of styles."""
    if count == 0:
        raise ConfigError("there is no style", "give at least one")
    if config.blend is not None and len(config.blend) != count:
        raise ConfigError(
            f"blend has {len(config.blend)} numbers for {count} styles",
            "give one weight for each style",
        )


def _upsampler(config: QuickConfig, device: torch.device, model: Quick | None) -> Upsampler | None:
    """The network that upsamples a draft, where the quality is draft."""
    if config.quality == "standard":
        return None
    if model is not None:
        raise ConfigError(
            "quality is draft, which only the network that ships has", "leave out quality or model"
        )
    return _shipped_upsampler().to(device)


def _move(model: Quick, device: torch.device) -> Quick:
    """``model`` itself, moved to ``device`` in the layout in which convolutions are fastest."""
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    return model


@cache
def _shipped() -> Quick:
    """The network that ships, read once."""
    return load_quick()


@cache
def _shipped_upsampler() -> Upsampler:
    """The upsampler that ships, read once."""
    return load_upsampler()
