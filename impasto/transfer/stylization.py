"""The recipe: a content picture and a style picture in, the content painted in the style out.

``stylize`` is what most people want; ``texture`` is the same without a content: more of the style,
of any shape, without a seam if wanted. ``Stylization`` is either run as an object to iterate over:
it yields events, can be stopped, saved and resumed, and has a result at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.arbitrary.api import initial_image
from impasto.config.stylize import STARTS, StylizeConfig
from impasto.devices import choose_device, choose_dtype, generator
from impasto.encoders import Encoder, get_encoder
from impasto.encoders.base import CIRCULAR, IMAGE
from impasto.encoders.exact import Exact
from impasto.encoders.mirrored import Mirrored
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.events import Event, Step
from impasto.image.color import match_colors
from impasto.image.inputs import Source, describe, filled, read_style, several, taken_masks
from impasto.image.io import Picture, read_image, resize, size_to_fit
from impasto.image.wrap import AXES, resized
from impasto.losses import Objective
from impasto.objective.colors import (
    ONLY_COLORS,
    finished,
    keeps_colors,
    recolored,
    recolored_regions,
    repainted,
)
from impasto.objective.masks import AUTO, Masks, read_masks
from impasto.objective.regions import (
    Found,
    Layout,
    check_auto,
    check_styles,
    largest_scale,
    lay_out,
)
from impasto.objective.segmentation import find_regions
from impasto.objective.subject import read_or_find_subject
from impasto.objective.targets import Targets, whole_only
from impasto.optim.gradients import Explanation, explain
from impasto.optim.loop import State, optimize
from impasto.optim.memory import Demand, allowed, choose_tile, resident
from impasto.optim.pyramid import Level, grow, plan
from impasto.runs.base import Passage
from impasto.runs.result import Result

TEXTURE = "synthesis of a texture (Gatys et al. 2015)"
"""How the metadata names a run without a content."""

# What an encoder must see beyond the border for the borders along these axes to meet.
PADDING = {axes: name for name, axes in CIRCULAR.items()}
# Pictures in memory while nothing but colours is changed.
COPIES_OF_COLORS = 4
# A limit is held where it is passed by no more: the last steps move to and fro about it.
TOLERANCE = 1.1
MASKS = ("regions", "style_regions", "keep", "subject")


def stylize(
    content: Source,
    style: Source | Sequence[Source],
    config: StylizeConfig | None = None,
    *,
    encoder: str | Encoder | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Result:
    """Paint ``content`` in the style of ``style``, one or a list of several.

    Pictures are paths, PIL images, numpy arrays or tensors ``(1, 3, H, W)`` in [0, 1]; a style may
    also be the name of a swatch. So are the masks of ``regions``, ``style_regions`` (lists) and
    ``keep``. ``settings`` are fields of :class:`StylizeConfig` and change ``config``
    (default: the defaults). ``encoder`` may also be an object of your own, which is then moved to
    the device and precision of the settings; ``on_event`` is called with each event.

    Raises ConfigError and UnknownNameError for bad settings, InputError for bad pictures,
    WeightsError where the encoder has no weights.

    The method is that of Gatys et al. (2016); coarse to fine as in Gatys et al. (2017, section 6),
    with the losses relative to their targets (see the losses), so that weights mean the same at
    every size and with every encoder.

    >>> import impasto
    >>> photo = impasto.swatch("waves", size=64)
    >>> impasto.stylize(photo, "mosaic", size=64, steps=2).image.shape
    torch.Size([1, 3, 64, 64])
    """
    if encoder is not None and not isinstance(encoder, Encoder):
        settings["encoder"], encoder = str(encoder), None
    masks = taken_masks(settings, MASKS)
    config = (config or StylizeConfig()).with_changes(**settings)
    run = Stylization(content, style, config, encoder=encoder, **masks)
    for event in run:
        if on_event is not None:
            on_event(event)
    return run.result()


def texture(
    style: Source,
    config: StylizeConfig | None = None,
    *,
    encoder: str | Encoder | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Result:
    """More of ``style``: a new picture with its statistics and no content.

    Arguments as in :func:`stylize`. Of the settings, ``size`` is the long side, ``aspect`` the
    width over the height, ``wrap`` says which borders meet ("both": a tile without seams,
    "horizontal": a panorama); those of the content mean nothing.

    Raises what :func:`stylize` raises.

    The method is that of Gatys et al. (2015, "Texture synthesis using convolutional neural
    networks"): noise, moved until its Gram matrices are the style's. Ours begins with the style's
    mean and deviation rather than white noise, and goes from coarse to fine.

    >>> import impasto
    >>> impasto.texture("mosaic", size=64, steps=2, wrap="both").image.shape
    torch.Size([1, 3, 64, 64])
    """
    if encoder is not None and not isinstance(encoder, Encoder):
        settings["encoder"], encoder = str(encoder), None
    config = (config or StylizeConfig()).with_changes(**settings)
    run = Stylization(None, style, for_texture(config), encoder=encoder)
    for event in run:
        if on_event is not None:
            on_event(event)
    return run.result()


def for_texture(config: StylizeConfig) -> StylizeConfig:
    """The settings for a run without a content: it cannot start from one, so from the style's mean
    and deviation. Raises ConfigError for settings that ask for a content's colours or size."""
    if config.init in ("auto", "content"):
        config = config.with_changes(init="style")
    asked = {
        "color": config.color != "style",
        "region_colors": config.region_colors is not None,
        "init": config.init == "quick",
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


class Stylization(Passage):
    """One run of :func:`stylize`, to iterate over; of :func:`texture`, where ``content`` is None.

    Iterating yields LevelStarted, Step, ..., LevelDone, ..., Finished. With ``checkpoint`` (a
    path), the state is saved there now and then; with ``resume`` the run goes on from it, and ends
    in the very same picture, bit for bit, at the same number of threads. ``attachments`` is saved
    and restored with it, for user interfaces (tensors, numbers, texts, lists and dicts).
    ``regions``, ``style_regions`` and ``keep`` are masks that are no files, in place of the
    settings of those names.

    Raises what :func:`stylize` raises; ConfigError when a checkpoint belongs to another run.
    """

    def __init__(
        self,
        content: Source | None,
        style: Source | Sequence[Source],
        config: StylizeConfig | None = None,
        *,
        encoder: Encoder | None = None,
        regions: Sequence[Source] | None = None,
        style_regions: Sequence[Source] | None = None,
        keep: Source | None = None,
        subject: Source | None = None,
        checkpoint: Path | None = None,
        resume: bool = False,
        max_pixels: int | None = None,
    ) -> None:
        self.config = config or StylizeConfig()
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        self.content: Picture | None = None
        if content is None:
            self.config = for_texture(self.config)
        else:
            self.content = read_image(content, **limit)
            self.config = for_content(self.config)
        self.axes = AXES[self.config.wrap]
        height, width = self.height, self.width = self._size()
        self.config = self.config.with_style_loss(max(height, width))
        styles = several(style)
        pictures = [
            read_style(
                x, max(height, width) * largest_scale(self.config, k), self.config.seed, **limit
            )
            for k, x in enumerate(check_styles(self.config, styles))
        ]
        steps, ratio = self.config.schedule(max(height, width), texture=content is None)
        self.levels = plan(height, width, steps, ratio, self.axes)
        if self.config.color == "only":
            self.levels = []  # nothing is painted
        self.device = choose_device(self.config.device)
        precision = self.config.precision
        if precision == "auto" and self.config.optimizer == "lbfgs":
            precision = "float32"  # a line search takes the rounding of bfloat16 for a stall
        self.dtype = choose_dtype(precision, self.device)
        self.encoder = encoder or get_encoder(
            self.config.encoder,
            flavour=self.config.flavour,
            pooling=self.config.pooling,
            padding=self.config.padding,
        )
        self._check_layers()
        self.encoder.to(self.device, self.dtype)
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        told = [describe(x, picture) for x, picture in zip(styles, pictures, strict=True)]
        masks, masks_told = read_masks(
            several(self.config.regions if regions is None else regions),
            several(self.config.style_regions if style_regions is None else style_regions),
            self.config.keep if keep is None else keep,
            self.config.subject if subject is None else subject,
            **limit,
        )
        self.sources: dict[str, Any] = {
            "style": told[0] if len(told) == 1 else told,
            **masks_told,
        }
        if self.content is not None:
            self.sources = {"content": describe(content, self.content), **self.sources}
        self.init = self._read_init(self.config.init)
        if self.init is not None:
            self.sources["init"] = describe(self.config.init, self.init)
            self.init = filled(self.init)
        self.content = None if self.content is None else filled(self.content)
        pictures = [filled(picture) for picture in pictures]
        layout = recolored_regions(
            self._lay_out(masks, pictures), pictures, self.content, self.config
        )
        reader: Encoder = Mirrored(self.encoder)
        if precision == "exact":
            reader = Exact(reader)
        self.encoder = reader.with_padding(PADDING[self.axes]) if self.axes else reader
        subject_mask: Tensor | None = None
        if self.content is not None:
            subject_mask, found = read_or_find_subject(masks, self.content, self.config.subject)
            self.sources |= found
        self.targets = Targets(
            self.content,
            [recolored(picture, self.content, self.config) for picture in pictures],
            self.encoder,
            self.config,
            self.device,
            layout,
            subject=subject_mask,
            style_encoder=reader,
        )
        self._limits: dict[str, float] = {}
        self._distances: dict[str, float] = {}
        self.tile, self.demand = self._plan_memory()
        self.begin(checkpoint, resume=resume)

    # --- running ---------------------------------------------------------------------------------

    def paints(self) -> bool:
        """Not where there is to be no style."""
        return self.config.strength > 0 or self.content is None

    def run_level(self, number: int) -> Iterator[Step]:
        """The steps of a level, each with what is kept of the content in its picture."""
        level, config = self.levels[number], self.config
        if self.state is None:
            self.state = State(self._first_image(level), config.optimizer, config.learning_rate)
        elif number > self.level:
            self.state = self.state.grow(level, self.axes)
            self._add_detail(self.state.image, self.levels[number - 1], level)
        self.level = number
        objective = self.objective(number)
        self._limits = dict(objective.limits)
        steps = optimize(
            self.state.image,
            self.encoder,
            objective,
            steps=level.steps,
            average=config.average,
            state=self.state,
            level=number,
            tile=self.tile,
        )
        for step in steps:
            self._distances = dict(step.distances)
            yield replace(step, image=self.targets.keep(step.image))

    def objective(self, number: int) -> Objective:
        """What is minimised at level ``number``: content, style and smoothness, weighted."""
        return self.targets.objective(self.levels[number], self.tile)

    def explain(self) -> Explanation | None:
        """Who drives the picture now; None before the first step, and in tiles, where the gradients
        of the whole picture would not fit. Call it between two events; the run goes on as before.
        """
        if self.state is None or (self.tile and max(self.state.image.shape[-2:]) > self.tile):
            return None
        objective = self.objective(self.level)
        objective.multipliers = self.state.multipliers
        return explain(self.state.picture(), self.encoder, objective)

    # --- results ---------------------------------------------------------------------------------

    def picture(self) -> Tensor:
        """The picture so far ``(1, 3, H, W)`` at its final size and in its colours, on the CPU."""
        config, size, content = self.config, (self.height, self.width), self.content
        photo: Tensor | None = None
        keeps = keeps_colors(self.targets.layout, config)
        if content is not None and (self.state is None or keeps):
            photo = resized(content.pixels, size, self.axes, resize)
            if self.state is None:
                return repainted(photo, content, self.targets.styles[0], config)
        image = self._first_image(self.levels[0]) if self.state is None else self.state.picture()
        image = resized(image.cpu(), size, self.axes, resize)
        return self.targets.keep(finished(image, photo, config, self.targets.layout, self.axes))

    def result(self) -> Result:
        """The result as it is now; after :class:`Finished`, the final one."""
        size, content = (self.height, self.width), self.content
        alpha = None if content is None else content.alpha
        if alpha is not None:
            alpha = resized(alpha, size, self.axes, resize).clamp(0, 1)
        return Result(
            image=self.picture(),
            alpha=alpha,
            depth=8 if content is None else content.depth,
            exif=b"" if content is None else content.exif,
            metadata=self.metadata(),
            history=list(self.history),
        )

    def metadata(self) -> dict[str, Any]:
        """What made the picture: enough to make it again."""
        own = {"method": self._method()}
        return self.told(**own, **({"moved": moved} if (moved := self.moved()) else {}))

    def moved(self) -> dict[str, dict[str, Any]]:
        """How far the content has moved, and how far it may, at strengths that are limits: for each
        term of the content ``{"distance", "limit", "held"}``; empty before the first step."""
        if self.state is None or not self._limits:
            return {}
        return {
            name: {
                "distance": round(self._distances[name], 4),
                "limit": round(limit, 4),
                "held": self._distances[name] <= TOLERANCE * limit,
            }
            for name, limit in self._limits.items()
            if name in self._distances
        }

    def extras(self) -> dict[str, Any]:
        """How far the content may move, and has."""
        return {"_limits": self._limits, "_distances": self._distances}

    def inputs(self) -> dict[str, Any]:
        """The hashes of all pictures and masks."""
        return {
            "content": self.sources.get("content", {}).get("sha256"),
            "style": _hashes(self.sources["style"]),
            "masks": {name: _hashes(self.sources[name]) for name in MASKS if name in self.sources},
            "init picture": self.sources.get("init", {}).get("sha256"),
        }

    # --- where it starts --------------------------------------------------------------------------

    def _first_image(self, level: Level) -> Tensor:
        """Where ``init`` says; the content itself where that is kept."""
        return self.targets.keep(self._init_image(level))

    def _init_image(self, level: Level) -> Tensor:
        init = self.config.init
        if init == "content":
            return self.targets.content_at(level)
        shape = (1, 3, level.height, level.width)
        if init == "recolored":
            return self._recolored_content(level)
        if init == "quick":
            return resized(self._draft, shape[2:], self.axes, resize)
        noise = torch.randn(shape, generator=generator(self.config.seed))
        if init == "noise":
            return (0.5 + 0.15 * noise).clamp(0, 1).to(self.device)
        if init == "style":
            styles = self.targets.styles_at(level)
            mean = torch.stack([x.mean((2, 3), keepdim=True) for x in styles]).mean(0)
            std = torch.stack([x.std((2, 3), keepdim=True) for x in styles]).mean(0)
            return (mean + std * noise.to(self.device)).clamp(0, 1)
        assert self.init is not None
        return resized(self.init.pixels, shape[2:], self.axes, resize).to(self.device)

    def _recolored_content(self, level: Level) -> Tensor:
        """The content in the colours of the styles that paint it, as far as the strength goes: the
        optimiser need not carry each pixel there in small steps."""
        photo, size = self.targets.content_at(level), (level.height, level.width)
        picture = torch.zeros_like(photo)
        for region in self.targets.layout.regions:
            strength = self.config.strength if region.strength is None else region.strength
            mask: Tensor | float = 1.0
            if region.mask is not None:
                mask = self.targets.mask_at(region.mask, size, self.axes)
            total = sum(share.weight for share in region.shares)
            for share in region.shares:
                like = (region.styles or self.targets.styles)[share.style]
                painted = match_colors(
                    photo,
                    like.pixels.to(photo),
                    strength=min(1.0, 2 * strength),
                    weight=self.targets.content_alpha_at(level),
                    like_weight=like.alpha,
                )
                picture += mask * share.weight / total * (painted - photo)
        return photo + picture

    @cached_property
    def _draft(self) -> Tensor:
        """What ``quick`` makes of the pictures, at the size of the finest level."""
        last = self.levels[-1]
        content, styles = self.targets.content_at(last), self.targets.styles_at(last)
        strength = min(1.0, 2 * self.config.strength)  # a draft as strong as the picture
        return initial_image(content, styles, self.config.blend, strength, self.dtype)

    @torch.no_grad()
    def _add_detail(self, image: Tensor, before: Level, level: Level) -> None:
        """Give back what the content lost at the size of the level before: edges, small things.

        A picture that was enlarged has none, and would have to grow them in steps that are the
        dearest of all; so each finer level begins with the photo's, on painted forms, and paints
        over them. (Deep dreams do the same: Mordvintsev 2015, "detail".) Where there is to be
        little of the content, little of it is given back. A run that began with a draft takes the
        draft's, which has strokes already.
        """
        config = self.config
        share = config.detail
        if config.init in ("content", "recolored"):
            share *= min(1.0, 2 - 2 * config.strength)
        elif config.init != "quick":
            return
        if share == 0:
            return
        fine, coarse = (self._init_image(x) for x in (level, before))
        image.add_(fine - grow(coarse, level, axes=self.axes), alpha=share).clamp_(0, 1)

    def _lay_out(self, masks: Masks, styles: list[Picture]) -> Layout:
        """Which style goes where; with ``auto`` after a look at what the pictures show."""
        config = self.config
        found: Found = ()
        if AUTO in masks.regions:
            check_auto(config, masks)
            if self.content is None:
                raise ConfigError("regions is auto for a texture", "give masks, or leave it out")
            pixels = [style.pixels for style in styles]
            found = find_regions(
                self.encoder, self.content.pixels, pixels, config.region_count, config.seed
            )
        size = (self.height, self.width) if self.content is None else self.content.size
        return lay_out(config, masks, size, [x.size for x in styles], found)

    def _read_init(self, init: str) -> Picture | None:
        """The picture to start from, where ``init`` is none of the three words."""
        if init in STARTS:
            return None
        try:
            return read_image(init)
        except InputError as error:
            raise ConfigError(
                f"init is '{init}' ({error.message})", f"use {', '.join(STARTS)} or a picture"
            ) from error

    def _size(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        size = self.config.size
        if self.content is not None:
            height, width = self.content.size
            return (height, width) if size is None else size_to_fit(height, width, size)
        assert size is not None
        aspect = self.config.aspect
        return max(1, round(size / max(1, aspect))), max(1, round(size * min(1, aspect)))

    def _plan_memory(self) -> tuple[int | None, Demand]:
        """The size of tiles, if any, and the memory that the run will take."""
        config, size = self.config, (self.height, self.width)
        if not self.levels:
            copies = COPIES_OF_COLORS * 3 * 4 * self.height * self.width
            return None, Demand(base=resident(), pictures=copies, targets=0, step=0)
        return choose_tile(
            self.encoder,
            (*config.content_layers, *self.config.dreamt_layers),
            config.style_layers,
            size,
            config.optimizer,
            allowed(config.max_memory, self.device),
            tile=config.tile,
            whole_only=whole_only(config),
        )

    # --- checks and small things -----------------------------------------------------------------

    def _check_layers(self) -> None:
        known = (IMAGE, *self.encoder.layers)
        read = (*self.config.content_layers, *self.config.style_layers, *self.config.dreamt_layers)
        for layer in read:
            if layer not in known:
                raise UnknownNameError(f"layer of {self.encoder.name}", layer, known)

    def _method(self) -> str:
        if self.content is None:
            return TEXTURE
        if self.config.color == "only":
            return ONLY_COLORS
        return "optimisation of pixels (Gatys et al. 2016)"


def _hashes(told: Any) -> Any:
    """The hash of a source, or of each of several; a word stands for itself."""
    if isinstance(told, list):
        return [_hashes(x) for x in told]
    return told.get("sha256", told.get("word"))
