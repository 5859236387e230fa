"""The recipe: a content picture and a style picture in, the content painted in the style out.

``stylize`` is what most people want. ``Stylization`` is the same run as an object to iterate over:
it yields events, can be stopped, saved and resumed, and has a result at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto import __version__
from impasto import checkpoint as checkpoints
from impasto.config import StylizeConfig
from impasto.devices import choose_device, choose_dtype, describe_machine, generator
from impasto.encoders import Encoder, get_encoder
from impasto.encoders.base import IMAGE
from impasto.engine import State, optimize
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.events import Event, Finished, LevelDone, LevelStarted, Step
from impasto.images import Picture, read_image, resize, size_to_fit
from impasto.losses import Objective
from impasto.memory import GIB, Demand, available, choose_tile, resident
from impasto.objectives import Targets
from impasto.pyramid import Level, grow, plan
from impasto.result import Result
from impasto.sources import Source, describe, filled, read_style

# No more than this share of the time goes into writing checkpoints, and none comes sooner after
# the one before than this many seconds.
CHECKPOINT_SHARE = 0.03
CHECKPOINT_PAUSE = 1.0

# The share of the free memory that a run takes without being told how much it may.
FREE_SHARE = 0.8


def stylize(
    content: Source,
    style: Source,
    config: StylizeConfig | None = None,
    *,
    encoder: str | Encoder | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Result:
    """Paint ``content`` in the style of ``style``.

    Both are paths, PIL images, numpy arrays or tensors ``(1, 3, H, W)`` in [0, 1]; ``style`` may be
    the name of a swatch. ``settings`` are fields of :class:`StylizeConfig` and change ``config``
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
    config = (config or StylizeConfig()).with_changes(**settings)
    run = Stylization(content, style, config, encoder=encoder)
    for event in run:
        if on_event is not None:
            on_event(event)
    return run.result()


