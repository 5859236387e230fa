"""A network of your own: watch it learn one style, then paint with it.

Five photos and a hundred steps only show how it goes; docs/train.md has the real thing. What a
``Training`` is given as a folder it fills with previews, checkpoints and the network; here it gets
none, and the network stays in memory.
"""

import os
import tempfile
from pathlib import Path

from skimage import data

import impasto
from impasto import Trained, Training, Validated

SIZE = int(os.environ.get("SIZE", "256"))
STEPS = int(os.environ.get("STEPS", "100").split(",")[0])

Path("out").mkdir(exist_ok=True)
with tempfile.TemporaryDirectory() as photos:
    for name in ("astronaut", "chelsea", "coffee", "rocket", "camera"):
        impasto.save_image(f"{photos}/{name}.png", impasto.load_image(getattr(data, name)()))

    training = Training(
        "mosaic",  # or the path of a picture
        photos,
        steps=STEPS,
        crop=SIZE // 2,  # the photos' parts that it sees
        style_size=SIZE,  # how large the style's tiles are
        validate_every=max(1, STEPS // 4),
    )
    for event in training:  # break to stop
        if isinstance(event, Trained) and event.step % 10 == 0:
            print(f"step {event.step}: loss {event.total:.3f}")
        elif isinstance(event, Validated):  # photos that it does not learn from
            print(f"step {event.step}: validation loss {event.total:.3f}")
            impasto.save_image(f"out/07-step-{event.step:03}.png", event.image)

network = training.network()
result = impasto.quick(data.chelsea(), model=network, size=SIZE)
result.save("out/07-mosaic-cat.png")
