"""The network in two halves that need nothing of each other but numbers.

::

    picture --Encode--> taps --(moments, over all tiles)--> a plan --compose--> brush
    picture, taps, brush --Paint--> picture

:class:`~impasto.networks.quick.Quick` says what is computed; here it is said so that little has to
be computed, and so that both halves can be exported. Between mini's trunk and the decoder's first
convolution of a size lie three affine maps of the channels: mini's head, the transport and the
normalisation. They are multiplied into one matrix per layer, as small as the layer is wide. The
moments of features follow from those of the trunk, so the heads are not computed at all.

Between the halves channels come last, ``(1, h, w, C)``: rows of a matrix, for moments and maps.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders import Mini
from impasto.encoders.base import IMAGE
from impasto.encoders.mini import tap_of
from impasto.networks.quick import LEVELS, NOISE, STRIDES, Block, Convolution, Plan, Quick
from impasto.networks.transport import Moments

INPUTS = (
    "image",
    *(f"tap_{name}" for name in LEVELS),
    *(f"matrix_{name}" for name in LEVELS),
    *(f"offset_{name}" for name in LEVELS),
    *("colours", "base", "code", "origin"),
)
"""What Paint takes, in order."""

Taps = tuple[Tensor, ...]
"""What Encode hands to Paint: one ``(N, h, w, C)`` for each of LEVELS."""


class Brush(NamedTuple):
    """A :class:`~impasto.networks.quick.Plan` as Paint takes it, in float32.

    ``matrices`` ``(N, C, K)`` and ``offsets`` ``(N, C)`` lead from the K channels of a tap to the C
    that the decoder takes, for each of LEVELS; ``colours`` and ``base`` are the picture's map.
    """

    matrices: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    colours: Tensor
    base: Tensor
    code: Tensor

    def flat(self) -> tuple[Tensor, ...]:
        """All of it in a row, as Paint takes it."""
        return (*self.matrices, *self.offsets, self.colours, self.base, self.code)


class Encode(nn.Module):
    """The picture ``(N, 3, H, W)``, sides that 16 divides -> taps."""

    def __init__(self, model: Quick) -> None:
        super().__init__()
        self.trunk = _mini(model).trunk
        self.chosen = [tap_of(name) for name in LEVELS]

    def forward(self, image: Tensor) -> Taps:
        found = self.trunk(image, max(self.chosen))
        return tuple(found[number].permute(0, 2, 3, 1) for number in self.chosen)


class Paint(nn.Module):
    """Picture, taps and brush -> the picture painted, ``(N, 3, H, W)`` in float32.

    With ``folded`` the style's scales and shifts go into the convolutions' weights instead of their
    output, which costs less where weights may change from call to call; N is 1 then.
    """

    def __init__(self, model: Quick, *, folded: bool = False) -> None:
        super().__init__()
        self.decoder, self.folded = model.decoder, folded

    def forward(self, image: Tensor, *rest: Tensor) -> Tensor:
        """``rest``: the taps, the parts of a Brush, and where the top left pixel lies in the whole
        picture, ``(2,)`` integers that 16 divides."""
        count = len(LEVELS)
        taps, matrices, offsets = rest[:count], rest[count : 2 * count], rest[2 * count : -4]
        colours, base, code, origin = rest[-4:]
        decoder = self.decoder
        picture = _mapped(image.float().permute(0, 2, 3, 1), colours, base)
        x: Tensor | None = None
        for k, name in enumerate(LEVELS):
            tap = taps[k]
            own = [_mapped(tap, matrices[k], offsets[k])]
            if name == LEVELS[-1]:
                own.append(decoder.normalise(picture, IMAGE).to(tap.dtype))
            own.append(self._noise(tap, origin // STRIDES[k]))
            if x is not None:
                narrow = decoder.narrow[k]
                if isinstance(narrow, nn.Conv2d):
                    x = _convolve(x, narrow.weight, narrow.bias)
                size = (tap.shape[1], tap.shape[2])  # exactly twice as large
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
                own.insert(0, x)
            enter, blocks = decoder.enter[k], decoder.blocks[k]
            assert isinstance(enter, Convolution)
            x = F.relu(self._layer(torch.cat(own, 1), enter, code))
            for block in cast(nn.ModuleList, blocks):
                assert isinstance(block, Block)
                y = F.relu(self._layer(x, block.first, code))
                x = F.relu(x + self._layer(y, block.second, code))
        assert x is not None
        x = F.relu(self._layer(x, decoder.last, code))
        added = _convolve(_framed(x), decoder.colour.weight, decoder.colour.bias)
        return picture + added.float()

    def _layer(self, x: Tensor, layer: Convolution, code: Tensor) -> Tensor:
        """A :class:`~impasto.networks.quick.Convolution`, computed with less work."""
        film: Tensor = layer.film(code)
        scale, shift = film.chunk(2, 1)
        scale = 1 + scale
        weight, bias = layer.convolution.weight, layer.convolution.bias
        assert bias is not None
        if self.folded:
            return _convolve(
                _framed(x), weight * scale[0][:, None, None, None], bias * scale[0] + shift[0]
            )
        scale, shift = (part[..., None, None].to(x.dtype) for part in (scale, shift))
        return _convolve(_framed(x), weight, bias) * scale + shift

    def _noise(self, tap: Tensor, corner: Tensor) -> Tensor:
        """The decoder's noise ``(N, 1, h, w)`` for a tap whose first position is ``corner``."""
        rows, columns = (
            (corner[axis] + torch.arange(tap.shape[1 + axis], device=tap.device)) % NOISE
            for axis in (0, 1)
        )
        noise: Tensor = self.decoder.get_buffer("noise").to(tap.dtype)[rows][:, columns]
        # Channels last, as all that it is joined with: torch would rearrange the others otherwise.
        return noise[None, ..., None].expand(tap.shape[0], -1, -1, 1).permute(0, 3, 1, 2)