class Stylization:
    """One run of :func:`stylize`, to iterate over.

    Iterating yields LevelStarted, Step, ..., LevelDone, ..., Finished. With ``checkpoint`` (a
    path), the state is saved there now and then; with ``resume`` the run goes on from it, and ends
    in the very same picture, bit for bit, at the same number of threads. ``attachments`` is saved
    and restored with it, for user interfaces (tensors, numbers, texts, lists and dicts).

    Raises what :func:`stylize` raises; ConfigError when a checkpoint belongs to another run.
    """

    def __init__(
        self,
        content: Source,
        style: Source,
        config: StylizeConfig | None = None,
        *,
        encoder: Encoder | None = None,
        checkpoint: Path | None = None,
        resume: bool = False,
        max_pixels: int | None = None,
    ) -> None:
        self.config = config or StylizeConfig()
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        self.content = read_image(content, **limit)
        height, width = self.content.pixels.shape[-2:]
        if self.config.size is not None:
            height, width = size_to_fit(height, width, self.config.size)
        self.height, self.width = height, width
        picture = read_style(style, max(height, width), self.config, **limit)
        self.levels = plan(
            height, width, self.config.schedule(max(height, width)), self.config.ratio
        )
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
        self.sources = {
            "content": describe(content, self.content),
            "style": describe(style, picture),
        }
        self.init = self._read_init(self.config.init)
        if self.init is not None:
            self.sources["init"] = describe(self.config.init, self.init)
            self.init = filled(self.init)
        self.content = filled(self.content)
        self.targets = Targets(
            self.content, filled(picture), self.encoder, self.config, self.device
        )
        self.tile, self.demand = self._plan_memory()
        self.checkpoint = checkpoint
        self.history: list[dict[str, Any]] = []
        self.attachments: dict[str, Any] = {}
        self.seconds = 0.0
        self.level = 0
        self.done = False
        self.state: State | None = None
        if resume and checkpoint is not None:
            self._load(checkpoint)

    # --- running ---------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        began = time.perf_counter() - self.seconds
        saved_at, pause = time.perf_counter(), CHECKPOINT_PAUSE
        if self.config.strength > 0:
            for number in range(self.level, len(self.levels)):
                level = self.levels[number]
                yield LevelStarted(number, len(self.levels), level.height, level.width, level.steps)
                level_began = time.perf_counter()
                for step in self._run_level(number):
                    self.seconds = time.perf_counter() - began
                    self._remember(step, number)
                    yield step
                    if self.checkpoint and time.perf_counter() - saved_at > pause:
                        before = time.perf_counter()
                        self.save_checkpoint()
                        saved_at = time.perf_counter()
                        pause = max(CHECKPOINT_PAUSE, (saved_at - before) / CHECKPOINT_SHARE)
                duration = time.perf_counter() - level_began
                yield LevelDone(number, len(self.levels), duration, self.picture())
        self.seconds = time.perf_counter() - began
        self.done = True
        yield Finished(self.seconds, len(self.history), self.picture())

    def _run_level(self, number: int) -> Iterator[Step]:
        level, config = self.levels[number], self.config
        content = self.targets.content_at(level)
        if self.state is None:
            self.state = State(
                self._first_image(content, level), config.optimizer, config.learning_rate
            )
        elif number > self.level:
            self.state = self.state.grow(level)
            self._add_detail(self.state.image, self.levels[number - 1], content)
        self.level = number
        return optimize(
            self.state.image,
            self.encoder,
            self.objective(number),
            steps=level.steps,
            average=config.average,
            state=self.state,
            level=number,
            tile=self.tile,
        )

    def objective(self, number: int) -> Objective:
        """What is minimised at level ``number``: content, style and smoothness, weighted."""
        return self.targets.objective(self.levels[number], self.tile)

    # --- results ---------------------------------------------------------------------------------

    def picture(self) -> Tensor:
        """The picture so far ``(1, 3, H, W)`` at its final size, on the CPU."""
        if self.state is None:
            return resize(self.content.pixels, (self.height, self.width))
        return resize(self.state.picture().cpu(), (self.height, self.width))

    def result(self) -> Result:
        """The result as it is now; after :class:`Finished`, the final one."""
        alpha = self.content.alpha
        return Result(
            image=self.picture(),
            alpha=None if alpha is None else resize(alpha, (self.height, self.width)).clamp(0, 1),
            depth=self.content.depth,
            exif=self.content.exif,
            metadata=self.metadata(),
            history=list(self.history),
        )

    def metadata(self) -> dict[str, Any]:
        """What made the picture: enough to make it again."""
        return {
            "impasto": __version__,
            "method": "optimisation of pixels (Gatys et al. 2016)",
            "config": self.config.to_dict(),
            **self.sources,
            "encoder": {"name": self.encoder.name, "sha256": self.encoder.sha256},
            "size": [self.height, self.width],
            "machine": describe_machine(self.device, self.dtype),
            "tile": self.tile,
            "steps": len(self.history),
            "finished": self.done,
            "seconds": round(self.seconds, 2),
        }

    # --- checkpoints -----------------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Save the state now. Call it between two events only."""
        if self.checkpoint is None or self.state is None:
            return
        state = {
            "fingerprint": self._fingerprint(),
            "level": self.level,
            "tile": self.tile,
            "seconds": self.seconds,
            "history": self.history,
            "attachments": self.attachments,
            "state": self.state.state_dict(),
        }
        checkpoints.save_checkpoint(self.checkpoint, state)

    def _load(self, path: Path) -> None:
        saved = checkpoints.load_checkpoint(path)
        if saved is None:
            return
        ours = self._fingerprint()
        if differing := [k for k, v in ours.items() if saved["fingerprint"].get(k) != v]:
            raise ConfigError(
                f"{path} was made by a run with another {', '.join(differing)}",
                "repeat that run's command to resume it, or leave out --resume to start anew",
            )
        self.level, self.seconds = saved["level"], saved["seconds"]
        self.tile = saved["tile"]  # whatever memory is free today: another would be other bits
        self.history, self.attachments = saved["history"], saved["attachments"]
        self.state = State.from_state_dict(saved["state"], self.device)

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a resumed run to end in the same picture."""
        return {
            "config": self.config.to_dict(),
            "content": self.sources["content"]["sha256"],
            "style": self.sources["style"]["sha256"],
            "init picture": self.sources.get("init", {}).get("sha256"),
            "encoder": [self.encoder.name, self.encoder.sha256],
            "size": [self.height, self.width],
            "device": self.device.type,
            "precision": str(self.dtype),
            "number of threads": torch.get_num_threads(),
        }

    # --- where it starts --------------------------------------------------------------------------

    def _first_image(self, content: Tensor, level: Level) -> Tensor:
        init = self.config.init
        if init == "content":
            return content
        noise = torch.randn(content.shape, generator=generator(self.config.seed))
        if init == "noise":
            return (0.5 + 0.15 * noise).clamp(0, 1).to(self.device)
        if init == "style":
            style = self.targets.style_at(level)
            mean, std = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True)
            return (mean + std * noise.to(self.device)).clamp(0, 1)
        assert self.init is not None
        return resize(self.init.pixels, (level.height, level.width)).to(self.device)

    @torch.no_grad()
    def _add_detail(self, image: Tensor, before: Level, content: Tensor) -> None:
        """Give back what the content lost at the size of the level before: edges, small things.

        A picture that was enlarged has none, and would have to grow them in steps that are the
        dearest of all; so each finer level begins with the photo's, on painted forms, and paints
        over them. (Deep dreams do the same: Mordvintsev 2015, "detail".) Where there is to be
        little of the content, little of it is given back.
        """
        config = self.config
        share = config.detail * min(1.0, 2 - 2 * config.strength)
        if config.init != "content" or share == 0:
            return
        height, width = image.shape[-2:]
        coarse = grow(self.targets.content_at(before), Level(height, width, 0))
        image.add_(content - coarse, alpha=share).clamp_(0, 1)

    def _read_init(self, init: str) -> Picture | None:
        """The picture to start from, where ``init`` is none of the three words."""
        if init in ("content", "noise", "style"):
            return None
        try:
            return read_image(init)
        except InputError as error:
            raise ConfigError(
                f"init is '{init}' ({error.message})", "use content, noise, style or a picture"
            ) from error

    def _plan_memory(self) -> tuple[int | None, Demand]:
        """The size of tiles, if any, and the memory that the run will take."""
        config, size = self.config, (self.height, self.width)
        if config.max_memory is not None:
            limit = int(config.max_memory * GIB)
        else:
            limit = resident() + int(FREE_SHARE * available(self.device))
        return choose_tile(
            self.encoder,
            config.content_layers,
            config.style_layers,
            size,
            config.optimizer,
            limit,
            tile=config.tile,
        )

    # --- checks and small things -----------------------------------------------------------------

    def _check_layers(self) -> None:
        known = (IMAGE, *self.encoder.layers)
        for layer in (*self.config.content_layers, *self.config.style_layers):
            if layer not in known:
                raise UnknownNameError(f"layer of {self.encoder.name}", layer, known)

    def _remember(self, step: Step, level: int) -> None:
        size = (self.levels[level].height, self.levels[level].width)
        self.history.append(
            {
                "step": len(self.history) + 1,
                "level": level,
                "size": list(size),
                "total": step.total,
                "losses": {**step.losses, **step.parts},
            }
        )
