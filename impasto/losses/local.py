"""The style in every part of a picture.

Statistics of a whole picture forget where things are, so a picture may have all of its style in one
corner, where the content resists least, and stay a photo everywhere else. This loss looks at a few
parts, cut at other places in each step, and wants the painting's strokes in each of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from types import EllipsisType, MappingProxyType
from typing import Any

import torch
from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import Loss, LossOptions, StyleSource, Sums, Windows, crop_to_window
from impasto.losses.functional import EPSILON, count, precise
from impasto.losses.statistics import StatisticLoss, count_key
from impasto.losses.wasserstein import covariance, covariance_sums

Place = tuple[EllipsisType, slice, slice]
"""Rows and columns of features."""

PARTS = 3
"""Into how many parts the long side is cut; the short side into parts about as long."""

STROKES = re.compile(r"(relu|conv)[34]_")
"""Layers that see strokes and forms. What shallower ones see, grain and palette, is even enough by
itself; of deeper ones a part has too few positions."""


class LocalLoss(StatisticLoss):
    """Squared distance of the features' covariances in parts of the picture from the style's.

    Arguments as for :class:`~impasto.losses.statistics.StatisticLoss`. The picture is cut into some
    six rectangles, in each step at other places, so that no cut shows. With B the covariance of a
    part, w its share of the positions and A that of the whole style::

        sum_parts w |B - A|²

    ``mean`` divides by the number of entries, ``relative`` by ``|A|²``. (``gatys`` has no meaning
    here: ConfigError.) Covariances, not Gram matrices: a part may be dark or light, red or blue.
    Ours; after the Gram matrix of Gatys et al. (2016, eq. 3). Of the style layers of a run it reads
    those of the third and fourth stage, if there are any.

    ``seed`` decides where the picture is cut. A picture that comes in tiles must be known by its
    rows and columns of features: set ``loss.sizes`` to ``{layer: (h, w)}``, else ConfigError.
    """

    name = "local"
    normalizations = ("mean", "relative")
    seed = step = 0
    sizes: Mapping[str, tuple[int, int]] = MappingProxyType({})

    def __init__(
        self,
        target: Features,
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        target_weight: Features | None = None,
        position_weight: Features | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            target,
            weights,
            normalization=normalization,
            target_weight=target_weight,
            position_weight=position_weight,
        )
        self.seed = seed

    @classmethod
    def from_styles(
        cls, styles: Sequence[StyleSource], weights: Mapping[str, float], options: LossOptions
    ) -> list[Loss]:
        """One loss, for sums blend."""
        strokes = {layer: weight for layer, weight in weights.items() if STROKES.match(layer)}
        losses = super().from_styles(styles, strokes or weights, options)
        for loss in losses:
            assert isinstance(loss, cls)
            loss.seed, loss.sizes = options.seed, options.sizes
        return losses

    add_up = staticmethod(covariance_sums)

    @staticmethod
    def statistic(means: Tensor) -> Tensor:
        """The covariance."""
        return covariance(means)

    def on_step_start(self, step: int) -> None:
        """Cut anew: where belongs to ``step``."""
        self.step = step

    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """What adds up over each part, as far as it lies in the window."""
        found: Sums = {}
        for layer in self.layers:
            f, mask = features[layer], self.position_weight.get(layer)
            if windows is not None and layer not in self.sizes:
                raise ConfigError(f"a tile of {layer}, of a picture of unknown size", "set sizes")
            rows, columns = self._cuts(self.sizes.get(layer, (f.shape[-2], f.shape[-1])))
            top, left = (0, 0) if windows is None else (x.start for x in windows[layer])
            mask = None if mask is None else crop_to_window(mask, layer, windows)
            spans = product(_spans(rows, top, f.shape[-2]), _spans(columns, left, f.shape[-1]))
            parts = {f"{layer} {i} {j}": (..., y, x) for (i, y), (j, x) in spans}
            moments = _Moments.apply(f, mask, list(parts.values()))  # type: ignore[no-untyped-call]
            found |= dict(zip(parts, moments.unbind(), strict=True))
            for key, place in parts.items():
                found[count_key(key)] = count(f[place], None if mask is None else mask[place])
        return found

    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar per layer."""
        losses = {}
        for layer in self.layers:
            parts = [key for key in sums if key.startswith(f"{layer} ") and count_key(key) in sums]
            positions = torch.stack([sums[count_key(key)] for key in parts])
            moments = torch.stack([sums[key] for key in parts]) / (positions + EPSILON)
            difference = covariance(moments) - self.target[layer]
            distance = difference.square().sum((-2, -1), keepdim=True)
            share = positions / (positions.sum() + EPSILON)
            losses[layer] = self.factor[layer] * (share * distance).sum()
        return losses

    def _cuts(self, size: tuple[int, int]) -> tuple[list[int], list[int]]:
        """Where a picture with so many rows and columns is cut in this step, both borders included:
        each cut lies anywhere within half a part of where equal parts would meet."""
        drawn = random.Random(f"{self.seed} {self.step}")
        cuts = []
        for length in size:
            parts = max(1, round(PARTS * length / max(size)))
            shift = drawn.random() - 0.5
            inner = [round((k + shift) * length / parts) for k in range(1, parts)]
            cuts.append([0, *inner, length])
        return cuts[0], cuts[1]


class _Moments(torch.autograd.Function):
    """:func:`covariance_sums` for each of the rectangles ``places`` of features, one after the
    other: ``(places, N, C, C + 1)``.

    In one go, for the gradients of many views would each be as large as all of the features. And
    not in bfloat16: for that a product is compiled for each new shape, and here all are new in each
    step.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor | None, places: list[Place]) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.places = places
        moments = [
            covariance_sums(features[place], None if weight is None else weight[place])
            for place in places
        ]
        return torch.stack(moments)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        features, weight = ctx.saved_tensors
        slope = torch.zeros_like(features, memory_format=torch.channels_last)
        for place, gradient in zip(ctx.places, gradients[0], strict=True):
            products, sums = gradient[..., :-1], gradient[..., -1:]
            part = precise(features[place]).permute(0, 2, 3, 1)  # (N, h, w, C)
            flat = part.flatten(1, 2) @ (products + products.mT) + sums.mT
            own = flat.view(part.shape).permute(0, 3, 1, 2)
            slope[place] = own if weight is None else own * weight[place].to(own.dtype)
        return slope, None, None


def _spans(cuts: list[int], first: int, length: int) -> list[tuple[int, slice]]:
    """Which parts lie in the ``length`` positions from ``first`` on, by number, and where there."""
    inside = [min(max(cut - first, 0), length) for cut in cuts]
    spans = [slice(start, stop) for start, stop in pairwise(inside)]
    return [(number, span) for number, span in enumerate(spans) if span.start < span.stop]
