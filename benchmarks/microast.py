"""A network of MicroAST's size, to have something to measure speed against.

Wang et al. (2023, "MicroAST: Towards Super-Fast Ultra-Resolution Arbitrary Style Transfer"): two
small encoders, a modulator that turns the style's features into filters, a small decoder; 0.47
million weights. The layers are written down as we understand the paper; the weights are random, so
only the time means anything, and no picture of this network is shown anywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64)


class Separable(nn.Sequential):
    """A depthwise 3x3 convolution and a pointwise one."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, 1, padding_mode="reflect", groups=inputs),
            nn.Conv2d(inputs, outputs, 1),
        )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")

    def forward(
        self, x: Tensor, filters: Tensor | None = None, biases: Tensor | None = None
    ) -> Tensor:
        y = F.relu(self.first(x))
        if filters is not None and biases is not None:  # the style's, one number a channel
            y = y * filters + biases
        return x + self.second(y)


class Encoder(nn.Module):
    """To a quarter of the size; features behind each of the two residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.shrink = nn.Sequential(
            nn.Conv2d(3, a, 9, padding=4, padding_mode="reflect"),
            nn.ReLU(),
            Separable(a, b, 2),
            nn.ReLU(),
            Separable(b, c, 2),
            nn.ReLU(),
        )
        self.first, self.second = Residual(c), Residual(c)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(self.shrink(image))
        return x, self.second(x)


class Modulator(nn.Module):
    """Style features -> a filter and a bias for each channel."""

    def __init__(self) -> None:
        super().__init__()
        width = WIDTHS[-1]
        self.filters, self.biases = Separable(width, width), Separable(width, width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(f(features).mean((2, 3), keepdim=True) for f in (self.filters, self.biases))  # type: ignore[return-value]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.first, self.second = Residual(c), Residual(c)
        self.grow = nn.ModuleList([Separable(c, b), Separable(b, a)])
        self.last = nn.Conv2d(a, 3, 9, padding=4, padding_mode="reflect")

    def forward(self, x: Tensor, skip: Tensor, modulation: list[tuple[Tensor, Tensor]]) -> Tensor:
        x = self.first(x, *modulation[1])
        x = self.second(x + skip, *modulation[0])
        for grow in self.grow:
            x = F.relu(grow(F.interpolate(x, scale_factor=2.0, mode="nearest")))
        picture: Tensor = self.last(x)
        return picture


class MicroAST(nn.Module):
    """Content ``(1, 3, H, W)``, style ``(1, 3, h, w)`` -> picture ``(1, 3, H, W)``; 4 divides H and
    W."""

    def __init__(self) -> None:
        super().__init__()
        self.content, self.style = Encoder(), Encoder()
        self.modulators = nn.ModuleList([Modulator(), Modulator()])
        self.decoder = Decoder()
        self.eval().requires_grad_(False)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        style = style.to(next(self.parameters()).dtype)
        modulation = [m(f) for m, f in zip(self.modulators, self.style(style), strict=True)]
        skip, x = self.content(content.to(style.dtype))
        moved = [
            self._normalised(f) * k + b for f, (k, b) in zip((skip, x), modulation, strict=True)
        ]
        picture: Tensor = self.decoder(moved[1], moved[0], modulation)
        return picture.float()

    @staticmethod
    def _normalised(x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, (2, 3), keepdim=True)
        return (x - mean) / (deviation + 1e-5)


if __name__ == "__main__":
    model = MicroAST()
    print(sum(p.numel() for p in model.parameters()), "weights")
    print(model(torch.rand(1, 3, 64, 96), torch.rand(1, 3, 64, 64)).shape)
