"""The small encoder that ships with impasto: distilled from VGG-19, a tenth of its work.

The *trunk* is VGG in small: 3x3 convolutions, ReLUs, 2x2 average pooling, five stages. For every
layer of VGG-19 a *head* predicts that layer linearly from a tap in the trunk::

    T  ~  W f + b  =  A f'        f' = [f; 1],  A = [W b]

Losses compare features by inner products (Gram matrices, squared distances, cosines), and those
need no prediction of all 512 channels. With K = Aᵀ A = Rᵀ R (R from a Cholesky decomposition), ``g
= R f'`` has the same inner products as ``A f'``: for any two pixels p and q, ``<g_p, g_q> = f'_pᵀ
Rᵀ R f'_q = <T_p, T_q>``. So mini hands out ``g``, which has as many channels as the trunk plus one,
and a style loss on it *is* the style loss of the predicted features, in VGG's own units and with
VGG's layer weights, at the trunk's price. One factor, ``sqrt(channels of g / channels of T)``,
makes losses that take a mean over channels agree as well (not those that take a sum, such as
``normalization="gatys"`` of the content loss; and statistics of single channels, such as their
standard deviations, are those of g, not of T).

At relu5_1 and beyond, maps are so small that all 512 channels cost next to nothing. There the head
has a ReLU behind it, as VGG's own convolution has, which no linear head can imitate: mini hands out
``relu(A f')`` itself.

``Mini(..., predict=True)`` returns that for every layer: all channels of VGG in their order, for
those who want to look at them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.base import (
    CIRCULAR,
    IMAGE,
    PADDINGS,
    Encoder,
    Features,
    check_choice,
    pad_and_convolve,
)
from impasto.encoders.contents import CHANNELS, CONVOLUTIONS
from impasto.errors import IntegrityError

# (width, convolutions) of each stage; a third number says how many of those, but not all, come
# before the pooling that begins it. VGG-19 has (64, 2) (128, 2) (256, 4) (512, 4) (512, 4).
Stages = Sequence[Sequence[int]]
STAGES = ((24, 2), (48, 2), (96, 2), (160, 3), (224, 3, 1))

# What [0, 1] input is shifted and divided by: the usual ImageNet figures, rounded.
INPUT_MEAN, INPUT_DIVISOR = 0.45, 0.225

ASSET = "mini.safetensors"


class Trunk(nn.Module):
    """The convolutions of mini: an image ``(N, 3, H, W)`` -> a list of taps, one per VGG stage.

    Taps 0 and 1 are both at full size (behind the first and the second convolution: ``relu1_1`` is
    one convolution deep in VGG too), taps 2 to 5 end the stages 2 to 5. The last stage has one of
    its convolutions at the size of the stage before: VGG's relu5_1 rests on three more there.
    """

    def __init__(self, stages: Stages = STAGES, padding: str = "zero") -> None:
        super().__init__()
        self.padding, self.width_invariant = check_choice("padding", padding, PADDINGS), False
        self.early = [sum(early) for _, _, *early in stages]  # convolutions before the pooling
        self.stages = nn.ModuleList()
        channels = 3
        for width, count, *_ in stages:
            stage = nn.ModuleList()
            for _ in range(count):
                stage.append(nn.Conv2d(channels, width, 3, padding=1))
                channels = width
            self.stages.append(stage)
        self.widths = [stages[0][0], *(width for width, *_ in stages)]

    def forward(self, image: Tensor, deepest: int = 5) -> list[Tensor]:
        """Taps 0 to ``deepest``; ``image`` is in [0, 1]."""
        x = (image - INPUT_MEAN) / INPUT_DIVISOR
        weight = next(self.parameters())
        x = x.to(weight.dtype, memory_format=torch.channels_last)
        taps: list[Tensor] = []
        for number in range(1, len(self.stages) + 1):
            for behind in self.stage(number, x):
                x = behind
                if not taps:
                    taps.append(x)
                    if deepest == 0:
                        return taps
            taps.append(x)
            if number == deepest:
                break
        return taps

    def stage(self, number: int, x: Tensor) -> Iterator[Tensor]:
        """What each convolution of stage ``number``, from 1, makes of ``x``, the tap before it."""
        stage = self.stages[number - 1]
        assert isinstance(stage, nn.ModuleList)
        for place, convolution in enumerate(stage):
            if number > 1 and place == self.early[number - 1]:
                x = F.avg_pool2d(x, 2)
            assert isinstance(convolution, nn.Conv2d)
            x = F.relu_(pad_and_convolve(x, convolution, self.padding, self.width_invariant))
            yield x


def tap_of(layer: str) -> int:
    """The tap from which VGG's ``layer`` is predicted.

    >>> [tap_of(name) for name in ("relu1_1", "conv1_2", "relu2_1", "relu5_1")]
    [0, 1, 2, 5]
    """
    return 0 if layer.endswith("1_1") else int(layer[4])


def is_rectified(layer: str) -> bool:
    """Whether a ReLU follows the head of ``layer``: it does at relu5_1 to relu5_4.

    There the map is so small that all 512 channels cost little, and what VGG says is so sparse that
    no linear function comes near it.
    """
    return layer.startswith("relu5")


class Mini(Encoder):
    """The distilled encoder; same layer names as VGG-19, features isometric to its predictions.

    ``tensors`` are those of ``assets/mini.safetensors`` (None leaves trunk and heads random, for
    tests). ``padding`` as for VGG. ``predict=True`` returns VGG's channels themselves.
    Raises ConfigError for an unknown padding.
    """

    layers = tuple(x for n in CONVOLUTIONS["vgg19"] for x in (n, n.replace("conv", "relu")))

    def __init__(
        self,
        tensors: Mapping[str, Tensor] | None = None,
        *,
        stages: Stages = STAGES,
        padding: str = "zero",
        predict: bool = False,
        name: str = "mini",
        sha256: str = "",
    ) -> None:
        super().__init__()
        self.name, self.sha256, self.predict = name, sha256, predict
        self.trunk = Trunk(stages, padding)
        self.heads = nn.ModuleDict()
        tensors = tensors if tensors is not None else self._random(stages)
        for layer in self.layers:
            affine = tensors[f"heads.{layer}"].float()  # (C of VGG, C of the tap + 1)
            whole = predict or is_rectified(layer)
            self.heads[layer] = _pointwise(affine if whole else isometric(affine))
        own = {key.removeprefix("trunk."): t for key, t in tensors.items() if key[:6] == "trunk."}
        if own:
            self.trunk.load_state_dict({key: t.float() for key, t in own.items()})
        self.eval().requires_grad_(False)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``; the trunk stops at the deepest tap that they need."""
        taps = self.trunk(image, max(tap_of(name) for name in layers))
        found = {name: self.heads[name](taps[tap_of(name)]) for name in layers}
        return {name: F.relu_(f) if is_rectified(name) else f for name, f in found.items()}

    @property
    def wraps(self) -> tuple[int, ...]:
        """The axes along which a picture goes on at its other side; see the padding."""
        return CIRCULAR.get(self.trunk.padding, ())

    def with_padding(self, padding: str) -> Mini:
        """The same network, sharing its weights, with another padding."""
        other = self._with_own_trunk()
        other.trunk.padding = check_choice("padding", padding, PADDINGS)
        return other

    def width_invariant(self) -> Mini:
        """The same network and weights; its rounding does not depend on the image's width."""
        other = self._with_own_trunk()
        other.trunk.width_invariant = True
        return other

    def _with_own_trunk(self) -> Mini:
        other = copy.copy(self)
        other._modules = dict(self._modules)  # shallow: only the trunk is another
        other.trunk = copy.copy(self.trunk)
        return other

    def receptive_field(self, layer: str) -> int:
        """The sum of what each convolution of the trunk up to the layer's tap adds."""
        if layer == IMAGE:
            return 0
        if tap_of(layer) == 0:
            return 1
        total = 0
        for number in range(tap_of(layer)):
            early, count = self.trunk.early[number], len(self.trunk.stages[number])  # type: ignore[arg-type]
            total += (count - early) * 2**number + early * 2**number // 2
        return total

    def _random(self, stages: Stages) -> dict[str, Tensor]:
        widths = self.trunk.widths
        return {
            f"heads.{name}": torch.randn(CHANNELS[int(name[4])], widths[tap_of(name)] + 1)
            for name in self.layers
        }


