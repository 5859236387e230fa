"""A per-style network on pictures of any size.

Instance norms look at all of a picture. What is larger than a tile is therefore painted in two
passes: the first finds the statistics of every norm, on a copy of the picture that fits a tile; the
second paints tile by tile with those. Nothing else in the network looks further than
:meth:`FeedForward.reach`, and a border of that width around each tile makes tiles agree with one
another: there are no seams. The copy's statistics are not quite the picture's, so the whole is not
quite what it would be in one piece (docs/train.md has figures). Windows of the picture at its own
size, in the copy's place, were further off wherever they missed something.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
from torch import Tensor

from impasto.feedforward.network import MULTIPLE, FeedForward
from impasto.image.io import resize, size_to_fit
from impasto.optim.tiling import cover

TILE = 1024
"""Pixels a side of what is painted at once; of what is in memory."""


@torch.no_grad()
def paint_with(
    model: FeedForward,
    content: Tensor,
    *,
    strength: float = 1.0,
    tile: int = TILE,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``content`` ``(1, 3, H, W)`` in [0, 1] painted by ``model``, of the same size and range.

    ``strength`` mixes photo and painting, pixel by pixel: 0 is the content, 1 the painting. What
    has more than ``tile`` pixels on a side is painted in tiles. ``dtype`` is the arithmetic.
    """
    if strength == 0:
        return content.clone()
    with _precision(content.device, dtype):
        if max(content.shape[-2:]) <= tile:
            painted = model(content)
        else:
            painted = _tiled(frozen(model, content, tile), content, tile)
    return torch.lerp(content, painted, strength).clamp_(0, 1)


@torch.no_grad()
def frozen(model: FeedForward, content: Tensor, tile: int = TILE) -> FeedForward:
    """A copy of ``model`` whose instance norms have the statistics of ``content`` for good: those
    of a copy of that with a long side of ``tile`` pixels."""
    model = deepcopy(model).eval()
    for norm in model.norms():
        norm.learning = True
    height, width = content.shape[-2:]
    model(resize(content, size_to_fit(height, width, tile)))
    for norm in model.norms():
        norm.learning = False
    return model


def _tiled(model: FeedForward, content: Tensor, tile: int) -> Tensor:
    height, width = content.shape[-2:]
    halo = -(-model.reach() // MULTIPLE) * MULTIPLE
    result = torch.empty_like(content)
    for part in cover(height, width, tile, MULTIPLE, halo):
        part.put(result, model(part.crop(content)))
    return result


def _precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
