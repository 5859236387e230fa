"""Pictures of any size through the network: tile by tile, with the moments of the whole.

Moments are sums over positions, so those of the tiles add up to the picture's. The features of the
two deep levels are kept on the way, and the coarse decoder runs once on those of the whole picture.
Then each tile is painted by itself, with a border as wide as the receptive field of what is left
(:meth:`Quick.receptive_field`): the result is the same with tiles and without. All tiles have one
size, so that the convolutions are prepared for one shape; at the picture's edges their borders are
wider than necessary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.arbitrary.fused import (
    FusedQuick,
    FusedWeights,
    TrunkFeatures,
    fuse,
    moments_after_head,
)
from impasto.arbitrary.network import (
    DEEP,
    FINE,
    LEVELS,
    MULTIPLE,
    STRIDES,
    Statistics,
    style_transform,
)
from impasto.arbitrary.transport import Moments, blend
from impasto.arbitrary.upsampler import FACTOR, Upsampler, upsample
from impasto.encoders.base import IMAGE, pad_to_multiple
from impasto.image.io import resize
from impasto.optim.tiling import Tile, Tiling

LOG = logging.getLogger(__name__)

TILE = 1024
"""Pixels a side of a tile, without its border; smaller pictures are painted as a whole."""

COARSE = 0.4
"""Share of the strength at all scales but the last: each adds to those before it."""

PIECE = 1 << 19
"""Numbers whose moments are accumulated at once: what a core's cache holds."""

TINT = 0.5
"""Share of a change's colour that is carried to the next scale, which changes colours again: with
all of it reds turn pink, with none of it browns turn grey."""


class StyleRegion(NamedTuple):
    """A part of the picture: its ``mask`` ``(1, 1, h, w)`` in [0, 1], of any size (None: the whole
    picture), one weight for each style, and a strength in [0, 1]."""

    mask: Tensor | None
    weights: Sequence[float]
    strength: float


class _Target(NamedTuple):
    """A :class:`StyleRegion` with the blended statistics of its styles."""

    mask: Tensor | None
    statistics: Statistics
    strength: float


@torch.no_grad()
def transfer_style(
    network: FusedQuick,
    content: Tensor,
    styles: Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    strength: float = 1.0,
    tile: int = TILE,
    coarsest: int | None = None,
    regions: Sequence[StyleRegion] | None = None,
    statistics_of: Callable[[Tensor], Statistics] | None = None,
    upsampler: Upsampler | None = None,
) -> Tensor:
    """``content`` ``(1, 3, H, W)`` in the style of ``styles`` ``(1, 3, h, w)``, all in [0, 1].

    The network's strokes have a fixed size in pixels, so they look small in a large picture. With
    ``coarsest``, in pixels, a picture whose long side is larger is painted at that size first and
    then at each twice as large: the change at one scale is added to the photo at the next (as Gatys
    et al. 2017, section 6, do for the optimisation).

    Several styles are mixed in proportion to ``weights`` (default: equal shares) by interpolating
    their moments. ``strength`` interpolates from the content's moments to the styles'. The network
    does not reproduce a picture exactly where nothing is to change; at a ``strength`` s below 1,
    the share 1 - s of its reconstruction error is subtracted, so that 0 is the content itself.
    ``regions`` have weights and strengths of their own and are painted one by one; what lies in
    none of them stays. ``statistics_of`` gives a style's moments (default: :func:`measure`), for
    callers that know them already.

    With an ``upsampler`` the picture is painted at half of its size, which takes a quarter of the
    time, and upsampled. The styles should be half as large then, too.
    """
    regions = regions or [StyleRegion(None, weights or [1.0] * len(styles), strength)]
    regions = [region for region in regions if region.strength]
    if not regions:
        return content.clone()
    targets = _targets(styles, regions, statistics_of or partial(measure, network, tile=tile))
    if upsampler is None:
        return _coarse_to_fine(network, content, targets, tile, coarsest)
    whole = pad_to_multiple(content, FACTOR, "replicate")
    small = F.avg_pool2d(whole, FACTOR)
    painting = _coarse_to_fine(network, small, targets, tile, coarsest)
    image = _upsample_regions(network, upsampler, painting, small, whole, targets, tile)
    return image[..., : content.shape[-2], : content.shape[-1]].contiguous()


