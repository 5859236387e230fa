"""Encoders around an encoder: ``PadToStride`` sees all of a picture, ``QuantizedFeatures`` makes
sums of features independent of their order.

Each takes an encoder and is one, so they nest: ``QuantizedFeatures(PadToStride(encoder))``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from impasto.encoders.base import Encoder, Features, pad_to_multiple

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

# Steps to the root mean square of a layer. Squares add up without an error to 2^53: those of 2^24
# positions, if they are 8 times as large as expected.
STEPS = 2**11
PROBE = 64  # pixels a side of the noise that says how large features are


class EncoderWrapper(Encoder):
    """Base of wrappers: everything but ``encode`` is passed on to the ``inner`` encoder."""

    def __init__(self, inner: Encoder) -> None:
        super().__init__()
        self.inner = inner
        self.name, self.sha256, self.layers = inner.name, inner.sha256, inner.layers

    def stride(self, layer: str) -> int:
        """That of the inner encoder."""
        return self.inner.stride(layer)

    def feature_size(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """That of the inner encoder."""
        return self.inner.feature_size(layer, height, width)

    @property
    def step(self) -> int:
        """That of the inner encoder."""
        return self.inner.step

    @property
    def wraps(self) -> tuple[int, ...]:
        """That of the inner encoder."""
        return self.inner.wraps

    def with_padding(self, padding: str) -> Self:
        """The same, around the inner encoder with another padding."""
        return type(self)(self.inner.with_padding(padding))

    def width_invariant(self) -> Self:
        """The same, around the width-invariant inner encoder."""
        return type(self)(self.inner.width_invariant())

    def receptive_field(self, layer: str) -> int:
        """That of the inner encoder."""
        return self.inner.receptive_field(layer)


class PadToStride(EncoderWrapper):
    """Pads the picture at the bottom and at the right, by reflection, to the next multiple of the
    stride of the deepest of ``inner``'s layers.

    Each of VGG's poolings drops an odd last row or column. Where 16 does not divide the height, the
    deep layers never see the lowest rows; those are then painted by the shallow layers alone, and
    grow a line of dashes.

    Features are ``ceil(H / stride)`` rows high, where ``inner`` alone gives ``floor(H / stride)``.
    Nothing changes where the stride divides both lengths.
    """

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner)
        self._strides = {inner.stride(layer) for layer in inner.layers}

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``, without the positions that lie in the padding."""
        height, width = image.shape[-2:]
        # Of all layers, not of those asked for: a layer's features are the same in all company.
        step = max((x for x in self._strides if x <= min(height, width)), default=1)
        padded = pad_to_multiple(image, step, "reflect")
        found = self.inner.encode(padded, layers)
        if padded is image:
            return found
        for layer, features in found.items():
            rows, columns = self.feature_size(layer, height, width)
            found[layer] = features[..., :rows, :columns]
        return found

    def feature_size(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """The size ``(h, w)`` of ``layer``'s features, with those of the last rows and columns."""
        stride = self.stride(layer)
        return -(-height // stride), -(-width // stride)

    @property
    def step(self) -> int:
        """The multiple to which a picture is padded."""
        return max(self._strides)


class QuantizedFeatures(EncoderWrapper):
    """Computes in float32 and rounds features to multiples of a step, as float64.

    The step is a power of two, about 1/2048 of the root mean square of the layer's features of
    noise. Gradients pass the rounding unchanged. Sums under masks are exact where the mask is 0 or
    1.

    Tiles differ from the whole picture only by rounding: in the order in which statistics are
    added up, and in the order in which two tiles add their gradients to a pixel between them. But
    Adam doubles a small difference at each step, so a tiled run of twenty steps may differ by a
    tenth in some pixel, though no eye sees which is which.

    Three things make a tiled run equal to the whole one, to the bit. Products of quantised features
    are whole numbers, which float64 adds up without an error in any order. Each tile computes *all*
    of the gradient of its pixels, at the price of borders twice as wide (see
    :mod:`impasto.optim.tiling`). And convolutions compute a position in the same way whatever lies
    around it, as they do anyway but in one case (:meth:`Encoder.width_invariant`).
    """

    exact = True

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner.width_invariant())
        self._steps: dict[str, float] = {}

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``, rounded."""
        self._measure([name for name in layers if name not in self._steps], image)
        found = self.inner.encode(image, layers)
        return {name: _quantize(f.double(), self._steps[name]) for name, f in found.items()}

    def _measure(self, layers: Sequence[str], image: Tensor) -> None:
        if not layers:
            return
        noise = torch.rand(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            features = self.inner.encode(noise.to(image), layers)
        for name, f in features.items():
            rms = float(f.double().square().mean().sqrt())
            self._steps[name] = 2.0 ** round(math.log2(max(rms, 1e-30))) / STEPS


def _quantize(features: Tensor, step: float) -> Tensor:
    """To the nearest multiple of ``step``; the gradient is that of the identity."""
    with torch.no_grad():
        error = (features / step).round() * step - features
    return features + error
