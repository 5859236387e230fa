"""An exported network without impasto and torch: onnxruntime, numpy and Pillow are enough.

    impasto export quick -o quick.onnx
    python examples/08_run_the_exported_file.py quick.onnx cat.jpg waves.jpg out.png

It also runs what ``impasto export my-style`` writes, which has its style already: any picture will
do as the third.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image


def read(path, longest):
    """``(1, 3, H, W)``, float32 sRGB in [0, 1]; a long side of at most ``longest`` pixels."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((longest, longest))
    return np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255


network, content, style, output = sys.argv[1:]
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
inputs = {
    "content": read(content, 2048),
    "style": read(style, 384),  # the size that the network was trained for
    "strength": np.array([1.0], np.float32),  # from 0, the content itself
}
names = [given.name for given in session.get_inputs()]
[picture] = session.run(None, {name: inputs[name] for name in names})
pixels = (picture[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)
Image.fromarray(pixels).save(output)