def isometric(affine: Tensor) -> Tensor:
    """``(C, k)`` -> the square ``(k, k)`` matrix with the same inner products, scaled to C.

    The triangular factor of a QR decomposition of A is the Cholesky factor of AᵀA, but found
    without squaring the condition number. Where A has fewer rows than columns it is kept as it is.

    >>> a = torch.randn(64, 25)
    >>> r = isometric(a)
    >>> torch.allclose(r.T @ r * 64 / 25, a.T @ a, rtol=1e-4, atol=1e-4)
    True
    """
    channels, width = affine.shape
    if channels <= width:
        return affine
    factor: Tensor = torch.linalg.qr(affine.double(), mode="r").R * (width / channels) ** 0.5
    return factor.float()


def _pointwise(matrix: Tensor) -> nn.Conv2d:
    """``(rows, k + 1)`` -> the 1x1 convolution x -> matrix [x; 1]."""
    rows, columns = matrix.shape
    layer = nn.Conv2d(columns - 1, rows, 1)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(matrix[:, :-1, None, None])
        layer.bias.copy_(matrix[:, -1])
    return layer


def load_mini(
    path: str | Path | None = None, *, padding: str = "zero", predict: bool = False
) -> Mini:
    """Mini with the weights that ship with impasto, or with those of ``path``.

    Raises IntegrityError for a file that is damaged or not mini's.
    """
    import hashlib

    from safetensors import SafetensorError
    from safetensors.torch import load

    source = Path(path) if path else resources.files("impasto") / "assets" / ASSET
    data = source.read_bytes()
    try:
        tensors = load(data)
        stages = json.loads(_metadata(data)["stages"])
        digest = hashlib.sha256(data).hexdigest()
        return Mini(tensors, stages=stages, padding=padding, predict=predict, sha256=digest)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IntegrityError(
            f"{source} does not hold mini's weights ({error})", "reinstall impasto"
        ) from error


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: an 8-byte length, then a JSON header."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata
