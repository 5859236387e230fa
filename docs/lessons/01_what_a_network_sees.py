# %% [markdown]
# # 1. What a network sees
#
# A network that was trained to recognise things describes a picture in its own terms. Those terms
# are all that style transfer needs.
#
# VGG-19 (Simonyan and Zisserman 2015) is sixteen convolutions in five stages; between stages a
# pooling halves the size. For an image $x$, layer $l$ has $N_l$ *channels* at
# $M_l = h_l w_l$ *positions*. Those numbers are its *features*
#
# $$F^l \in \mathbb{R}^{N_l \times M_l}, \qquad F^l_{ip} = \text{activation of channel } i \text{ at position } p.$$
#
# impasto ships with `mini`, a small encoder whose features have the inner products of VGG-19's
# ([why](../how-it-works.md#mini)). With `ENCODER=vgg19` the lessons use VGG-19 itself.

# %%
import os

import torch
from skimage.data import chelsea

import impasto

SIZE = int(os.environ.get("SIZE", "192"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(chelsea(), size=SIZE)
print(tuple(photo.shape), "from", float(photo.min()), "to", float(photo.max()))

# %% [markdown]
# ## One network, many outputs
#
# An encoder takes a picture and the names of layers, and gives the features of each. This is the
# "model with many outputs" of the tutorials:
#
# [impasto/encoders/base.py](../../impasto/encoders/base.py)
#
# ```py
# features = self.encode(image, deep) if deep else {}
# if IMAGE in names:
#     features[IMAGE] = image
# return {name: features[name] for name in names}
# ```

# %%
LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
with torch.no_grad():
    features = encoder(photo, LAYERS)
for name, f in features.items():
    _, channels, height, width = f.shape
    print(f"{name}: {channels:4} channels at {height} x {width} positions")

# %% [markdown]
# A step from one position to the next is 1, 2, 4, 8 or 16 pixels wide: each stage sees more of the
# picture and says less about where.

# %%
for name in LAYERS:
    print(name, "has a stride of", encoder.stride(name), "pixels")

# %% [markdown]
# ## The maps themselves
#
# Each small picture is one channel: bright where it answers. The first layer knows edges and
# colours; deeper ones know textures, then parts such as eyes.

# %%
impasto.look(photo, layers=LAYERS[:4], count=8, encoder=encoder, size=SIZE, cell=96)

# %% [markdown]
# ## Forgetting where
#
# Shift the photo by two pixels. The first layer's features change a good deal; those of a deep
# layer hardly do. With $F$ the features before and $F'$ after, the relative distance is
# $\lVert F - F' \rVert^2 / \lVert F \rVert^2$.

# %%
shifted = torch.roll(photo, 2, dims=3)
with torch.no_grad():
    after = encoder(shifted, LAYERS)
distances = {
    name: float((f - after[name]).square().sum() / f.square().sum()) for name, f in features.items()
}
for name, distance in distances.items():
    print(f"{name}: {distance:.3f}")

# %% [markdown]
# ## Exercises
#
# 1. How many positions has `relu3_1` for a picture of 512 x 384 pixels?
# 2. Which layers does VGG-19 have that VGG-16 has not? (The last number of a name counts the
#    convolutions of its stage.)
# 3. How does a picture compare with itself upside down, at `relu4_1`: nearer than after the shift,
#    or further?

# %%
answer_1 = (512 // 4) * (384 // 4)
assert answer_1 == torch.Size(encoder.feature_size("relu3_1", 384, 512)).numel() == 12288

answer_2 = {"relu3_4", "relu4_4", "relu5_4"}
vgg16 = {
    f"relu{stage}_{n}"
    for stage, count in enumerate((2, 2, 3, 3, 3), 1)
    for n in range(1, count + 1)
}
vgg19 = {name for name in impasto.Mini.layers if name.startswith("relu")}  # the same as VGG-19's
assert vgg19 - vgg16 == answer_2

with torch.no_grad():
    upside_down = encoder(photo.flip(2), ["relu4_1"])["relu4_1"]
f = features["relu4_1"]
answer_3 = float((f - upside_down).square().sum() / f.square().sum())
assert answer_3 > distances["relu4_1"]
print("all right")
