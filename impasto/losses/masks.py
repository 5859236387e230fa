"""From a mask in image space to one per layer."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import Features


def layer_masks(mask: Tensor, sizes: Mapping[str, tuple[int, int]]) -> Features:
    """``(N, 1, H, W)`` in [0, 1] -> ``{layer: (N, 1, h, w)}`` for ``sizes`` ``{layer: (h, w)}``.

    Averages over the pixels that a position stands for (Gatys et al. 2017 call plain resizing
    "simple" guidance).
    """
    return {name: F.interpolate(mask, size=size, mode="area") for name, size in sizes.items()}
