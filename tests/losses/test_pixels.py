from __future__ import annotations

import torch

from impasto.losses import TotalVariation
from impasto.losses.functional import total_variation


def test_it_reads_the_image_and_is_the_function() -> None:
    loss, image = TotalVariation(), torch.rand(1, 3, 9, 7)
    assert loss.layers == ("image",)
    assert loss({"image": image}) == {"image": total_variation(image)}


def test_a_checkerboard_is_rougher_than_a_ramp() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    board, ramp = ((x + y) % 2).expand(1, 3, 8, 8), (x / 7).expand(1, 3, 8, 8)
    loss = TotalVariation()
    assert loss({"image": board})["image"] > 10 * loss({"image": ramp})["image"]
