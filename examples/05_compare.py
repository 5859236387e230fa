"""One knob at a time: strengths, and how deep the style is read, side by side.

The first row goes from strength 0.2 to 0.8. The second reads the style from ever deeper layers:
``relu1_1`` alone knows colours and the finest grain; each stage down adds larger shapes.
"""

import os
from pathlib import Path

import torch
from skimage.data import chelsea

import impasto
from impasto.image.io import to_pil

SIZE = int(os.environ.get("SIZE", "256"))
STEPS = [int(n) for n in os.environ.get("STEPS", "100,60").split(",")]
LAYERS = [f"relu{stage}_1" for stage in range(1, 6)]

Path("out").mkdir(exist_ok=True)
encoder = impasto.get_encoder("mini")  # made once, used by all runs


def paint(**settings):
    """The cat as mosaic with these settings, ``(1, 3, H, W)``."""
    result = impasto.stylize(
        chelsea(), "mosaic", encoder=encoder, size=SIZE, steps=STEPS, **settings
    )
    last = result.history[-1]["losses"]
    print(settings, f"content {last['content']:.3f}, style {last['style-gram']:.3f}")
    return result.image


strengths = [paint(strength=s) for s in (0.2, 0.35, 0.5, 0.65, 0.8)]
depths = [paint(style_layers=LAYERS[:count]) for count in range(1, 6)]

rows = [torch.cat(row, dim=3) for row in (strengths, depths)]  # side by side
to_pil(torch.cat(rows, dim=2)).save("out/05-compare.jpg", quality=92)
