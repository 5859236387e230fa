"""Masks as they are given: files, arrays, words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto import Picture, save_image
from impasto.errors import ConfigError, InputError
from impasto.objective.masks import Masks, mask_of, read_masks, soften, subject_of


def test_words_stay_words_and_files_are_named(tmp_path: Path) -> None:
    place = tmp_path / "left.png"
    save_image(place, torch.ones(1, 3, 4, 4))
    masks, told = read_masks([place, "rest"], [], None, "auto")
    assert isinstance(masks.regions[0], Picture)
    assert masks.regions[1] == "rest"
    assert told["regions"][0]["path"] == str(place)
    assert told["regions"][1] == {"word": "rest"}
    assert masks.subject is None


def test_arrays_of_truth_are_masks() -> None:
    truth = np.zeros((6, 8), dtype=bool)
    truth[:, :4] = True
    for given in (truth, torch.from_numpy(truth)[None, None]):
        masks, _ = read_masks([], [], given)
        assert masks.keep is not None
        found = mask_of(masks.keep, "keep")
        assert found[..., :4].min() == 1
        assert found[..., 4:].max() == 0


def test_what_is_no_mask() -> None:
    with pytest.raises(ConfigError, match="keep is 'auto'; give a mask"):
        read_masks([], [], "auto")
    with pytest.raises(InputError, match="subject: "):
        read_masks([], [], None, "nowhere.png")
    with pytest.raises(ConfigError, match="keep is empty: black everywhere"):
        mask_of(Picture(torch.zeros(1, 3, 4, 4)), "keep")
    with pytest.raises(ConfigError, match=r"subject is 4x4 .*, the content 4x8"):
        subject_of(Masks(subject=Picture(torch.ones(1, 3, 4, 4))), (4, 8))


def test_softened_edges_keep_their_area() -> None:
    hard = torch.zeros(1, 1, 64, 64)
    hard[..., :32] = 1
    soft = soften(hard, 0.1)
    assert torch.equal(soften(hard, 0.0), hard)
    assert 0 < soft[0, 0, 32, 33] < 0.5 < soft[0, 0, 32, 30] < 1
    assert soft.mean() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("type_", [np.uint8, np.int32, np.int64, bool])
def test_zeros_and_ones_are_a_mask(type_: type[np.generic], tmp_path: Path) -> None:
    """As networks and other programs write them: not nearly black."""
    ones = (np.arange(64).reshape(8, 8) % 3 == 0).astype(type_)
    masks, _ = read_masks([], [], ones, torch.from_numpy(ones))
    for mask in (masks.keep, masks.subject):
        assert mask is not None
        assert (mask_of(mask, "keep")[0, 0].numpy() == ones).all()
    Image.fromarray(ones.astype(np.uint8)).save(tmp_path / "ones.png")
    masks, _ = read_masks([str(tmp_path / "ones.png")], [], None)
    [region] = masks.regions
    assert isinstance(region, Picture)
    assert float(region.pixels.max()) == 1


@pytest.mark.parametrize("top", [2, 20, 40])
def test_numbers_of_classes_are_refused_with_what_to_do(top: int, tmp_path: Path) -> None:
    classes = (np.arange(64).reshape(8, 8) % (top + 1)).astype(np.int64)
    with pytest.raises(ConfigError, match=r"keep holds nothing .*; give one mask for each"):
        read_masks([], [], classes, None)
    Image.fromarray(classes.astype(np.uint8)).save(tmp_path / "classes.png")
    with pytest.raises(ConfigError, match="regions holds nothing brighter"):
        read_masks([str(tmp_path / "classes.png"), "rest"], [], None)
    with pytest.raises(InputError, match="regions: the values of the picture go from 0"):
        read_masks([classes.astype(np.float32)], [], None)


def test_dark_masks_of_pictures_stay_as_they_are() -> None:
    grey = np.full((8, 8), 60, np.uint8)
    masks, _ = read_masks([], [], grey, None)
    assert masks.keep is not None
    assert abs(float(masks.keep.pixels.max()) - 60 / 255) < 1e-6
