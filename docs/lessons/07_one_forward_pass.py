# %% [markdown]
# # 7. One forward pass
#
# Optimising pixels takes hundreds of passes. A second network can learn to do the work: a
# *transformer* $T$ maps a photo to a picture in one pass, and the *loss network* that you know from
# the lessons before judges it (Johnson, Alahi and Fei-Fei 2016). The weights $\theta$ of $T$ move
# this time, over many photos $c$:
#
# $$\min_\theta \; \mathbb{E}_c \left[ \alpha L_\text{content}(T_\theta(c), c) + \beta L_\text{style}(T_\theta(c)) \right].$$
#
# [impasto/feedforward/training.py](../../impasto/feedforward/training.py)
#
# ```py
# objective.on_step_start(self.step)
# return objective(self.encoder(model(photo), objective.layers))
# ```

# %%
import os
import tempfile
from pathlib import Path

from skimage import data

import impasto
from impasto import Trained, Training, Validated

SIZE = int(os.environ.get("SIZE", "192"))
MINUTES = float(os.environ.get("MINUTES", "1"))
photo = impasto.load_image(data.chelsea(), size=SIZE)

# %% [markdown]
# ## Two networks
#
# Five photos and a minute only show how it goes; [train your own](../train.md) has the real thing.

# %%
with tempfile.TemporaryDirectory() as folder:
    for name in ("astronaut", "chelsea", "coffee", "rocket", "camera"):
        impasto.save_image(
            Path(folder) / f"{name}.png", impasto.load_image(getattr(data, name)(), size=256)
        )
    training = Training(
        "waves",
        folder,
        minutes=MINUTES,
        strength=0.1,  # in a minute it learns strokes first; hold the photo
        crop=64,
        style_size=128,
        width=8,
        blocks=2,
        validate_every=20,
    )
    totals, validations = [], []
    for event in training:
        if isinstance(event, Trained):
            totals.append(event.total)
        elif isinstance(event, Validated):
            validations.append(event)
network = training.network()
parameters = sum(p.numel() for p in network.parameters())
print(f"{len(totals)} steps, {parameters:,} parameters; loss {totals[0]:.2f} -> {totals[-1]:.2f}")

# %% [markdown]
# ## Photos that it has not seen
#
# Left the photo, right what becomes of it, at the last validation.

# %%
impasto.compare(validations[-1].image, width=320)

# %% [markdown]
# ## Any style in one pass
#
# A network of one style must be trained for each. `quick` ships with impasto and takes *any* style:
# it measures the mean and covariance of both pictures' features, moves the photo's to the style's,
# and a decoder paints what comes out ([how](../quick.md#how-it-works)).

# %%
own = impasto.quick(photo, model=network)
arbitrary = impasto.quick(photo, "waves")
print("seconds:", own.metadata["seconds"], arbitrary.metadata["seconds"])
impasto.compare(photo, own, arbitrary, labels=["photo", "your network", "quick"])

# %% [markdown]
# Several styles, and how much of them, without training anything:

# %%
mixtures = {
    "waves": impasto.quick(photo, "waves", strength=0.5),
    "both": impasto.quick(photo, ["waves", "mosaic"], blend=[1, 1]),
    "mosaic": impasto.quick(photo, "mosaic"),
}
impasto.compare(*mixtures.values(), labels=["waves, half", "waves and mosaic", "mosaic"])

# %% [markdown]
# ## Exercises
#
# 1. Does the loss fall? Compare the mean of the first and of the last tenth of the steps.
# 2. What does `quick` return at strength 0?
# 3. What size is the result of a network that halves the picture twice and doubles it twice, for a
#    photo of 101 x 67?

# %%
tenth = max(1, len(totals) // 10)
answer_1 = sum(totals[-tenth:]) < sum(totals[:tenth])
assert answer_1

answer_2 = photo
assert float((impasto.quick(photo, "waves", strength=0.0).image - answer_2).abs().max()) < 1 / 255

answer_3 = (101, 67)
odd = impasto.resize(photo, (101, 67))
assert tuple(impasto.quick(odd, model=network).image.shape[-2:]) == answer_3
print("all right")
