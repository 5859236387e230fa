"""A picture in the style of another in one forward pass.

::

    content --mini--> features --transport--> the style's statistics --decoder--> picture
    style   --mini--> moments  ----^-----------------------------------^

This is arbitrary style transfer: one network for any style. The features are those of the small
encoder that ships with impasto, at five layers, in VGG's own units.
:mod:`impasto.arbitrary.transport` moves them by the optimal transport map, so that their mean and
covariance (hence their Gram matrix) become the style's. The inverse of the encoder has no formula
and is learned: the decoder grows the picture from conv5_1 upwards, takes in the moved features at
each scale, and adds its output to the picture, whose colours were moved likewise. The style's
moments also scale and shift the channels of each convolution (FiLM, Perez et al. 2018). At each
scale a fixed channel of noise gives the decoder something to make strokes of where the photo is
flat (as in StyleGAN, Karras et al. 2019).

Bilinear upsampling makes the variance alternate from one pixel to the next (white noise of variance
1: differences of variance 1/8, then 1/2). A convolution and its ReLU turn that into lines on every
second row and column: a weave on flat ground. So the component that alternates from pixel to pixel
is filtered out of the decoder's output (:func:`anti_imaging`).

The decoder is local: only the moments depend on the whole picture. Tiles therefore agree with the
whole where both are painted with the moments of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.arbitrary.transport import (
    Affine,
    Moments,
    Solve,
    moments,
    optimal_map,
    solve_by_factors,
)
from impasto.encoders import Encoder
from impasto.encoders.assets import load_asset
from impasto.encoders.base import IMAGE, Features, pad_and_convolve
from impasto.encoders.mini import load_mini
from impasto.machine.devices import in_own_modes

# The deepest is taken before its ReLU: rectified features are far from Gaussian.
LEVELS = ("conv5_1", "relu4_1", "relu3_1", "relu2_1", "relu1_1")  # as the decoder takes them in
STRIDES = (16, 8, 4, 2, 1)  # pixels per position, for each of LEVELS
CHANNELS = {"conv5_1": 225, "relu4_1": 161, "relu3_1": 97, "relu2_1": 49, "relu1_1": 25}  # mini's
# The DEEP levels have few positions, so that those of a large picture fit in memory, and a large
# receptive field, for which tiles would need wide borders.
DEEP, FINE = LEVELS[:2], LEVELS[2:]
WIDTHS = (48, 96, 64, 40, 16)
BLOCKS = (2, 2, 1, 1, 0)
EMBEDDING = 64
MULTIPLE = STRIDES[0]  # pixels: the decoder doubles four times
NOISE = 256  # positions a side: after as many the noise repeats
NOTCH = 12  # radius of anti_imaging in pixels
ASSET = "quick.safetensors"

Statistics = dict[str, Moments]
"""Layer of LEVELS, or ``image`` -> moments."""


class StyleTransform(NamedTuple):
    """All that painting a picture needs beyond its pixels: the maps, and the style's code."""

    maps: dict[str, Affine]
    code: Tensor


