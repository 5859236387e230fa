# %% [markdown]
# # 4. The total: alpha and beta
#
# The picture is to have the photo's content and the painting's style (Gatys, Ecker and Bethge 2016,
# eq. 7), and to be smooth:
#
# $$L = \alpha L_\text{content} + \beta L_\text{style} + \gamma L_\text{tv}.$$
#
# [impasto/losses/base.py](../../impasto/losses/base.py)
#
# ```py
# weighted = {layer: weight * gain[layer] * value for layer, value in by_layer.items()}
# ```

# %%
import os

import torch
from skimage.data import chelsea

import impasto
from impasto import GramLoss

SIZE = int(os.environ.get("SIZE", "128"))
STEPS = int(os.environ.get("STEPS", "40"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(chelsea(), size=SIZE)
painting = impasto.swatch("mosaic", size=SIZE)


def paint(**settings):
    """The photo as mosaic. The strength is a weight here, as in papers, so alpha and beta count."""
    return impasto.stylize(
        photo, painting, encoder=encoder, size=SIZE, steps=STEPS, strength_mode="weight",
        subject="off", init="content", precision="float32", **settings,
    )  # fmt: skip


# %% [markdown]
# ## A grid
#
# Alpha grows to the right, beta downwards.

# %%
ALPHAS, BETAS = (0.003, 0.045, 0.6), (0.1, 1.0)
grid = {(a, b): paint(content_weight=a, style_weight=b) for b in BETAS for a in ALPHAS}
impasto.compare(*grid.values(), labels=[f"alpha {a:g}, beta {b:g}" for a, b in grid], columns=3)

# %% [markdown]
# ## Why normalisation matters
#
# The value of a loss depends on the layer: the numbers of the paper's form differ by orders of
# magnitude, so the same weights mean something else at each layer and with each encoder.
# `normalization="relative"` divides each layer's distance by the size of its target:
#
# $$\frac{\lVert G - A \rVert_F^2}{\lVert A \rVert_F^2}.$$
#
# [impasto/losses/statistics.py](../../impasto/losses/statistics.py)
#
# ```py
# return weight / (float(target.square().sum()) + 1e-8)
# ```

# %%
LAYERS = [f"relu{stage}_1" for stage in range(1, 6)]
with torch.no_grad():
    seen, wanted = encoder(photo, LAYERS), encoder(painting, LAYERS)
    values = {form: GramLoss(wanted, normalization=form)(seen) for form in ("gatys", "relative")}
for layer in LAYERS:
    print(layer, *(f"{form} {float(v[layer]):10.4g}" for form, v in values.items()))
spread = {form: float(max(v.values()) / min(v.values())) for form, v in values.items()}
print("largest over smallest:", {form: round(value, 1) for form, value in spread.items()})
assert spread["relative"] < spread["gatys"]

# %% [markdown]
# ## One knob
#
# Only $\alpha : \beta$ matters, so impasto has one knob, `strength`. By default it is a *limit*: as
# much style as there can be while the content moves no further than the strength allows. So it
# means the same on any pair ([how](../how-it-works.md#the-total)).

# %%
strengths = (0.2, 0.5, 0.8)
strip = [
    impasto.stylize(photo, painting, encoder=encoder, size=SIZE, steps=STEPS, strength=s)
    for s in strengths
]
impasto.compare(photo, *strip, labels=["photo", *[f"strength {s}" for s in strengths]])

# %% [markdown]
# ## Exercises
#
# 1. Multiply alpha, beta and gamma by ten. Does the picture change? (Adam divides each gradient by
#    its own size.)
# 2. Which of two pictures has the larger content loss: alpha 0.003 or alpha 0.6?

# %%
once = paint(content_weight=0.045, style_weight=1.0, tv_weight=0.3).image
tenfold = paint(content_weight=0.45, style_weight=10.0, tv_weight=3.0).image
another = paint(content_weight=0.45, style_weight=1.0, tv_weight=0.3).image  # alpha alone
answer_1 = "hardly"
changes = {
    "all weights": float((once - tenfold).abs().mean()),
    "alpha alone": float((once - another).abs().mean()),
}
print("mean difference of pixels, ten times:", changes)
assert changes["all weights"] < changes["alpha alone"] / 3


def content_distance(image):
    """The relative distance at relu4_2."""
    with torch.no_grad():
        loss = impasto.FeatureLoss(encoder(photo, ["relu4_2"]), normalization="relative")
        return float(loss(encoder(image, ["relu4_2"]))["relu4_2"])


answer_2 = 0.003
moved = {a: content_distance(grid[a, 1.0].image) for a in (0.003, 0.6)}
print(moved)
assert max(moved, key=moved.get) == answer_2
print("all right")
