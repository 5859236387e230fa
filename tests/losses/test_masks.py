from __future__ import annotations

import numpy as np
import torch

from impasto.losses.masks import layer_masks


def test_each_position_gets_the_mean_of_its_pixels() -> None:
    mask = torch.rand(1, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    sizes = {"image": (8, 12), "relu2_1": (4, 6), "relu3_1": (2, 3)}
    masks = layer_masks(mask, sizes)
    assert list(masks) == list(sizes)
    assert torch.equal(masks["image"], mask)
    for name, step in (("relu2_1", 2), ("relu3_1", 4)):
        for y, x in np.ndindex(8 // step, 12 // step):
            block = mask[0, 0, y * step : (y + 1) * step, x * step : (x + 1) * step]
            assert torch.isclose(masks[name][0, 0, y, x], block.mean())


def test_odd_sizes_stay_in_range() -> None:
    mask = torch.rand(1, 1, 13, 7).round()
    (small,) = layer_masks(mask, {"relu3_1": (3, 1)}).values()
    assert small.shape == (1, 1, 3, 1)
    assert 0 <= small.min() <= small.max() <= 1


def test_full_stays_full() -> None:
    (small,) = layer_masks(torch.ones(1, 1, 13, 7), {"x": (3, 3)}).values()
    assert torch.allclose(small, torch.ones(()))