def _coarse_to_fine(
    network: FusedQuick,
    content: Tensor,
    targets: Sequence[_Target],
    tile: int,
    coarsest: int | None,
) -> Tensor:
    """``content`` painted at each of :func:`sizes` in turn."""
    height, width = content.shape[-2:]
    scales = sizes(height, width, coarsest)
    photo = image = resize(content, scales[0])
    log = LOG.info if max(height, width) > tile else LOG.debug  # large pictures take a while
    for number, larger in enumerate(scales[1:], start=1):
        log("painting at %dx%d, size %d of %d", *photo.shape[-2:], number, len(scales))
        painted = _paint_scale(network, image, targets, tile, share=COARSE)
        change, photo = painted - photo, resize(content, larger)
        image = carry_to_next_scale(change, photo)
    log("painting at %dx%d, size %d of %d", height, width, len(scales), len(scales))
    return _paint_scale(network, image, targets, tile)


def sizes(height: int, width: int, coarsest: int | None) -> list[tuple[int, int]]:
    """The heights and widths at which a picture is painted, from coarse to fine.

    The first long side is as close to ``coarsest`` as halving gets.

    >>> sizes(1080, 1920, 512)
    [(270, 480), (540, 960), (1080, 1920)]
    """
    count = 0 if coarsest is None else max(0, round(math.log2(max(height, width) / coarsest)))
    return [
        (max(1, round(height / 2**k)), max(1, round(width / 2**k))) for k in range(count, -1, -1)
    ]


def carry_to_next_scale(change: Tensor, photo: Tensor) -> Tensor:
    """The larger ``photo`` ``(N, 3, H, W)`` plus the ``change`` ``(N, 3, h, w)`` made at a smaller
    scale, without some of its colour (TINT)."""
    grey = change.mean(1, keepdim=True)
    change = grey + TINT * (change - grey)
    change = F.interpolate(change, photo.shape[-2:], mode="bicubic", align_corners=False)
    return (photo + change).clamp(0, 1)


def _targets(
    styles: Sequence[Tensor],
    regions: Sequence[StyleRegion],
    statistics_of: Callable[[Tensor], Statistics],
) -> list[_Target]:
    """The targets of ``regions``; a style without weight in any of them is not measured."""
    found: dict[int, Statistics] = {}
    targets = []
    for region in regions:
        used = {k: x for k, x in zip(range(len(styles)), region.weights, strict=True) if x > 0}
        for k in used.keys() - found.keys():
            found[k] = statistics_of(styles[k])
        shares = [x / sum(used.values()) for x in used.values()]
        names = (*LEVELS, IMAGE)
        blended = {name: blend([found[k][name] for k in used], shares) for name in names}
        targets.append(_Target(region.mask, blended, region.strength))
    return targets


def _paint_scale(
    network: FusedQuick,
    image: Tensor,
    targets: Sequence[_Target],
    tile: int,
    share: float = 1.0,
) -> Tensor:
    """``image`` painted at its own size, at this share of the strength of each target."""
    masks = _masks(targets, image)
    found, features = _collect_statistics(network, image, tile, masks)

    def paint(before: Statistics, after: Statistics, strength: float) -> Tensor:
        transform = style_transform(network.model.decoder, before, after, strength)
        return _decode(network, image, features, fuse(network.model, transform), tile)

    strengths = [share * target.strength for target in targets]
    return _blend_regions(
        image,
        masks,
        strengths,
        lambda k: paint(found[k], targets[k].statistics, strengths[k]),
        lambda k: paint(found[k], found[k], 0.0),
    )


