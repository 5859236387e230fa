"""FEATURES -> PICTURE in one forward pass: networks that were trained to paint.

- ``transport``  a picture's moments, and the shortest way from one picture's to another's
- ``quick``      the network: mini's features, moved; a decoder that paints them
- ``inference``  pictures of any size through it, tile by tile with the moments of the whole
"""

from impasto.networks.inference import draft, measure, paint
from impasto.networks.quick import Decoder, Plan, Quick, load_quick, plan_for
from impasto.networks.transport import Affine, Moments, blend, moments, optimal_map

__all__ = [
    "Affine",
    "Decoder",
    "Moments",
    "Plan",
    "Quick",
    "blend",
    "draft",
    "load_quick",
    "measure",
    "moments",
    "optimal_map",
    "paint",
    "plan_for",
]
