"""How a picture forms, as a GIF: a run is something to iterate over.

``Stylization`` is the same run as ``stylize``, step by step. It yields events (LevelStarted, Step,
LevelDone, Finished), has a picture at any moment, and can be stopped and saved. The command line
does all of this with ``--evolution cat.gif``.
"""

import os
from pathlib import Path

from skimage.data import chelsea

from impasto import LevelStarted, Step, Stylization, StylizeConfig, resize
from impasto.image.io import size_to_fit
from impasto.outputs.animation import write_animation

SIZE = int(os.environ.get("SIZE", "320"))
STEPS = tuple(int(n) for n in os.environ.get("STEPS", "120,60").split(","))

Path("out").mkdir(exist_ok=True)
config = StylizeConfig(size=SIZE, steps=STEPS, init="noise", seed=1)
run = Stylization(chelsea(), "nouveau", config)
frame_size = size_to_fit(run.height, run.width, min(SIZE, 240))

frames, wait = [], 0
for event in run:
    if isinstance(event, LevelStarted):
        print(f"level {event.level + 1} of {event.levels}: {event.width} x {event.height} pixels")
    if isinstance(event, Step):
        wait -= 1
        if wait <= 0:  # most happens early: look often at first, then seldom
            frames.append(resize(run.picture(), frame_size))
            wait = 1 + len(run.history) // 10
frames.append(resize(run.picture(), frame_size))

write_animation("out/04-evolution.gif", frames, fps=10)
run.result().save("out/04-evolution.png")
print(f"{len(frames)} frames, {len(run.history)} steps, {run.seconds:.1f} s")
