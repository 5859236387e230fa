# %% [markdown]
# # 6. Coarse to fine
#
# A filter sees a window of fixed size in pixels. On a large picture that is a small part of it:
# only small strokes form, and moving a large shape takes very long. So the picture is painted small
# first, enlarged, and painted on (Gatys et al. 2017, section 6). At level $k$ of $n$, a picture of
# $H \times W$ has
#
# $$h_k = H / r^{\,n-k}, \qquad w_k = W / r^{\,n-k} \qquad (r = 2).$$
#
# [impasto/optim/pyramid.py](../../impasto/optim/pyramid.py)
#
# ```py
# h, w = round(height / ratio**distance), round(width / ratio**distance)
# ```

# %%
import os

from skimage.data import chelsea

import impasto
from impasto.optim.pyramid import plan

SIZE = int(os.environ.get("SIZE", "192"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(chelsea(), size=SIZE)
height, width = photo.shape[-2:]
for level in plan(height, width, (40, 30, 10)):
    print(f"{level.height} x {level.width}: {level.steps} steps")

# %% [markdown]
# ## With and without
#
# Both pictures get as many steps. The first gets all of them at the full size, the second most of
# them at a quarter and a half of it, where a step costs a sixteenth and a quarter: it is done
# sooner, and its forms are larger.

# %%
COARSE = tuple(int(n) for n in os.environ.get("STEPS", "40,30,10").split(","))
common = impasto.StylizeConfig(size=SIZE, strength=0.8)
progress = impasto.NotebookProgress()  # a bar, in a notebook
flat = impasto.stylize(
    photo, "nouveau", common, encoder=encoder, steps=sum(COARSE), on_event=progress
)
pyramid = impasto.stylize(photo, "nouveau", common, encoder=encoder, steps=COARSE)
seconds = {name: x.metadata["seconds"] for name, x in (("flat", flat), ("pyramid", pyramid))}
print(seconds)
assert seconds["pyramid"] < seconds["flat"]
impasto.compare(photo, flat, pyramid, labels=["photo", "one size", "coarse to fine"])

# %% [markdown]
# ## What each level adds
#
# A run tells when a level is done. What it has then is enlarged, gets the photo's fine detail, and
# is painted on.

# %%
run = impasto.Stylization(photo, "nouveau", common.with_changes(steps=COARSE), encoder=encoder)
levels = [event.image.clone() for event in run if isinstance(event, impasto.LevelDone)]
impasto.compare(*levels, labels=[f"level {k + 1}" for k in range(len(levels))])

# %% [markdown]
# ## The same forms at another size
#
# Because all pictures begin at the same coarse size, a small preview has the forms of the large
# print.

# %%
small = impasto.stylize(photo, "nouveau", common, encoder=encoder, size=SIZE // 2, steps=COARSE[:2])
impasto.compare(small, pyramid, labels=[f"{SIZE // 2} pixels", f"{SIZE} pixels"])

# %% [markdown]
# ## Exercises
#
# 1. A step at half the size costs about a quarter. What do 40, 30 and 10 steps cost, in steps at
#    full size?
# 2. How does `plan` divide a picture of 600 x 800 into two levels?
# 3. Which is further from the photo at equal strength: one size, or coarse to fine? Look at the
#    large shapes, then compare both with the photo at a sixteenth of the size.

# %%
answer_1 = 40 / 16 + 30 / 4 + 10
assert answer_1 == 20

answer_2 = [(300, 400), (600, 800)]
assert [(level.height, level.width) for level in plan(600, 800, (10, 10))] == answer_2


def coarse(image):
    """The picture at a sixteenth of its size: only its large forms and colours."""
    return impasto.resize(image, (height // 16, width // 16))


moved = {
    name: float((coarse(x.image) - coarse(photo)).square().mean())
    for name, x in (("flat", flat), ("pyramid", pyramid))
}
print(moved)
answer_3 = "pyramid"
assert max(moved, key=moved.get) == answer_3
assert len(levels) == len(COARSE)
print("all right")
