"""From a mask in image space to one per layer."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import Features


def layer_masks(mask: Tensor, features: Features) -> Features:
    """``(N, 1, H, W)`` in [0, 1] -> ``{layer: (N, 1, h, w)}`` at the sizes of ``features``.

    Averages over the pixels that a position stands for (Gatys et al. 2017 call plain resizing
    "simple" guidance).
    """
    return {
        name: F.interpolate(mask, size=tuple(f.shape[-2:]), mode="area")
        for name, f in features.items()
    }
