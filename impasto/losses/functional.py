"""The statistics that losses compare: pure functions of features.

Features are ``(N, C, h, w)``. A weight map, where one is taken, is ``(N, 1, h, w)`` and not
negative; it says how much each position counts (0 under transparent pixels).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-8


def gram(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """Gram matrix per position: ``(N, C, h, w)`` -> ``(N, C, C)``, in float32 or better.

    ``G_ij = sum_p w_p F_ip F_jp / sum_p w_p``. Gatys et al. (2016, eq. 3) sum over the M positions
    without dividing; with the division matrices of pictures of different sizes are comparable, and
    :class:`impasto.losses.style.GramLoss` states how that enters the loss.

    >>> gram(torch.ones(1, 2, 4, 4))
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    x = _precise(features).flatten(2)  # (N, C, M)
    if weight is None:
        return x @ x.transpose(1, 2) / x.shape[-1]
    w = weight.to(x.dtype).flatten(2)  # (N, 1, M)
    return (x * w) @ x.transpose(1, 2) / (w.sum(-1, keepdim=True) + EPSILON)


class MeanStd(NamedTuple):
    """Per-channel mean and standard deviation, each ``(N, C)``."""

    mean: Tensor
    std: Tensor


def mean_std(features: Tensor, weight: Tensor | None = None) -> MeanStd:
    """Mean and standard deviation of each channel over positions (Huang & Belongie 2017, eq. 5).

    The variance is the population's, plus 1e-8 so that its root has a gradient at zero.
    """
    x = _precise(features).flatten(2)
    if weight is None:
        share = torch.full_like(x[:, :1], 1 / x.shape[-1])
    else:
        w = weight.to(x.dtype).flatten(2)
        share = w / (w.sum(-1, keepdim=True) + EPSILON)
    mean = (x * share).sum(-1)
    variance = ((x - mean[..., None]).square() * share).sum(-1)
    return MeanStd(mean, (variance + EPSILON).sqrt())


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, ``(N, C, H, W)`` -> scalar.

    The squared (L2) form of Crowson (style-transfer-pytorch), nine-point: horizontal and vertical
    neighbours weigh 2/3, diagonal ones 1/6. Mahendran & Vedaldi (2015, eq. 4) with beta = 2, up to
    the diagonals and the division by the number of pixels. Borders are replicated.

    >>> float(total_variation(torch.ones(1, 3, 8, 8)))
    0.0
    """
    x = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    dx = (x[..., :, 1:] - x[..., :, :-1]).square().mean()
    dy = (x[..., 1:, :] - x[..., :-1, :]).square().mean()
    d1 = (x[..., 1:, 1:] - x[..., :-1, :-1]).square().mean()
    d2 = (x[..., 1:, :-1] - x[..., :-1, 1:]).square().mean()
    return 2 * (dx / 3 + dy / 3 + d1 / 12 + d2 / 12)


def _precise(x: Tensor) -> Tensor:
    """Statistics are accumulated in float32 even where features are bfloat16."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
