"""What an encoder is: a network that turns an image into features, by layer name.

Every encoder speaks the language of VGG (Simonyan & Zisserman 2015): ``conv4_1`` is what the first
convolution of the fourth stage puts out, ``relu4_1`` the same after the ReLU. One more layer is
called ``image``: the picture itself, for losses that look at pixels.

Input normalisation lives here and nowhere else: outside an encoder an image is always
``(N, 3, H, W)`` float32 sRGB in [0, 1].
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import ConfigError, ImageTooSmallError, UnknownNameError

if TYPE_CHECKING:
    pass  # in typing from Python 3.11 on

Features = dict[str, Tensor]
"""Layer name -> ``(N, C, h, w)``."""

IMAGE = "image"
PADDINGS = ("zero", "reflect", "replicate", "circular", "circular-horizontal")
CIRCULAR = {"circular": (2, 3), "circular-horizontal": (3,)}
"""Padding -> the axes of ``(N, C, H, W)`` along which a picture goes on at its other side."""


class Encoder(nn.Module, ABC):
    """Base of all encoders: checks the request, prepares the image, leaves the rest to ``encode``.

    Subclasses set ``name``, ``layers`` (all they can compute, shallow first), ``sha256`` (of the
    weights, "" if unknown) and implement :meth:`encode`. Your own network is used by passing such
    an object wherever an encoder's name may stand.
    """

    name: str = "custom"
    sha256: str = ""
    layers: tuple[str, ...] = ()
    exact: bool = False
    """Whether tiles must equal the whole picture to the bit (:class:`.QuantizedFeatures`)."""

    @abstractmethod
    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers`` (checked, none of them ``image``), computed no deeper."""

    def forward(self, image: Tensor, layers: Iterable[str] | str) -> Features:
        """Features of ``image`` ``(N, 3, H, W)`` in [0, 1] at ``layers`` (one name, or several).

        Raises UnknownNameError for a layer that this encoder has not, ImageTooSmallError where the
        image would vanish in the poolings before the deepest layer.
        """
        names = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
        for name in names:
            if name != IMAGE and name not in self.layers:
                raise UnknownNameError(f"layer of {self.name}", name, (IMAGE, *self.layers))
        deep = [name for name in names if name != IMAGE]
        self._check_size(image, deep)
        features = self.encode(image, deep) if deep else {}
        if IMAGE in names:
            features[IMAGE] = image
        return {name: features[name] for name in names}

    def stride(self, layer: str) -> int:
        """How many pixels of the image one step in ``layer`` is: 1, 2, 4, 8 or 16."""
        return 1 if layer == IMAGE else 2 ** (stage_of(layer) - 1)

    def feature_size(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """The size ``(h, w)`` of ``layer``'s features for an image of that size."""
        stride = self.stride(layer)
        return height // stride, width // stride

    @property
    def step(self) -> int:
        """Where a picture may be cut into tiles, beside the layers' own strides: at multiples."""
        return 1

    @property
    def wraps(self) -> tuple[int, ...]:
        """The axes of ``(N, C, H, W)`` along which a picture goes on at its other side."""
        return ()

    def with_padding(self, padding: str) -> Encoder:
        """The same network, sharing its weights, with another of ``PADDINGS``.

        Raises ConfigError where an encoder has no choice.
        """
        raise ConfigError(
            f"the encoder '{self.name}' cannot change its padding to '{padding}'",
            "give it a with_padding(), or leave out wrap",
        )

    def width_invariant(self) -> Encoder:
        """The same network and weights; its rounding does not depend on the image's width.

        Itself, where nothing is known to do about that.
        """
        return self

    def receptive_field(self, layer: str) -> int:
        """How many pixels beyond its own ``stride`` x ``stride`` a position of ``layer`` sees.

        Tiles need it. Raises ConfigError where an encoder does not say.
        """
        raise ConfigError(
            f"the encoder '{self.name}' does not say how far its features see",
            "give it a receptive_field() to compute in tiles, or leave out the size of tiles",
        )

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type in which this encoder computes."""
        return next((p.dtype for p in self.parameters()), torch.float32)

    def _check_size(self, image: Tensor, layers: Sequence[str]) -> None:
        height, width = image.shape[-2:]
        for name in layers:
            if min(height, width) < self.stride(name):
                raise ImageTooSmallError(
                    f"image is {height}x{width}; {name} needs at least {self.stride(name)} pixels "
                    "on the short side",
                    "use a larger picture or shallower layers",
                )


def stage_of(layer: str) -> int:
    """The stage (1 to 5) that a layer belongs to.

    >>> stage_of("relu4_1")
    4
    """
    found = re.fullmatch(r"(?:relu|conv)([1-5])_[1-4]", layer)
    if found is None:
        raise ConfigError(
            f"'{layer}' is no layer name of VGG's kind",
            "name layers like relu4_1, or give your encoder a stride() of its own",
        )
    return int(found[1])


def pad_and_convolve(
    features: Tensor, convolution: nn.Conv2d, padding: str, width_invariant: bool = False
) -> Tensor:
    """A 3x3 convolution that keeps the size; ``padding`` is one of ``PADDINGS``.

    Zero padding, VGG's own, costs nothing; the others copy the features first. ``reflect``
    needs at least two rows and columns and falls back to ``replicate`` below that. ``circular``
    goes on at the opposite side, ``circular-horizontal`` does at left and right and replicates
    above and below. ``width_invariant`` makes the gradient's rounding independent of the picture's
    width.
    """
    if padding == "reflect" and min(features.shape[-2:]) < 2:
        padding = "replicate"
    weight, bias = convolution.weight, convolution.bias
    if weight.requires_grad or not features.requires_grad:
        return _convolve(features, weight, bias, padding)
    return cast(Tensor, _FixedConvolution.apply(features, weight, bias, padding, width_invariant))  # type: ignore[no-untyped-call]


def _convolve(features: Tensor, weight: Tensor, bias: Tensor | None, padding: str) -> Tensor:
    if padding == "zero":
        return F.conv2d(features, weight, bias, padding=1)
    if padding == "circular-horizontal":
        features = F.pad(F.pad(features, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), "replicate")
    else:
        features = F.pad(features, (1, 1, 1, 1), mode=padding)
    return F.conv2d(features, weight, bias)


class _FixedConvolution(torch.autograd.Function):
    """A convolution whose weights do not learn, and which therefore need not keep its input.

    Torch's would, for a gradient that nobody asks for: half of the memory of a step. And the
    gradient of the borders is added up in place.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: str,
        width_invariant: bool,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.padding, ctx.width_invariant = padding, width_invariant
        return _convolve(features, weight, bias, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        weight = ctx.saved_tensors[0].to(gradients[0].dtype)  # another under torch.autocast
        if ctx.padding == "zero":
            return F.conv_transpose2d(gradients[0], weight, padding=1), None, None, None, None
        if (
            ctx.width_invariant
        ):  # one algorithm for all widths, a few per cent slower than the next line's
            slope = F.conv_transpose2d(F.pad(gradients[0], (1, 1, 1, 1)), weight, padding=1)
        else:
            slope = F.conv_transpose2d(gradients[0], weight)  # (N, C, H + 2, W + 2)
        for axis in (2, 3):
            # The row that the border is a copy of, seen from it.
            source = 2 if ctx.padding == "reflect" else 1
            if axis in CIRCULAR.get(ctx.padding, ()):
                source = -2
            slope.select(axis, source).add_(slope.select(axis, 0))
            slope.select(axis, -1 - source).add_(slope.select(axis, -1))
        return slope[..., 1:-1, 1:-1], None, None, None, None


def pad_to_multiple(image: Tensor, step: int, mode: str) -> Tensor:
    """``(N, C, H, W)`` padded at the bottom and at the right to the next multiples of ``step``;
    ``mode`` is one of :func:`torch.nn.functional.pad`."""
    below, right = (-length % step for length in image.shape[-2:])
    return F.pad(image, (0, right, 0, below), mode=mode) if below or right else image


def check_choice(what: str, value: str, allowed: Iterable[str]) -> str:
    """``value`` if it is one of ``allowed``; ConfigError otherwise."""
    if value not in (names := list(allowed)):
        raise ConfigError(f"{what} is '{value}'", f"use one of: {', '.join(names)}")
    return value
