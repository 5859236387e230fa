"""FEATURES -> PICTURE in one forward pass: networks that were trained to paint.

- ``transport``  a picture's moments, and the shortest way from one picture's to another's
- ``quick``      the network: mini's features, moved; a decoder that paints them
- ``parts``      the network as graphs, with a handful of numbers between them
- ``backends``   who computes them: torch, onnxruntime, OpenVINO
- ``enlarger``   a smaller one: a painting in half of the photo's size, enlarged to all of it
- ``inference``  pictures of any size through both, tile by tile with the moments of the whole
- ``export``     networks as ONNX files

And networks with one style each, which anybody can train:

- ``feedforward``  the network, and the file it is kept in
- ``painting``     pictures of any size through it
- ``photos``       a folder of photos as something to learn from
- ``training``     the loop
- ``card``         what is written beside a network that was trained

``training`` is not among the names below: it loads much that a pass does not need.
"""

from impasto.arbitrary.inference import Zone, draft, measure, paint
from impasto.arbitrary.network import Decoder, Plan, Quick, load_quick, plan_for
from impasto.arbitrary.transport import Affine, Moments, blend, moments, optimal_map
from impasto.arbitrary.upsampler import Enlarger, load_enlarger
from impasto.feedforward.inference import paint_with
from impasto.feedforward.network import FeedForward, load_feedforward, save_feedforward

__all__ = [
    "Affine",
    "Decoder",
    "Enlarger",
    "FeedForward",
    "Moments",
    "Plan",
    "Quick",
    "Zone",
    "blend",
    "draft",
    "load_enlarger",
    "load_feedforward",
    "load_quick",
    "measure",
    "moments",
    "optimal_map",
    "paint",
    "paint_with",
    "plan_for",
    "save_feedforward",
]
