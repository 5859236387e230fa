"""Gradients without their fine grain: filters to follow instead of the gradient itself.

The gradient of a deep layer is mostly high frequencies: whatever passes the strided poolings comes
back with their grid in it. Followed as it is, it covers the picture with fine noise that excites
the network as well as any figure would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)  # Burt & Adelson 1983
# Of the bands, 2 pixels wide and so on. Mordvintsev et al. make all alike; with less of the finest
# there is less of a fabric over what has no figures in it.
STRENGTHS = (0.4, 0.7, 1.0, 1.0)
LONGEST = 16.0  # pixels
TINY = 1e-20


def laplacian(gradient: Tensor, strengths: Sequence[float] = STRENGTHS) -> Tensor:
    """Bring each octave of ``(N, C, H, W)`` to a strength of its own ("Laplacian pyramid gradient
    normalisation" of Mordvintsev et al. 2015).

    The gradient is taken apart into as many bands, the finest first, as there are ``strengths``;
    each is divided by its root mean square, and they are added up again. So the low ones, weak in
    the gradient, have their say. What is left below them is left out: it would tint the picture,
    and a smaller octave has seen to it.
    """
    rest, parts = gradient, []
    for strength in strengths:
        if min(rest.shape[-2:]) < 4:
            break
        lower = _halve(rest)
        parts.append(strength * _unit(rest - _double(lower, rest)))
        rest = lower
    total = torch.zeros_like(rest)
    for part in reversed(parts):
        total = _double(total, part) + part
    return total


def fourier(gradient: Tensor, decay: float = 1.0) -> Tensor:
    """Divide the spectrum of ``(N, C, H, W)`` by ``frequency ** decay``.

    That is so for wavelengths up to 16 pixels; longer ones fade out again, and the mean of each
    channel, which would tint the picture, is 0.

    This is the step that the gradient would make in the numbers of
    :class:`impasto.dream.parametrize.Fourier` (with half that decay), seen in pixels. The picture
    is continued by its mirror image, so that its left border has nothing to do with its right one.
    """
    height, width = gradient.shape[-2:]
    mirrored = torch.cat([gradient, gradient.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)
    y = torch.fft.fftfreq(2 * height, device=gradient.device)[:, None]
    x = torch.fft.rfftfreq(2 * width, device=gradient.device)[None, :]
    square = x.square() + y.square()
    weight = square / (square + LONGEST**-2) ** (1 + decay / 2)
    spectrum = torch.fft.rfft2(mirrored) * weight
    filtered: Tensor = torch.fft.irfft2(spectrum, s=mirrored.shape[-2:])
    return filtered[..., :height, :width]


FILTERS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "none": None,
    "laplacian": laplacian,
    "fourier": fourier,
}
"""Name -> the filter of gradients."""


def _halve(x: Tensor) -> Tensor:
    return _blur(x, 1.0)[..., ::2, ::2]


def _double(x: Tensor, like: Tensor) -> Tensor:
    """Up to the size of ``like``: zeros between the samples, blurred, four times as strong."""
    height, width = like.shape[-2:]
    larger = torch.zeros_like(like)
    larger[..., ::2, ::2] = x[..., : (height + 1) // 2, : (width + 1) // 2]
    return _blur(larger, 4.0)


def _blur(x: Tensor, factor: float) -> Tensor:
    kernel = x.new_tensor(KERNEL) / sum(KERNEL)
    channels = x.shape[1]
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    rows = (kernel * factor).view(1, 1, 1, 5).expand(channels, 1, 1, 5)
    columns = kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    return F.conv2d(F.conv2d(x, rows, groups=channels), columns, groups=channels)


def _unit(x: Tensor) -> Tensor:
    size = x.square().mean((1, 2, 3), keepdim=True).sqrt()
    return x / size.clamp_min(TINY)
