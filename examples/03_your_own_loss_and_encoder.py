"""A loss and an encoder of your own, passed as objects: nothing to register, nothing to fork.

The loss: *sliced Wasserstein*, which compares whole distributions of features, along random
directions, where a Gram matrix compares second moments (Heitz et al. 2021). The encoder: *random
filters*, nothing trained at all, enough for simple textures (Ustyuzhaninov et al. 2017).
"""

import os
from pathlib import Path

import torch
from skimage.data import coffee
from torch import nn
from torch.nn import functional as F

import impasto
from impasto import Encoder, Loss

SIZE = int(os.environ.get("SIZE", "256"))
STEPS = int(os.environ.get("STEPS", "150"))


class SlicedWasserstein(Loss):
    """Squared distance of sorted projections; ``target`` maps layers to ``(1, C, h, w)``."""

    def __init__(self, target, weights, directions=32, samples=256):
        self.layers, self.weights, self.samples = tuple(weights), weights, samples
        source = torch.Generator().manual_seed(0)
        self.directions = {
            name: F.normalize(torch.randn(directions, f.shape[1], generator=source), dim=1)
            for name, f in target.items()
        }
        self.target = {name: self.quantiles(name, f) for name, f in target.items()}

    def quantiles(self, name, features):
        projected = self.directions[name] @ features[0].float().flatten(1)  # (directions, h * w)
        sorted_ = projected.sort(dim=1).values[None]
        return F.interpolate(sorted_, self.samples, mode="linear", align_corners=True)

    def __call__(self, features):
        """One scalar per layer, each relative to the spread of its target."""
        losses = {}
        for name, target in self.target.items():
            squares = (self.quantiles(name, features[name]) - target).square()
            losses[name] = self.weights[name] * squares.mean() / target.var()
        return losses


class RandomFilters(Encoder):
    """One convolution with random 7x7 filters on the image at three sizes."""

    name = "random-filters"
    layers = ("relu1_1", "relu2_1", "relu3_1")  # VGG's names: the digit tells the size, 1, 1/2, 1/4

    def __init__(self):
        super().__init__()
        self.filters = nn.Conv2d(3, 64, 7, padding=3, padding_mode="reflect", bias=False)
        nn.init.normal_(self.filters.weight, generator=torch.Generator().manual_seed(0))
        self.eval().requires_grad_(False)

    def encode(self, image, layers):
        x = (image - 0.5).to(self.dtype)  # stylize() may have turned the weights to bfloat16
        return {name: F.relu(self.filters(F.avg_pool2d(x, self.stride(name)))) for name in layers}


Path("out").mkdir(exist_ok=True)
content, style = impasto.load_image(coffee(), size=SIZE), impasto.swatch("impasto", size=SIZE)

loss = {"gram": 1.0, SlicedWasserstein: 0.5}  # beside one that impasto knows, and weighed
own = impasto.stylize(content, style, style_loss=loss, size=SIZE, steps=STEPS)
own.save("out/03-own-loss.png")

settings = {"content_layers": ["relu3_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1"]}
own = impasto.stylize(content, style, encoder=RandomFilters(), size=SIZE, steps=STEPS, **settings)
own.save("out/03-own-encoder.png")
