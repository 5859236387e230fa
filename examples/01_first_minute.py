"""The first minute: a photo, a style, one line.

    python examples/01_first_minute.py

``SIZE=256 STEPS=50`` before it makes it quicker, as in all these examples. Pictures go to ``out/``.
"""

import os
from pathlib import Path

from skimage.data import chelsea  # a photo that ships with scikit-image: (300, 451, 3) uint8

import impasto

SIZE = int(os.environ.get("SIZE", "384"))
STEPS = [int(n) for n in os.environ.get("STEPS", "150,130,50").split(",")]

Path("out").mkdir(exist_ok=True)

# A path, a PIL image, an array or a tensor; the style may be the name of a swatch.
result = impasto.stylize(chelsea(), "waves", size=SIZE, steps=STEPS)
result.save("out/01-cat-waves.png")

# More style, less photo; each setting is a field of impasto.StylizeConfig.
bolder = impasto.stylize(chelsea(), "waves", size=SIZE, steps=STEPS, strength=0.8)
bolder.save("out/01-cat-waves-bolder.png")

# The picture carries what made it.
told = impasto.read_metadata("out/01-cat-waves.png")
print(f"{told['size'][1]} x {told['size'][0]} pixels in {told['seconds']} s")
print("strength", told["config"]["strength"], "encoder", told["encoder"]["name"])
