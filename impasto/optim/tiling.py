"""Large pictures in little memory: the same loss and gradient, computed tile by tile.

Statistics are sums over positions, so the picture need not be in the network as a whole. In a first
pass each tile adds its share to the sums, and nothing else is kept. From the sums follow the loss
and its derivative with respect to every sum; in a second pass each tile is computed again, and its
share of that derivative goes back to its pixels (the chain rule, with the sums in the middle).

A tile is surrounded by as many pixels as its features can see. So its features are those of the
whole picture, and no seam can appear: nothing is blended, because nothing differs. The price is the
second pass forwards and the borders that are computed twice.

That is exact up to rounding. For features that are exact to the bit
(:class:`impasto.encoders.wrappers.QuantizedFeatures`) the second pass takes tiles with twice the
border: then each knows all of the gradient of its own pixels, and none is added up from two tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.encoders.base import IMAGE, Encoder, Features
from impasto.errors import ConfigError
from impasto.image.wrap import Axes, add_to_window, window
from impasto.losses.base import (
    Evaluation,
    Measurable,
    Objective,
    Sums,
    TileableLoss,
    Windows,
    crop_to_window,
)


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture (``top``, ``bottom``, ``left``, ``right``) and the larger one around
    it that is computed (``outer``, the same way), which goes round the picture along ``axes``."""

    inner: tuple[int, int, int, int]
    outer: tuple[int, int, int, int]
    height: int
    width: int
    axes: Axes = ()

    def crop(self, image: Tensor) -> Tensor:
        """The outer rectangle of ``image`` ``(N, C, H, W)``."""
        return window(image, self.outer, self.axes)

    def add(self, image: Tensor, values: Tensor) -> None:
        """Add ``values`` to the outer rectangle of ``image``, in place."""
        add_to_window(image, self.outer, self.axes, values)

    def put(self, image: Tensor, values: Tensor) -> None:
        """Set the inner rectangle of ``image`` to that of ``values``, which have the outer one."""
        top, bottom, left, right = self.inner
        y, _, x, _ = self.outer
        image[..., top:bottom, left:right] = values[..., top - y : bottom - y, left - x : right - x]

    def inside(self, other: Tile) -> Tensor:
        """Which pixels of the outer rectangle of ``other`` are of this one's inner: ``(h, w)``."""
        top, bottom, left, right = self.inner
        y, yy, x, xx = other.outer
        rows, columns = torch.arange(y, yy)[:, None], torch.arange(x, xx)
        return (top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)

    def windows(self, strides: Mapping[str, int], origin: tuple[int, int] = (0, 0)) -> Windows:
        """Where the inner rectangle lies in features of a picture whose first pixel is ``origin``:
        those of the whole one, if it is left out."""
        top, bottom, left, right = self.inner
        y, x = origin
        # To the last row or column, whole position or not; nothing lies beyond it.
        open_rows = bottom == self.height and 2 not in self.axes
        open_columns = right == self.width and 3 not in self.axes
        return {
            layer: (
                slice((top - y) // n, None if open_rows else (bottom - y) // n),
                slice((left - x) // n, None if open_columns else (right - x) // n),
            )
            for layer, n in strides.items()
        }

    def trim(self, features: Features, strides: Mapping[str, int]) -> Features:
        """Features of the outer rectangle -> those of the inner one."""
        windows = self.windows(strides, (self.outer[0], self.outer[2]))
        return {layer: crop_to_window(f, layer, windows) for layer, f in features.items()}


class Tiling:
    """How an encoder computes ``layers`` of large pictures: tiles of about ``size`` pixels a side.

    Where its padding is circular, tiles at the border see what lies at the other side; the picture
    must then be a multiple of the deepest layer's stride along those axes (and are never exact to
    the bit).

    Raises ConfigError for an encoder that does not know how far its features see.
    """

    def __init__(self, encoder: Encoder, layers: Sequence[str], size: int) -> None:
        self.encoder, self.layers, self.axes = encoder, tuple(layers), encoder.wraps
        self.strides = {layer: encoder.stride(layer) for layer in layers}
        self.step = max((encoder.step, *self.strides.values()))
        reach = max((encoder.receptive_field(layer) for layer in layers), default=0)
        self.halo = -(-reach // self.step) * self.step
        self.size = max(size, self.step)
        self.exact = encoder.exact and not self.axes

    def of(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture, row by row; their borders lie on the grid of the deepest layer.

        >>> from impasto import Mini
        >>> tiling = Tiling(Mini(), ["relu2_1"], 48)
        >>> [tile.inner for tile in tiling.of(64, 100)][:2]
        [(0, 32, 0, 34), (0, 32, 34, 66)]
        """
        return cover(height, width, self.size, self.step, self.halo, self.axes)

    def for_gradients(self, height: int, width: int) -> list[tuple[Tile, Tile]]:
        """The tiles of the second pass, each with the one whose features it reads: itself, or,
        where the encoder is exact, all positions that see one of its pixels."""
        tiles = self.of(height, width)
        if not self.exact:
            return [(tile, tile) for tile in tiles]
        pairs = []
        for tile in tiles:
            wide = self._around(*tile.inner[:2], height, 2), self._around(*tile.inner[2:], width, 3)
            outer = self._around(*wide[0], height, 2), self._around(*wide[1], width, 3)
            pairs.append((tile, Tile((*wide[0], *wide[1]), (*outer[0], *outer[1]), height, width)))
        return pairs

    def features(self, image: Tensor) -> Iterator[tuple[Tile, Features]]:
        """The features of each tile's inner rectangle."""
        for tile in self.of(*image.shape[-2:]):
            yield tile, tile.trim(self.encoder(tile.crop(image), self.layers), self.strides)

    def _around(self, first: int, last: int, length: int, axis: int) -> tuple[int, int]:
        return _around(first, last, length, self.halo, axis in self.axes)


def cover(height: int, width: int, size: int, step: int, halo: int, axes: Axes = ()) -> list[Tile]:
    """Tiles of about ``size`` with ``halo`` around them, row by row, cut at multiples of ``step``.

    >>> [tile.outer for tile in cover(8, 20, 10, 2, 3)]
    [(0, 8, 0, 13), (0, 8, 7, 20)]
    """
    return [
        Tile(
            (top, bottom, left, right),
            (
                *_around(top, bottom, height, halo, 2 in axes),
                *_around(left, right, width, halo, 3 in axes),
            ),
            height,
            width,
            axes,
        )
        for top, bottom in spans(height, size, step)
        for left, right in spans(width, size, step)
    ]


def _around(first: int, last: int, length: int, halo: int, goes_round: bool) -> tuple[int, int]:
    """With ``halo`` before and behind, up to the picture's border, or beyond it."""
    if goes_round:
        return first - halo, last + halo
    return max(0, first - halo), min(length, last + halo)


def spans(length: int, size: int, step: int) -> list[tuple[int, int]]:
    """Equal parts of 0 ... length, of about ``size``, cut at multiples of ``step``.

    >>> spans(100, 40, 8)
    [(0, 32), (32, 64), (64, 100)]
    """
    count = -(-length // size)
    cuts = {round(i * length / count / step) * step for i in range(count)}
    starts = sorted(x for x in cuts if x < length)
    return list(zip(starts, [*starts[1:], length], strict=True))


def encode(
    encoder: Encoder, image: Tensor, layers: Sequence[str], size: int | None = None
) -> Features:
    """``encoder(image, layers)`` without gradient, put together from tiles of ``size`` pixels."""
    with torch.no_grad():
        if size is None:
            return dict(encoder(image, layers))
        tiling = Tiling(encoder, layers, size)
        result: Features = {}
        for tile, features in tiling.features(image):
            windows = tile.windows(tiling.strides)
            for layer, part in features.items():
                if layer not in result:
                    height, width = encoder.feature_size(layer, *image.shape[-2:])
                    result[layer] = part.new_empty(*part.shape[:2], height, width).to(
                        memory_format=torch.channels_last
                    )
                rows, columns = windows[layer]
                result[layer][..., rows, columns] = part
        return result


def measure(
    loss: type[Measurable],
    encoder: Encoder,
    image: Tensor,
    layers: Sequence[str],
    masks: Features | None = None,
    size: int | None = None,
) -> Sums:
    """The sums from which ``loss.from_sums`` makes its target: those of a style, in tiles."""
    masks = masks or {}
    with torch.no_grad():
        if size is None:
            return loss.measure(encoder(image, layers), masks)
        tiling = Tiling(encoder, layers, size)
        total: Sums = {}
        for tile, features in tiling.features(image):
            windows = tile.windows(tiling.strides)
            parts = {name: crop_to_window(mask, name, windows) for name, mask in masks.items()}
            _add(total, loss.measure(features, parts))
        return total


def differentiate(
    image: Tensor, encoder: Encoder, objective: Objective, size: int | None = None
) -> Evaluation:
    """Evaluate ``objective`` at ``image`` and add its gradient to ``image.grad``.

    With ``size`` in tiles of that many pixels a side, which gives the same numbers up to rounding.
    Raises ConfigError for a loss that reads features and is no AdditiveLoss.
    """
    if size is None or max(image.shape[-2:]) <= size:
        evaluation = objective(encoder(image, objective.layers))
        torch.autograd.backward(evaluation.total)
        return evaluation
    terms = {name: loss for name, (loss, weight) in objective.terms.items() if weight}
    additive = {name: _additive(name, x) for name, x in terms.items() if x.layers != (IMAGE,)}
    tiling = Tiling(encoder, list(dict.fromkeys(_layers(additive))), size)
    with torch.no_grad():
        totals: dict[str, Sums] = {name: {} for name in additive}
        for tile, features in tiling.features(image) if additive else ():
            windows = tile.windows(tiling.strides)
            for name, loss in additive.items():
                _add(totals[name], loss.sums(features, windows))
    leaves = [x.requires_grad_(True) for sums in totals.values() for x in sums.values()]
    values = {
        name: (additive[name].from_sums(totals[name]) if name in additive else loss({IMAGE: image}))
        for name, loss in terms.items()
    }
    evaluation = objective.combine(values)
    if image.grad is None:
        image.grad = torch.zeros_like(image)
    torch.autograd.backward(evaluation.total, inputs=[image, *leaves])
    for tile, wide in tiling.for_gradients(*image.shape[-2:]) if additive else ():
        crop = wide.crop(image.detach()).requires_grad_(True)
        features = wide.trim(encoder(crop, tiling.layers), tiling.strides)
        windows = wide.windows(tiling.strides)
        shares, slopes = [], []
        for name, loss in additive.items():
            for key, share in loss.sums(features, windows).items():
                if share.requires_grad:
                    shares.append(share)
                    slopes.append(totals[name][key].grad)
        (gradient,) = torch.autograd.grad(shares, crop, slopes)
        if tiling.exact:
            gradient = gradient * tile.inside(wide).to(gradient)
        wide.add(image.grad, gradient)
    return evaluation


def _additive(name: str, loss: object) -> TileableLoss:
    if not isinstance(loss, TileableLoss):
        raise ConfigError(
            f"the term '{name}' cannot be computed in tiles",
            "leave out the size of tiles, or make its loss an AdditiveLoss",
        )
    return loss


def _layers(losses: Mapping[str, TileableLoss]) -> Iterator[str]:
    for loss in losses.values():
        yield from loss.layers


def _add(total: Sums, more: Sums) -> None:
    for key, value in more.items():
        total[key] = total[key] + value if key in total else value
