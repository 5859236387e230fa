"""Dreams: a photo in, the same photo out with more of what the network sees in it.

The method is that of Mordvintsev, Olah & Tyka (2015, "Inceptionism", and the notebook with it): the
picture climbs the gradient of the network's own excitement, from a small size to the full one. Each
size is called an octave there; what was dreamt in one is enlarged and laid on the photo of the
next, so that the photo's detail comes back at every size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.config.dream import DreamConfig
from impasto.config.layers import parse_selections
from impasto.dream.encoder import check_layers, default_layers, prepare_encoder
from impasto.dream.smoothing import FILTERS
from impasto.dream.transform import Jitter
from impasto.encoders import Encoder, pop_encoder
from impasto.events import Event, Step
from impasto.image.inputs import Source, fill_under_alpha, provenance_of, read_role
from impasto.image.io import resize, size_to_fit
from impasto.losses import Objective
from impasto.losses.activation import ActivationLoss, GuideLoss
from impasto.machine.devices import choose_device, choose_dtype, in_own_modes
from impasto.optim.loop import optimize
from impasto.optim.memory import choose_tile, memory_budget
from impasto.optim.pyramid import Level, grow, plan
from impasto.optim.state import State
from impasto.optim.tiling import encode
from impasto.runs.base import Run
from impasto.runs.result import Result

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from impasto.config.keywords import DreamKeywords

GUIDE_SIZE = 384  # pixels on the long side of a guide, at most

# Red, green and blue to lightness and the two axes of colour (NTSC's YIQ, FCC 1953).
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def deepdream(
    photo: Source,
    config: DreamConfig | None = None,
    *,
    guide: Source | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[DreamKeywords],
) -> DreamResult:
    """Dream on ``photo``: let what ``encoder`` sees in it grow.

    ``photo`` and ``guide`` are paths, PIL images, numpy arrays or tensors ``(1, 3, H, W)`` in
    [0, 1]. With a ``guide`` the photo's features grow towards those of the guide that match them
    best, so that the dream is of what is there. ``settings`` are fields of :class:`DreamConfig` and
    change ``config``; ``encoder`` and ``on_event`` as for :func:`impasto.stylize`.

    Raises ConfigError and UnknownNameError for bad settings, InputError for bad pictures,
    WeightsError where the encoder has no weights.

    >>> import impasto
    >>> impasto.deepdream(impasto.swatch("waves", size=48), size=48, octaves=1, steps=2).image.shape
    torch.Size([1, 3, 48, 48])
    """
    changes: dict[str, Any] = dict(settings)
    encoder = pop_encoder(changes)
    config = (config or DreamConfig()).with_changes(**changes)
    return Dream(photo, config, guide=guide, encoder=encoder).finish(on_event)


@dataclass(frozen=True)
class DreamResult(Result):
    """A dream: the last picture, and all ``frames`` ``(1, 3, H, W)``, uint8, if there are more."""

    frames: tuple[Tensor, ...] = field(default=(), repr=False)


class Dream(Run["DreamResult"]):
    """One run of :func:`deepdream`, to iterate over.

    Iterating yields LevelStarted, Step, ..., LevelDone, ..., Finished; a level is an octave, and
    those of all frames are counted through. The objective's total falls below zero: it is minus the
    logarithm of how many times stronger the layers are excited than by the photo. ``checkpoint``,
    ``resume`` and ``attachments`` as for :class:`impasto.Stylization`.

    Raises what :func:`deepdream` raises; ConfigError when a checkpoint belongs to another run.
    """

    @in_own_modes
    def __init__(
        self,
        photo: Source,
        config: DreamConfig | None = None,
        *,
        guide: Source | None = None,
        encoder: Encoder | None = None,
        checkpoint: Path | None = None,
        resume: bool = False,
        max_pixels: int | None = None,
        **settings: Any,
    ) -> None:
        self.config = config = (config or DreamConfig()).with_changes(**settings)
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        picture = read_role("photo", photo, **limit)
        height, width = picture.size
        if config.size is not None:
            height, width = size_to_fit(height, width, config.size)
        self.height, self.width = height, width
        self.device = choose_device(config.device)
        self.dtype = choose_dtype(config.precision, self.device)
        self.selections = None if config.layers is None else parse_selections(config.layers)
        by_channel = any(s.channels is not None for s in self.selections or ())
        self.encoder = prepare_encoder(
            encoder or config.encoder, config, self.device, self.dtype, by_channel=by_channel
        )
        if self.selections is None:
            self.selections = default_layers(self.encoder)
        self.layers = tuple(selection.layer for selection in self.selections)
        check_layers(self.encoder, self.layers)
        self.sources = {"content": provenance_of(photo, picture)}
        self.photo = fill_under_alpha(picture)
        self.guide: dict[str, Tensor] | None = None
        if guide is not None:
            self.guide = self._read_guide(guide, limit)
        octaves = plan(height, width, (config.steps,) * config.octaves, config.octave_scale)
        again = [Level(x.height, x.width, config.frame_steps) for x in octaves]
        self.octaves = len(octaves)
        self.levels = octaves + again * (config.frames - 1)
        self.tile, self.demand = choose_tile(
            self.encoder,
            self.layers,
            (),
            (height, width),
            "adam",
            memory_budget(config.max_memory, self.device),
            tile=config.tile,
        )
        self.frames: list[Tensor] = []
        self.base = resize(self.photo.pixels, (height, width))  # what the frame began with
        self.begin(checkpoint, resume=resume)

    # --- running ---------------------------------------------------------------------------------

    def run_level(self, number: int) -> Iterator[Step]:
        """The steps of an octave; the frame is kept after those of the last."""
        config, level = self.config, self.levels[number]
        if self.state is None or number > self.level:
            image = self._first_image(number)
            self.state = State(image, "steepest", config.step_size)
        self.level = number
        yield from optimize(
            self.state.image,
            self.encoder,
            self.objective(number),
            steps=level.steps,
            state=self.state,
            level=number,
            tile=self.tile,
            transform=Jitter(config.jitter, config.seed + 7919 * number),
            gradient_filter=FILTERS[config.smoothing],
        )
        self._keep_frame(number)

    def _keep_frame(self, number: int) -> None:
        """After a frame's last octave; a run resumed just then has it already."""
        frame, octave = divmod(number, self.octaves)
        if octave == self.octaves - 1 and self.config.frames > 1 and len(self.frames) == frame:
            self.frames.append(self.picture().mul(255).round().to(torch.uint8))

    def _first_image(self, number: int) -> Tensor:
        """Where an octave begins: at the photo of its size, with what was dreamt so far on it."""
        level = self.levels[number]
        size = (level.height, level.width)
        if number % self.octaves == 0:
            if number > 0:
                self.base = self._next_frame(self.picture())
            return resize(self.base, size).to(self.device)
        assert self.state is not None
        before = self.state.picture()
        dreamt = before - resize(self.base, _size(before)).to(self.device)
        return (resize(self.base, size).to(self.device) + grow(dreamt, level)).clamp(0, 1)

    def _next_frame(self, frame: Tensor) -> Tensor:
        """The last frame, closer and turned, with the contrast that the photo has.

        Each frame is the base of the next, so whatever a dream adds to the contrast would add up.
        """
        photo = self.photo.pixels
        mean, std = (f(photo, dim=(2, 3), keepdim=True) for f in (torch.mean, torch.std))
        now, spread = (f(frame, dim=(2, 3), keepdim=True) for f in (torch.mean, torch.std))
        factor = torch.minimum(torch.ones_like(std), CONTRAST * std / spread.clamp_min(1e-6))
        calmed = (frame - now) * factor + torch.lerp(now, mean, SETTLE)
        return zoom_rotate(calmed, self.config.zoom, self.config.rotate).clamp(0, 1)

    @in_own_modes
    @torch.no_grad()
    def objective(self, number: int) -> Objective:
        """What is minimised at level ``number``: how little the layers are excited."""
        assert self.selections is not None
        weights = {selection.layer: selection.weight for selection in self.selections}
        if self.guide is not None:
            return Objective(guide=(GuideLoss(self.guide, weights), 1.0))
        level = self.levels[number]
        photo = resize(self.photo.pixels, (level.height, level.width)).to(self.device)
        seen = encode(self.encoder, photo, self.layers, self.tile)
        return Objective(dream=(ActivationLoss.of(self.selections, seen), 1.0))

    # --- results ---------------------------------------------------------------------------------

    @in_own_modes
    def picture(self) -> Tensor:
        """The picture so far ``(1, 3, H, W)`` at its final size, on the CPU."""
        size = (self.height, self.width)
        if self.state is None:
            return resize(self.base, size)
        before = self.state.picture().cpu()
        image = before
        if _size(before) != size:  # an early octave: with the photo's own detail
            dreamt = before - resize(self.base, _size(before))
            image = (self.base + grow(dreamt, Level(*size, 0))).clamp(0, 1)
        if self.config.colors == "original":
            return with_colors_of(image, self.base)
        return image

    @in_own_modes
    def result(self) -> DreamResult:
        """The result as it is now; after :class:`Finished`, the final one."""
        alpha = self.photo.alpha
        return DreamResult(
            image=self.picture(),
            alpha=None if alpha is None else resize(alpha, (self.height, self.width)).clamp(0, 1),
            depth=self.photo.depth,
            exif=self.photo.exif,
            metadata=self.metadata(),
            history=list(self.history),
            frames=tuple(self.frames),
        )

    def metadata(self) -> dict[str, Any]:
        """What made the picture: enough to make it again."""
        return self.provenance(
            command="dream",
            method="gradient ascent on activations (Mordvintsev et al. 2015)",
            layers=list(self.layers),
        )

    def inputs(self) -> dict[str, Any]:
        """That it is a dream, and the hashes of its pictures."""
        return {
            "command": "dream",
            "content": self.sources["content"]["sha256"],
            "guide": self.sources.get("guide", {}).get("sha256"),
        }

    def extras(self) -> dict[str, Any]:
        """The frames so far, and what the next one begins with."""
        return {"frames": self.frames, "base": self.base}

    # --- small things ----------------------------------------------------------------------------

    def _read_guide(self, guide: Source, limit: dict[str, int]) -> dict[str, Tensor]:
        """The guide's features."""
        picture = read_role("guide", guide, **limit)
        self.sources["guide"] = provenance_of(guide, picture)
        size = size_to_fit(*picture.size, min(GUIDE_SIZE, max(picture.size)))
        pixels = resize(fill_under_alpha(picture).pixels, size).to(self.device)
        return encode(self.encoder, pixels, self.layers)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


CONTRAST = 1.15  # times the photo's: what a frame may pass on to the next
SETTLE = 0.1  # of the way back to the photo's mean colour, with each frame


def zoom_rotate(image: Tensor, zoom: float, degrees: float = 0.0) -> Tensor:
    """``(1, 3, H, W)`` enlarged about its middle by ``zoom`` and turned by ``degrees``; bicubic.

    >>> zoom_rotate(torch.ones(1, 3, 8, 8), 1.5).shape
    torch.Size([1, 3, 8, 8])
    """
    height, width = image.shape[-2:]
    angle = torch.deg2rad(torch.tensor(degrees))
    cosine, sine = float(angle.cos()) / zoom, float(angle.sin()) / zoom
    matrix = image.new_tensor(
        [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    )
    grid = F.affine_grid(matrix[None], [1, 3, height, width], align_corners=False)
    return F.grid_sample(
        image, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )


def with_colors_of(image: Tensor, photo: Tensor) -> Tensor:
    """The lightness of ``image`` with the colours of ``photo``, both ``(1, 3, H, W)``.

    Colours that do not exist at that lightness are clamped.
    """
    matrix = image.new_tensor(YIQ)
    ours, theirs = (torch.einsum("ij,njhw->nihw", matrix, x) for x in (image, photo))
    mixed = torch.cat([ours[:, :1], theirs[:, 1:]], 1)
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), mixed).clamp(0, 1)
