"""The network with less to compute: affine maps fused, the decoder in two parts.

::

    picture --encode_trunk--> trunk features --(moments, over all tiles)--> a StyleTransform
    StyleTransform --fuse--> FusedWeights
    deep features, weights --CoarseDecoder--> coarse features
    picture, fine features, coarse features, weights --FineDecoder--> picture

:class:`~impasto.arbitrary.network.Quick` defines what is computed; this module computes the same,
up to rounding, with less work. Between mini's trunk and the decoder's first convolution at each
scale lie three affine maps of the channels: mini's head, the transport and the normalisation. They
are multiplied into one matrix per level, as small as the level is wide. The moments of features
follow from those of the trunk, so the heads are not computed at all.

The decoder is split because large pictures are painted in tiles. The coarse decoder takes the two
deep levels: its receptive field is large and its features are few, so it runs once on the whole
picture. The fine decoder has a small receptive field and runs tile by tile.

Between the parts the layout is channels last, ``(N, h, w, C)``: rows of a matrix, for moments and
maps.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.arbitrary.network import (
    DEEP,
    FINE,
    LEVELS,
    STRIDES,
    Block,
    Convolution,
    Decoder,
    Quick,
    StyleTransform,
    anti_imaging,
)
from impasto.arbitrary.transport import Moments
from impasto.encoders import Mini
from impasto.encoders.base import IMAGE
from impasto.encoders.mini import Trunk, tap_of

TrunkFeatures = tuple[Tensor, ...]
"""Features of mini's trunk, before its heads: ``(N, h, w, K)`` for each of LEVELS, or of some."""


class FusedWeights(NamedTuple):
    """A :class:`~impasto.arbitrary.network.StyleTransform` as the two decoders take it, in float32.

    For each of LEVELS, ``matrices`` ``(N, C, K)`` and ``offsets`` ``(N, C)`` map the K channels of
    the trunk to the C that the decoder takes; ``colour_matrix`` ``(N, 3, 3)`` and ``colour_offset``
    ``(N, 3)`` map the picture's colours. ``code`` ``(N, EMBEDDING)`` is the style's.
    """

    matrices: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    colour_matrix: Tensor
    colour_offset: Tensor
    code: Tensor


class FusedQuick:
    """A :class:`~impasto.arbitrary.network.Quick` in fused form, on the device of ``model``.

    It takes one picture ``(1, 3, H, W)`` at a time, with sides divisible by 16: ``encode`` it, then
    ``decode_coarse`` (a :class:`CoarseDecoder`) and ``decode_fine`` (a :class:`FineDecoder`).
    ``dtype`` is the arithmetic of the convolutions (default: the encoder's); the weights of
    ``model`` keep theirs.
    """

    def __init__(self, model: Quick, dtype: torch.dtype | None = None) -> None:
        self.model, self.dtype = model, dtype or model.encoder.dtype
        trunk = trunk_of(model)
        if self.dtype != model.encoder.dtype:
            trunk = deepcopy(trunk).to(self.dtype)
        self.trunk = trunk
        self.decode_coarse = CoarseDecoder(model.decoder, folded=True)
        self.decode_fine = FineDecoder(model.decoder, folded=True)

    def encode(self, image: Tensor, levels: tuple[str, ...] = LEVELS) -> TrunkFeatures:
        """The trunk's features of ``image`` at ``levels``; see :func:`encode_trunk`."""
        return encode_trunk(self.trunk, image, levels)


def encode_trunk(trunk: Trunk, image: Tensor, levels: tuple[str, ...] = LEVELS) -> TrunkFeatures:
    """``(N, 3, H, W)`` with sides divisible by 16 -> the trunk's features at ``levels``."""
    numbers = [tap_of(name) for name in levels]
    found = trunk(image, max(numbers))
    return tuple(found[number].permute(0, 2, 3, 1) for number in numbers)


