"""Pictures of any size through the network: tile by tile, with the moments of the whole.

Moments are sums over positions, so the tiles' add up to the picture's. What the tiles' features say
at the two deep levels is kept on the way, and their part of the decoder is computed for the whole
picture at once: it sees far, so that tiles would want wide borders, and it is small. Then each tile
is painted by itself: nothing that is left looks further than :meth:`Quick.reach`, and a border of
that width around each tile makes the picture the same with tiles and without. All tiles are of one
size, so that a backend prepares for one; those at the picture's edges see more than they need to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import IMAGE, completed
from impasto.images import resize
from impasto.networks.backends import Backend, TorchBackend
from impasto.networks.parts import Brush, Taps, compose, through_head
from impasto.networks.quick import (
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
from impasto.networks.transport import Moments, blend
from impasto.tiles import Tile, Tiling

TILE = 1024
"""Pixels a side of a tile, without its border; what is smaller is painted as a whole."""

COARSE = 0.6
"""Share of the strength in all sizes but the last: each adds to what those before it did."""

TINT = 0.5
"""How much of a change's colour goes to the next size, which moves colours again: with all of it
reds turn pink, with none of it browns turn grey."""


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
    backend: Backend | None = None,
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
    ``backend`` computes the parts of ``model`` (default: torch).
    """
    if strength == 0:
        return content.clone()
    backend = backend or TorchBackend(model)
    shares = weights or [1.0] * len(styles)
    used = [(style, share) for style, share in zip(styles, shares, strict=True) if share > 0]
    total = sum(share for _, share in used)
    each = [_survey(model, backend, style, tile)[0] for style, _ in used]
    towards = {
        name: blend([found[name] for found in each], [share / total for _, share in used])
        for name in each[0]
    }
    height, width = content.shape[-2:]
    steps = sizes(height, width, coarsest)
    image = resize(content, steps[0])
    for size, larger in pairwise(steps):
        painted = _draft_at_once(model, backend, image, towards, COARSE * strength, tile)
        changed = painted - resize(content, size)
        grey = changed.mean(1, keepdim=True)
        changed = grey + TINT * (changed - grey)
        changed = F.interpolate(changed, larger, mode="bicubic", align_corners=False)
        image = (resize(content, larger) + changed).clamp_(0, 1)
    return _draft_at_once(model, backend, image, towards, strength, tile)


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


def _draft_at_once(
    model: Quick, backend: Backend, image: Tensor, after: Statistics, strength: float, tile: int
) -> Tensor:
    """``image`` painted in one size, with moments that go from its own towards ``after``."""
    before, taps = _survey(model, backend, image, tile)

    def painted(towards: Statistics, strength: float) -> Tensor:
        plan = plan_for(model.decoder, before, towards, strength)
        return _apply(model, backend, image, taps, compose(model, plan), tile)

    result = painted(after, strength)
    if strength < 1:
        result += (1 - strength) * (image - painted(before, 0.0))
    return result.clamp_(0, 1)


@torch.no_grad()
def measure(
    model: Quick, image: Tensor, tile: int = TILE, backend: Backend | None = None
) -> Statistics:
    """The moments of ``image`` ``(1, 3, H, W)`` at all levels, in float32."""
    return _survey(model, backend or TorchBackend(model), image, tile)[0]


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


def _survey(model: Quick, backend: Backend, image: Tensor, tile: int) -> tuple[Statistics, Taps]:
    """The moments, and the taps: all of them if the picture is one tile, else the DEEP ones."""
    whole = completed(image, MULTIPLE, "replicate")
    tiling = _tiling(model, max(int(model.encoder.reach(name)) for name in LEVELS), tile)
    sums = {name: _Sums() for name in (*LEVELS, IMAGE)}
    deep: dict[str, Tensor] = {}
    parts = list(_even(tiling, *whole.shape[-2:]))
    for part in parts:
        crop = part.crop(whole)
        taps = backend.encode(crop)
        windows = part.windows(tiling.strides, (part.outer[0], part.outer[2]))
        places = part.windows(tiling.strides)
        for name, f in zip(sums, (*taps, crop.permute(0, 2, 3, 1)), strict=True):
            own = f[0, windows[name][0], windows[name][1]]  # (h, w, K)
            sums[name].add(own)
            if name in DEEP and len(parts) > 1:
                if name not in deep:
                    sides = (side // tiling.strides[name] for side in whole.shape[-2:])
                    deep[name] = f.new_empty(1, *sides, f.shape[-1])
                deep[name][0, places[name][0], places[name][1]] = own
    found = {}
    for name, each in sums.items():
        moments = each.moments()
        if name != IMAGE:
            moments = through_head(model, name, moments)
        found[name] = Moments(*(part.float().to(image.device) for part in moments))
    return found, taps if len(parts) == 1 else tuple(deep.values())


class _Sums:
    """Adds positions up to their moments."""

    def __init__(self) -> None:
        self.count, self.first, self.second = 0, torch.zeros(()), torch.zeros(())
        self.centre: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """``(h, w, K)``."""
        if self.centre is None:
            self.centre = rows[::7, ::7].float().mean((0, 1))
        # Less a constant, lest the small difference of two large numbers is lost to rounding.
        own = rows - self.centre  # float32
        self.first = self.first + own.sum((0, 1)).cpu().double()
        self.second = self.second + (own.mT @ own).sum(0).cpu().double()
        self.count += own.shape[0] * own.shape[1]

    def moments(self) -> Moments:
        """In double precision, on the CPU."""
        assert self.centre is not None
        mean = self.first / self.count
        covariance = self.second / self.count - mean[:, None] * mean
        return Moments((mean + self.centre.cpu().double())[None], covariance[None])


def _apply(
    model: Quick, backend: Backend, image: Tensor, taps: Taps, brush: Brush, tile: int
) -> Tensor:
    """``image`` painted, in float32; ``taps`` as :func:`_survey` found them."""
    height, width = image.shape[-2:]
    whole = completed(image, MULTIPLE, "replicate")
    deep, fine = taps[: len(DEEP)], taps[len(DEEP) :]
    sketch = backend.sketch(deep, brush)
    if fine:
        return backend.paint(whole, sketch, fine, brush, (0, 0))[..., :height, :width]
    result = torch.empty_like(whole)
    tiling = _tiling(model, model.reach(FINE), tile)
    for part in _even(tiling, *whole.shape[-2:]):
        top, bottom, left, right = part.inner
        y, yy, x, xx = part.outer
        n = STRIDES[len(DEEP) - 1]
        crop, below = part.crop(whole), sketch[:, y // n : yy // n, x // n : xx // n]
        painted = backend.paint(crop, below, backend.encode(crop, fine=True), brush, (y, x))
        result[..., top:bottom, left:right] = painted[
            ..., top - y : bottom - y, left - x : right - x
        ]
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
