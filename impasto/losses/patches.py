"""Vectors compared one by one: each with the style's vector that is most like it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.losses.sampled import SampledLoss, WeightedSamples

# How many of our vectors are compared with all of the style's at once.
CHUNK = 1024
TINY = 1e-12


class PatchLoss(SampledLoss):
    """Cosine distance of each patch of features from the nearest patch of the style.

    Kolkin et al. (2022, NNST), in the form of their last pass ("feature splitting"): layer
    by layer, matches found anew at each step, 1024 positions at a time, all vectors less the mean
    of their picture. Arguments as for :class:`~impasto.losses.sampled.SampledLoss`; give the
    style turned by quarters as well, as the paper does, for more to choose from. The distance has
    no unit, so ``mean`` and ``relative`` are the same: 1 for an empty picture.

    Where we differ: the means are subtracted from the vectors before patches are matched, patches
    are 3 x 3 positions as in Li & Wand (2016, eq. 2 and 3) rather than single ones, and no match is
    held fixed over many steps. Colours are left to a loss that knows means: mix it with another.

    Raises ConfigError as :class:`~impasto.losses.sampled.SampledLoss` does.
    """

    name, scale = "patches", 0.4
    rotated_targets = True
    size = 3

    def draw_target(
        self, layer: str, pictures: Sequence[tuple[Tensor, Tensor | None]]
    ) -> WeightedSamples:
        """Unit vectors of patches at random positions of the target pictures."""
        rows = super().draw_target(layer, pictures)
        self.searched = pictures[0][0].dtype
        return WeightedSamples(normalize(centred(rows)), rows.weight)

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``."""
        x, y = normalize(centred(ours)), self.target[layer].vectors
        # Of features in half precision the nearest are looked for in that: some three times faster.
        match = nearest(x.to(self.searched), y.to(self.searched))
        return (ours.weight * (1 - (x * y[match]).sum(1))).sum()


class EarthMoverLoss(SampledLoss):
    """Relaxed earth mover's distance of two sets of vectors under the cosine distance d.

    Kolkin, Salavon & Shakhnarovich (2019, STROTSS): the dearer of two cheap ways, each of
    our vectors to the style's nearest, or each of the style's to our nearest::

        max( mean_i min_j d_ij,  mean_j min_i d_ij )

    The second keeps the picture from using one patch of the style for everything. Arguments as for
    :class:`~impasto.losses.sampled.SampledLoss`; 1024 positions of each, as in the paper. No unit:
    ``mean`` and ``relative`` are the same, 1 for an empty picture.

    Where we differ: layer by layer, not on vectors that join all layers. As the cosine forgets how
    long vectors are, the paper adds means and covariances and a distance of colours: mix it with
    ``wasserstein``.

    Raises ConfigError as :class:`~impasto.losses.sampled.SampledLoss` does.
    """

    name, scale = "emd", 0.55
    target_limit = 1024

    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``."""
        style = self.target[layer]
        x, y = normalize(ours.vectors), normalize(style.vectors)
        to_style, to_ours = nearest_both_ways(x, y)
        there = (ours.weight * (1 - (x * y[to_style]).sum(1))).sum()
        # Not x[to_ours]: on several threads its gradient is added up in any order.
        back = (style.weight * (1 - (x.index_select(0, to_ours) * y).sum(1))).sum()
        return torch.maximum(there, back)


def centred(rows: WeightedSamples) -> Tensor:
    """The vectors less their weighted mean."""
    return rows.vectors - (rows.weight[:, None] * rows.vectors).sum(0)


def normalize(vectors: Tensor) -> Tensor:
    """Vectors ``(n, C)`` of length one; those of length zero stay zero."""
    return vectors * (vectors.square().sum(1, keepdim=True) + TINY).rsqrt()


@torch.no_grad()
def nearest(x: Tensor, y: Tensor) -> Tensor:
    """For each row of x ``(n, C)`` the row of y ``(m, C)`` with the largest product: indices
    ``(n,)``. Memory grows with m only, not with n m.

    >>> x, y = torch.eye(3), torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    >>> nearest(x, y)
    tensor([1, 0, 1])
    """
    return torch.cat([(rows @ y.t()).argmax(1) for rows in torch.split(x, CHUNK)])


@torch.no_grad()
def nearest_both_ways(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`nearest` of x in y, and of y in x, from the same products: ``(n,)`` and ``(m,)``."""
    forth = []
    best, back = y.new_full((len(y),), -torch.inf), torch.zeros_like(y[:, 0], dtype=torch.long)
    for first in range(0, len(x), CHUNK):
        products = x[first : first + CHUNK] @ y.t()
        forth.append(products.argmax(1))
        value, index = products.max(0)
        better = value > best
        best = torch.where(better, value, best)
        back = torch.where(better, index + first, back)
    return torch.cat(forth), back