class Quick(nn.Module):
    """The encoder and the decoder; :mod:`impasto.arbitrary.inference` applies them.

    ``encoder`` has the channels of CHANNELS at LEVELS (default: mini as it ships). Without
    ``tensors`` the decoder is untrained: it adds nothing to the recoloured picture.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor] | None = None,
        *,
        encoder: Encoder | None = None,
        sha256: str = "",
    ) -> None:
        super().__init__()
        self.name, self.sha256 = "quick", sha256
        self.encoder = encoder or load_mini(padding="replicate")
        self.decoder = Decoder()
        if tensors is not None:
            self.decoder.load_state_dict({name: t.float() for name, t in tensors.items()})
        self.eval().requires_grad_(False)

    def features(self, image: Tensor) -> Features:
        """``(N, 3, H, W)``, sides that MULTIPLE divides -> features at LEVELS, and the image."""
        features: Features = self.encoder(image, (*LEVELS, IMAGE))
        return features

    def forward(
        self, image: Tensor, transform: StyleTransform, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """The painted picture ``(N, 3, H, W)``, slightly outside [0, 1] in places.

        ``origin`` is where the top left pixel of ``image`` lies in the whole picture; both numbers
        are divisible by MULTIPLE.
        """
        moved = {name: transform.maps[name](f) for name, f in self.features(image).items()}
        painted: Tensor = self.decoder(moved, transform.code, origin)
        return painted

    def receptive_field(self, levels: tuple[str, ...] = LEVELS) -> int:
        """Radius in pixels: a pixel of the result depends on no pixel further away.

        With ``levels`` FINE, the radius where the coarse features are given.
        """
        # The decoder's convolutions, and one position more where a level is upsampled.
        own = sum(
            (1 + (stride > 1) + 2 * count + (2 + NOTCH) * (stride == 1)) * stride
            for name, count, stride in zip(LEVELS, BLOCKS, STRIDES, strict=True)
            if name in levels
        )
        if levels == FINE:
            own += STRIDES[len(DEEP) - 1]
        return own + max(int(self.encoder.receptive_field(name)) for name in levels)


class Convolution(nn.Module):
    """A 3x3 convolution whose channels are scaled and shifted by the style's code (FiLM)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(EMBEDDING, 2 * outputs)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.film(code)[..., None, None].chunk(2, 1)
        y = pad_and_convolve(x, self.convolution, "replicate")
        return torch.addcmul(y + shift.to(y.dtype), y, scale.to(y.dtype))


class Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width)
        self.second = Convolution(width, width)
        nn.init.zeros_(self.second.convolution.weight)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        y: Tensor = self.second(F.relu(self.first(x, code)), code)
        return F.relu(x + y)


