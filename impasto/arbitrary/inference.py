"""Pictures of any size through the network: tile by tile, with the moments of the whole.

Moments are sums over positions, so the tiles' add up to the picture's. What the tiles' features say
at the two deep levels is kept on the way, and their part of the decoder is computed for the whole
picture at once: it sees far, so that tiles would want wide borders, and it is small. Then each tile
is painted by itself: nothing that is left looks further than :meth:`Quick.reach`, and a border of
that width around each tile makes the picture the same with tiles and without. All tiles are of one
size, so that a backend prepares for one; those at the picture's edges see more than they need to.
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

from impasto.arbitrary.backends import Backend, TorchBackend
from impasto.arbitrary.fused import Brush, Taps, compose, through_head
from impasto.arbitrary.network import (
    DEEP,
    FINE,
    LEVELS,
    MULTIPLE,
    STRIDES,
    Plan,
    Quick,
    Statistics,
    plan_for,
)
from impasto.arbitrary.transport import Moments, blend
from impasto.arbitrary.upsampler import FACTOR, Enlarger, enlarge
from impasto.encoders.base import IMAGE, pad_to_multiple
from impasto.image.io import resize
from impasto.optim.tiling import Tile, Tiling

LOG = logging.getLogger(__name__)

TILE = 1024
"""Pixels a side of a tile, without its border; what is smaller is painted as a whole."""

COARSE = 0.4
"""Share of the strength in all sizes but the last: each adds to what those before it did."""

PIECE = 1 << 19
"""Numbers whose moments are found at once: what a core's cache holds."""

TINT = 0.5
"""How much of a change's colour goes to the next size, which moves colours again: with all of it
reds turn pink, with none of it browns turn grey."""


class Zone(NamedTuple):
    """A part of the picture: its ``mask`` ``(1, 1, h, w)`` in [0, 1], of any size (None: all of
    it), one weight for each style, and a strength."""

    mask: Tensor | None
    weights: Sequence[float]
    strength: float


class _Aim(NamedTuple):
    """A :class:`Zone` whose styles have been read: the moments to go to, and how far."""

    mask: Tensor | None
    towards: Statistics
    strength: float


@torch.no_grad()
def draft(
    model: Quick,
    content: Tensor,
    styles: Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    strength: float = 1.0,
    tile: int = TILE,
    coarsest: int | None = None,
    zones: Sequence[Zone] | None = None,
    backend: Backend | None = None,
    read: Callable[[Tensor], Statistics] | None = None,
    enlarger: Enlarger | None = None,
) -> Tensor:
    """``content`` ``(1, 3, H, W)`` in the style of ``styles`` ``(1, 3, h, w)``, all in [0, 1].

    The network's strokes have one size in pixels, so that a large picture gets small ones. With
    ``coarsest``, pixels, a picture whose long side is larger is painted in that size first and then
    in each twice as large: what a size has changed is added to the photo of the next (as Gatys et
    al. 2017, section 6, do with the optimisation).

    Several styles are mixed in proportion to ``weights`` (default: equal shares): the moments are
    interpolated. ``strength`` interpolates from the content's moments to theirs. The network
    does not give a picture back exactly where there is nothing to change; for a ``strength`` s
    below 1 what it misses is put back, by the share 1 - s, so that 0 is the content itself.
    With ``zones``, which then say weights and strength, each is painted with its own moments, and
    what belongs to none stays. ``backend`` computes the parts of ``model`` (default: torch).
    ``read`` finds a style's moments (default: :func:`measure`), for who knows them already.

    With an ``enlarger`` the picture is painted in half of its size, which takes a quarter of the
    time, and that is enlarged. Styles should be half as large then, too.
    """
    zones = zones or [Zone(None, weights or [1.0] * len(styles), strength)]
    if not any(zone.strength for zone in zones):
        return content.clone()
    backend = backend or TorchBackend(model)
    read = read or partial(measure, model, tile=tile, backend=backend)
    aims = _aims(styles, [zone for zone in zones if zone.strength], read)
    if enlarger is None:
        return _coarse_to_fine(model, backend, content, aims, tile, coarsest)
    whole = pad_to_multiple(content, FACTOR, "replicate")
    small = F.avg_pool2d(whole, FACTOR)
    painting = _coarse_to_fine(model, backend, small, aims, tile, coarsest)
    image = _enlarged(model, enlarger, painting, small, whole, aims, tile, backend.dtype)
    return image[..., : content.shape[-2], : content.shape[-1]].contiguous()