def _upsample_regions(
    network: FusedQuick,
    upsampler: Upsampler,
    painting: Tensor,
    small: Tensor,
    photo: Tensor,
    targets: Sequence[_Target],
    tile: int,
) -> Tensor:
    """A ``painting`` of ``small``, the ``photo`` at half of its size, upsampled to that of the
    ``photo``."""
    decoder = network.model.decoder
    codes = [decoder.style_code(target.statistics) for target in targets]
    enlarge = partial(upsample, upsampler, decoder, photo=photo, tile=tile, dtype=network.dtype)
    return _blend_regions(
        photo,
        _masks(targets, photo),
        [target.strength for target in targets],
        lambda k: enlarge(painting, code=codes[k]),
        lambda k: enlarge(small, code=codes[k]),
    )


def _masks(targets: Sequence[_Target], image: Tensor) -> list[Tensor | None]:
    """The masks of ``targets`` at the size of ``image``."""
    size = (image.shape[-2], image.shape[-1])
    return [
        None if target.mask is None else resize(target.mask, size).clamp(0, 1).to(image)
        for target in targets
    ]


def _blend_regions(
    image: Tensor,
    masks: Sequence[Tensor | None],
    strengths: Sequence[float],
    paint: Callable[[int], Tensor],
    reconstruct: Callable[[int], Tensor],
) -> Tensor:
    """Blend regions into ``image`` by their masks (None: everywhere).

    ``paint(k)`` is region k's painting, and ``reconstruct(k)`` the network's reconstruction of
    ``image``: below full strength, the share 1 - strength of its error is subtracted.
    """
    result = image
    for number, (mask, strength) in enumerate(zip(masks, strengths, strict=True)):
        own = paint(number)
        if strength < 1:
            own += (1 - strength) * (image - reconstruct(number))
        result = own if mask is None else result + mask * (own - image)
    return result.clamp_(0, 1)


@torch.no_grad()
def measure(network: FusedQuick, image: Tensor, tile: int = TILE) -> Statistics:
    """The moments of ``image`` ``(1, 3, H, W)`` at all levels, in float32."""
    [found], _ = _collect_statistics(network, image, tile)
    return found


