"""What the encoder sees of a picture at each step: never quite the same.

Poolings put a grid on the picture, and a network answers to patterns that fit that grid to the
pixel. A picture that is shifted, turned and resized a little at each step can only please it with
what survives that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.machine.devices import generator

STRIDE = (
    1_000_003  # a prime between seeds of successive steps, so that runs with close seeds differ
)


class Jitter:
    """Shift the picture by up to ``pixels`` in both directions, another way at each step.

    What comes in at the borders is the picture's mirror image (Mordvintsev et al. 2015 let it come
    from the other side, which draws the border into the picture). ``seed`` and the step's number
    say how far.

    >>> image = torch.rand(1, 3, 16, 16)
    >>> Jitter(4)(image, 0).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(self, pixels: int, seed: int = 0) -> None:
        self.pixels, self.seed = pixels, seed

    def __call__(self, image: Tensor, step: int) -> Tensor:
        """What is seen at ``step``."""
        height, width = image.shape[-2:]
        margin = min(self.pixels, height - 1, width - 1)
        if margin < 1:
            return image
        source = generator((self.seed + STRIDE * step) % 2**63)
        top, left = torch.randint(0, 2 * margin + 1, (2,), generator=source).tolist()
        wide = F.pad(image, (margin,) * 4, mode="reflect")
        return wide[..., top : top + height, left : left + width]


class RandomTransform:
    """Shift, turn and resize the picture a little (the "transformation robustness" of Olah et al.
    2017), another way at each step: up to ``pixels``, ``degrees``, and a factor of ``1 + zoom``.

    One affine map, bilinear, with the picture's mirror image beyond its borders.
    """

    def __init__(
        self, pixels: int = 8, degrees: float = 5.0, zoom: float = 0.1, seed: int = 0
    ) -> None:
        self.pixels, self.degrees, self.zoom, self.seed = pixels, degrees, zoom, seed

    def __call__(self, image: Tensor, step: int) -> Tensor:
        """What is seen at ``step``."""
        batch, _, height, width = image.shape
        source = generator((self.seed + STRIDE * step) % 2**63)
        turn, grow, down, right = (2 * torch.rand(4, generator=source) - 1).tolist()
        angle, factor = math.radians(self.degrees) * turn, (1 + self.zoom) ** grow
        cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
        # In units of half a side; the ratio of sides keeps a turn from shearing.
        matrix = image.new_tensor(
            [
                [cosine, -sine * height / width, 2 * self.pixels * right / width],
                [sine * width / height, cosine, 2 * self.pixels * down / height],
            ]
        )
        grid = F.affine_grid(
            matrix.expand(batch, 2, 3), [batch, 3, height, width], align_corners=False
        )
        return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
