"""Means and covariances compared as Gaussians are: by the work of moving one onto the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.losses.base import Sums
from impasto.losses.functional import precise
from impasto.losses.gram import gram_sum
from impasto.losses.statistics import StatisticLoss

# Directions in which the style varies less than this, against its largest variance, are taken for
# directions in which it does not vary. Fewer directions are smaller matrices.
CUTOFF = 1e-4
# Roots smaller than this, against the largest, drown in the rounding of a matrix.
LEAST = {torch.float32: 6e-4, torch.float64: 1e-7}
CLOSE = {torch.float32: 1e-4, torch.float64: 1e-8}  # to one, where the iteration ends


class WassersteinLoss(StatisticLoss):
    """Squared 2-Wasserstein distance of the Gaussians with the features' mean and covariance.

    Arguments as for :class:`~impasto.losses.statistics.StatisticLoss`. With means m and covariances
    B of the picture, m' and A of the style (Dowson & Landau 1982; as a style loss Crowson's)::

        |m - m'|² + tr A + tr B - 2 tr (A^½ B A^½)^½

    ``mean`` divides by the number of channels, as Crowson does; ``relative`` by ``|m'|² + tr A``,
    which is the distance to an empty picture. (``gatys`` has no meaning here: ConfigError.)

    Where we differ from Crowson's code, for the same number in less time: with W = V Λ^½ from the
    eigenvectors of A, found once, ``(A^½ B A^½)^½`` and ``(Wᵀ B W)^½`` have the same trace, and W
    needs no more columns than the style has directions to vary in. The gradient follows from the
    inverse root that the iteration finds beside the root (see :func:`root_trace`), not from a
    second iteration. Means and products are sums over positions, so tiles work.
    """

    name, scale = "wasserstein", 0.55
    normalizations = ("mean", "relative")

    @staticmethod
    def add_up(features: Tensor, weight: Tensor | None) -> Tensor:
        """:func:`covariance_sums`."""
        return covariance_sums(features, weight)

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar per layer."""
        losses = {}
        for name in self.layers:
            distance = self._distance(self._statistic(sums, name), name)
            losses[name] = self.factor[name] * (distance - self.floor[name])
        return losses

    def _build(
        self,
        sums: Sums,
        weights: Mapping[str, float] | None,
        normalization: str,
        position_weight: Features | None,
    ) -> None:
        super()._build(sums, weights, normalization, position_weight)
        self.basis = {name: basis(covariance(self.target[name])) for name in self.layers}
        # What is left of the style's distance to itself: the directions cut off, and rounding.
        self.floor = {
            name: self._distance(self.target[name], name).detach() for name in self.layers
        }

    def _distance(self, ours: Tensor, layer: str) -> Tensor:
        target, w = self.target[layer], self.basis[layer]
        mean = (ours[..., -1] - target[..., -1]).square().sum()
        b = covariance(ours)
        traces = trace(covariance(target)).sum() + trace(b).sum()
        return mean + traces - 2 * root_trace(w.transpose(-1, -2) @ b @ w).sum()

    def _factor(self, layer: str) -> float:
        target, weight = self.target[layer], self.weights[layer]
        if self.normalization == "relative":
            squares = trace(target[..., :-1]).sum()  # = |m'|² + tr A
            return weight / (float(squares) + 1e-8)
        return weight / (target.shape[0] * target.shape[1])


def covariance_sums(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """F Fᵀ and, as its last column, the sums of F: ``(N, C, h, w)`` -> ``(N, C, C + 1)``.

    In float32 or better: a covariance is the small difference of large sums.
    """
    exact = precise(features)
    sums = (exact if weight is None else exact * weight.to(exact.dtype)).sum((2, 3))
    return torch.cat([gram_sum(exact, weight), sums.unsqueeze(-1)], -1)


def covariance(moments: Tensor) -> Tensor:
    """Second moments and, as the last column, means, ``(N, C, C + 1)``, -> ``(N, C, C)``."""
    mean = moments[..., -1:]
    return moments[..., :-1] - mean @ mean.transpose(-1, -2)


def trace(matrix: Tensor) -> Tensor:
    """``(N, C, C)`` -> ``(N,)``."""
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def basis(covariance: Tensor, cutoff: float = CUTOFF) -> Tensor:
    """W ``(N, C, r)`` with ``W Wᵀ`` = the covariance ``(N, C, C)``, up to directions in which it is
    below ``cutoff`` times its largest.

    >>> w = basis(torch.diag(torch.tensor([4.0, 1.0, 1e-9])).unsqueeze(0))
    >>> w.shape, (w @ w.mT).diagonal(dim1=1, dim2=2).round().tolist()
    (torch.Size([1, 3, 2]), [[4.0, 1.0, 0.0]])
    """
    values, vectors = torch.linalg.eigh(covariance.detach().cpu().double())
    values = values.clamp_min(0)
    kept = max(1, int((values > cutoff * values[:, -1:]).sum(-1).max()))
    scaled = vectors[..., -kept:] * values[:, None, -kept:].sqrt()
    found: Tensor = scaled.to(covariance.device, covariance.dtype)
    return found


def root_trace(matrix: Tensor) -> Tensor:
    """``tr M^½`` of symmetric M, positive semidefinite up to rounding: ``(N, n, n)`` -> ``(N,)``.

    By the coupled Newton-Schulz iteration (Higham 2008, eq. 6.35) with the scaling of Chen & Chow
    (2014): each step takes the cubic that lifts the smallest root most, by 2.6 rather than by 1.5.
    It ends with M^½ and M^-½ together, and the latter is twice the gradient:
    ``d tr M^½ = ½ tr(M^-½ dM)``. No eigenvectors, whose gradient is not finite where eigenvalues
    coincide. Roots below 6e-4 of the largest (1e-7 in float64) are lifted to that.

    >>> root_trace(torch.diag(torch.tensor([4.0, 9.0])).unsqueeze(0)).round(decimals=3)
    tensor([5.])
    """
    result: Tensor = _RootTrace.apply(matrix)  # type: ignore[no-untyped-call]
    return result


class _RootTrace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        root, inverse = roots(matrix)
        ctx.save_for_backward(inverse)
        return trace(root)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        slope: Tensor = 0.5 * gradients[0][:, None, None] * inverse
        return slope


def roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """M^½ and M^-½ of M ``(N, n, n)``; see :func:`root_trace`."""
    least, close = LEAST[matrix.dtype], CLOSE[matrix.dtype]
    norm = matrix.square().sum((-2, -1), keepdim=True).sqrt() + torch.finfo(matrix.dtype).tiny
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    y, z = matrix / norm + least**2 * one, one.expand_as(matrix)
    low, first = least, True  # all roots of y lie from low to one
    while low < 1 - close:
        stretch = 3 / (1 + low + low**2)
        product = y if first else z @ y
        step = stretch**0.5 * (1.5 * one - 0.5 * stretch * product)
        y, z = y @ step, step if first else step @ z
        low, first = 0.5 * stretch**0.5 * low * (3 - stretch * low**2), False
    return y * norm.sqrt(), z / norm.sqrt()
