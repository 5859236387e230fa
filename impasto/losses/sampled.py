"""Losses that look at some positions at a time, other ones in each step.

To sort all positions, or to compare each with each, grows too fast with the picture. A few thousand
are enough to know a distribution by. They lie on a grid, whose origin moves from step to step until
every position has had its turn; which way it moves depends on the seed and the number of the step
and on nothing else, so a resumed run draws what it would have drawn.
"""

from __future__ import annotations

import math
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.losses.base import Loss, LossOptions, Role, StyleSource, layer_weights
from impasto.losses.functional import precise

SAMPLED_NORMALIZATIONS = ("mean", "relative")


class WeightedSamples(NamedTuple):
    """Feature vectors ``(n, C)`` (of patches: ``(n, size² C)``) in float32 or better, and how much
    each counts ``(n,)``: weights that sum to one."""

    vectors: Tensor
    weight: Tensor


class SampledLoss(Loss):
    """Compares feature vectors at a sample of the picture's positions with those of the style.

    ``target`` maps layers to the style's features ``(N, C, h, w)``, or is a sequence of such maps:
    several styles, or the same one turned. ``target_weight`` (then a sequence too) and
    ``position_weight`` say how much each position counts; those of weight 0 are not looked at.
    ``weights`` are the layers' (default: equal, sum 1), ``seed`` that of the sample. A batch counts
    as one picture.

    No more than ``limit`` positions of the picture and ``target_limit`` of the style are compared.
    Not a sum over positions, so tiles cannot be used. Subclasses implement :meth:`compare`.
    Raises ConfigError for an unknown normalization, for no layer with a weight, for a weight of a
    layer without a target, and where nothing of the style is opaque.
    """

    role: ClassVar[Role] = "style"
    normalizations: ClassVar[tuple[str, ...]] = SAMPLED_NORMALIZATIONS
    weighs_positions = True
    rotated_targets: ClassVar[bool] = False
    """Whether it wants to see each style in all four orientations."""
    limit: int = 1024
    target_limit: int = 4096
    size: int = 1
    """Side of the patches that count as one vector; 1 for single positions."""

    def __init__(
        self,
        target: Features | Sequence[Features],
        weights: Mapping[str, float] | None = None,
        *,
        normalization: str = "mean",
        target_weight: Features | Sequence[Features] | None = None,
        position_weight: Features | None = None,
        seed: int = 0,
    ) -> None:
        self.check_normalization(normalization)
        targets = [target] if isinstance(target, Mapping) else list(target)
        masks = _as_list(target_weight, len(targets))
        self.weights = layer_weights(targets[0] if targets else {}, weights)
        self.layers = tuple(name for name, weight in self.weights.items() if weight)
        self.normalization, self.seed, self.step = normalization, seed, 0
        self.position_weight = position_weight or {}
        with torch.no_grad():
            self.target = {
                name: self.draw_target(
                    name, [(x[name], m.get(name)) for x, m in zip(targets, masks, strict=True)]
                )
                for name in self.layers
            }

    @classmethod
    def from_styles(
        cls, styles: Sequence[StyleSource], weights: Mapping[str, float], options: LossOptions
    ) -> list[Loss]:
        """One loss for each style, whose layers have that style's part of the weights."""
        losses: list[Loss] = []
        for style in styles:
            if style.share:
                turns = range(4 if cls.rotated_targets else 1)
                features, masks = zip(*(style.features(turn) for turn in turns), strict=True)
                loss = cls(
                    features,
                    style.weights,
                    normalization=options.normalization,
                    target_weight=masks,
                    position_weight=options.position_weight,
                    seed=options.seed,
                )
                losses.append(loss)
        return losses

    def on_step_start(self, step: int) -> None:
        """Draw anew: what belongs to ``step``."""
        self.step = step

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar for each layer, already with the layer's weight; their sum is the loss."""
        losses = {}
        for name in self.layers:
            ours = self.on_grid(name, features[name], self.position_weight.get(name))
            if len(ours.vectors):
                losses[name] = self.weights[name] * self.compare(name, ours)
            else:  # all is transparent here
                losses[name] = features[name].sum(dtype=torch.float32) * 0
        return losses

    @abstractmethod
    def compare(self, layer: str, ours: WeightedSamples) -> Tensor:
        """The loss of a sample of ``layer``, in the loss's form."""

    def on_grid(self, layer: str, features: Tensor, weight: Tensor | None) -> WeightedSamples:
        """The vectors of ``features`` ``(N, C, h, w)`` at this step's positions."""
        features, weight = whole_patches(features, weight, self.size)
        height, width = (side - self.size + 1 for side in features.shape[-2:])
        count = len(features) * height * width if weight is None else int((weight > 0).sum())
        stride = min(max(1, math.ceil(math.sqrt(count / self.limit))), height, width)
        turn, number = divmod(self.step, stride**2)
        order = torch.randperm(stride**2, generator=self.generator(layer, turn))
        y, x = divmod(int(order[number]), stride)
        shifted = [
            features[..., y + dy : height + dy : stride, x + dx : width + dx : stride]
            for dy in range(self.size)
            for dx in range(self.size)
        ]
        vectors = torch.cat(shifted, 1).permute(0, 2, 3, 1).flatten(0, 2)
        if weight is None:
            return WeightedSamples(precise(vectors), _equal(vectors))
        flat = weight[..., y::stride, x::stride].expand(len(features), -1, -1, -1).flatten()
        kept = flat.nonzero().flatten()
        flat = precise(flat.to(vectors.device)[kept])
        return WeightedSamples(precise(vectors[kept]), flat / flat.sum())

    def draw_target(
        self, layer: str, pictures: Sequence[tuple[Tensor, Tensor | None]]
    ) -> WeightedSamples:
        """Vectors at random positions of the target pictures, which count alike.

        ``pictures`` are features ``(N, C, h, w)`` with their weights.
        """
        vectors, weights = [], []
        for number, (features, weight) in enumerate(pictures):
            features, weight = whole_patches(features, weight, self.size)
            height, width = (side - self.size + 1 for side in features.shape[-2:])
            if weight is None:
                weight = features.new_ones(1, 1, height, width, dtype=torch.float32)
            weight = weight.expand(len(features), -1, -1, -1)[:, 0].to(features.device)
            places = weight.nonzero()  # (m, 3)
            if len(places) > (limit := self.target_limit // len(pictures)):
                draw = self.generator(layer, -1 - number)
                chosen = torch.randperm(len(places), generator=draw)[:limit].sort().values
                places = places[chosen.to(places.device)]
            n, y, x = places.unbind(1)
            by_place = features.permute(0, 2, 3, 1)
            shifted = [
                by_place[n, y + dy, x + dx] for dy in range(self.size) for dx in range(self.size)
            ]
            vectors.append(precise(torch.cat(shifted, 1)))
            found = precise(weight[n, y, x])
            weights.append(found / found.sum() / len(pictures))
        rows = WeightedSamples(torch.cat(vectors), torch.cat(weights).to(vectors[0].dtype))
        if not len(rows.vectors):
            raise ConfigError("nothing of the style is opaque", "give one with opaque pixels")
        return WeightedSamples(rows.vectors, rows.weight / rows.weight.sum())

    def generator(self, layer: str, number: int) -> torch.Generator:
        """Random numbers that depend on the seed, the layer and ``number`` only."""
        key = f"{self.seed} {layer} {number}".encode()
        return torch.Generator().manual_seed(zlib.crc32(key))


def whole_patches(
    features: Tensor, weight: Tensor | None, size: int
) -> tuple[Tensor, Tensor | None]:
    """Features ``(N, C, h, w)``, at least ``size`` x ``size`` of them (else the border is
    repeated), and the weights of patches: ``(N, 1, h - size + 1, w - size + 1)``.

    A patch weighs as much as its least position.
    """
    height, width = features.shape[-2:]
    more = (0, max(0, size - width), 0, max(0, size - height))
    if any(more):
        features = F.pad(features, more, mode="replicate")
        weight = None if weight is None else F.pad(weight, more, mode="replicate")
    if weight is not None and size > 1:
        weight = -F.max_pool2d(-weight, size, stride=1)
    return features, weight


def _equal(vectors: Tensor) -> Tensor:
    """The same weight for each vector."""
    exact = torch.float64 if vectors.dtype == torch.float64 else torch.float32
    return vectors.new_full((len(vectors),), 1 / max(1, len(vectors)), dtype=exact)


def _as_list(masks: Features | Sequence[Features] | None, count: int) -> list[Mapping[str, Tensor]]:
    if masks is None:
        return [{} for _ in range(count)]
    return [masks] if isinstance(masks, Mapping) else list(masks)