def _coarse_to_fine(
    model: Quick,
    backend: Backend,
    content: Tensor,
    aims: Sequence[_Aim],
    tile: int,
    coarsest: int | None,
) -> Tensor:
    """``content`` painted in each of :func:`sizes`, one after the other."""
    height, width = content.shape[-2:]
    steps = sizes(height, width, coarsest)
    photo = image = resize(content, steps[0])
    tell = LOG.info if max(height, width) > tile else LOG.debug  # it takes its time
    for number, larger in enumerate(steps[1:], start=1):
        tell("painting at %dx%d, size %d of %d", *photo.shape[-2:], number, len(steps))
        painted = _draft_at_once(model, backend, image, aims, tile, share=COARSE)
        changed, photo = painted - photo, resize(content, larger)
        image = handed_on(changed, photo)
    tell("painting at %dx%d, size %d of %d", height, width, len(steps), len(steps))
    return _draft_at_once(model, backend, image, aims, tile)


def sizes(height: int, width: int, coarsest: int | None) -> list[tuple[int, int]]:
    """Heights and widths in which a picture is painted, one after the other.

    The first long side is as near to ``coarsest`` as halving comes.

    >>> sizes(1080, 1920, 512)
    [(270, 480), (540, 960), (1080, 1920)]
    """
    count = 0 if coarsest is None else max(0, round(math.log2(max(height, width) / coarsest)))
    return [
        (max(1, round(height / 2**k)), max(1, round(width / 2**k))) for k in range(count, -1, -1)
    ]


def handed_on(changed: Tensor, photo: Tensor) -> Tensor:
    """The larger ``photo`` ``(N, 3, H, W)`` with what a smaller size has ``changed``, less some of
    its colour (TINT)."""
    grey = changed.mean(1, keepdim=True)
    changed = grey + TINT * (changed - grey)
    changed = F.interpolate(changed, photo.shape[-2:], mode="bicubic", align_corners=False)
    return (photo + changed).clamp(0, 1)


def _aims(
    styles: Sequence[Tensor], zones: Sequence[Zone], read: Callable[[Tensor], Statistics]
) -> list[_Aim]:
    """What the styles are to ``zones``; a style that weighs nothing anywhere is not read."""
    found: dict[int, Statistics] = {}
    aims = []
    for zone in zones:
        used = {k: x for k, x in zip(range(len(styles)), zone.weights, strict=True) if x > 0}
        for k in used.keys() - found.keys():
            found[k] = read(styles[k])
        shares = [x / sum(used.values()) for x in used.values()]
        names = (*LEVELS, IMAGE)
        towards = {name: blend([found[k][name] for k in used], shares) for name in names}
        aims.append(_Aim(zone.mask, towards, zone.strength))
    return aims


def _draft_at_once(
    model: Quick,
    backend: Backend,
    image: Tensor,
    aims: Sequence[_Aim],
    tile: int,
    share: float = 1.0,
) -> Tensor:
    """``image`` painted in one size, with moments that go from its own towards those of ``aims``,
    by this share of their strengths."""
    masks = _masks(aims, image)
    found, taps = _survey(model, backend, image, tile, masks)

    def painted(before: Statistics, towards: Statistics, strength: float) -> Tensor:
        plan = plan_for(model.decoder, before, towards, strength)
        return _apply(model, backend, image, taps, compose(model, plan), tile)

    strengths = [share * aim.strength for aim in aims]
    return _joined(
        image,
        masks,
        strengths,
        lambda k: painted(found[k], aims[k].towards, strengths[k]),
        lambda k: painted(found[k], found[k], 0.0),
    )


