"""The optimal transport map between the Gaussian statistics of two pictures.

Of all maps that give a Gaussian the mean and covariance of another, the optimal transport map moves
the points least (Olkin & Pukelsheim 1982). It is affine and takes one eigendecomposition of a small
matrix. Lu et al. (2019, "A Closed-Form Solution to Universal Style Transfer") use it on VGG's
features in place of whitening and colouring (Li et al. 2017): mean and covariance determine the
Gram matrix, and small displacements keep the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

RIDGE = 3e-2
"""Share of the mean variance that is added to the diagonal of both covariances.

Without it, directions in which a picture hardly varies would be stretched out of noise.
"""

ROUNDING = 1e-6

Solve = Callable[[Tensor, Tensor, float], Tensor]
"""Solves A S A = T: symmetric positive S and T ``(N, C, C)``, and a bound -> symmetric positive A.

The bound says how small roots may be: of each eigenvalue of S and T, the square root is at least
the bound times the square root of the matrix's Frobenius norm.
"""


class Moments(NamedTuple):
    """Mean ``(N, C)`` and covariance ``(N, C, C)`` of features over positions."""

    mean: Tensor
    covariance: Tensor


class Affine(NamedTuple):
    """The map ``x -> matrix x + offset`` of features: ``(N, C, C)`` and ``(N, C)``."""

    matrix: Tensor
    offset: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """``(N, C, h, w)`` -> the same shape."""
        matrix, offset = (part.to(features.dtype) for part in self)
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # (N, h * w, C)
        moved = torch.baddbmm(offset.unsqueeze(1), rows, matrix.transpose(1, 2))
        return moved.view(features.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


def moments(features: Tensor) -> Moments:
    """Mean and covariance of ``(N, C, h, w)``, in float32."""
    rows = features.permute(0, 2, 3, 1).flatten(1, 2).float()
    mean = rows.mean(1)
    centred = rows - mean.unsqueeze(1)
    return Moments(mean, centred.transpose(1, 2) @ centred / rows.shape[1])


def blend(several: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """The weighted sum of moments; the weights add up to 1."""
    mean = sum(w * m.mean for m, w in zip(several, weights, strict=True))
    covariance = sum(w * m.covariance for m, w in zip(several, weights, strict=True))
    assert isinstance(mean, Tensor)
    assert isinstance(covariance, Tensor)
    return Moments(mean, covariance)


def solve_by_factors(source: Tensor, target: Tensor, least: float) -> Tensor:
    """``A = L^-T (Lᵀ T L)^(1/2) L^-1`` with S = L Lᵀ (Cholesky); see :data:`Solve`.

    >>> s, t = torch.tensor([[1.0, 4.0], [9.0, 4.0]]).diag_embed().unsqueeze(1)
    >>> solve_by_factors(s, t, 0.0).diagonal(dim1=1, dim2=2).tolist()
    [[3.0, 1.0]]
    """
    factor = torch.linalg.cholesky(source)
    values, vectors = torch.linalg.eigh(factor.mT @ target @ factor)
    half = torch.linalg.solve_triangular(factor.mT, vectors, upper=True)  # L^-T V
    matrix: Tensor = (half * values.clamp_min(0).sqrt().unsqueeze(1)) @ half.mT
    return matrix


@torch.no_grad()
def optimal_map(
    source: Moments,
    target: Moments,
    strength: float | Tensor = 1.0,
    *,
    solve: Solve = solve_by_factors,
) -> Affine:
    """The optimal transport map from ``source`` to ``target``; at ``strength`` 0 the identity.

    Its matrix is the symmetric positive A with A S A = T for covariances S and T, each with a ridge
    (see RIDGE). A ``strength`` between 0 and 1 moves each point by that part of its way, which is
    the Wasserstein geodesic between the two Gaussians. ``solve`` finds A from S and T in double
    precision.
    """
    given = source.covariance
    if isinstance(strength, float | int) and strength == 0:
        return Affine(torch.eye(given.shape[-1]).to(given).expand_as(given), 0 * source.mean)
    # In double precision: some directions of deep features vary a million times more than others.
    source, target = (Moments(*(part.cpu().double() for part in m)) for m in (source, target))
    channels = source.covariance.shape[-1]
    identity = torch.eye(channels, dtype=source.covariance.dtype)
    ridge = (_ridge(source) + _ridge(target))[:, None, None] * identity
    # The ridge bounds how small a root can be: it is at least half of RIDGE times the mean
    # variance, and that is at least the Frobenius norm over C.
    least = (RIDGE / channels) ** 0.5 / 2
    found = solve(source.covariance + ridge, target.covariance + ridge, least)
    matrix = identity + strength * (found - identity)
    goal = source.mean + strength * (target.mean - source.mean)
    offset = goal - (matrix @ source.mean.unsqueeze(2)).squeeze(2)
    return Affine(matrix.to(given), offset.to(given))


def _ridge(of: Moments) -> Tensor:
    """Half of what is added to both diagonals, ``(N,)``: a share of the mean variance and, for flat
    pictures, a little of the squared mean, so that rounding is not taken for variance."""
    spread = of.covariance.diagonal(dim1=1, dim2=2).mean(1)
    return RIDGE * spread / 2 + ROUNDING * (of.mean.square().mean(1) + 1e-3)
