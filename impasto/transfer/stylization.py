"""One stylization as an object to iterate over: events, checkpoints, a result at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from impasto.config.stylize import StylizeConfig
from impasto.encoders import Encoder
from impasto.events import Step
from impasto.image.inputs import Source
from impasto.image.io import read_image, resize
from impasto.image.wrap import resized
from impasto.losses import Objective
from impasto.machine.devices import in_own_modes
from impasto.objective.build import OwnLosses, build_objective
from impasto.objective.colors import (
    ONLY_COLORS,
    keeps_colors,
    recolor_content,
    restore_content_colors,
)
from impasto.objective.style_cache import StyleCache
from impasto.optim.gradients import Explanation, explain
from impasto.optim.loop import optimize
from impasto.optim.pyramid import Level
from impasto.optim.state import State
from impasto.runs.base import Run
from impasto.runs.result import Result
from impasto.transfer.prepare import MASKS, prepare
from impasto.transfer.start import Start

TEXTURE = "synthesis of a texture (Gatys et al. 2015)"
"""How the metadata names a run without a content."""

# A limit is held where it is passed by no more: the last steps move to and fro about it.
TOLERANCE = 1.1


class Stylization(Run[Result]):
    """One run of :func:`impasto.stylize`, to iterate over; of :func:`impasto.texture`, where
    ``content`` is None.

    Iterating yields LevelStarted, Step, ..., LevelDone, ..., Finished. With ``checkpoint`` (a
    path), the state is saved there now and then; with ``resume`` the run goes on from it, and ends
    in the very same picture, bit for bit, at the same number of threads. ``attachments`` is saved
    and restored with it, for user interfaces (tensors, numbers, texts, lists and dicts).
    ``regions``, ``style_regions``, ``keep`` and ``subject`` are masks that are no files, and
    ``init`` a picture, in place of the settings of those names; ``own_losses`` are losses of your
    own, by the names that ``content_loss`` and ``style_loss`` give them. With a
    :class:`impasto.objective.style_cache.StyleCache`, runs that share an ``encoder`` look at a
    style once. ``settings`` are other fields of :class:`StylizeConfig` and change ``config``.

    Raises what :func:`impasto.stylize` raises; ConfigError when a checkpoint belongs to another
    run.
    """

    @in_own_modes
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
        own_losses: OwnLosses | None = None,
        init: Source | None = None,
        style_cache: StyleCache | None = None,
        checkpoint: Path | None = None,
        resume: bool = False,
        max_pixels: int | None = None,
        **settings: Any,
    ) -> None:
        config = (config or StylizeConfig()).with_changes(**settings)
        masks: Mapping[str, Any] = {
            "regions": regions,
            "style_regions": style_regions,
            "keep": keep,
            "subject": subject,
        }
        found = prepare(
            content,
            style,
            config,
            encoder=encoder,
            masks=masks,
            own=own_losses,
            init=None if init is None else read_image(init),
            style_cache=style_cache,
            max_pixels=max_pixels,
        )
        self.config, self.content, self.sources = found.config, found.content, found.sources
        self.height, self.width, self.levels = found.height, found.width, found.levels
        self.encoder, self.device, self.dtype = found.encoder, found.device, found.dtype
        self.targets, self.own_losses = found.targets, found.own
        self.tile, self.demand = found.tile, found.demand
        last = found.levels[-1] if found.levels else Level(found.height, found.width, 0)
        self.start = Start(found.targets, found.config, found.init, last, found.dtype)
        self._limits: dict[str, float] = {}
        self._distances: dict[str, float] = {}
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
            self.state = self.state.grow(level, self.targets.axes)
            self.start.add_detail(self.state.image, self.levels[number - 1], level)
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
            yield replace(step, image=self.targets.restore_kept(step.image))

    @in_own_modes
    def objective(self, number: int) -> Objective:
        """What is minimised at level ``number``: content, style and smoothness, weighted."""
        level = self.levels[number]
        return build_objective(self.targets, self.config, level, self.tile, self.own_losses)

    @in_own_modes
    def explain(self) -> Explanation | None:
        """Who drives the picture now; None before the first step, and in tiles, where the gradients
        of the whole picture would not fit. Call it between two events; the run goes on as before.
        """
        if self.state is None or (self.tile and max(self.state.image.shape[-2:]) > self.tile):
            return None
        objective = self.objective(self.level)
        objective.multipliers = self.state.multipliers
        return explain(self.state.picture(), self.encoder, objective)

    def _first_image(self, level: Level) -> Tensor:
        """Where ``init`` says; the content itself where that is kept."""
        return self.targets.restore_kept(self.start.image(level))

    # --- results ---------------------------------------------------------------------------------

    @in_own_modes
    def picture(self) -> Tensor:
        """The picture so far ``(1, 3, H, W)`` at its final size and in its colours, on the CPU."""
        targets, config, content = self.targets, self.config, self.content
        size, axes, regions = (self.height, self.width), targets.axes, targets.regions
        photo: Tensor | None = None
        if content is not None and (self.state is None or keeps_colors(regions, config)):
            photo = resized(content.pixels, size, axes, resize)
            if self.state is None:
                return recolor_content(photo, content, targets.styles[0], config)
        image = self._first_image(self.levels[0]) if self.state is None else self.state.picture()
        image = resized(image.cpu(), size, axes, resize)
        return targets.restore_kept(restore_content_colors(image, photo, config, regions, axes))

    @in_own_modes
    def result(self) -> Result:
        """The result as it is now; after :class:`Finished`, the final one."""
        size, content = (self.height, self.width), self.content
        alpha = None if content is None else content.alpha
        if alpha is not None:
            alpha = resized(alpha, size, self.targets.axes, resize).clamp(0, 1)
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
        moved = self.moved()
        return self.provenance(method=self._method(), **({"moved": moved} if moved else {}))

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
