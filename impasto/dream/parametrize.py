"""Other numbers than pixels to write a picture down with, for optimisers that start from noise.

A step of Adam is as large for each number that it moves. Where those are pixels, most of the step
is fine grain, because most of what pixels can say is. In the picture's Fourier transform, scaled as
the spectra of photos fall off, a step is as large at each scale; and along the axes in which the
colours of photos vary, it leaves the colours balanced (Olah, Mordvintsev & Schubert 2017, "Feature
Visualization", "Preconditioning and Parameterization").
"""

from __future__ import annotations

import torch
from torch import Tensor

# The root of the covariance of colours in ImageNet, as published with that article (lucid,
# ``color_correlation_svd_sqrt``), over its largest column: light, then blue to orange, then green
# to magenta. A column is what one decorrelated number adds to red, green and blue.
COLORS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
SPREAD = 0.25  # of the values before the sigmoid, for spectra of photos (lucid's factor)
MARGIN = 1e-3  # pixels this close to 0 and 1 are as good as there


class Fourier:
    """A picture as the Hartley transform of its decorrelated colours before a sigmoid.

    The Hartley transform (Bracewell 1983), ``Re F - Im F`` of the Fourier transform F, holds the
    same amplitudes and phases in as many real numbers as there are pixels, and is its own inverse.
    Each number is multiplied by ``1 / frequency ** decay``; frequencies are in cycles a pixel, and
    the lowest is taken to be one over the long side.

    >>> image = torch.rand(1, 3, 6, 9) * 0.8 + 0.1
    >>> torch.allclose(Fourier().image(Fourier().values(image)), image, atol=1e-5)
    True
    """

    def __init__(self, decay: float = 1.0) -> None:
        self.decay = decay

    def image(self, values: Tensor) -> Tensor:
        """The picture ``(N, 3, H, W)`` in (0, 1) that ``values``, in the same shape, stand for."""
        decorrelated = hartley(values * self._scale(values))
        mixed: Tensor = torch.einsum("kc,nchw->nkhw", _colors(values), decorrelated)
        image: Tensor = mixed.sigmoid()
        return image

    def values(self, image: Tensor) -> Tensor:
        """The opposite of :meth:`image`, for pixels from 0.001 to 0.999; others are clamped."""
        before = image.clamp(MARGIN, 1 - MARGIN).logit()
        decorrelated = torch.einsum("ck,nkhw->nchw", torch.linalg.inv(_colors(image)), before)
        return hartley(decorrelated) / self._scale(image)

    def noise(self, shape: tuple[int, int, int, int], source: torch.Generator) -> Tensor:
        """A picture to start from: faint clouds with the spectrum of a photo."""
        return self.image(0.01 * torch.randn(shape, generator=source))

    def _scale(self, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        y = torch.fft.fftfreq(height, device=like.device)[:, None]
        x = torch.fft.fftfreq(width, device=like.device)[None, :]
        frequency = (x.square() + y.square()).sqrt().clamp_min(1 / max(height, width))
        scale: Tensor = SPREAD / frequency**self.decay
        return scale


def hartley(x: Tensor) -> Tensor:
    """The orthonormal Hartley transform of ``(..., H, W)``; twice gives back what it was.

    >>> x = torch.rand(1, 1, 4, 5)
    >>> torch.allclose(hartley(hartley(x)), x, atol=1e-6)
    True
    """
    spectrum = torch.fft.fft2(x.float(), norm="ortho")
    transformed: Tensor = spectrum.real - spectrum.imag
    return transformed


def _colors(like: Tensor) -> Tensor:
    matrix = torch.tensor(COLORS, device=like.device)
    normed: Tensor = matrix / matrix.norm(dim=0).max()
    return normed
