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
from impasto import Encoder, FeatureLoss, Loss, Objective

SIZE = int(os.environ.get("SIZE", "256"))
STEPS = int(os.environ.get("STEPS", "150"))


class SlicedWasserstein(Loss):
    """Squared distance of sorted projections; ``target`` maps layers to ``(1, C, h, w)``."""

    def __init__(self, target, directions=32, samples=256):
        self.layers, self.samples = tuple(target), samples
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
            losses[name] = squares.mean() / target.var() / len(self.layers)
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

encoder = impasto.get_encoder("mini")
objective = Objective(
    content=(FeatureLoss(encoder(content, ["relu4_2"]), normalization="relative"), 0.1),
    style=(SlicedWasserstein(encoder(style, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"])), 1.0),
)
*_, last = impasto.optimize(content, encoder, objective, steps=STEPS, average=0.95)
impasto.save_image("out/03-own-loss.png", last.image)

settings = {"content_layers": ["relu3_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1"]}
own = impasto.stylize(content, style, encoder=RandomFilters(), size=SIZE, steps=STEPS, **settings)
own.save("out/03-own-encoder.png")