def compose(model: Quick, plan: Plan) -> Brush:
    """The brush of a plan: mini's heads before its maps, the decoder's normalisation after them."""
    matrices, offsets = [], []
    for name in LEVELS:
        weight, bias = _head(model, name)
        centre, scale = (
            model.decoder.get_buffer(f"{kind}_{name}").cpu().double()
            for kind in ("centre", "scale")
        )
        matrix, offset = (part.cpu().double() for part in plan.maps[name])
        device = plan.code.device
        matrices.append((matrix @ weight / scale[:, None]).float().to(device))
        offsets.append(((matrix @ bias + offset - centre) / scale).float().to(device))
    return Brush(tuple(matrices), tuple(offsets), *plan.maps[IMAGE], plan.code)


def through_head(model: Quick, name: str, tap: Moments) -> Moments:
    """Moments of the trunk at a layer of LEVELS -> those of mini's features there."""
    weight, bias = _head(model, name)
    mean, covariance = (part.cpu().double() for part in tap)
    return Moments((mean @ weight.mT + bias).float(), (weight @ covariance @ weight.mT).float())


def tap_channels(model: Quick) -> list[int]:
    """The channels of each tap."""
    return [_head(model, name)[0].shape[1] for name in LEVELS]


def _head(model: Quick, name: str) -> tuple[Tensor, Tensor]:
    """Weight ``(C, K)`` and bias ``(C,)`` of mini's head at a layer, in double precision."""
    head = _mini(model).heads[name]
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    return head.weight[..., 0, 0].cpu().double(), head.bias.cpu().double()  # MPS has no doubles


def _mini(model: Quick) -> Mini:
    assert isinstance(model.encoder, Mini), "the decoder was trained for mini's features"
    return model.encoder


def _mapped(rows: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """``(N, h, w, K)`` -> ``(N, C, h, w)``."""
    matrix, offset = matrix.to(rows.dtype), offset.to(rows.dtype).unsqueeze(1)
    moved = torch.baddbmm(offset, rows.flatten(1, 2), matrix.mT)
    return moved.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def _framed(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """In the precision of ``x``."""
    return F.conv2d(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