class Decoder(nn.Module):
    """Moved features of all levels and the style's code -> the painted picture."""

    def __init__(self) -> None:
        super().__init__()
        for name, channels in (*CHANNELS.items(), (IMAGE, 3)):
            self.register_buffer(f"centre_{name}", torch.zeros(channels))
            self.register_buffer(f"scale_{name}", torch.ones(channels))
        draw = torch.Generator().manual_seed(0)
        # A buffer, because the exporter allows no constants in a branch.
        self.register_buffer("alternation", alternation(), persistent=False)
        self.register_buffer("noise", torch.randn(NOISE, NOISE, generator=draw).half().float())
        known = 2 * sum(CHANNELS.values())
        self.embed = nn.Sequential(nn.Linear(known, EMBEDDING), nn.ReLU())
        self.narrow, self.enter, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = 0
        for name, width, count in zip(LEVELS, WIDTHS, BLOCKS, strict=True):
            # at the two largest scales the coarser features are narrowed first
            given = min(below, width)
            self.narrow.append(nn.Conv2d(below, given, 1) if given < below else nn.Identity())
            own = CHANNELS[name] + (3 if name == LEVELS[-1] else 0) + 1
            self.enter.append(Convolution(given + own, width))
            self.blocks.append(nn.ModuleList(Block(width) for _ in range(count)))
            below = width
        self.last = Convolution(below, below)
        self.colour = nn.Conv2d(below, 3, 3, padding=1)
        nn.init.zeros_(self.colour.weight)
        assert self.colour.bias is not None
        nn.init.zeros_(self.colour.bias)

    def normalise(self, features: Tensor, name: str) -> Tensor:
        """Features of a level, normalised by the training pictures' mean and deviation."""
        centre, scale = self.get_buffer(f"centre_{name}"), self.get_buffer(f"scale_{name}")
        x: Tensor = (features - centre[:, None, None].to(features.dtype)) / scale[:, None, None].to(
            features.dtype
        )
        return x

    def style_code(self, style: Statistics) -> Tensor:
        """The style's code ``(N, EMBEDDING)``, from the means and deviations of its channels."""
        parts = []
        for name in LEVELS:
            centre, scale = self.get_buffer(f"centre_{name}"), self.get_buffer(f"scale_{name}")
            mean, covariance = style[name]
            deviation = covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
            parts += [(mean - centre) / scale, deviation / scale]
        code: Tensor = self.embed(torch.cat(parts, 1))
        return code

    def noise_like(self, features: Tensor, corner: tuple[int, int]) -> Tensor:
        """The noise ``(N, 1, h, w)`` for features whose top left position is ``corner``."""
        rows, columns = (
            (corner[axis] + torch.arange(features.shape[2 + axis], device=features.device)) % NOISE
            for axis in (0, 1)
        )
        noise = self.get_buffer("noise").to(features.dtype)[rows][:, columns]
        # Channels last, as features may be: torch would reorder those in a concatenation otherwise.
        return noise[None, ..., None].expand(features.shape[0], -1, -1, 1).permute(0, 3, 1, 2)

    def forward(self, moved: Features, code: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """``moved`` are features in mini's units; returns the picture ``(N, 3, H, W)``."""
        x: Tensor | None = None
        stages = zip(LEVELS, self.narrow, self.enter, self.blocks, STRIDES, strict=True)
        for name, narrow, enter, blocks, scale in stages:
            own = [self.normalise(moved[name], name)]
            if name == LEVELS[-1]:
                own.append(self.normalise(moved[IMAGE].to(own[0].dtype), IMAGE))
            corner = (origin[0] // scale, origin[1] // scale)
            own.append(self.noise_like(own[0], corner))
            if x is not None:
                # Not nearest-neighbour, of which the network would make a grid on flat ground.
                x = F.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
                own.insert(0, x.to(own[0].dtype))
            x = F.relu(enter(torch.cat(own, 1), code))
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, code)
        x = F.relu(self.last(x, code))
        added = pad_and_convolve(x, self.colour, "replicate")
        return moved[IMAGE] + anti_imaging(added.float(), self.get_buffer("alternation"))


def alternation() -> Tensor:
    """Taps of the filter that, applied twice, keeps only what alternates from pixel to pixel."""
    places = range(NOTCH + 1)
    taps = [(-1) ** (NOTCH // 2 + k) * math.comb(NOTCH, k) / 2**NOTCH for k in places]
    return torch.tensor(taps)


def anti_imaging(x: Tensor, taps: Tensor) -> Tensor:
    """``x`` ``(N, C, H, W)`` without what alternates from pixel to pixel, along rows or columns.

    A symmetric filter along each axis with the gain 1 - sin(pi f)^(2 NOTCH): 0 at a period of two
    pixels, 0.7 at two and a half, 0.97 at three, 1 from four on. ``taps``: :func:`alternation`.
    """
    # Applied as 13 taps twice, not 25 once: of the exported graph some runtimes take minutes to
    # compile the long filter.
    kernel = taps.to(x.dtype).expand(x.shape[1], 1, 1, -1)
    for own, margins in ((kernel, (NOTCH, NOTCH, 0, 0)), (kernel.mT, (0, 0, NOTCH, NOTCH))):
        alternating = F.pad(x, margins, mode="replicate")
        for _ in range(2):
            alternating = F.conv2d(alternating, own, groups=x.shape[1])
        x = x - alternating
    return x


def style_transform(
    decoder: Decoder,
    content: Statistics,
    style: Statistics,
    strength: float | Tensor = 1.0,
    *,
    solve: Solve = solve_by_factors,
) -> StyleTransform:
    """The maps from the content's statistics towards the style's, and the code of where they end.

    ``strength`` is in [0, 1], a number or ``(1,)``; ``solve`` as in
    :func:`~impasto.arbitrary.transport.optimal_map`.
    """
    maps = {n: optimal_map(content[n], style[n], strength, solve=solve) for n in (*LEVELS, IMAGE)}
    towards = {
        n: Moments(
            content[n].mean + strength * (style[n].mean - content[n].mean),
            content[n].covariance + strength * (style[n].covariance - content[n].covariance),
        )
        for n in LEVELS
    }
    return StyleTransform(maps, decoder.style_code(towards))


def statistics(features: Mapping[str, Tensor]) -> Statistics:
    """The moments of ``features`` at each of LEVELS and of the image."""
    return {n: moments(features[n]) for n in (*LEVELS, IMAGE)}


@in_own_modes
def load_quick(path: str | Path | None = None) -> Quick:
    """The network with the weights that ship with impasto, or with those of ``path``.

    Raises IntegrityError for a file that is damaged or not quick's.
    """
    return load_asset(ASSET, path, "quick", lambda tensors, sha256: Quick(tensors, sha256=sha256))
