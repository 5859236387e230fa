# %% [markdown]
# # 5. Adam and L-BFGS, racing
#
# In training, the image is given and the weights move. Here the weights are given and the image
# moves, down the gradient of the loss, from the photo:
#
# $$x \leftarrow x - \eta \, \nabla_x L(x).$$
#
# [impasto/optim/loop.py](../../impasto/optim/loop.py)
#
# ```py
# state.optimizer.zero_grad()
# evaluation = differentiate(state.values)
# state.optimizer.step()
# ```
#
# **Adam** (Kingma and Ba 2015) keeps running means $m$ of the gradient and $v$ of its square, and
# steps by $\eta \, \hat m / (\sqrt{\hat v} + \epsilon)$. **L-BFGS** (Liu and Nocedal 1989), which
# Gatys et al. used, estimates curvature from its last steps and searches along each direction; one
# of its steps evaluates the loss several times.
#
# Two set-ups are found in most tutorials, and this lesson runs both: style from `conv1_1` to
# `conv5_1` with Adam, and content from `relu4_2` with L-BFGS.

# %%
import os
import tempfile
from pathlib import Path

from skimage.data import chelsea

import impasto
from impasto.outputs.animation import write_animation

SIZE = int(os.environ.get("SIZE", "128"))
STEPS = int(os.environ.get("STEPS", "40"))
encoder = impasto.get_encoder(os.environ.get("ENCODER", "mini"))
photo = impasto.load_image(chelsea(), size=SIZE)
folder = Path(tempfile.mkdtemp())

common = impasto.StylizeConfig(
    size=SIZE, steps=(STEPS,), init="content", strength_mode="weight", subject="off",
    precision="float32",
)  # fmt: skip
CONV = tuple(f"conv{stage}_1" for stage in range(1, 6))
RELU = tuple(f"relu{stage}_1" for stage in range(1, 6))
SETUPS = {
    "Adam": common.with_changes(
        optimizer="adam", style_layers=CONV, content_layers=("conv4_2",), average=0.0
    ),
    "L-BFGS": common.with_changes(
        optimizer="lbfgs", style_layers=RELU, content_layers=("relu4_2",), average=0.0
    ),
}

# %% [markdown]
# ## The race
#
# A run is something to iterate over: it yields events, and has a picture at any moment. Every few
# steps we keep a frame.

# %%
runs, frames = {}, {}
for name, config in SETUPS.items():
    run = impasto.Stylization(photo, "nouveau", config, encoder=encoder)
    frames[name] = [photo]
    for event in run:
        if isinstance(event, impasto.Step) and event.index % max(1, STEPS // 12) == 0:
            frames[name].append(run.picture().clone())
    runs[name] = run
    loss = run.history[-1]["total"]
    print(f"{name}: {len(run.history)} steps in {run.seconds:.1f} s, loss {loss:.4f}")

impasto.compare(photo, *[run.result() for run in runs.values()], labels=["photo", *runs])

# %% [markdown]
# ## The curve
#
# The two objectives read different layers, so compare how far each has come: the loss over what it
# was at the first step. L-BFGS needs fewer steps, and more time for each.

# %%
curves = {
    name: [entry["total"] / run.history[0]["total"] for entry in run.history]
    for name, run in runs.items()
}
for name, curve in curves.items():
    picked = [0, len(curve) // 4, len(curve) // 2, len(curve) - 1]
    print(name, *(f"step {k + 1}: {curve[k]:.3f}" for k in picked))

try:
    from matplotlib.figure import Figure
except ImportError:
    print("pip install matplotlib shows the curve")
else:
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.semilogy(range(1, len(curve) + 1), curve, label=name)
    axes.set(xlabel="step", ylabel="loss over the first one")
    axes.legend()
    figure.savefig(folder / "curve.png", dpi=90)

# %%
try:
    from IPython.display import Image, display
except ImportError:
    display, Image = print, str
if (folder / "curve.png").exists():
    display(Image(str(folder / "curve.png")))

# %% [markdown]
# ## The GIF of the evolution
#
# [impasto/outputs/animation.py](../../impasto/outputs/animation.py)
#
# ```py
# images, stride = _collect(pixels, MAX_HELD_BYTES)
# ```

# %%
for name, pictures in frames.items():
    path = write_animation(folder / f"{name.lower()}.gif", pictures, fps=6)
    print(path.name, path.stat().st_size // 1000, "kB,", len(pictures), "frames")
    display(Image(str(path)))

# %% [markdown]
# ## Exercises
#
# 1. Adam's first step moves every pixel by about the learning rate, whatever the units of the loss.
#    How far does it move at most, with a learning rate of 0.03?
# 2. Who has come further after all steps, relative to where it began?

# %%
first = next(
    event.image
    for event in impasto.Stylization(photo, "nouveau", SETUPS["Adam"], encoder=encoder)
    if isinstance(event, impasto.Step)
)
answer_1 = 0.03
assert abs(float((first - photo).abs().max()) - answer_1) < 1e-3

answer_2 = min(curves, key=lambda name: curves[name][-1])
print("further:", answer_2)
assert all(curve[-1] < curve[0] for curve in curves.values())
print("all right")
