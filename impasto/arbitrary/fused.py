"""The network in parts that need nothing of each other but numbers.

::

    picture --Encode--> taps --(moments, over all tiles)--> a plan --compose--> brush
    deep taps, brush --Sketch--> sketch
    picture, fine taps, sketch, brush --Paint--> picture

:class:`~impasto.arbitrary.network.Quick` says what is computed; here it is said so that little has
to be computed, and so that the parts can be exported. Between mini's trunk and the decoder's first
convolution of a size lie three affine maps of the channels: mini's head, the transport and the
normalisation. They are multiplied into one matrix per layer, as small as the layer is wide. The
moments of features follow from those of the trunk, so the heads are not computed at all.

The decoder is in two parts, because large pictures are painted in tiles: the sketch, what it makes
of the two deep levels, sees far and has few numbers, so that of the whole picture is computed once;
what remains for each tile sees a short way only.

Between the parts channels come last, ``(1, h, w, C)``: rows of a matrix, for moments and maps.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.arbitrary.network import (
    DEEP,
    FINE,
    LEVELS,
    NOISE,
    STRIDES,
    Block,
    Convolution,
    Decoder,
    Plan,
    Quick,
    anti_imaging,
)
from impasto.arbitrary.transport import Moments
from impasto.encoders import Mini
from impasto.encoders.base import IMAGE
from impasto.encoders.mini import Trunk, tap_of

_KINDS = ("tap", "matrix", "offset")
SKETCH_INPUTS = (*(f"{kind}_{name}" for kind in _KINDS for name in DEEP), "code", "origin")
"""What Sketch takes, in order."""

PAINT_INPUTS = (
    *("image", "sketch"),
    *(f"{kind}_{name}" for kind in _KINDS for name in FINE),
    *("colours", "base", "code", "origin"),
)
"""What Paint takes, in order."""

Taps = tuple[Tensor, ...]
"""What Encode returns: one ``(N, h, w, K)`` for each of LEVELS, or of some of them."""


class Brush(NamedTuple):
    """A :class:`~impasto.arbitrary.network.Plan` as Sketch and Paint take it, in float32.

    ``matrices`` ``(N, C, K)`` and ``offsets`` ``(N, C)`` lead from the K channels of a tap to the C
    that the decoder takes, for each of LEVELS; ``colours`` and ``base`` are the picture's map.
    """

    matrices: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    colours: Tensor
    base: Tensor
    code: Tensor

    def for_sketch(self) -> tuple[Tensor, ...]:
        """What Sketch takes of it, in order."""
        count = len(DEEP)
        return (*self.matrices[:count], *self.offsets[:count], self.code)

    def for_paint(self) -> tuple[Tensor, ...]:
        """What Paint takes of it, in order."""
        count = len(DEEP)
        moved = (*self.matrices[count:], *self.offsets[count:])
        return (*moved, self.colours, self.base, self.code)


class Encode(nn.Module):
    """The picture ``(N, 3, H, W)``, sides that 16 divides -> the taps of ``levels``."""

    def __init__(self, trunk: Trunk, levels: tuple[str, ...] = LEVELS) -> None:
        super().__init__()
        self.trunk = trunk
        self.chosen = [tap_of(name) for name in levels]

    def forward(self, image: Tensor) -> Taps:
        found = self.trunk(image, max(self.chosen))
        return tuple(found[number].permute(0, 2, 3, 1) for number in self.chosen)


class _Levels(nn.Module):
    """The decoder's way through some of its levels.

    With ``folded`` the style's scales and shifts go into the convolutions' weights instead of their
    output, which costs less where weights may change from call to call; N is 1 then.
    """

    def __init__(self, decoder: Decoder, *, folded: bool = False) -> None:
        super().__init__()
        self.decoder, self.folded = decoder, folded

    def _through(
        self,
        level: str,
        x: Tensor | None,
        tap: Tensor,
        moves: tuple[Tensor, Tensor],
        code: Tensor,
        origin: Tensor,
        picture: Tensor | None = None,
    ) -> Tensor:
        """What is below ``level``, and its own features and noise -> ``(N, C, h, w)``."""
        number, decoder = LEVELS.index(level), self.decoder
        own = [_mapped(tap, *moves)]
        if picture is not None:
            own.append(decoder.normalise(picture, IMAGE).to(tap.dtype))
        own.append(self._noise(tap, origin // STRIDES[number]))
        if x is not None:
            narrow = decoder.narrow[number]
            if isinstance(narrow, nn.Conv2d):
                x = _convolve(x, narrow.weight, narrow.bias)
            size = (tap.shape[1], tap.shape[2])  # exactly twice as large
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
        """A :class:`~impasto.arbitrary.network.Convolution`, computed with less work."""
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


class Sketch(_Levels):
    """Deep taps and brush -> what the decoder makes of them, ``(N, h, w, C)``."""

    def forward(self, *given: Tensor) -> Tensor:
        """``given``: SKETCH_INPUTS. ``origin`` is where the top left pixel lies in the whole
        picture, ``(2,)`` integers that 16 divides."""
        taps, moves, (code, origin) = _sorted(given, len(DEEP))
        x: Tensor | None = None
        for name, tap, move in zip(DEEP, taps, moves, strict=True):
            x = self._through(name, x, tap, move, code, origin)
        assert x is not None
        return x.permute(0, 2, 3, 1)


class Paint(_Levels):
    """Picture, sketch, fine taps and brush -> the picture painted, ``(N, 3, H, W)`` in float32."""

    def forward(self, image: Tensor, sketch: Tensor, *rest: Tensor) -> Tensor:
        """``rest``: the other PAINT_INPUTS; ``origin`` as of :class:`Sketch`."""
        taps, moves, (colours, base, code, origin) = _sorted(rest, len(FINE))
        picture = _mapped(image.float().permute(0, 2, 3, 1), colours, base)
        x = sketch.permute(0, 3, 1, 2)
        for name, tap, move in zip(FINE, taps, moves, strict=True):
            last = picture if name == FINE[-1] else None
            x = self._through(name, x, tap, move, code, origin, last)
        x = F.relu(self._layer(x, self.decoder.last, code))
        weight, bias = self.decoder.colour.weight, self.decoder.colour.bias
        added = _convolve(_framed(x), weight, bias).float()
        return picture + anti_imaging(added, self.decoder.get_buffer("alternation"))


def _sorted(
    given: tuple[Tensor, ...], count: int
) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, Tensor]], tuple[Tensor, ...]]:
    """``count`` taps, matrices and offsets, and more -> taps, pairs of the others, the rest."""
    taps, matrices, offsets = (given[k * count : (k + 1) * count] for k in range(3))
    return taps, list(zip(matrices, offsets, strict=True)), given[3 * count :]


def compose(model: Quick, plan: Plan) -> Brush:
    """The brush of a plan: mini's heads before its maps, the decoder's normalisation after them."""
    matrices, offsets = [], []
    for name in LEVELS:
        weight, bias = _head(model, name)
        centre, scale = (
            model.decoder.get_buffer(f"{kind}_{name}").cpu() for kind in ("centre", "scale")
        )
        matrix, offset = (part.cpu() for part in plan.maps[name])
        device = plan.code.device
        matrices.append((matrix @ weight / scale[:, None]).to(device))
        offsets.append(((matrix @ bias + offset - centre) / scale).to(device))
    return Brush(tuple(matrices), tuple(offsets), *plan.maps[IMAGE], plan.code)


def through_head(model: Quick, name: str, tap: Moments) -> Moments:
    """Moments of the trunk at a layer of LEVELS -> those of mini's features there."""
    weight, bias = _head(model, name)
    mean, covariance = (part.cpu().float() for part in tap)
    return Moments(mean @ weight.mT + bias, weight @ covariance @ weight.mT)


def trunk_of(model: Quick) -> Trunk:
    """The convolutions of the network's encoder."""
    return _mini(model).trunk


def tap_channels(model: Quick) -> list[int]:
    """The channels of each tap."""
    return [_head(model, name)[0].shape[1] for name in LEVELS]


def _head(model: Quick, name: str) -> tuple[Tensor, Tensor]:
    """Weight ``(C, K)`` and bias ``(C,)`` of mini's head at a layer, in float32 on the CPU."""
    head = _mini(model).heads[name]
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    return head.weight[..., 0, 0].cpu().float(), head.bias.cpu().float()


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
