"""The statistics that losses compare: pure functions of features.

Features are ``(N, C, h, w)``. A weight map, where one is taken, is ``(N, 1, h, w)`` and not
negative; it says how much each position counts (0 under transparent pixels).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.image.wrap import Axes

EPSILON = 1e-8

# The nine-point stencil of total variation: (rows down, columns right) -> weight.
STENCIL = {(0, 1): 2 / 3, (1, 0): 2 / 3, (1, 1): 1 / 6, (1, -1): 1 / 6}
ROWS = 256

# How many positions at least go into one bfloat16 product, and how many products there are at most.
BLOCK, MOST_BLOCKS = 1024, 256


def count(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """``sum_p w_p``: the number of positions, or the sum of their weights, ``(N, 1, 1)``."""
    if weight is None:
        positions = features.shape[-2] * features.shape[-1]
        return precise(features.new_full((len(features), 1, 1), 1.0)) * positions
    return precise(weight.to(features.device)).sum((2, 3)).unsqueeze(-1)


def product(rows: Tensor, weight: Tensor | None = None) -> Tensor:
    """``sum_p w_p r_pi r_pj`` of rows ``(N, P, C)`` and weights ``(N, P, 1)``: ``(N, C, C)`` in
    float32 or better, fast in bfloat16 too."""
    result: Tensor = _Product.apply(rows, weight)  # type: ignore[no-untyped-call]
    return result


class _Product(torch.autograd.Function):
    """Rᵀ R with a gradient of its own: R (dG + dGᵀ).

    Torch's would keep a float32 copy of bfloat16 features until the way back. This one gives back
    what the features were.

    Products of bfloat16 features are made in bfloat16, many times faster: torch sums each in
    float32 and rounds once. That is done for some thousand positions at a time, and what comes out
    is summed in float32; the whole is off by a thousandth of its norm.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        weighted = rows if weight is None else rows * weight.to(rows.dtype)
        if rows.dtype in (torch.float32, torch.float64):
            return weighted.transpose(1, 2) @ rows
        return _sum_of_products(weighted, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        rows, weight = ctx.saved_tensors
        both = (gradients[0] + gradients[0].transpose(1, 2)).to(rows.dtype)
        slope = rows @ both
        return slope if weight is None else slope * weight.to(rows.dtype), None


def _sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """``sum_p a_pi b_pj`` of bfloat16 ``(N, P, C)`` -> ``(N, C, C)`` in float32."""
    batch, positions, channels = a.shape
    blocks = max(1, min(positions // max(BLOCK, channels), MOST_BLOCKS))
    size = positions // blocks
    whole = blocks * size  # the few positions beyond are added one block later
    total = precise(a[:, whole:]).transpose(1, 2) @ precise(b[:, whole:])
    a, b = (x[:, :whole].reshape(batch * blocks, size, channels) for x in (a, b))
    gram_sum = a.transpose(1, 2) @ b  # (N * blocks, C, C), rounded to bfloat16
    return total + gram_sum.view(batch, blocks, channels, channels).sum(1, dtype=torch.float32)


class MeanStd(NamedTuple):
    """Per-channel mean and standard deviation, each ``(N, C)``."""

    mean: Tensor
    std: Tensor


def mean_std(features: Tensor, weight: Tensor | None = None) -> MeanStd:
    """Mean and standard deviation of each channel over positions (Huang & Belongie 2017, eq. 5).

    The variance is the population's, plus 1e-8 so that its root has a gradient at zero.
    """
    sums = moment_sums(features, weight) / (count(features, weight) + EPSILON)
    return mean_std_of(sums)


def moment_sums(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """Each channel's ``sum_p w_p F_p`` and ``sum_p w_p F_p²``: ``(N, 2, C)``."""
    x = precise(features)
    w = 1 if weight is None else weight.to(x.dtype)
    return torch.stack([(x * w).sum((2, 3)), (x.square() * w).sum((2, 3))], 1)


def mean_std_of(moments: Tensor) -> MeanStd:
    """First and second moments ``(N, 2, C)`` -> mean and standard deviation."""
    mean, square = moments.unbind(1)
    return MeanStd(mean, ((square - mean.square()).clamp_min(0) + EPSILON).sqrt())


def total_variation(image: Tensor, axes: Axes = ()) -> Tensor:
    """Mean squared difference of neighbouring pixels, ``(N, C, H, W)`` -> scalar.

    The squared (L2) form of Crowson (style-transfer-pytorch), nine-point: horizontal and vertical
    neighbours weigh 2/3, diagonal ones 1/6. Mahendran & Vedaldi (2015, eq. 4) with beta = 2, up to
    the diagonals and the division by the number of pixels. Borders are replicated;
    along ``axes`` (2: rows, 3: columns) the last is the first's neighbour.

    >>> float(total_variation(torch.ones(1, 3, 8, 8)))
    0.0
    """
    result: Tensor = _TotalVariation.apply(image, axes)  # type: ignore[no-untyped-call]
    return result


class _TotalVariation(torch.autograd.Function):
    """Value and gradient in one go, some rows at a time: a print's size needs no copies of it."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, axes: Axes) -> Tensor:
        batch, channels, height, width = image.shape
        gradient = torch.zeros_like(image)
        total = image.new_zeros(())
        # Rows and columns -1 and H, W are copies of the border's; or H, W of the first.
        round_rows, round_columns = 2 in axes, 3 in axes
        if round_rows:
            rows = torch.arange(height + 1, device=image.device) % height
        else:
            rows = torch.arange(-1, height + 1, device=image.device).clamp(0, height - 1)
        tall = height if round_rows else height + 2
        for first in range(0, tall, ROWS):
            own = min(ROWS, tall - first)
            source = rows[first : first + own + 1]  # and one below
            x = image.index_select(2, source)
            if round_columns:
                x = F.pad(x, (0, 1, 0, 0), mode="circular")
            else:
                x = F.pad(x, (1, 1, 0, 0), mode="replicate")
            slope = torch.zeros_like(x)
            for (dy, dx), weight in STENCIL.items():
                part = (slice(None), slice(None), slice(None if dy else own), slice(None))
                if round_columns and dx == 0:  # the last column is the first again
                    part = (*part[:3], slice(width))
                a, b = _neighbours(x[part], dy, dx)
                ga, gb = _neighbours(slope[part], dy, dx)
                pairs = (tall if round_rows else tall - dy) * a.shape[-1]
                share = weight / (batch * channels * pairs)
                difference = b - a
                total += share * difference.square().sum()
                difference *= 2 * share
                gb += difference
                ga -= difference
            if round_columns:
                slope[..., 0] += slope[..., -1]
                slope = slope[..., :-1]
            else:
                slope[..., 1] += slope[..., 0]
                slope[..., -2] += slope[..., -1]
                slope = slope[..., 1:-1]
            gradient.index_add_(2, source, slope)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None


def _neighbours(x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Two views of ``x``: the second is ``dy`` rows below the first and ``dx`` columns right."""
    height, width = x.shape[-2:]
    left, right = max(0, -dx), max(0, dx)
    return (
        x[..., : height - dy, left : width - right],
        x[..., dy:, right : width - left],
    )


def precise(x: Tensor) -> Tensor:
    """Statistics are accumulated in float32 even where features are bfloat16."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
