"""Features in float64, so that sums over them do not depend on how the picture is cut.

Tiles differ from the whole picture in nothing but rounding: in the order in which statistics are
added up, and in the order in which two tiles add their gradients to a pixel between them. That is
little, but an optimiser makes much of little: where a pixel's gradient is nearly zero, Adam steps
by the same length to one side or the other. So a run of twenty steps from tiles may differ from
that of the whole by a tenth in some pixel, though no eye sees which is which.

A convolution computes each position in the same way, whatever lies around it. So two things make a
run from tiles the run of the whole, to the bit: sums in float64, whose last bits are gone once the
gradient is in float32 again; and tiles that each compute *all* of the gradient of their pixels, at
the price of borders twice as wide (see :mod:`impasto.tiles`).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from impasto.encoders.base import Encoder, Features


class Exact(Encoder):
    """``inner``, in float32, with its features handed out in float64."""

    exact = True

    def __init__(self, inner: Encoder) -> None:
        super().__init__()
        self.inner = inner
        self.name, self.sha256, self.layers = inner.name, inner.sha256, inner.layers

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``."""
        return {name: f.double() for name, f in self.inner.encode(image, layers).items()}

    def stride(self, layer: str) -> int:
        """That of the inner encoder."""
        return self.inner.stride(layer)

    def grid(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """That of the inner encoder."""
        return self.inner.grid(layer, height, width)

    @property
    def step(self) -> int:
        """That of the inner encoder."""
        return self.inner.step

    @property
    def wraps(self) -> tuple[int, ...]:
        """That of the inner encoder."""
        return self.inner.wraps

    def with_padding(self, padding: str) -> Exact:
        """The same, around the inner encoder with another padding."""
        return Exact(self.inner.with_padding(padding))

    def reach(self, layer: str) -> int:
        """That of the inner encoder."""
        return self.inner.reach(layer)
