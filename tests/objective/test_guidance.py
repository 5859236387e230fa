from __future__ import annotations

import numpy as np
import torch

from impasto import Encoder
from impasto.objective.guidance import inside_masks, layer_masks


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


# --- by whole receptive fields -------------------------------------------------------------------


def windows(encoder: Encoder, layers: list[str]) -> dict[str, tuple[int, int]]:
    return {layer: (encoder.stride(layer), encoder.receptive_field(layer)) for layer in layers}


def test_what_lies_outside_cannot_be_seen_from_inside(encoder: Encoder) -> None:
    """The definition, tried out: repaint the outside, and no position that counts changes."""
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    image = torch.rand(1, 3, 160, 160)
    mask = torch.zeros(1, 1, 160, 160)
    mask[..., 37:, 21:] = 1
    other = torch.where(mask > 0, image, torch.rand(1, 3, 160, 160))
    inside = inside_masks(mask, windows(encoder, layers))
    areas = layer_masks(mask, {layer: encoder.feature_size(layer, 160, 160) for layer in layers})
    with torch.no_grad():
        before, after = encoder(image, layers), encoder(other, layers)
    for layer in layers:
        changed = (before[layer] - after[layer]).abs().amax(1, keepdim=True) > 1e-6
        assert not (changed & (inside[layer] > 0)).any()
        assert (changed & (areas[layer] > 0)).any()  # by area alone it leaks
        assert inside[layer].shape == areas[layer].shape
        assert 0.25 < float(inside[layer].mean() / mask.mean()) < 1


def test_all_is_inside_all(encoder: Encoder) -> None:
    layers = ["relu1_1", "relu3_1", "relu5_1"]
    for layer, mask in inside_masks(torch.ones(1, 1, 50, 67), windows(encoder, layers)).items():
        assert tuple(mask.shape[-2:]) == encoder.feature_size(layer, 50, 67)
        assert bool((mask == 1).all())


def test_a_small_region_is_not_lost(encoder: Encoder) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 24:40, 24:40] = 1
    for mean in (m.mean() for m in inside_masks(mask, windows(encoder, ["relu4_1"])).values()):
        assert mean >= 0.25 * mask.mean()
    thin = torch.zeros(1, 1, 64, 64)
    thin[..., 30] = 1
    assert float(inside_masks(thin, {"relu5_1": (16, 70)})["relu5_1"].mean()) == 1 / 64


def test_a_share_of_the_reach(encoder: Encoder) -> None:
    """Between area alone and all of the window."""
    mask = torch.zeros(1, 1, 160, 160)
    mask[..., 40:] = 1
    found = [inside_masks(mask, windows(encoder, ["relu4_1"]), x)["relu4_1"] for x in (0, 0.25, 1)]
    assert found[0].sum() > found[1].sum() > found[2].sum()
    assert torch.equal(found[0], layer_masks(mask, {"relu4_1": (20, 20)})["relu4_1"])