def _collect_statistics(
    network: FusedQuick,
    image: Tensor,
    tile: int,
    masks: Sequence[Tensor | None] = (None,),
) -> tuple[list[Statistics], TrunkFeatures]:
    """The moments under each of ``masks`` ``(1, 1, H, W)`` (None: everywhere), and features: those
    of all levels if the picture fits one tile, else of the DEEP ones."""
    whole = pad_to_multiple(image, MULTIPLE, "replicate")
    encoder = network.model.encoder
    tiling = _tiling(network, max(int(encoder.receptive_field(name)) for name in LEVELS), tile)
    names = (*LEVELS, IMAGE)
    weights = [_pooled(mask, tiling.strides) for mask in masks]
    sums = [{name: _Sums() for name in names} for _ in masks]
    deep: dict[str, Tensor] = {}
    parts = list(_equal_tiles(tiling, *whole.shape[-2:]))
    for part in parts:
        crop = part.crop(whole)
        features = network.encode(crop)
        windows = part.windows(tiling.strides, (part.outer[0], part.outer[2]))
        places = part.windows(tiling.strides)
        for name, f in zip(names, (*features, crop.permute(0, 2, 3, 1)), strict=True):
            own = f[0, windows[name][0], windows[name][1]]  # (h, w, K)
            for weight, each in zip(weights, sums, strict=True):
                each[name].add(own, None if weight is None else weight[name][places[name]])
            if name in DEEP and len(parts) > 1:
                if name not in deep:
                    sides = (side // tiling.strides[name] for side in whole.shape[-2:])
                    deep[name] = f.new_empty(1, *sides, f.shape[-1])
                deep[name][0, places[name][0], places[name][1]] = own
    found = [
        {name: _features_moments(network, name, total, image) for name, total in each.items()}
        for each in sums
    ]
    return found, features if len(parts) == 1 else tuple(deep.values())


def _pooled(mask: Tensor | None, strides: Mapping[str, int]) -> dict[str, Tensor] | None:
    """The share of each position of each layer that a mask covers, ``(h, w)``."""
    if mask is None:
        return None
    whole = pad_to_multiple(mask, MULTIPLE, "replicate")
    return {name: F.avg_pool2d(whole, stride)[0, 0] for name, stride in strides.items()}


def _features_moments(network: FusedQuick, name: str, sums: _Sums, like: Tensor) -> Moments:
    """The moments of mini's features, or of the image, on the device of ``like``."""
    found = sums.moments()
    if name != IMAGE:
        found = moments_after_head(network.model, name, found)
    return Moments(*(part.float().to(like.device) for part in found))


class _Sums:
    """Accumulates the moments of positions."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0.0, torch.zeros(()), torch.zeros(())
        self.centre: Tensor | None = None

    def add(self, rows: Tensor, weights: Tensor | None = None) -> None:
        """Add ``rows`` ``(h, w, K)``, each with its weight of ``weights`` ``(h, w)`` (None: 1)."""
        if self.centre is None:
            self.centre = rows[::7, ::7].float().mean((0, 1))
        first = second = torch.zeros((), device=rows.device)
        step = max(1, PIECE // rows[0].numel())
        for start in range(0, rows.shape[0], step):
            piece = slice(start, start + step)
            # Centred by a constant, against cancellation when the squared mean is subtracted.
            own = (rows[piece] - self.centre).flatten(0, 1)  # float32
            counted = own if weights is None else own * weights[piece].reshape(-1, 1)
            first = first + counted.sum(0)
            second = second + own.mT @ counted
        self.first = self.first + first.cpu().double()
        self.second = self.second + second.cpu().double()
        self.count += rows.shape[0] * rows.shape[1] if weights is None else float(weights.sum())

    def moments(self) -> Moments:
        """In double precision, on the CPU."""
        assert self.centre is not None
        count = max(self.count, 1e-9)  # a small mask may vanish in a small picture
        mean = self.first / count
        covariance = self.second / count - mean[:, None] * mean
        return Moments((mean + self.centre.cpu().double())[None], covariance[None])


def _decode(
    network: FusedQuick, image: Tensor, features: TrunkFeatures, weights: FusedWeights, tile: int
) -> Tensor:
    """``image`` painted, in float32; ``features`` as :func:`_collect_statistics` returns them."""
    height, width = image.shape[-2:]
    whole = pad_to_multiple(image, MULTIPLE, "replicate")
    deep, fine = features[: len(DEEP)], features[len(DEEP) :]
    coarse = network.decode_coarse(deep, weights)
    if fine:
        painted: Tensor = network.decode_fine(whole, coarse, fine, weights)
        return painted[..., :height, :width]
    result = torch.empty_like(whole)
    tiling = _tiling(network, network.model.receptive_field(FINE), tile)
    n = STRIDES[len(DEEP) - 1]  # of the coarse features
    for part in _equal_tiles(tiling, *whole.shape[-2:]):
        y, yy, x, xx = part.outer
        crop, below = part.crop(whole), coarse[:, y // n : yy // n, x // n : xx // n]
        fine = network.encode(crop, FINE)
        part.put(result, network.decode_fine(crop, below, fine, weights, (y, x)))
    return result[..., :height, :width]


def _tiling(network: FusedQuick, radius: int, tile: int) -> Tiling:
    """Tiles of about ``tile`` pixels on the decoder's grid, with borders of at least ``radius``."""
    tiling = Tiling(network.model.encoder, (*LEVELS, IMAGE), tile)
    tiling.step = MULTIPLE
    tiling.halo = -(-radius // MULTIPLE) * MULTIPLE
    return tiling


def _equal_tiles(tiling: Tiling, height: int, width: int) -> Iterator[Tile]:
    """The tiles of a picture, their outer rectangles enlarged to the size of the largest."""
    tiles = tiling.of(height, width)
    high = max(part.outer[1] - part.outer[0] for part in tiles)
    wide = max(part.outer[3] - part.outer[2] for part in tiles)
    for part in tiles:
        top, left = min(part.outer[0], height - high), min(part.outer[2], width - wide)
        yield replace(part, outer=(top, top + high, left, left + wide))
