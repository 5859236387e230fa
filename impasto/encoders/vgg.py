"""VGG-16 and VGG-19, the encoders of the classical method (Simonyan & Zisserman 2015).

Gatys et al. (2016) read their content from ``relu4_2`` and their style from ``relu1_1`` to
``relu5_1`` of VGG-19. Everything here serves those names: all convolutions and ReLUs are reachable,
the dense layers of the classifier are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

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
from impasto.encoders.weights import LoadedWeights, load_weights
from impasto.errors import WeightsError

# Averaging four activations of which most are zero shrinks the scale that the next layer was
# trained on; Crowson (style-transfer-pytorch) measured the factors that restore it.
POOLINGS = {"max": 1.0, "average": 2.0, "l2": 0.78}
"""Pooling -> factor on its result."""

# flavour -> (channel order, scale of [0, 1] input, mean, divisor), applied in this order
INPUTS: Mapping[str, tuple[tuple[int, int, int], float, tuple[float, ...], tuple[float, ...]]] = {
    "caffe": ((2, 1, 0), 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torchvision": ((0, 1, 2), 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "normalised": ((2, 1, 0), 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}


class VGG(Encoder):
    """VGG-16 or VGG-19 up to its last convolution.

    ``architecture`` is ``vgg16`` or ``vgg19``; ``tensors`` maps ``conv1_1.weight`` and so on to the
    weights (None leaves them random, for tests); ``flavour`` says how they want their input
    (a key of ``INPUTS``); ``pooling`` is a key of ``POOLINGS``; ``padding`` is ``zero`` (as
    trained) or another of ``PADDINGS``.

    The weights are fixed: gradients flow to the image only. Input ``(N, 3, H, W)`` in [0, 1],
    features in the dtype of the weights. Raises ConfigError for a choice that does not exist,
    WeightsError where a tensor is missing.
    """

    def __init__(
        self,
        architecture: str = "vgg19",
        tensors: Mapping[str, Tensor] | None = None,
        *,
        flavour: str = "caffe",
        pooling: str = "max",
        padding: str = "zero",
        sha256: str = "",
    ) -> None:
        super().__init__()
        check_choice("architecture", architecture, CONVOLUTIONS)
        self.name = architecture
        self.flavour = check_choice("flavour", flavour, INPUTS)
        self.pooling = check_choice("pooling", pooling, POOLINGS)
        self.padding, self._width_invariant = check_choice("padding", padding, PADDINGS), False
        self.sha256 = sha256
        names = CONVOLUTIONS[architecture]
        self.layers = tuple(x for n in names for x in (n, n.replace("conv", "relu")))
        self.convolutions = nn.ModuleDict()
        channels = 3
        for name in names:
            width = CHANNELS[int(name[4])]
            self.convolutions[name] = nn.Conv2d(channels, width, 3, padding=1)
            channels = width
        if tensors is not None:
            self._fill(tensors)
        self.eval().requires_grad_(False)

    @classmethod
    def from_weights(
        cls, weights: LoadedWeights, *, pooling: str = "max", padding: str = "zero"
    ) -> VGG:
        """The network that a weight file holds."""
        return cls(
            weights.architecture,
            weights.tensors,
            flavour=weights.flavour,
            pooling=pooling,
            padding=padding,
            sha256=weights.sha256,
        )

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """The features at ``layers``; convolutions deeper than the deepest are not computed."""
        wanted = set(layers)
        found: Features = {}
        x = self._normalise(image)
        names = list(self.convolutions)
        for name, following in zip(names, [*names[1:], ""], strict=True):
            convolution, relu = self.convolutions[name], name.replace("conv", "relu")
            assert isinstance(convolution, nn.Conv2d)
            x = pad_and_convolve(x, convolution, self.padding, self._width_invariant)
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                break
            pooled = following[4:5] != name[4]
            # A maximum of ReLUs is the ReLU of the maximum, and that has a quarter of the work.
            late = pooled and self.pooling == "max" and relu not in wanted
            if not late:
                # In place is free, but would overwrite the convolution's output if asked for.
                x = F.relu(x) if name in wanted else F.relu_(x)
            if relu in wanted:
                found[relu] = x
                if len(found) == len(wanted):
                    break
            if pooled:
                x = self._pool(x)
            if late:
                x = F.relu_(x)
        return found

    @property
    def wraps(self) -> tuple[int, ...]:
        """The axes along which a picture goes on at its other side; see the padding."""
        return CIRCULAR.get(self.padding, ())

    def with_padding(self, padding: str) -> VGG:
        """The same network, sharing its weights, with another padding."""
        other = copy.copy(self)
        other.padding = check_choice("padding", padding, PADDINGS)
        return other

    def width_invariant(self) -> VGG:
        """The same network and weights; its rounding does not depend on the image's width."""
        other = copy.copy(self)
        other._width_invariant = True
        return other

    def receptive_field(self, layer: str) -> int:
        """The sum of what each 3x3 convolution up to ``layer`` adds: one position of its stage."""
        if layer == IMAGE:
            return 0
        names = list(self.convolutions)
        deepest = names.index(layer.replace("relu", "conv"))
        return sum(self.stride(name) for name in names[: deepest + 1])

    def _normalise(self, image: Tensor) -> Tensor:
        order, scale, mean, divisor = INPUTS[self.flavour]
        # In the image's precision: as buffers they would be rounded with the weights.
        shift, divide = image.new_tensor([mean, divisor]).view(2, 1, 3, 1, 1)
        x = (image[:, list(order)] * scale - shift) / divide
        ready: Tensor = x.to(self.dtype, memory_format=torch.channels_last)
        return ready

    def _pool(self, x: Tensor) -> Tensor:
        factor = POOLINGS[self.pooling]
        if self.pooling == "max":
            return F.max_pool2d(x, 2)
        if self.pooling == "average":
            return F.avg_pool2d(x, 2) * factor
        # The l2 norm of each 2x2 window; the small constant keeps its gradient finite at zero.
        return (F.avg_pool2d(x.square(), 2) * 4 + 1e-12).sqrt() * factor

    def _fill(self, tensors: Mapping[str, Tensor]) -> None:
        state = self.convolutions.state_dict()
        missing = [key for key in state if key not in tensors]
        if missing:
            raise WeightsError(
                f"the weights lack {missing[0]} and {len(missing) - 1} more tensors of {self.name}",
                "use a complete file: impasto weights list",
            )
        self.convolutions.load_state_dict({key: tensors[key] for key in state})


def load_vgg(
    architecture: str = "vgg19",
    *,
    flavour: str | None = None,
    path: str | None = None,
    pooling: str = "max",
    padding: str = "zero",
) -> VGG:
    """VGG with weights from ``path``, or else from the search path, the cache or a download.

    Raises WeightsNotFoundError and IntegrityError as :func:`impasto.encoders.weights.load_weights`.
    """
    weights = load_weights(architecture, flavour=flavour, path=path)
    return VGG.from_weights(weights, pooling=pooling, padding=padding)
