"""The pictures that a run aims at, at any level's size, and how much each place of them counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.config.groups import RegionsConfig
from impasto.encoders import Encoder
from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.image.io import Picture, resize, size_to_fit
from impasto.image.wrap import Axes, resized
from impasto.losses.base import Measurable, Sums
from impasto.objective.guidance import inside_masks, layer_masks
from impasto.objective.regions import Region, RegionMap, Share, restore_kept, style_scale
from impasto.objective.style_cache import StyleCache, image_key
from impasto.optim.pyramid import Level
from impasto.optim.tiling import encode, measure


class Targets:
    """The pictures of a run.

    ``content`` None is a texture. ``style_encoder`` (default: ``encoder``) looks at the styles,
    ``encoder`` at the content and the picture, which wraps along ``axes``.

    ``content`` and ``styles`` have colours under their transparent pixels already (see
    :func:`impasto.image.inputs.fill_under_alpha`); ``regions`` says which style goes where, and
    ``config`` how large each style is. ``detail`` and ``subject`` ``(1, 1, h, w)`` say how much
    each place of the content has to say, and where its subject is
    (:mod:`impasto.objective.subject`). Tensors are made on ``device``, when they are asked for.
    What ``style_encoder`` sees is kept in ``style_cache``, if there is one.
    """

    def __init__(
        self,
        content: Picture | None,
        styles: Sequence[Picture],
        encoder: Encoder,
        config: RegionsConfig,
        device: torch.device,
        regions: RegionMap,
        *,
        axes: Axes = (),
        detail: Tensor | None = None,
        subject: Tensor | None = None,
        style_encoder: Encoder | None = None,
        style_cache: StyleCache | None = None,
    ) -> None:
        self.content, self.styles = content, tuple(styles)
        self.encoder, self.config, self.device = encoder, config, device
        # A style does not go round: its borders would be taught as seams.
        self.style_encoder, self.style_cache = style_encoder or encoder, style_cache
        self.regions, self.axes = regions, axes
        self.detail, self.subject = detail, subject
        if content is not None and detail is not None and (kept := regions.kept) is not None:
            shape = (kept.shape[-2], kept.shape[-1])  # what stays is held as the subject is
            self.subject = kept if subject is None else kept.maximum(resize(subject, shape))

    # --- content ---------------------------------------------------------------------------------

    def content_at(self, level: Level) -> Tensor:
        """The content ``(1, 3, H, W)`` at a level's size."""
        assert self.content is not None
        return self._resized(self.content.pixels, (level.height, level.width), self.axes)

    def content_alpha_at(self, level: Level) -> Tensor | None:
        """How opaque it is there, ``(1, 1, H, W)``; None if all of it is."""
        if self.content is None or self.content.alpha is None:
            return None
        return self.mask_at(self.content.alpha, level)

    def subject_at(self, level: Level) -> Tensor | None:
        """Where the subject is, ``(1, 1, H, W)``; None where none is held."""
        return None if self.subject is None else self.mask_at(self.subject, level)

    def detail_at(self, level: Level, depth: float) -> Tensor | None:
        """How much each place has to say, to the power of ``depth``: ``(1, 1, H, W)`` with a mean
        of about one; None where all places count alike."""
        if self.detail is None:
            return None
        found = self.detail**depth
        size = (level.height, level.width)
        return self._resized(found / found.mean(), size, self.axes).clamp_min(0)

    def mask_at(self, mask: Tensor, level: Level) -> Tensor:
        """A mask of the picture ``(1, 1, h, w)`` at a level's size."""
        return self._resized(mask, (level.height, level.width), self.axes).clamp(0, 1)

    def restore_kept(self, image: Tensor) -> Tensor:
        """``image`` ``(1, 3, H, W)``, any size, with the content's own pixels where it is kept."""
        if self.content is None:
            return image
        return restore_kept(image, self.content.pixels, self.regions, self.axes)

    # --- styles ----------------------------------------------------------------------------------

    def style_at(self, level: Level, style: int = 0, region: Region | None = None) -> Tensor:
        """A style ``(1, 3, h, w)`` at the size that goes with a level; in a region's own size and
        colours, where it has such."""
        own = None if region is None else region.styles
        picture = (own or self.styles)[style]
        return self._resized(picture.pixels, self._style_size(level, style, region))

    def styles_at(self, level: Level) -> list[Tensor]:
        """All of the styles at the sizes that go with a level."""
        return [self.style_at(level, number) for number in range(len(self.styles))]

    def style_source(
        self,
        level: Level,
        region: Region,
        share: Share,
        weights: dict[str, float],
        tile: int | None,
    ) -> StyleView:
        """What a style gives to a region; ``weights`` is its part of the weight of each layer."""
        image = self.style_at(level, share.style, region)
        size = (image.shape[-2], image.shape[-1])
        alpha = self.styles[share.style].alpha
        alpha = None if alpha is None else self._resized(alpha, size).clamp(0, 1)
        part = None if share.mask is None else self._resized(share.mask, size).clamp(0, 1)

        def masks(layers: Sequence[str], quarter_turns: int) -> Features:
            """Strictly inside the style's region: to leave out what is near its border costs
            nothing."""
            found = self.by_area(_turned(alpha, quarter_turns), layers)
            if part is None:
                return found
            inside = self.inside(torch.rot90(part, quarter_turns, (2, 3)), layers)
            return {x: m * found[x] if found else m for x, m in inside.items()}

        cache = self.style_cache if alpha is None and part is None else None
        return StyleView(self.style_encoder, image, weights, share.weight, tile, masks, cache)

    def _style_size(self, level: Level, style: int, region: Region | None) -> tuple[int, int]:
        height, width = self.styles[style].size
        scale = 1.0 if region is None else region.scale
        wanted = round(max(level.height, level.width) * style_scale(self.config, style) * scale)
        least = math.ceil(16 * max(height, width) / min(height, width))  # relu5_1 needs 16 pixels
        # Enlarging would teach the blur of the enlargement as part of the style.
        return size_to_fit(height, width, min(max(wanted, least), max(height, width)))

    # --- masks by layer --------------------------------------------------------------------------

    def by_area(self, mask: Tensor | None, layers: Sequence[str]) -> Features:
        """``(1, 1, H, W)`` -> one mask for each layer; none where all positions count alike."""
        if mask is None:
            return {}
        sizes = {layer: self.encoder.feature_size(layer, *mask.shape[-2:]) for layer in layers}
        return layer_masks(mask, sizes)

    def inside(self, mask: Tensor, layers: Sequence[str], share: float = 1.0) -> Features:
        """``(1, 1, H, W)`` -> one mask for each layer: strictly inside, by that ``share`` of what a
        position sees."""
        windows = {layer: (self.encoder.stride(layer), self._reach(layer)) for layer in layers}
        height, width = mask.shape[-2:]
        grids = {layer: self.encoder.feature_size(layer, height, width) for layer in layers}
        # As large as what the positions stand for, the last ones too.
        lacking = [
            max(0, *(grid[axis] * windows[layer][0] - length for layer, grid in grids.items()))
            for axis, length in enumerate((height, width))
        ]
        mask = F.pad(mask, (0, lacking[1], 0, lacking[0]), mode="replicate")
        masks = inside_masks(mask, windows, share)
        return {layer: masks[layer][..., :h, :w] for layer, (h, w) in grids.items()}

    def _reach(self, layer: str) -> int:
        try:
            return self.encoder.receptive_field(layer)
        except ConfigError:  # an encoder that does not know: its positions count by their pixels
            return 0

    def _resized(self, pixels: Tensor, size: tuple[int, int], axes: Axes = ()) -> Tensor:
        return resized(pixels, size, axes, resize).to(self.device)


def _no_masks(layers: Sequence[str], quarter_turns: int) -> Features:
    return {}


@dataclass(frozen=True)
class StyleView:
    """One style at one size, as losses ask for it (:class:`impasto.losses.base.StyleSource`).

    ``image`` is ``(1, 3, h, w)``, ``weights`` the style's part of the weight of each layer that it
    gives, ``share`` its weight against other styles, ``tile`` the size of the tiles in which sums
    are taken (None: at once), ``masks`` how much each position counts. With a ``cache`` all
    positions count alike.
    """

    encoder: Encoder
    image: Tensor = field(repr=False)
    weights: dict[str, float]
    share: float = 1.0
    tile: int | None = None
    masks: Callable[[Sequence[str], int], Features] = _no_masks
    cache: StyleCache | None = field(default=None, repr=False)

    def features(self, quarter_turns: int = 0) -> tuple[Features, Features]:
        """Its features, and how much each of their positions counts; turned, where asked for."""
        layers = tuple(self.weights)
        turned = torch.rot90(self.image, quarter_turns, (2, 3))
        found = self._kept(quarter_turns, lambda: encode(self.encoder, turned, layers))
        return found, self.masks(layers, quarter_turns)

    def measure(self, loss: type[Measurable]) -> Sums:
        """What ``loss`` adds up over it, tile by tile where there are tiles."""
        layers = tuple(self.weights)

        def compute() -> Sums:
            masks = self.masks(layers, 0)
            if self.tile is None:
                return loss.measure(self._seen, masks)
            return measure(loss, self.encoder, self.image, layers, masks, self.tile)

        return self._kept((loss, self.tile), compute)

    @cached_property
    def _seen(self) -> Features:
        """Its features: one look for all the losses that measure it."""
        return encode(self.encoder, self.image, tuple(self.weights))

    def _kept(self, kind: Hashable, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if self.cache is None:
            return compute()
        eye = self.encoder.dtype, self.encoder.exact, tuple(self.weights)
        return dict(self.cache.get((image_key(self.image), eye, kind), compute))


def _turned(mask: Tensor | None, quarter_turns: int) -> Tensor | None:
    return None if mask is None else torch.rot90(mask, quarter_turns, (2, 3))
