"""What a network sees: figure 1 of Gatys et al. (2016), sixteen channels of three layers, a dream.

Above, a photo as it comes back from the content of each layer; below, what comes back from its
style up to each layer. ENCODER=vgg19 takes the real VGG-19 where you have its weights.
"""

import os
from pathlib import Path

from skimage.data import chelsea

import impasto

SIZE = int(os.environ.get("SIZE", "256"))
STEPS = int(os.environ.get("STEPS", "200"))
ENCODER = os.environ.get("ENCODER", "mini")

Path("out").mkdir(exist_ok=True)
photo = impasto.load_image(chelsea(), size=SIZE)

figure = impasto.look(
    photo, show="reconstructions", encoder=ENCODER, size=SIZE, cell=SIZE, steps=STEPS
)
figure.save("out/06-figure-1.png")

layers = [f"{layer}:0-15" for layer in ("relu2_1", "relu3_1", "relu4_1")]
sheet = impasto.look(channels=layers, encoder=ENCODER, cell=SIZE // 2, steps=STEPS)
sheet.save("out/06-channels.png")


def tell(event):
    """A run can be watched: a dream has one level for each octave."""
    if isinstance(event, impasto.LevelDone):
        print(f"octave {event.level + 1} of {event.levels}: {event.seconds:.1f} s")


dream = impasto.deepdream(photo, encoder=ENCODER, size=2 * SIZE, on_event=tell)
dream.save("out/06-dream.png")
