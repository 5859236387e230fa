"""A picture that was made."""

from __future__ import annotations

from torch import Tensor

import impasto
from impasto import Encoder, StylizeConfig, stylize

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_a_notebook_shows_a_png(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    data = stylize(photo, painting, SMALL, encoder=encoder, steps=(1,))._repr_png_()
    assert impasto.read_image(data).size == (48, 64)