def _enlarged(
    model: Quick,
    enlarger: Enlarger,
    painting: Tensor,
    small: Tensor,
    photo: Tensor,
    aims: Sequence[_Aim],
    tile: int,
    dtype: torch.dtype,
) -> Tensor:
    """A ``painting`` of ``small``, which is the ``photo`` in half of its size, as large as that."""
    codes = [model.decoder.describe(aim.towards) for aim in aims]
    by = partial(enlarge, enlarger, model.decoder, photo=photo, tile=tile, dtype=dtype)
    return _joined(
        photo,
        _masks(aims, photo),
        [aim.strength for aim in aims],
        lambda k: by(painting, code=codes[k]),
        lambda k: by(small, code=codes[k]),
    )


def _masks(aims: Sequence[_Aim], image: Tensor) -> list[Tensor | None]:
    """Those of ``aims``, as large as ``image``."""
    size = (image.shape[-2], image.shape[-1])
    return [
        None if aim.mask is None else resize(aim.mask, size).clamp(0, 1).to(image) for aim in aims
    ]


def _joined(
    image: Tensor,
    masks: Sequence[Tensor | None],
    strengths: Sequence[float],
    painted: Callable[[int], Tensor],
    still: Callable[[int], Tensor],
) -> Tensor:
    """What is ``painted`` of each aim, at least one, where its mask says (None: everywhere), and
    ``image`` where none does.

    What a network misses, of which ``still``, its picture of ``image`` itself, tells, is put back
    where the strength is below 1.
    """
    result = image
    for number, (mask, strength) in enumerate(zip(masks, strengths, strict=True)):
        own = painted(number)
        if strength < 1:
            own += (1 - strength) * (image - still(number))
        result = own if mask is None else result + mask * (own - image)
    return result.clamp_(0, 1)


@torch.no_grad()
def measure(
    model: Quick, image: Tensor, tile: int = TILE, backend: Backend | None = None
) -> Statistics:
    """The moments of ``image`` ``(1, 3, H, W)`` at all levels, in float32."""
    [found], _ = _survey(model, backend or TorchBackend(model), image, tile)
    return found


@torch.no_grad()
def paint(
    model: Quick, image: Tensor, plan: Plan, tile: int = TILE, backend: Backend | None = None
) -> Tensor:
    """``image`` ``(1, 3, H, W)`` painted by ``plan``, of the same size.

    Perhaps a little outside [0, 1].
    """
    backend = backend or TorchBackend(model)
    _, taps = _survey(model, backend, image, tile)
    return _apply(model, backend, image, taps, compose(model, plan), tile)


