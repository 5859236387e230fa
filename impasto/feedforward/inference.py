"""A per-style network on pictures of any size.

Instance norms depend on the whole picture, so a picture larger than a tile is painted in two
passes: the first measures the statistics of every norm on a copy that fits a tile; the second
paints tile by tile with those. Nothing else in the network has a larger receptive field than
:meth:`FeedForward.receptive_field`, and a border of that width around each tile makes tiles agree:
there are no seams. The copy's statistics are not exactly the picture's, so the result differs
slightly from the whole in one piece (docs/train.md has figures). Statistics from windows at full
size, tried instead, were further off wherever the windows missed something.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy

import torch
from torch import Tensor

from impasto.feedforward.network import MULTIPLE, FeedForward
from impasto.image.io import resize, size_to_fit
from impasto.optim.tiling import cover

TILE = 1024
"""Pixels a side of a tile, without its border; smaller pictures are painted as a whole."""


@torch.no_grad()
def apply(
    model: FeedForward,
    content: Tensor,
    *,
    strength: float = 1.0,
    tile: int = TILE,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``content`` ``(1, 3, H, W)`` in [0, 1] painted by ``model``, of the same size and range.

    ``strength`` mixes photo and painting pixel by pixel: 0 is the content, 1 the painting. A
    picture of more than ``tile`` pixels a side is painted in tiles. ``dtype`` is the arithmetic.
    """
    if strength == 0:
        return content.clone()
    full = dtype == torch.float32
    with nullcontext() if full else torch.autocast(content.device.type, dtype):
        if max(content.shape[-2:]) <= tile:
            painted = model(content)
        else:
            painted = _apply_tiled(freeze_instance_norm(model, content, tile), content, tile)
    return torch.lerp(content, painted, strength).clamp_(0, 1)


@torch.no_grad()
def freeze_instance_norm(model: FeedForward, content: Tensor, tile: int = TILE) -> FeedForward:
    """A copy of ``model`` whose instance norms use fixed statistics: those of ``content``, resized
    to a long side of ``tile`` pixels."""
    model = deepcopy(model).eval()
    for norm in model.norms():
        norm.freezing = True
    height, width = content.shape[-2:]
    model(resize(content, size_to_fit(height, width, tile)))
    for norm in model.norms():
        norm.freezing = False
    return model


def _apply_tiled(model: FeedForward, content: Tensor, tile: int) -> Tensor:
    height, width = content.shape[-2:]
    halo = -(-model.receptive_field() // MULTIPLE) * MULTIPLE
    result = torch.empty_like(content)
    for part in cover(height, width, tile, MULTIPLE, halo):
        part.put(result, model(part.crop(content)))
    return result
