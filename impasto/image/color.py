"""Colour transfer: the chroma of one picture with the lightness of another, and matched colours.

An image is ``(1, 3, H, W)`` float sRGB in [0, 1]. All work is done in Oklab (Ottosson 2020): the
first channel is lightness, the other two are chroma (green to red, blue to yellow). Equal steps
look equally large there, and a colour keeps its hue when it gets lighter. Why not Lab or YIQ:
docs/decisions/0011-colours-in-oklab.md.

Pictures are processed in bands of rows, so that large ones need no full-size temporaries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.errors import ConfigError

ROWS = 256  # per band
HALVINGS = 10  # of the bisection into the gamut: exact to a thousandth of the distance
ROUNDING = 1e-4  # linear light by which an in-gamut colour may exceed [0, 1]
# The chroma of an almost colourless picture is noise: no axis is stretched more than this.
MOST_STRETCH = 5.0
FLOOR = 1e-10  # added to variances: a standard deviation of 0.00001
QUANTILES = 513
SAMPLE = 2**20  # pixels from which quantiles are computed, at most

METHODS = ("covariance", "histogram")

# Linear sRGB -> cone responses -> (cube root) -> Oklab. Ottosson (2020), "A perceptual color space
# for image processing".
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


# --- matching ------------------------------------------------------------------------------------


def keep_colors(image: Tensor, colors: Tensor, strength: float = 1.0) -> Tensor:
    """Combine the lightness of ``image`` with the chroma of ``colors``, an image of the same size.

    Luminance-only transfer (Gatys et al. 2016, "Preserving color in neural artistic style
    transfer"), in Oklab where they use YIQ. Where that lightness and chroma lie outside sRGB,
    lightness moves towards that of ``colors`` by the smallest amount: chroma never changes and
    nothing is clipped. ``strength`` in [0, 1] interpolates from ``image``.

    >>> grey, red = torch.full((1, 3, 1, 1), 0.5), torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1)
    >>> keep_colors(grey, red).flatten().round(decimals=2)
    tensor([0.6400, 0.4400, 0.4400])
    """

    def mix(image: Tensor, colors: Tensor) -> Tensor:
        ours, theirs = srgb_to_oklab(image), srgb_to_oklab(colors)
        kept = _into_gamut(torch.cat([ours[:, :1], theirs[:, 1:]], 1), theirs)
        return oklab_to_srgb(torch.lerp(ours, kept, strength)).clamp(0, 1)

    return image if strength == 0 else _by_rows(mix, image, colors)


def match_colors(
    image: Tensor,
    like: Tensor,
    *,
    method: str = "covariance",
    strength: float = 1.0,
    weight: Tensor | None = None,
    like_weight: Tensor | None = None,
) -> Tensor:
    """Match the colours of ``image`` to those of ``like``, which may be of any size.

    ``covariance`` matches the mean and covariance of the colours by the linear map that moves
    colours least (Pitie & Kokaram 2007, the Monge-Kantorovitch solution; Gatys et al. 2016 use a
    Cholesky factor or the root of Image Analogies, which turn hues more). ``histogram`` also
    matches the distribution along each axis of Oklab. ``strength`` in [0, 1] interpolates from
    ``image``. ``weight`` and ``like_weight`` ``(1, 1, h, w)`` weight the pixels (transparent: 0).

    Colours outside sRGB lose chroma until they fit. Raises ``ConfigError`` for another method.
    """
    if method not in METHODS:
        raise ConfigError(f"method is '{method}'", f"use one of: {', '.join(METHODS)}")
    if strength == 0:
        return image
    own, other = palette(image, weight), palette(like, like_weight)
    matrix = least_map(own.covariance, other.covariance).to(image)
    shift = (other.mean - matrix.cpu().double() @ own.mean).to(image).view(1, 3, 1, 1)
    curves: list[tuple[Tensor, Tensor]] = []
    if method == "histogram":
        before = matrix @ own.sample.to(image) + shift.view(3, 1)
        curves = [
            (_quantiles(a), _quantiles(b.to(image)))
            for a, b in zip(before, other.sample, strict=True)
        ]

    def recolor(image: Tensor) -> Tensor:
        before = srgb_to_oklab(image)
        after = _mixed(before, matrix) + shift
        for channel, (source, target) in enumerate(curves):
            after[:, channel] = _interpolated(after[:, channel], source, target)
        return _as_srgb(torch.lerp(before, after, strength))

    return _by_rows(recolor, image)


def keep_contrast(
    image: Tensor, original: Tensor, share: float = 0.5, weight: Tensor | None = None
) -> Tensor:
    """Give ``image``, a recoloured ``original``, back some of the contrast that it lost.

    The deviation of its lightness becomes ``own ** (1 - share) * original ** share`` where the
    original has more; its mean and the chroma stay. Both are ``(1, 3, H, W)`` of any size,
    ``weight`` ``(1, 1, h, w)`` weights the pixels of both. Colours outside sRGB lose chroma until
    they fit.
    """
    own, other = palette(image, weight), palette(original, weight)
    ratio = float((other.covariance[0, 0] + FLOOR) / (own.covariance[0, 0] + FLOOR))
    if ratio <= 1:
        return image
    scale, mean = ratio ** (share / 2), float(own.mean[0])

    def stretch(image: Tensor) -> Tensor:
        after = srgb_to_oklab(image)
        after[:, 0].sub_(mean).mul_(scale).add_(mean)
        return _as_srgb(after)

    return _by_rows(stretch, image)


class Palette(NamedTuple):
    """Colour statistics in Oklab: ``mean`` ``(3,)`` and ``covariance`` ``(3, 3)`` (float64, on the
    CPU), and a ``sample`` ``(3, n)`` of the pixels."""

    mean: Tensor
    covariance: Tensor
    sample: Tensor


def palette(image: Tensor, weight: Tensor | None = None) -> Palette:
    """Colour statistics of ``image`` ``(1, 3, H, W)``, weighted by ``weight`` ``(1, 1, H, W)``."""
    height, width = image.shape[-2:]
    every = max(1, math.ceil(height * width / SAMPLE))
    count, first, second = 0.0, torch.zeros(3).double(), torch.zeros(3, 3).double()
    samples = []
    for top in range(0, height, ROWS):
        x = srgb_to_oklab(image[..., top : top + ROWS, :]).flatten(2)[0].cpu().double()
        if weight is None:
            w = torch.ones_like(x[0])
        else:
            w = weight[..., top : top + ROWS, :].flatten().cpu().double()
        count += float(w.sum())
        first += x @ w
        second += (x * w) @ x.T
        part = x[:, ::every]
        samples.append(part[:, w[::every] > 0.5].float())
    count = max(count, 1e-6)
    mean = first / count
    sample = torch.cat(samples, 1)
    if sample.shape[1] == 0:
        sample = mean.float().view(3, 1)
    return Palette(mean, second / count - torch.outer(mean, mean), sample)


def least_map(source: Tensor, target: Tensor) -> Tensor:
    """The symmetric matrix that maps covariance ``source`` to ``target``, both ``(3, 3)``.

    ``T = S^-1/2 (S^1/2 C S^1/2)^1/2 S^-1/2``: of all such matrices the one that moves colours least
    (Pitie & Kokaram 2007). No axis is stretched by more than ``MOST_STRETCH``.

    >>> torch.allclose(least_map(torch.eye(3), 4 * torch.eye(3)), 2 * torch.eye(3).double())
    True
    """
    small = FLOOR * torch.eye(3, dtype=torch.float64)
    root = _power(source.double() + small, 0.5)
    inverse = _power(source.double() + small, -0.5)
    matrix = inverse @ _power(root @ (target.double() + small) @ root, 0.5) @ inverse
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    result: Tensor = vectors @ torch.diag(values.clamp(0, MOST_STRETCH)) @ vectors.T
    return result


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A symmetric positive matrix to the power of ``exponent``."""
    values, vectors = torch.linalg.eigh(matrix)
    result: Tensor = vectors @ torch.diag(values.clamp_min(FLOOR * 1e-3) ** exponent) @ vectors.T
    return result


