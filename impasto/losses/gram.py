"""The Gram matrix, and the loss that made neural style transfer."""

from __future__ import annotations

from torch import Tensor

from impasto.losses.functional import EPSILON, count, product
from impasto.losses.statistics import StatisticLoss


def gram(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """Gram matrix per position, ``F @ F.T / M``: ``(N, C, h, w)`` -> ``(N, C, C)``.

    ``G_ij = sum_p w_p F_ip F_jp / sum_p w_p``, in float32 or better. Gatys et al. (2016, eq. 3) sum
    over the M positions without dividing; with the division matrices of pictures of different sizes
    are comparable, and :class:`GramLoss` states how that enters the loss. It divides alike, but
    later: :class:`StatisticLoss` adds up :func:`gram_sum` over the tiles of a large picture first.

    >>> import torch
    >>> gram(torch.ones(1, 2, 4, 4))
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    return gram_sum(features, weight) / (count(features, weight) + EPSILON)


def gram_sum(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """``F @ F.T``, each position p times ``w_p``: the Gram matrix before the division."""
    f = features.permute(0, 2, 3, 1).flatten(1, 2)  # (N, M, C): F.T, no copy if channels-last
    w = None if weight is None else weight.permute(0, 2, 3, 1).flatten(1, 2)  # (N, M, 1)
    return product(f, w)


class GramLoss(StatisticLoss):
    """Squared distance of Gram matrices (Gatys et al. 2016, eq. 3 to 5).

    Arguments as for :class:`StatisticLoss`. With G the Gram matrix *per position* (see
    :func:`gram`), N channels and M positions,
    ``normalization`` is:

    - ``mean``: mean over the N² entries, ``1/N² |G - A|²``;
    - ``gatys``: ``1/(4 N²) |G - A|²``. The paper's ``1/(4 N² M²)`` on Gram matrices that sum over
      positions is the same where style and picture have equally many; where they have not, the
      paper compares a sum over M with one over another M', which no implementation does;
    - ``relative``: ``|G - A|² / |A|²``, so that layers, encoders and sizes weigh alike.

    Raises ConfigError as :class:`~impasto.losses.statistics.StatisticLoss` does.
    """

    name = "gram"
    add_up = staticmethod(gram_sum)
