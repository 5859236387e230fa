"""Losses on the picture itself: they read the layer called ``image``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import IMAGE, Features, pad_to_multiple
from impasto.errors import ConfigError
from impasto.image.wrap import Axes
from impasto.losses.base import Loss, LossOptions
from impasto.losses.functional import total_variation

STENCIL = ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0))


class TotalVariation(Loss):
    """Discourages differences of neighbouring pixels; see ``functional.total_variation``."""

    layers = (IMAGE,)
    tileable = True  # it reads no features

    def __init__(self, axes: Axes = ()) -> None:
        self.axes = axes

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar, under ``image``."""
        return {IMAGE: total_variation(features[IMAGE], self.axes)}


class LaplacianLoss(Loss):
    """Squared distance of the Laplacians of the picture and of the content: edges stay.

    Li, Xu, Nie & Liu (2017): ``Σ (D(pool(x)) - D(pool(c)))²``, the pooling an average over
    ``pool`` x ``pool`` pixels (each of several sizes, if several are given), D the four-neighbour
    Laplacian. Reads the layer ``image`` and no network, so it can be had beside tiles.

    ``target`` is ``{"image": (N, 3, H, W)}``. ``mean`` is the mean over channels and positions,
    ``relative`` the sum over the content's own. ``position_weight`` ``{"image": (N, 1, H, W)}``: a
    position counts as much as the least pixel that it sees. Where we differ: channels apart, and
    borders are repeated. Raises ConfigError for an unknown normalization, and where picture and
    content differ in size.
    """

    layers = (IMAGE,)
    name, role, scale, reach = "laplacian", "content", 20.0, 1.65
    normalizations = ("mean", "relative")
    weighs_positions = True
    tileable = True  # it reads no features

    def __init__(
        self,
        target: Features,
        *,
        pool: Sequence[int] = (4,),
        normalization: str = "mean",
        position_weight: Features | None = None,
    ) -> None:
        self.check_normalization(normalization)
        content = target[IMAGE].detach()
        self.normalization, self.size = normalization, content.shape
        self.pools = tuple(max(1, min(size, *content.shape[-2:])) for size in pool)
        mask = (position_weight or {}).get(IMAGE)
        self.target = [laplacian(content, size) for size in self.pools]
        self.weight = [None if mask is None else _least_weight(mask, x) for x in self.pools]

    @classmethod
    def from_content(
        cls, features: Features, weights: Mapping[str, float], options: LossOptions
    ) -> Loss:
        """The loss that keeps the content's edges, whatever the layers."""
        mask = options.position_weight
        return cls(features, normalization=options.normalization, position_weight=mask)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar, under ``image``."""
        image = features[IMAGE]
        if image.shape != self.size:
            raise ConfigError(
                f"the picture is {tuple(image.shape)}, the content {tuple(self.size)}",
                "give picture and content the same size",
            )
        total = image.new_zeros(())
        for size, target, weight in zip(self.pools, self.target, self.weight, strict=True):
            w = 1.0 if weight is None else weight.to(target)
            distance = ((laplacian(image, size) - target).square() * w).sum()
            own = (
                (target.square() * w).sum() if self.normalization == "relative" else target.numel()
            )
            total = total + distance / (own + 1e-8) / len(self.pools)
        return {IMAGE: total}


def laplacian(image: Tensor, pool: int) -> Tensor:
    """The Laplacian of averages over ``pool`` x ``pool`` pixels: ``(N, C, H, W)`` -> smaller.

    >>> laplacian(torch.arange(16.0).view(1, 1, 4, 4), 1)[0, 0, 1:3, 1:3]
    tensor([[0., 0.],
            [0., 0.]])
    """
    channels = image.shape[1]
    small = F.pad(F.avg_pool2d(_whole(image, pool), pool), (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor(STENCIL, dtype=image.dtype, device=image.device)
    return F.conv2d(small, kernel.expand(channels, 1, 3, 3), groups=channels)


def _least_weight(mask: Tensor, pool: int) -> Tensor:
    """The least weight among the pixels that a position of :func:`laplacian` sees."""
    return -F.max_pool2d(F.max_pool2d(-_whole(mask, pool), pool), 3, stride=1, padding=1)


def _whole(image: Tensor, pool: int) -> Tensor:
    """``image`` with a mirrored border below and to the right, to multiples of ``pool``: else its
    last rows and columns would belong to no window, and nothing would hold them."""
    return pad_to_multiple(image, pool, "reflect")
