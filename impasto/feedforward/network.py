"""A network of one style, which is in its weights: a photo in, the painted picture out.

The network of Johnson, Alahi and Fei-Fei (2016), narrower and with later improvements::

    9x9 -> down -> down -> five residual blocks -> up -> up -> 5x5 -> sigmoid
    16     32      64      64                      32    16    3      channels

Instance normalisation replaces batch normalisation (Ulyanov, Vedaldi and Lempitsky 2017): the
painting does not depend on the photo's contrast. Upsampling is bilinear interpolation and a
convolution, where Johnson et al. use transposed convolutions, which leave checkerboards (Odena,
Dumoulin and Olah 2016); each such step has a shortcut past its convolution, as the residual blocks
have. Borders are reflected, not zero.

A network is stored in one safetensors file that describes itself; see :func:`save_feedforward`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import IntegrityError
from impasto.image.files import expanded, quoted, read_bytes, write_bytes
from impasto.machine.devices import in_own_modes

ARCHITECTURE = "impasto-feedforward-1"
"""The network's name in a file's metadata; its number changes when old files cannot be read."""

MODEL = "model.safetensors"
"""The name of the file in the folder of a training."""

KEY = "impasto"  # in the metadata of the file

WIDTHS = (16, 32, 64)
BLOCKS = 5
LAST = 5  # Johnson et al. 9; saves a tenth of the time, with no visible difference
MULTIPLE = 4  # pixels: two steps down, each by two
EPSILON = 1e-5
MOST_WIDTH, MOST_BLOCKS = 1024, 64  # limits for what a file may ask for


class FeedForward(nn.Module):
    """``(N, 3, H, W)`` in [0, 1] -> the painted pictures, of the same size and range.

    ``widths`` are the channels at full, half and quarter size, ``blocks`` the number of residual
    blocks. ``name`` is the style's, ``sha256`` that of the network's file, ``about`` the file's
    metadata. The initial weights depend on ``seed`` alone.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = WIDTHS,
        blocks: int = BLOCKS,
        *,
        seed: int = 0,
        name: str = "untrained",
        sha256: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.widths, self.name, self.sha256 = tuple(widths), name, sha256
        self.about = dict(about or {})
        full, half, quarter = widths
        with torch.random.fork_rng(devices=[]):  # torch's own weights, soon overwritten
            self.enter = Convolution(3, full, size=9)
            self.down = nn.ModuleList(
                [Convolution(full, half, stride=2), Convolution(half, quarter, stride=2)]
            )
            self.blocks = nn.ModuleList(Block(quarter) for _ in range(blocks))
            self.up = nn.ModuleList([UpsampleBlock(quarter, half), UpsampleBlock(half, full)])
            self.last = nn.Conv2d(full, 3, LAST)
        self._initialize(torch.Generator().manual_seed(seed))

    def forward(self, image: Tensor) -> Tensor:
        """The painted pictures ``(N, 3, H, W)`` in [0, 1], float32."""
        height, width = image.shape[-2:]
        x = self.enter(image * 2 - 1)
        for step in (*self.down, *self.blocks, *self.up):
            x = step(x)
        painted = torch.sigmoid(self.last(pad(x, LAST // 2)).float())
        # Odd sides are rounded up when halved, so up to three rows and columns are too many. Not a
        # slice: an export with dynamic sizes would have to know whether one is needed.
        for axis, length in ((2, height), (3, width)):
            painted = painted.index_select(axis, torch.arange(length, device=image.device))
        return painted

    def receptive_field(self) -> int:
        """Radius in pixels: a pixel of the result depends on no pixel further away, apart from the
        statistics of the instance norms."""
        # 9x9, down, down; two convolutions a block; an interpolation and a convolution, twice; 5x5.
        return 4 + 1 + 2 + len(self.blocks) * 2 * 4 + (4 + 2) + (2 + 1) + LAST // 2

    def norms(self) -> list[InstanceNorm]:
        """All instance norms, in the order of the forward pass."""
        return [module for module in self.modules() if isinstance(module, InstanceNorm)]

    def _initialize(self, draw: torch.Generator) -> None:
        """Random weights that depend on ``draw`` alone (He et al. 2015)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan = module.weight[0].numel()
                with torch.no_grad():
                    module.weight.normal_(0, (2 / fan) ** 0.5, generator=draw)
                    if module.bias is not None:
                        module.bias.zero_()
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # grey, where the sigmoid is steep


class InstanceNorm(nn.Module):
    """Each channel of each picture, normalised by its mean and deviation, scaled and shifted.

    ``frozen`` statistics (mean and variance, ``(C,)`` each) replace the picture's own. While
    ``freezing``, each forward pass freezes those of its batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.frozen: tuple[Tensor, Tensor] | None = None
        self.freezing = False

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` -> the same shape."""
        if self.freezing:
            variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
            self.frozen = mean, variance
        if self.frozen is not None:
            return F.batch_norm(x, *self.frozen, self.weight, self.bias, eps=EPSILON)
        if self.training and len(x) == 1:  # equal, and several times faster on a CPU
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=EPSILON)
        # Not F.instance_norm, which refuses a single pixel.
        return torch.instance_norm(x, self.weight, self.bias, None, None, True, 0.0, EPSILON, False)


class Convolution(nn.Module):
    """Reflected borders, a convolution, instance norm, and a ReLU unless ``linear``."""

    def __init__(
        self, inputs: int, outputs: int, *, size: int = 3, stride: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, size, stride=stride, bias=False)
        self.norm = InstanceNorm(outputs)
        self.border, self.linear = size // 2, linear

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.convolution(pad(x, self.border)))
        return y if self.linear else F.relu(y)


class Block(nn.Module):
    """Two convolutions beside a shortcut, without a ReLU after the sum (Gross & Wilber 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width)
        self.second = Convolution(width, width, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(self.first(x))
        return y


class UpsampleBlock(nn.Module):
    """Fewer channels, twice the size, then a convolution beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, outputs, 1)
        self.convolution = Convolution(outputs, outputs, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        # The 1x1 convolution commutes with the interpolation, and costs less before it.
        large = upsample(self.narrow(x))
        return F.relu(large + self.convolution(large))


def upsample(x: Tensor) -> Tensor:
    """``(N, C, h, w)`` -> ``(N, C, 2 h, 2 w)``, bilinear: nearest-neighbour would leave a grid."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def pad(x: Tensor, border: int) -> Tensor:
    """``x`` with reflected borders; with replicated ones where it is smaller than the border."""
    mode = "reflect" if min(x.shape[-2:]) > border else "replicate"
    return F.pad(x, (border, border, border, border), mode=mode)


def save_feedforward(model: FeedForward, path: str | Path, **about: str) -> Path:
    """Write the weights to ``path``, with ``about`` and what :func:`load_feedforward` needs.

    One safetensors file, written whole or not at all. Raises the errors of
    :func:`impasto.image.files.write_bytes`.
    """
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    own = {"architecture": ARCHITECTURE, "widths": model.widths, "blocks": len(model.blocks)}
    # One text, since several would come in random order: equal networks make equal files.
    return write_bytes(path, save(tensors, {KEY: json.dumps({**about, **own}, sort_keys=True)}))


@in_own_modes
def load_feedforward(path: str | Path) -> FeedForward:
    """The network in a file, or in the folder that ``impasto train`` made.

    Raises InputError where there is none, IntegrityError for a file that is damaged or holds
    something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = expanded(path)
    if os.path.isdir(path):
        path = path / MODEL
    data = read_bytes(path)
    try:
        about = _about(data)
        if about.get("architecture") != ARCHITECTURE:
            raise ValueError(f"its architecture is {about.get('architecture', 'not told')!r}")
        model = FeedForward(
            _widths(about["widths"]),
            _number(about["blocks"], MOST_BLOCKS),
            name=str(about.get("style", path.stem)),
            sha256=hashlib.sha256(data).hexdigest(),
            about=about,
        )
        tensors = load(data)
        if not all(bool(t.isfinite().all()) for t in tensors.values()):
            raise ValueError("some of its numbers are not finite")
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IntegrityError(
            f"{quoted(path)} does not hold a network of impasto train ({reason})",
            "give the folder that impasto train made, or train it again",
        ) from error
    return model.eval().requires_grad_(False)


def _about(data: bytes) -> dict[str, Any]:
    """The metadata of a file. A safetensors file is an 8-byte length, a JSON header and the
    numbers; our JSON is one of the texts in that header."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY]))


def _widths(given: Any) -> tuple[int, int, int]:
    full, half, quarter = (_number(width, MOST_WIDTH) for width in given)
    return full, half, quarter


def _number(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{value} is out of range")
    return int(value)
