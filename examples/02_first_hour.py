"""The first hour: what ``stylize`` does at one level of its pyramid, spelled out.

Four things: an *image*, an *encoder* that sees features in it, an *objective* that says how far
those are from where we want them, and ``optimize``, which moves the pixels. Every part can be
exchanged for one of yours (example 03).
"""

import os
from pathlib import Path

from skimage.data import chelsea

from impasto import (
    FeatureLoss,
    GramLoss,
    Objective,
    TotalVariation,
    get_encoder,
    load_image,
    optimize,
    save_image,
    swatch,
)

SIZE = int(os.environ.get("SIZE", "320"))
STEPS = int(os.environ.get("STEPS", "200"))
STYLE_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]

Path("out").mkdir(exist_ok=True)
content = load_image(chelsea(), size=SIZE)  # (1, 3, H, W), sRGB in [0, 1]
style = swatch("mosaic", size=SIZE)

encoder = get_encoder("mini")  # "vgg19" where its weights are installed

# A loss is built from its target's features; from then on it sees only features.
objective = Objective(
    content=(FeatureLoss(encoder(content, ["relu4_2"]), normalization="relative"), 0.1),
    style=(GramLoss(encoder(style, STYLE_LAYERS), normalization="relative"), 1.0),
    smooth=(TotalVariation(), 0.3),  # reads the layer called "image"
)
print("layers that are computed:", ", ".join(objective.layers))

for step in optimize(content, encoder, objective, steps=STEPS, learning_rate=0.03, average=0.95):
    if step.index % 20 == 0 or step.index == step.steps:
        terms = "  ".join(f"{name} {value:.4f}" for name, value in step.losses.items())
        print(f"step {step.index:3}  total {step.total:.4f}  {terms}")
    if step.index > 50 and step.total < 0.01:
        break  # stop whenever you like: it is only a loop

save_image("out/02-cat-mosaic.png", step.image)