def _quantiles(values: Tensor) -> Tensor:
    """``QUANTILES`` equally spaced quantiles of ``values``, minimum and maximum included."""
    ordered = values.sort().values
    places = torch.linspace(0, len(ordered) - 1, QUANTILES, device=values.device)
    return ordered[places.round().long()]


def _interpolated(x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The piecewise linear function through ``(source[i], target[i])``; constant beyond them."""
    right = torch.bucketize(x, source).clamp(1, len(source) - 1)
    left = right - 1
    span = (source[right] - source[left]).clamp_min(1e-8)
    share = ((x - source[left]) / span).clamp(0, 1)
    return torch.lerp(target[left], target[right], share)


# --- the gamut -----------------------------------------------------------------------------------


def _as_srgb(oklab: Tensor) -> Tensor:
    """sRGB of colours ``(1, 3, h, w)``, changed in place, that lose chroma until they fit."""
    oklab[:, 0].clamp_(0, 1)
    grey = torch.cat([oklab[:, :1], torch.zeros_like(oklab[:, 1:])], 1)
    return oklab_to_srgb(_into_gamut(oklab, grey)).clamp(0, 1)


def _into_gamut(oklab: Tensor, inside: Tensor) -> Tensor:
    """Move colours outside sRGB towards ``inside`` until they fit, by bisection.

    Both are ``(1, 3, h, w)`` in Oklab; ``inside`` lies in sRGB. In-gamut colours stay as they are.
    """
    outside = ~_in_gamut(oklab)
    if not outside.any():
        return oklab
    pick = outside[0]
    far, near = oklab[0][:, pick], inside[0][:, pick]  # (3, n)
    low, high = torch.zeros_like(far[:1]), torch.ones_like(far[:1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        good = _in_gamut(torch.lerp(near, far, middle)[None, :, None])[:, 0]
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    result = oklab.clone()
    result[0][:, pick] = torch.lerp(near, far, low)
    return result


def _in_gamut(oklab: Tensor) -> Tensor:
    """Which pixels of ``(1, 3, h, w)`` lie in sRGB: bool ``(1, h, w)``."""
    linear = _oklab_to_linear(oklab)
    return ((linear >= -ROUNDING) & (linear <= 1 + ROUNDING)).all(1)


# --- spaces --------------------------------------------------------------------------------------


def srgb_to_oklab(image: Tensor) -> Tensor:
    """``(N, 3, H, W)`` sRGB -> Oklab: lightness in [0, 1], then chroma, within about 0.3 of 0.

    >>> srgb_to_oklab(torch.ones(1, 3, 1, 1)).flatten().round(decimals=3).abs()
    tensor([1., 0., 0.])
    """
    cones = _mixed(srgb_to_linear(image), _matrix(_TO_CONES, image))
    return _mixed(cones.clamp_min(0) ** (1 / 3), _matrix(_TO_OKLAB, image))


def oklab_to_srgb(oklab: Tensor) -> Tensor:
    """The inverse of :func:`srgb_to_oklab`; colours outside sRGB lie outside [0, 1]."""
    return linear_to_srgb(_oklab_to_linear(oklab))


def srgb_to_linear(image: Tensor) -> Tensor:
    """Encoded sRGB in [0, 1] -> linear light (IEC 61966-2-1)."""
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Linear light -> encoded sRGB (IEC 61966-2-1); below 0 the linear segment continues."""
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def _oklab_to_linear(oklab: Tensor) -> Tensor:
    roots = _mixed(oklab, _matrix(_TO_OKLAB, oklab, inverse=True))
    return _mixed(roots**3, _matrix(_TO_CONES, oklab, inverse=True))


def _matrix(rows: tuple[tuple[float, ...], ...], like: Tensor, *, inverse: bool = False) -> Tensor:
    matrix = torch.tensor(rows, dtype=torch.float64)
    return (matrix.inverse() if inverse else matrix).to(like)


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    """Apply a 3x3 matrix to the channels of ``(N, 3, H, W)``."""
    return torch.einsum("ij,njhw->nihw", matrix, image)


def _by_rows(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Apply ``function`` to images of one size, a band of rows at a time."""
    result = torch.empty_like(images[0])
    for top in range(0, result.shape[-2], ROWS):
        result[..., top : top + ROWS, :] = function(*(x[..., top : top + ROWS, :] for x in images))
    return result
