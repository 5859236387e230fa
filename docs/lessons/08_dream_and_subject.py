# %% [markdown]
# # 8. DeepDream, and where the network looks
#
# Ask the network about itself: let grow what it sees in a photo (Mordvintsev, Olah and Tyka 2015).
# With $F_l(x)$ the features of the picture, $p$ the photo, and $m$ the mean over channels and
# positions,
#
# $$L(x) = -\sum_l \frac{w_l}{2} \log \frac{m(F_l(x)^2)}{m(F_l(p)^2)}.$$
#
# [impasto/losses/activation.py](../../impasto/losses/activation.py)
#
# ```py
# values[name] = -weight / 2 * ((mean + EPSILON) / start).log()
# ```

# %%
import os

import torch
from skimage.data import astronaut

import impasto

SIZE = int(os.environ.get("SIZE", "192"))
STEPS = int(os.environ.get("STEPS", "10"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(astronaut(), size=SIZE)

# %% [markdown]
# ## A dream for each depth
#
# Shallow layers dream of strokes, deeper ones of patterns and eyes.

# %%
settings = {"encoder": encoder, "size": SIZE, "steps": STEPS, "octaves": 2}
LAYERS = ("relu2_1", "relu3_3", "relu4_4")
dreams = {layer: impasto.deepdream(photo, layers=layer, **settings) for layer in LAYERS}
impasto.compare(photo, *dreams.values(), labels=["photo", *LAYERS])

# %% [markdown]
# ## A single channel
#
# `LAYER:CHANNEL` excites one channel. With `look(channels=...)` the picture begins as noise, and
# shows what the channel likes best.

# %%
one = impasto.deepdream(photo, layers="relu3_1:5", **settings)
impasto.compare(photo, one, labels=["photo", "relu3_1:5"])

# %%
impasto.look(channels="relu3_1:0-3", steps=4 * STEPS, cell=96)

# %% [markdown]
# ## Where the network looks
#
# A small network on the same features finds what a photo is of: people, animals, the main thing. A
# stylization holds that closer. Second: the subject that was found. Third: the photo's *detail*,
# by which all places are held.

# %%
impasto.look(photo, show="subject", size=SIZE, cell=192)

# %% [markdown]
# What that is good for: the same strength with and without the subject. The face stays.

# %%
common = impasto.StylizeConfig(size=SIZE, steps=(3 * STEPS,), strength=0.7)
with_subject = impasto.stylize(photo, "waves", common, encoder=encoder, protect=0.6)
without = impasto.stylize(photo, "waves", common, encoder=encoder, subject="off")
impasto.compare(photo, without, with_subject, labels=["photo", "subject off", "subject protected"])

# %% [markdown]
# ## Exercises
#
# 1. The loss of a dream is zero at the photo. What is its sign after some steps?
# 2. By how much have the features' squares grown, if the loss of one layer is $-1$?
# 3. Inside the subject's mask, which picture is nearer to the photo at `relu3_1`?

# %%
assert all(dream.history[-1]["total"] < 0 for dream in dreams.values())

answer_2 = torch.e**2
grown = torch.tensor(answer_2)
assert torch.isclose(-0.5 * grown.log(), torch.tensor(-1.0))

from impasto.objective.finder import find_subject  # noqa: E402

with torch.no_grad():
    seen = {
        name: encoder(image, ["relu3_1"])["relu3_1"]
        for name, image in (
            ("photo", photo),
            ("with", with_subject.image),
            ("without", without.image),
        )
    }
mask = find_subject(photo, size=tuple(seen["photo"].shape[-2:]))
moved = {
    name: float(((seen[name] - seen["photo"]).square() * mask).sum())
    for name in ("with", "without")
}
print(moved)
answer_3 = "with"
assert min(moved, key=moved.get) == answer_3
print("all right")
