"""Pictures of any size through the network: tile by tile, with the moments of the whole.

Moments are sums over positions, so the tiles' add up to the picture's. With those at hand each tile
is painted by itself: nothing else in the network looks further than :meth:`Quick.reach`, and a
border of that width around each tile makes the picture the same with tiles and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import IMAGE
from impasto.networks.quick import LEVELS, MULTIPLE, Plan, Quick, Statistics, plan_for
from impasto.networks.transport import Moments, blend
from impasto.tiles import Tiling

TILE = 1024
"""Pixels a side of a tile, without its border; what is smaller is painted as a whole."""


@torch.no_grad()
def draft(
    model: Quick,
    content: Tensor,
    styles: Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    strength: float = 1.0,
    tile: int = TILE,
) -> Tensor:
    """``content`` ``(1, 3, H, W)`` in the style of ``styles`` ``(1, 3, h, w)``, all in [0, 1].

    Several styles are mixed in proportion to ``weights`` (default: equal shares): the moments are
    interpolated. ``strength`` interpolates from the content's moments to theirs. The network
    does not give a picture back exactly where there is nothing to change; for a ``strength`` s
    below 1 what it misses is put back, by the share 1 - s, so that 0 is the content itself.
    """
    if strength == 0:
        return content.clone()
    before = measure(model, content, tile)
    shares = weights or [1.0] * len(styles)
    used = [(style, share) for style, share in zip(styles, shares, strict=True) if share > 0]
    total = sum(share for _, share in used)
    each = [measure(model, style, tile) for style, _ in used]
    after = {
        name: blend([found[name] for found in each], [share / total for _, share in used])
        for name in before
    }
    painted = paint(model, content, plan_for(model.decoder, before, after, strength), tile)
    if strength < 1:
        itself = paint(model, content, plan_for(model.decoder, before, before, 0.0), tile)
        painted += (1 - strength) * (content - itself)
    return painted.clamp_(0, 1)


@torch.no_grad()
def measure(model: Quick, image: Tensor, tile: int = TILE) -> Statistics:
    """The moments of ``image`` ``(1, 3, H, W)`` at all levels, in float32."""
    whole = _padded(image)
    sums: dict[str, tuple[Tensor, Tensor]] = {}
    count: dict[str, int] = {}
    tiling = Tiling(model.encoder, (*LEVELS, IMAGE), tile)
    tiling.step = MULTIPLE
    for part, features in tiling.features(whole):
        del part
        for name, f in features.items():
            # Less a constant, lest the small difference of two large numbers is lost to rounding.
            centre = model.decoder.get_buffer(f"centre_{name}")
            rows = f.permute(0, 2, 3, 1).flatten(1, 2).float() - centre  # (1, h * w, C)
            first, second = rows.sum(1).double(), (rows.transpose(1, 2) @ rows).double()
            if name in sums:
                first, second = sums[name][0] + first, sums[name][1] + second
            sums[name] = first, second
            count[name] = count.get(name, 0) + rows.shape[1]
    found = {}
    for name, (first, second) in sums.items():
        mean = first / count[name]
        covariance = second / count[name] - mean.unsqueeze(2) * mean.unsqueeze(1)
        centre = model.decoder.get_buffer(f"centre_{name}")
        found[name] = Moments((mean + centre).float(), covariance.float())
    return found


@torch.no_grad()
def paint(model: Quick, image: Tensor, plan: Plan, tile: int = TILE) -> Tensor:
    """``image`` ``(1, 3, H, W)`` painted by ``plan``, of the same size.

    Perhaps a little outside [0, 1]; in the precision of the encoder's weights.
    """
    height, width = image.shape[-2:]
    whole = _padded(image)
    result = torch.empty_like(whole)
    tiling = Tiling(model.encoder, LEVELS, tile)
    tiling.halo = -(-model.reach() // MULTIPLE) * MULTIPLE
    for part in tiling.of(*whole.shape[-2:]):
        top, bottom, left, right = part.inner
        above, before = top - part.outer[0], left - part.outer[2]
        with _precision(model):
            painted = model(part.crop(whole), plan, (part.outer[0], part.outer[2]))
        result[..., top:bottom, left:right] = painted[
            ..., above : above + bottom - top, before : before + right - left
        ]
    return result[..., :height, :width]


def _padded(image: Tensor) -> Tensor:
    """With rows and columns repeated at the bottom and the right, so that MULTIPLE divides both."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


def _precision(model: Quick) -> AbstractContextManager[object]:
    """The decoder's arithmetic is the encoder's; its weights stay in float32."""
    if model.encoder.dtype == torch.float32:
        return nullcontext()
    device = next(model.decoder.parameters()).device.type
    return torch.autocast(device, model.encoder.dtype)
