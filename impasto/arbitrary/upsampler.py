"""Upsampling of drafts: a picture painted at half of the photo's size, and a small network.

The cost of :mod:`impasto.arbitrary.network` is proportional to the number of pixels, so half of the
size takes a quarter of the time. What is lost can be inferred: edges from the photo, the scale and
strength of strokes from the style's code. The network here works at half resolution, where it is
cheap, and its output is shuffled into pixels (Shi et al. 2016, section 3.2: sub-pixel convolution).
It is added to the bilinearly upsampled painting and half of the photo's own high frequencies. Those
alone would be joint upsampling (Kopf et al. 2007), which leaves photo where strokes should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.arbitrary.network import EMBEDDING, NOISE, Decoder
from impasto.encoders.assets import load_asset
from impasto.optim.tiling import cover

FACTOR = 2  # pixels per position along a side
WIDTH = 32
DETAIL = 0.5  # share of the photo's high frequencies that is added
# Channels of the painting, the photo at half size, its high frequencies, and the noise.
INPUTS = 3 + 3 + 3 * FACTOR**2 + FACTOR**2
LAYERS = 4
RECEPTIVE_FIELD = LAYERS + 1  # radius in positions, one of them for the interpolation
ASSET = "enlarger.safetensors"  # named before the class was


class Upsampler(nn.Module):
    """Four 3x3 convolutions, the middle two a residual block (He et al. 2016).

    The style's code scales and shifts their channels (FiLM, Perez et al. 2018). Without ``tensors``
    the network is untrained: it adds nothing but DETAIL of the photo's high frequencies.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, *, sha256: str = "") -> None:
        super().__init__()
        self.sha256 = sha256
        sizes = (INPUTS, WIDTH, WIDTH, WIDTH)
        self.layers = nn.ModuleList(nn.Conv2d(size, WIDTH, 3) for size in sizes[: LAYERS - 1])
        self.films = nn.ModuleList(nn.Linear(EMBEDDING, 2 * WIDTH) for _ in self.layers)
        self.colour = nn.Conv2d(WIDTH, 3 * FACTOR**2, 3)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        for parameter in (
            *(p for film in self.films for p in film.parameters()),
            *(layer.bias for layer in self.layers),
            self.layers[-1].weight,
            *self.colour.parameters(),
        ):
            assert isinstance(parameter, nn.Parameter)
            nn.init.zeros_(parameter)
        if tensors is not None:
            self.load_state_dict({name: t.float() for name, t in tensors.items()})

    def forward(
        self,
        painting: Tensor,
        photo: Tensor,
        code: Tensor,
        noise: Tensor,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """``painting`` ``(1, 3, h, w)`` and ``photo`` ``(1, 3, 2h, 2w)`` in [0, 1], the style's
        ``code`` ``(1, EMBEDDING)``, and ``noise`` (:func:`noise_for`) -> ``(1, 3, 2h, 2w)`` in
        float32, slightly outside [0, 1] in places. ``dtype`` is the convolutions' arithmetic.
        """
        pixels = F.pixel_unshuffle(photo.to(dtype), FACTOR)
        pixels = pixels.view(1, 3, FACTOR**2, *pixels.shape[-2:])
        small = pixels.mean(2, keepdim=True)
        detail = (pixels - small).flatten(1, 2)
        x = torch.cat(
            [painting.to(dtype) - 0.5, small.squeeze(2) - 0.5, 4 * detail, noise.to(dtype)], 1
        )
        x = x.contiguous(memory_format=torch.channels_last)
        # One padding for all convolutions, each of which takes a pixel off again.
        x = F.pad(x, (LAYERS,) * 4, mode="replicate")
        x = F.relu(self._layer(0, x, code))
        y = self._layer(2, F.relu(self._layer(1, x, code)), code)
        x = F.relu(y + x[..., 2:-2, 2:-2])
        weight, bias = self._equal_sums()
        added = F.conv2d(x, weight.to(dtype), bias.to(dtype)) + DETAIL * detail
        base = F.interpolate(painting, scale_factor=2.0, mode="bilinear", align_corners=False)
        return base + F.pixel_shuffle(added, FACTOR)

    def _equal_sums(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the last convolution, whose four kernels per position get equal sums:
        flat ground would become a grid otherwise (Sugawara et al. 2018, section 3)."""
        weight, bias = self.colour.weight, self.colour.bias
        assert bias is not None
        sums = weight.mean((2, 3), keepdim=True).view(3, FACTOR**2, WIDTH, 1, 1)
        apart = sums - sums.mean(1, keepdim=True)
        even = bias.view(3, FACTOR**2).mean(1).repeat_interleave(FACTOR**2)
        return weight - apart.view(-1, WIDTH, 1, 1), even

    def _layer(self, number: int, x: Tensor, code: Tensor) -> Tensor:
        """A convolution whose channels the code scales and shifts; folded into the weights, which
        costs less than at the output."""
        layer, film = self.layers[number], self.films[number]
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        scale, shift = film(code)[0].chunk(2)
        scale = 1 + scale
        weight, bias = layer.weight * scale[:, None, None, None], layer.bias * scale + shift
        return F.conv2d(x, weight.to(x.dtype), bias.to(x.dtype))


def noise_for(decoder: Decoder, painting: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """The decoder's noise, one channel per pixel of the upsampled picture: ``(N, 4, h, w)``.

    ``origin`` is where the top left pixel of ``painting`` lies in the whole painting.
    """
    places = [(origin[0] + NOISE * k // 4, origin[1] + NOISE * k // 3) for k in range(FACTOR**2)]
    return torch.cat([decoder.noise_like(painting, place) for place in places], 1)


@torch.no_grad()
def upsample(
    upsampler: Upsampler,
    decoder: Decoder,
    painting: Tensor,
    photo: Tensor,
    code: Tensor,
    *,
    tile: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Upsample ``painting`` ``(1, 3, h, w)`` to the size of ``photo`` ``(1, 3, 2h, 2w)``, both in
    [0, 1]; the result is slightly outside in places. ``code`` is the style's, of ``decoder``.

    Pictures of more than ``tile`` pixels a side are processed in tiles. ``dtype`` is the arithmetic
    of the convolutions.
    """
    result = torch.empty_like(photo)
    height, width = photo.shape[-2:]
    for part in cover(height, width, max(FACTOR, tile), FACTOR, FACTOR * RECEPTIVE_FIELD):
        top, bottom, left, right = (side // FACTOR for side in part.outer)
        below = painting[..., top:bottom, left:right]
        noise = noise_for(decoder, below, (top, left))
        part.put(result, upsampler(below, part.crop(photo), code, noise, dtype))
    return result


def load_upsampler(path: str | Path | None = None) -> Upsampler:
    """The network with the weights that ship with impasto, or with those of ``path``.

    Raises IntegrityError for a file that is damaged or not the upsampler's.
    """
    network = load_asset(
        ASSET, path, "the upsampler", lambda tensors, sha256: Upsampler(tensors, sha256=sha256)
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    return network.eval().requires_grad_(False)
