# %% [markdown]
# # 2. Content: invert a layer
#
# Two pictures show the same thing where their deep features agree, position by position. With $P$
# the features of the photo and $F$ those of the picture (Gatys, Ecker and Bethge 2016, eq. 1),
#
# $$L_\text{content} = \tfrac{1}{2} \sum_{i,p} \left(F_{ip} - P_{ip}\right)^2.$$
#
# To see what a layer knows, start from noise and minimise that loss alone (Mahendran and Vedaldi
# 2015).

# %%
import os

import torch
from skimage.data import chelsea

import impasto
from impasto import FeatureLoss, Objective, TotalVariation

SIZE = int(os.environ.get("SIZE", "128"))
STEPS = int(os.environ.get("STEPS", "120"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(chelsea(), size=SIZE)

# %% [markdown]
# ## The loss, by hand and by impasto
#
# [impasto/losses/content.py](../../impasto/losses/content.py)
#
# ```py
# moved = features[name] - target
# if self.power == 1:
#     sums[name] = self._squared_norm(moved, name, windows)
# ```
#
# `normalization="gatys"` is the formula above; `"relative"`, the default of `stylize`, divides by
# $\lVert P \rVert^2$ instead, so that the number means the same at every layer.

# %%
with torch.no_grad():
    P = encoder(photo, ["relu4_2"])
    F = encoder(photo.flip(3), ["relu4_2"])
by_hand = 0.5 * (F["relu4_2"] - P["relu4_2"]).square().sum()
by_impasto = FeatureLoss(P, normalization="gatys")(F)["relu4_2"]
print(float(by_hand), float(by_impasto))
assert torch.allclose(by_hand, by_impasto, rtol=1e-4)

# %% [markdown]
# ## Inverting layers
#
# The network does not change; the picture does. `optimize` yields a step at a time, and may be left
# at any time. A little smoothness (total variation) removes grain that the network cannot see.


# %%
def invert(layer):
    """What can be made of the photo again from its features at ``layer``."""
    with torch.no_grad():
        target = encoder(photo, [layer])
    objective = Objective(
        content=(FeatureLoss(target, normalization="relative"), 1.0),
        tv=(TotalVariation(), 0.3),
    )
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.35
    *_, last = impasto.optimize(noise, encoder, objective, steps=STEPS, average=0.9)
    return last.image, last.losses["content"]


LAYERS = ["relu1_1", "relu3_1", "relu5_1"]
inverted = {layer: invert(layer) for layer in LAYERS}
for layer, (_, loss) in inverted.items():
    print(f"{layer}: what is left of the loss is {loss:.4f}")

# %%
impasto.compare(photo, *[image for image, _ in inverted.values()], labels=["photo", *LAYERS])

# %% [markdown]
# The first layer gives the photo back. `relu3_1` loses fine texture but nothing that matters.
# `relu5_1` keeps the cat and forgets the fur: that is why content is read deep, and why a layer
# that is too deep loses the face.
#
# ## Exercises
#
# 1. What is the loss of the photo against itself?
# 2. Which of the three pictures is nearest to the photo in pixels?
# 3. Doubling all features of both pictures makes the loss of the paper four times as large. And the
#    relative one?

# %%
assert float(FeatureLoss(P, normalization="relative")(P)["relu4_2"]) == 0

errors = {layer: float((image - photo).square().mean()) for layer, (image, _) in inverted.items()}
print(errors)
answer_2 = "relu1_1"
assert min(errors, key=errors.get) == answer_2

doubled_target, doubled = {k: 2 * v for k, v in P.items()}, {k: 2 * v for k, v in F.items()}
for normalization, answer_3 in (("gatys", 4.0), ("relative", 1.0)):
    before = FeatureLoss(P, normalization=normalization)(F)["relu4_2"]
    after = FeatureLoss(doubled_target, normalization=normalization)(doubled)["relu4_2"]
    assert torch.isclose(after / before, torch.tensor(answer_3), rtol=1e-3)
print("all right")