def _survey(
    model: Quick,
    backend: Backend,
    image: Tensor,
    tile: int,
    masks: Sequence[Tensor | None] = (None,),
) -> tuple[list[Statistics], Taps]:
    """The moments under each of ``masks`` ``(1, 1, H, W)`` (None: of all), and the taps: all of
    them if the picture is one tile, else the DEEP ones."""
    whole = pad_to_multiple(image, MULTIPLE, "replicate")
    tiling = _tiling(model, max(int(model.encoder.receptive_field(name)) for name in LEVELS), tile)
    names = (*LEVELS, IMAGE)
    weights = [_pooled(mask, tiling.strides) for mask in masks]
    sums = [{name: _Sums() for name in names} for _ in masks]
    deep: dict[str, Tensor] = {}
    parts = list(_even(tiling, *whole.shape[-2:]))
    for part in parts:
        crop = part.crop(whole)
        taps = backend.encode(crop)
        windows = part.windows(tiling.strides, (part.outer[0], part.outer[2]))
        places = part.windows(tiling.strides)
        for name, f in zip(names, (*taps, crop.permute(0, 2, 3, 1)), strict=True):
            own = f[0, windows[name][0], windows[name][1]]  # (h, w, K)
            for weight, each in zip(weights, sums, strict=True):
                each[name].add(own, None if weight is None else weight[name][places[name]])
            if name in DEEP and len(parts) > 1:
                if name not in deep:
                    sides = (side // tiling.strides[name] for side in whole.shape[-2:])
                    deep[name] = f.new_empty(1, *sides, f.shape[-1])
                deep[name][0, places[name][0], places[name][1]] = own
    found = [
        {name: _placed(model, name, total.moments(), image) for name, total in each.items()}
        for each in sums
    ]
    return found, taps if len(parts) == 1 else tuple(deep.values())


def _pooled(mask: Tensor | None, strides: Mapping[str, int]) -> dict[str, Tensor] | None:
    """How much of each position of each layer a mask covers, ``(h, w)``."""
    if mask is None:
        return None
    whole = pad_to_multiple(mask, MULTIPLE, "replicate")
    return {name: F.avg_pool2d(whole, stride)[0, 0] for name, stride in strides.items()}


def _placed(model: Quick, name: str, found: Moments, like: Tensor) -> Moments:
    """Moments of a tap or of the image -> those of mini's features, where ``like`` is."""
    if name != IMAGE:
        found = through_head(model, name, found)
    return Moments(*(part.float().to(like.device) for part in found))


class _Sums:
    """Adds positions up to their moments."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0.0, torch.zeros(()), torch.zeros(())
        self.centre: Tensor | None = None

    def add(self, rows: Tensor, weights: Tensor | None = None) -> None:
        """``rows`` ``(h, w, K)``, of which each counts ``weights`` ``(h, w)`` (None: 1)."""
        if self.centre is None:
            self.centre = rows[::7, ::7].float().mean((0, 1))
        first = second = torch.zeros((), device=rows.device)
        step = max(1, PIECE // rows[0].numel())
        for start in range(0, rows.shape[0], step):
            piece = slice(start, start + step)
            # Less a constant, lest the small difference of two large numbers is lost to rounding.
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


def _apply(
    model: Quick, backend: Backend, image: Tensor, taps: Taps, brush: Brush, tile: int
) -> Tensor:
    """``image`` painted, in float32; ``taps`` as :func:`_survey` found them."""
    height, width = image.shape[-2:]
    whole = pad_to_multiple(image, MULTIPLE, "replicate")
    deep, fine = taps[: len(DEEP)], taps[len(DEEP) :]
    sketch = backend.sketch(deep, brush)
    if fine:
        return backend.paint(whole, sketch, fine, brush, (0, 0))[..., :height, :width]
    result = torch.empty_like(whole)
    tiling = _tiling(model, model.reach(FINE), tile)
    n = STRIDES[len(DEEP) - 1]  # the sketch's
    for part in _even(tiling, *whole.shape[-2:]):
        y, yy, x, xx = part.outer
        crop, below = part.crop(whole), sketch[:, y // n : yy // n, x // n : xx // n]
        painted = backend.paint(crop, below, backend.encode(crop, fine=True), brush, (y, x))
        part.put(result, painted)
    return result[..., :height, :width]


def _tiling(model: Quick, reach: int, tile: int) -> Tiling:
    """Tiles of about ``tile`` pixels on the grid of the decoder, with ``reach`` around them."""
    tiling = Tiling(model.encoder, (*LEVELS, IMAGE), tile)
    tiling.step = MULTIPLE
    tiling.halo = -(-reach // MULTIPLE) * MULTIPLE
    return tiling


def _even(tiling: Tiling, height: int, width: int) -> Iterator[Tile]:
    """The tiles of a picture, their outer rectangles as large as the largest of them."""
    tiles = tiling.of(height, width)
    high = max(part.outer[1] - part.outer[0] for part in tiles)
    wide = max(part.outer[3] - part.outer[2] for part in tiles)
    for part in tiles:
        top, left = min(part.outer[0], height - high), min(part.outer[2], width - wide)
        yield replace(part, outer=(top, top + high, left, left + wide))