class _PartialDecoder(nn.Module):
    """Base class of the two decoders: how one level of the decoder is computed.

    With ``folded`` the style's scales and shifts are folded into the convolutions' weights instead
    of applied to their output, which costs less; N must be 1 then.
    """

    def __init__(self, decoder: Decoder, *, folded: bool = False) -> None:
        super().__init__()
        self.decoder, self.folded = decoder, folded

    def _decode_level(
        self,
        level: str,
        x: Tensor | None,
        features: Tensor,
        weights: FusedWeights,
        origin: tuple[int, int],
        picture: Tensor | None = None,
    ) -> Tensor:
        """The decoder's output ``x`` below ``level``, and the trunk's ``features`` there ->
        ``(N, C, h, w)``. The last level also takes the recoloured ``picture``."""
        number, decoder, code = LEVELS.index(level), self.decoder, weights.code
        own = [_map_channels(features, weights.matrices[number], weights.offsets[number])]
        if picture is not None:
            own.append(decoder.normalise(picture, IMAGE).to(features.dtype))
        stride = STRIDES[number]
        own.append(decoder.noise_like(own[0], (origin[0] // stride, origin[1] // stride)))
        if x is not None:
            narrow = decoder.narrow[number]
            if isinstance(narrow, nn.Conv2d):
                x = _convolve(x, narrow.weight, narrow.bias)
            size = (features.shape[1], features.shape[2])  # exactly twice as large
            own.insert(0, F.interpolate(x, size=size, mode="bilinear", align_corners=False))
        enter, blocks = decoder.enter[number], decoder.blocks[number]
        assert isinstance(enter, Convolution)
        x = F.relu(self._layer(torch.cat(own, 1), enter, code))
        for block in cast(nn.ModuleList, blocks):
            assert isinstance(block, Block)
            y = F.relu(self._layer(x, block.first, code))
            x = F.relu(x + self._layer(y, block.second, code))
        return x

    def _layer(self, x: Tensor, layer: Convolution, code: Tensor) -> Tensor:
        """The output of a :class:`~impasto.arbitrary.network.Convolution`, with less work."""
        film: Tensor = layer.film(code)
        scale, shift = film.chunk(2, 1)
        scale = 1 + scale
        weight, bias = layer.convolution.weight, layer.convolution.bias
        assert bias is not None
        if self.folded:
            return _convolve(
                _pad(x), weight * scale[0][:, None, None, None], bias * scale[0] + shift[0]
            )
        scale, shift = (part[..., None, None].to(x.dtype) for part in (scale, shift))
        return _convolve(_pad(x), weight, bias) * scale + shift


class CoarseDecoder(_PartialDecoder):
    """The decoder's two DEEP levels."""

    def forward(
        self, features: TrunkFeatures, weights: FusedWeights, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """The DEEP ``features`` -> coarse features ``(N, h, w, C)``.

        ``origin`` is where the top left pixel lies in the whole picture, divisible by 16.
        """
        x: Tensor | None = None
        for name, own in zip(DEEP, features, strict=True):
            x = self._decode_level(name, x, own, weights, origin)
        assert x is not None
        return x.permute(0, 2, 3, 1)


class FineDecoder(_PartialDecoder):
    """The decoder's FINE levels and its output."""

    def forward(
        self,
        image: Tensor,
        coarse: Tensor,
        features: TrunkFeatures,
        weights: FusedWeights,
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """A picture ``image`` ``(N, 3, H, W)``, its ``coarse`` features ``(N, H/8, W/8, C)`` and
        its FINE ``features`` -> the painted picture ``(N, 3, H, W)`` in float32.

        ``origin`` is as in :class:`CoarseDecoder`.
        """
        rows = image.float().permute(0, 2, 3, 1)
        picture = _map_channels(rows, weights.colour_matrix, weights.colour_offset)
        x = coarse.permute(0, 3, 1, 2)
        for name, own in zip(FINE, features, strict=True):
            last = picture if name == FINE[-1] else None
            x = self._decode_level(name, x, own, weights, origin, last)
        x = F.relu(self._layer(x, self.decoder.last, weights.code))
        weight, bias = self.decoder.colour.weight, self.decoder.colour.bias
        added = _convolve(_pad(x), weight, bias).float()
        return picture + anti_imaging(added, self.decoder.get_buffer("alternation"))


def fuse(model: Quick, transform: StyleTransform) -> FusedWeights:
    """One map per level: mini's head, then that of ``transform``, then the normalisation."""
    matrices, offsets = [], []
    for name in LEVELS:
        weight, bias = _head(model, name)
        centre, scale = (
            model.decoder.get_buffer(f"{kind}_{name}").cpu() for kind in ("centre", "scale")
        )
        matrix, offset = (part.cpu() for part in transform.maps[name])
        device = transform.code.device
        matrices.append((matrix @ weight / scale[:, None]).to(device))
        offsets.append(((matrix @ bias + offset - centre) / scale).to(device))
    return FusedWeights(tuple(matrices), tuple(offsets), *transform.maps[IMAGE], transform.code)


def moments_after_head(model: Quick, name: str, trunk: Moments) -> Moments:
    """Moments of the trunk's features at one of LEVELS -> those of mini's features there."""
    weight, bias = _head(model, name)
    mean, covariance = (part.cpu().float() for part in trunk)
    return Moments(mean @ weight.mT + bias, weight @ covariance @ weight.mT)


def trunk_of(model: Quick) -> Trunk:
    """The convolutions of the network's encoder."""
    return _mini(model).trunk


def _head(model: Quick, name: str) -> tuple[Tensor, Tensor]:
    """Weight ``(C, K)`` and bias ``(C,)`` of mini's head at a layer, in float32 on the CPU."""
    head = _mini(model).heads[name]
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    return head.weight[..., 0, 0].cpu().float(), head.bias.cpu().float()


def _mini(model: Quick) -> Mini:
    assert isinstance(model.encoder, Mini), "the decoder was trained for mini's features"
    return model.encoder


def _map_channels(rows: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """``(N, h, w, K)`` -> ``(N, C, h, w)``."""
    matrix, offset = matrix.to(rows.dtype), offset.to(rows.dtype).unsqueeze(1)
    moved = torch.baddbmm(offset, rows.flatten(1, 2), matrix.mT)
    return moved.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def _pad(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """In the precision of ``x``."""
    return F.conv2d(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
