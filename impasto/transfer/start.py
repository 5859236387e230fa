"""Where a run starts, and what each finer level begins with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from impasto.arbitrary.api import initial_image
from impasto.config.stylize import StylizeConfig
from impasto.image.color import match_colors
from impasto.image.io import Picture, resize
from impasto.image.wrap import resized
from impasto.machine.devices import generator
from impasto.objective.targets import Targets
from impasto.optim.pyramid import Level, grow


class Start:
    """The pictures that a run starts from, by the setting ``init``.

    ``picture`` is the one that ``init`` names, or that was given in its place, if any; ``last`` is
    the finest level, ``dtype`` the precision of a draft.
    """

    def __init__(
        self,
        targets: Targets,
        config: StylizeConfig,
        picture: Picture | None,
        last: Level,
        dtype: torch.dtype,
    ) -> None:
        self.targets, self.config, self.picture = targets, config, picture
        self.last, self.dtype = last, dtype

    def image(self, level: Level) -> Tensor:
        """``(1, 3, H, W)`` at the size of ``level``."""
        if self.picture is not None:
            return self.given(level)
        words: dict[str, Callable[[Level], Tensor]] = {
            "content": self.targets.content_at,
            "recolored": self.recolored,
            "quick": self.draft,
            "noise": self.noise,
            "style": self.like_the_styles,
        }
        return words[self.config.init](level)

    def recolored(self, level: Level) -> Tensor:
        """The content in the colours of the styles that paint it, as far as the strength goes: the
        optimiser need not carry each pixel there in small steps."""
        targets = self.targets
        photo = targets.content_at(level)
        picture = torch.zeros_like(photo)
        for region in targets.regions.regions:
            strength = self.config.strength if region.strength is None else region.strength
            mask = 1.0 if region.mask is None else targets.mask_at(region.mask, level)
            total = sum(share.weight for share in region.shares)
            for share in region.shares:
                like = (region.styles or targets.styles)[share.style]
                painted = match_colors(
                    photo,
                    like.pixels.to(photo),
                    strength=min(1.0, 2 * strength),
                    weight=targets.content_alpha_at(level),
                    like_weight=like.alpha,
                )
                picture += mask * share.weight / total * (painted - photo)
        return photo + picture

    def draft(self, level: Level) -> Tensor:
        """What ``quick`` makes of the pictures."""
        return resized(self._draft, (level.height, level.width), self.targets.axes, resize)

    def noise(self, level: Level) -> Tensor:
        """Grey with noise on it."""
        return (0.5 + 0.15 * self._gaussian(level)).clamp(0, 1).to(self.targets.device)

    def like_the_styles(self, level: Level) -> Tensor:
        """Noise with the mean and the deviation of the styles' channels."""
        styles = self.targets.styles_at(level)
        mean = torch.stack([x.mean((2, 3), keepdim=True) for x in styles]).mean(0)
        std = torch.stack([x.std((2, 3), keepdim=True) for x in styles]).mean(0)
        return (mean + std * self._gaussian(level).to(self.targets.device)).clamp(0, 1)

    def given(self, level: Level) -> Tensor:
        """The picture that ``init`` names."""
        assert self.picture is not None
        size = (level.height, level.width)
        found = resized(self.picture.pixels, size, self.targets.axes, resize)
        return found.to(self.targets.device)

    @torch.no_grad()
    def add_detail(self, image: Tensor, before: Level, level: Level) -> None:
        """Give back to ``image``, in place, what the content lost at the size of the level before:
        edges, small things.

        A picture that was enlarged has none, and would have to grow them in steps that are the most
        expensive of all; so each finer level begins with the photo's, on painted forms, and paints
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
        fine, coarse = self.image(level), self.image(before)
        image.add_(fine - grow(coarse, level, axes=self.targets.axes), alpha=share).clamp_(0, 1)

    @cached_property
    def _draft(self) -> Tensor:
        content, styles = self.targets.content_at(self.last), self.targets.styles_at(self.last)
        strength = min(1.0, 2 * self.config.strength)  # a draft as strong as the picture
        return initial_image(content, styles, self.config.blend, strength, self.dtype)

    def _gaussian(self, level: Level) -> Tensor:
        shape = (1, 3, level.height, level.width)
        return torch.randn(shape, generator=generator(self.config.seed))
