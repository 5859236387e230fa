"""An encoder that sees all of a picture, whatever its size.

Each of VGG's poolings drops an odd last row or column: of a picture whose height 16 does not divide
the deep layers never see the lowest rows, which then get all of their paint from shallow ones, and
grow a line of dashes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from impasto.encoders.base import Around, Encoder, Features, completed


class Mirrored(Around):
    """``inner``, shown the picture with a mirrored border below and to the right, to the next
    multiple of the stride of the deepest of its layers.

    Features are as many as begin in the picture: ``ceil(H / stride)`` rows, where ``inner`` alone
    gives ``floor(H / stride)``. Nothing changes where the stride divides both lengths.
    """

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner)
        self._strides = {inner.stride(layer) for layer in inner.layers}

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``, positions in the border left out."""
        height, width = image.shape[-2:]
        # Of all layers, not of those asked for: a layer's features are the same in all company.
        step = max((x for x in self._strides if x <= min(height, width)), default=1)
        whole = completed(image, step, "reflect")
        found = self.inner.encode(whole, layers)
        if whole is image:
            return found
        for layer, features in found.items():
            rows, columns = self.grid(layer, height, width)
            found[layer] = features[..., :rows, :columns]
        return found

    def grid(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """The size of ``layer``'s features: positions that see the last rows and columns count."""
        stride = self.stride(layer)
        return -(-height // stride), -(-width // stride)

    @property
    def step(self) -> int:
        """The multiple to which a picture is completed."""
        return max(self._strides)
