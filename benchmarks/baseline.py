"""The reference to measure against: what neural-style-pt does with its defaults, in our words.

VGG-19 in float32 and torch's default memory layout; content at relu4_2 (weight 5), style at relu1_1
to relu5_1 (weight 100 each), the mean squared error of features and of Gram matrices that are
divided by the number of their layer's features; total variation (weight 0.001, absolute
differences); the image in BGR, 0 to 256, from noise of deviation 0.001; L-BFGS without a line
search, 1000 iterations. Imported by the other benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.weights import load_weights

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 5.0, 100.0, 1e-3
MEAN = (103.939, 116.779, 123.68)


def preprocess(image: Tensor) -> Tensor:
    """``(1, 3, H, W)`` RGB in [0, 1] -> BGR around zero."""
    return image[:, [2, 1, 0]] * 256 - torch.tensor(MEAN).view(1, 3, 1, 1)


def deprocess(image: Tensor) -> Tensor:
    """The opposite of :func:`preprocess`, clamped."""
    return ((image + torch.tensor(MEAN).view(1, 3, 1, 1)) / 256)[:, [2, 1, 0]].clamp(0, 1)


def gram(features: Tensor) -> Tensor:
    """``(1, C, h, w)`` -> ``(C, C)`` over the number of features."""
    flat = features.view(features.shape[1], -1)
    return torch.mm(flat, flat.t()) / features.numel()


class Network(nn.Module):
    """VGG-19 as a plain chain; gives the features after the layers that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        tensors = load_weights("vgg19", flavour="caffe").tensors
        self.names: list[str] = []
        self.layers = nn.ModuleList()
        for key in tensors:
            if not key.endswith(".weight"):
                continue
            name = key.removesuffix(".weight")
            if name.endswith("_1") and name != "conv1_1":
                self._append("pool", nn.MaxPool2d(2, 2))
            weight = tensors[key]
            convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            convolution.load_state_dict({"weight": weight, "bias": tensors[f"{name}.bias"]})
            self._append(name, convolution)
            self._append(name.replace("conv", "relu"), nn.ReLU(inplace=True))
            if name == "conv5_1":
                break
        self.requires_grad_(False)

    def _append(self, name: str, layer: nn.Module) -> None:
        self.names.append(name)
        self.layers.append(layer)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            x = layer(x)
            if name == CONTENT_LAYER or name in STYLE_LAYERS:
                found[name] = x
        return found


class Baseline:
    """One problem: ``content`` and ``style`` ``(1, 3, H, W)`` in [0, 1]."""

    def __init__(self, content: Tensor, style: Tensor, *, seed: int = 0) -> None:
        self.network = Network()
        with torch.no_grad():
            self.content = self.network(preprocess(content))[CONTENT_LAYER]
            features = self.network(preprocess(style))
            self.style = {name: gram(features[name]) for name in STYLE_LAYERS}
        draw = torch.Generator().manual_seed(seed)
        noise = torch.randn(content.shape, generator=draw) * 0.001
        self.image = nn.Parameter(noise)

    def loss(self) -> Tensor:
        features = self.network(self.image)
        total = CONTENT_WEIGHT * F.mse_loss(features[CONTENT_LAYER], self.content)
        for name in STYLE_LAYERS:
            total = total + STYLE_WEIGHT * F.mse_loss(gram(features[name]), self.style[name])
        dy = self.image[:, :, 1:] - self.image[:, :, :-1]
        dx = self.image[:, :, :, 1:] - self.image[:, :, :, :-1]
        return total + TV_WEIGHT * (dy.abs().sum() + dx.abs().sum())

    def evaluate(self) -> Tensor:
        """Loss and gradient: what one iteration costs but for the optimiser."""
        self.image.grad = None
        loss = self.loss()
        torch.autograd.backward(loss)
        return loss

    def run(self, iterations: int, on_iteration: Callable[[int, Tensor], None]) -> None:
        """L-BFGS; ``on_iteration`` gets the number of evaluations so far and the picture."""
        optimizer = torch.optim.LBFGS(
            [self.image], max_iter=iterations, tolerance_change=-1, tolerance_grad=-1
        )
        evaluations = 0

        def closure() -> Tensor:
            nonlocal evaluations
            loss = self.evaluate()
            evaluations += 1
            on_iteration(evaluations, deprocess(self.image.detach()))
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # torch's stub wants a float
