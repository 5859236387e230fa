"""FRAME -> PAINTING: the two engines, with the same words as for pictures.

*quick* paints each frame in one pass and takes from it only what the frames before cannot tell.
*optimised* begins each frame with what is carried, and holds it there by a temporal loss in the
pixels that can be trusted (Ruder et al. 2016, eq. 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.arbitrary.api import quick
from impasto.config.groups import MasksConfig
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import VideoConfig
from impasto.encoders import Encoder, get_encoder
from impasto.encoders.base import IMAGE, Features
from impasto.image.inputs import Source, as_list, read_picture
from impasto.image.io import Picture, read_image, resize
from impasto.losses import Loss, Objective
from impasto.objective.masks import AUTO, OFF, REST, Masks
from impasto.objective.style_cache import StyleCache
from impasto.objective.subject import read_or_find_subject
from impasto.transfer.stylization import Stylization
from impasto.video.carry import Carried
from impasto.video.flow import warp

FAINT = 0.05
"""A subject that is nowhere more certain than this is none."""

FIRST_STEP = 0.01
"""Adam's step in frames that begin with the one before: what is there is changed a little."""


class Painter(Protocol):
    """Paints one frame."""

    def paint(self, photo: Tensor, carried: Carried | None, masks: dict[str, Any]) -> Tensor:
        """The painting ``(1, 3, H, W)`` of a frame of that shape, with what is ``carried`` to it
        (None: a shot begins) and masks that are no files."""


class QuickPainter:
    """One pass for each frame; where the frames before can be trusted, they stay."""

    def __init__(self, styles: Sequence[Picture], config: QuickConfig, video: VideoConfig) -> None:
        self.styles, self.video = list(styles), video
        self.config = config.with_changes(size=None)

    def paint(self, photo: Tensor, carried: Carried | None, masks: dict[str, Any]) -> Tensor:
        """See :class:`Painter`."""
        painting = quick(photo, self.styles, self.config, **masks).image
        if carried is None:
            return painting
        return torch.lerp(painting, carried.picture, self.video.steadiness * carried.trust)


class OptimisedPainter:
    """An optimisation for each frame: in full where a shot begins, else a few steps."""

    def __init__(
        self, styles: Sequence[Picture], config: StylizeConfig, video: VideoConfig
    ) -> None:
        self.styles, self.video = list(styles), video
        self.config = config.with_changes(size=None)
        self.encoder: Encoder = get_encoder(
            config.encoder,
            flavour=config.flavour,
            pooling=config.pooling,
            padding=config.padding,
        )
        self.seen = StyleCache()

    def paint(self, photo: Tensor, carried: Carried | None, masks: dict[str, Any]) -> Tensor:
        """See :class:`Painter`."""
        options = {"encoder": self.encoder, "style_cache": self.seen, **masks}
        if carried is None:
            return Stylization(photo, self.styles, self.config, **options).finish().image
        config = self.config.with_changes(
            steps=self.video.frame_steps,
            learning_rate=min(FIRST_STEP, self.config.learning_rate),
        )
        trust = self.video.steadiness * carried.trust
        fresh = quick(photo, self.styles, size=None, color=config.color, subject=OFF).image
        start = torch.lerp(fresh, carried.picture, carried.trust)
        loss = TemporalLoss(carried.picture, trust)
        weight = self.video.temporal_weight
        run = _FrameRun(photo, self.styles, config, init=start, **options)
        run.temporal = (loss, weight)
        return run.finish().image


class TemporalLoss(Loss):
    """Distance from what the frames before foresee: ``mean(trust * (x - carried)²)`` (Ruder et al.
    2016, eq. 7, whose D is the number of values).

    ``carried`` is ``(1, 3, H, W)``, ``trust`` ``(1, 1, H, W)`` in [0, 1]; pictures of other sizes
    are compared at theirs.
    """

    layers = (IMAGE,)
    tileable = True  # it reads no features

    def __init__(self, carried: Tensor, trust: Tensor) -> None:
        self.carried, self.trust = carried.detach(), trust.detach()

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar, under ``image``."""
        image = features[IMAGE]
        size = (image.shape[-2], image.shape[-1])
        carried, trust = resize(self.carried, size).to(image), self.trust.to(image)
        if trust.shape[-2:] != image.shape[-2:]:
            trust = F.interpolate(trust, size, mode="area")
        return {IMAGE: (trust * (image - carried).square()).mean()}


class _FrameRun(Stylization):
    """A stylization held to what the frames before foresee."""

    temporal: tuple[Loss, float]

    def objective(self, number: int) -> Objective:
        """With the temporal loss."""
        found = super().objective(number)
        joined = Objective(**found.terms, temporal=self.temporal)
        return joined.with_gains(found.gains).with_limits(found.limits)


class MaskTracker:
    """The masks of a picture's settings, carried through the clip with its flow.

    ``regions`` and ``keep`` are drawn on the first frame; after a cut they are those again.
    ``subject``, unless it is given, is found in each frame, and stays where the frames before can
    be trusted.
    """

    def __init__(self, config: QuickConfig | StylizeConfig) -> None:
        self.config = config
        self.given: dict[str, Any] = {}
        if isinstance(config, MasksConfig):
            regions = [_read(mask) for mask in as_list(config.regions)]
            if any(isinstance(mask, Tensor) for mask in regions):
                self.given["regions"] = regions
            if config.keep is not None:
                self.given["keep"] = _read(config.keep)
        if config.subject not in (AUTO, OFF):
            self.given["subject"] = _read(config.subject)
        self.now: dict[str, Any] = {}
        self.subject: Tensor | None = None

    def at(self, photo: Tensor, carried: Carried | None) -> dict[str, Any]:
        """The masks of a frame ``(1, 3, H, W)``, as keywords of ``quick`` and ``Stylization``."""
        size = (photo.shape[-2], photo.shape[-1])
        if carried is None or not self.now:
            self.now = {name: _resized(mask, size) for name, mask in self.given.items()}
        else:
            self.now = {name: _warped(mask, carried.flow) for name, mask in self.now.items()}
        if "subject" in self.now or self.config.subject == OFF or not self.config.protect:
            return dict(self.now)
        found, _ = read_or_find_subject(Masks(), Picture(photo), AUTO)
        assert found is not None
        found = resize(found, size).clamp(0, 1)
        if carried is not None and self.subject is not None:
            found = torch.lerp(found, warp(self.subject, carried.flow), carried.trust)
        self.subject = found
        return {**self.now, "subject": found if float(found.max()) > FAINT else OFF}

    def state_dict(self) -> dict[str, Any]:
        """What changes from frame to frame."""
        return {"now": self.now, "subject": self.subject}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        self.now, self.subject = saved["now"], saved["subject"]


def make_painter(
    styles: Sequence[Source], config: QuickConfig | StylizeConfig, video: VideoConfig
) -> Painter:
    """The painter of the engine that ``config`` belongs to; styles are read once."""
    pictures = [read_picture(style) for style in styles]
    if isinstance(config, QuickConfig):
        return QuickPainter(pictures, config, video)
    return OptimisedPainter(pictures, config, video)


def _read(mask: str) -> Tensor | str:
    return mask if mask in (AUTO, REST) else read_image(mask).pixels


def _resized(mask: Any, size: tuple[int, int]) -> Any:
    if isinstance(mask, list):
        return [_resized(part, size) for part in mask]
    return F.interpolate(mask, size, mode="nearest") if isinstance(mask, Tensor) else mask


def _warped(mask: Any, flow: Tensor) -> Any:
    """Nearest pixels: the colours of a map of regions must stay what they are."""
    if isinstance(mask, list):
        return [_warped(part, flow) for part in mask]
    return warp(mask, flow, "nearest") if isinstance(mask, Tensor) else mask
