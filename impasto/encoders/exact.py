"""Features whose sums do not depend on how the picture is cut.

Tiles differ from the whole picture in nothing but rounding: in the order in which statistics are
added up, and in the order in which two tiles add their gradients to a pixel between them. That is
little, but an optimiser makes much of little: Adam's steps double a small difference each time. So
a run of twenty steps from tiles may differ from that of the whole by a tenth in some pixel, though
no eye sees which is which.

Three things make a run from tiles that of the whole, to the bit. Features are rounded to multiples
of a power of two: their products are then whole numbers, which float64 adds up without an error in
any order. Each tile computes *all* of the gradient of its pixels, at the price of borders twice as
wide (see :mod:`impasto.optim.tiling`). And convolutions compute a position in the same way whatever
lies around it, as they do of themselves but in one case (:meth:`Encoder.steadied`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.encoders.base import Around, Encoder, Features

# Steps to the root mean square of a layer. Squares add up without an error to 2^53: those of 2^24
# positions, if they are 8 times as large as expected.
STEPS = 2**11
PROBE = 64  # pixels a side of the noise that says how large features are


class Exact(Around):
    """``inner``, in float32, with its features handed out in float64, as multiples of a step.

    The step is a power of two, about 1/2048 of the root mean square of the layer's features of
    noise. The gradient is that of the features as they were. Sums under masks are exact where the
    mask is 0 or 1.
    """

    exact = True

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner.steadied())
        self._steps: dict[str, float] = {}

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``, rounded."""
        self._measure([name for name in layers if name not in self._steps], image)
        found = self.inner.encode(image, layers)
        return {name: _rounded(f.double(), self._steps[name]) for name, f in found.items()}

    def _measure(self, layers: Sequence[str], image: Tensor) -> None:
        if not layers:
            return
        noise = torch.rand(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            features = self.inner.encode(noise.to(image), layers)
        for name, f in features.items():
            size = float(f.double().square().mean().sqrt())
            self._steps[name] = 2.0 ** round(math.log2(max(size, 1e-30))) / STEPS


def _rounded(features: Tensor, step: float) -> Tensor:
    """To the nearest multiple of ``step``, with the gradient of no rounding."""
    with torch.no_grad():
        error = (features / step).round() * step - features
    return features + error
