"""The subject finder: shapes, repeatability, and what it finds in pictures it never saw."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.encoders.mini import STAGES
from impasto.errors import IntegrityError, InvalidImageError
from impasto.image.io import load_image, resize
from impasto.objective.finder import (
    AREA,
    ASSET,
    MAX_ASPECT,
    MULTIPLE,
    TAPS,
    SubjectFinder,
    find_subject,
    load_finder,
    normalize,
    working_size,
)


@pytest.fixture(scope="module")
def photos() -> dict[str, Tensor]:
    data: Any = pytest.importorskip("skimage.data")
    return {name: load_image(getattr(data, name)()) for name in ("astronaut", "chelsea", "rocket")}


def box(mask: Tensor, top: float, bottom: float, left: float, right: float) -> Tensor:
    """The part of a mask within shares of its height and width."""
    height, width = mask.shape[-2:]
    rows = slice(int(top * height), int(bottom * height))
    return mask[..., rows, int(left * width) : int(right * width)]


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (900, 5), (64, 48), (700, 1000), (161, 163)])
def test_pictures_of_all_sizes_are_seen_at_one(size: tuple[int, int]) -> None:
    mask = find_subject(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)))
    height, width = mask.shape[-2:]
    assert mask.shape == (1, 1, *working_size(*size))
    assert mask.dtype == torch.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    assert height % MULTIPLE == width % MULTIPLE == 0
    assert 0.85 < height * width / AREA < 1.15
    assert max(height, width) / min(height, width) <= MAX_ASPECT * 1.1


def test_the_mask_comes_in_the_size_asked_for() -> None:
    image = torch.rand(1, 3, 90, 120)
    small = find_subject(image, size=(9, 12))
    assert small.shape == (1, 1, 9, 12)
    assert torch.allclose(small.mean(), find_subject(image).mean(), atol=0.02)


def test_the_mask_is_the_same_to_the_bit(photos: dict[str, Tensor]) -> None:
    image = photos["chelsea"].clone().requires_grad_()
    mask = find_subject(image)
    assert not mask.requires_grad
    assert torch.equal(mask, find_subject(image.detach()))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mask, find_subject(image))


def test_the_mask_of_a_photo_does_not_depend_on_its_size(photos: dict[str, Tensor]) -> None:
    image = photos["astronaut"]
    whole, half = find_subject(image), find_subject(resize(image, (256, 256)))
    assert (whole - half).abs().mean() < 0.02


def test_the_astronaut_is_found_and_her_face_is_whole(photos: dict[str, Tensor]) -> None:
    mask = find_subject(photos["astronaut"])
    assert box(mask, 0.14, 0.34, 0.38, 0.50).min() > 0.5  # the face
    assert box(mask, 0.55, 0.95, 0.20, 0.50).mean() > 0.75  # the suit
    assert box(mask, 0.0, 0.3, 0.0, 0.2).mean() < 0.2  # the flag
    assert box(mask, 0.0, 0.4, 0.62, 0.7).mean() < 0.2  # what is behind her


def test_the_cat_is_found(photos: dict[str, Tensor]) -> None:
    mask = find_subject(photos["chelsea"])
    assert box(mask, 0.2, 0.8, 0.35, 0.7).mean() > 0.85  # its face
    assert box(mask, 0.0, 1.0, 0.92, 1.0).mean() < 0.3  # what is behind it


def test_the_rocket_is_found_and_the_sky_left(photos: dict[str, Tensor]) -> None:
    mask = find_subject(photos["rocket"])
    assert box(mask, 0.0, 0.6, 0.7, 1.0).mean() < 0.1


@pytest.mark.parametrize("low", [0.0, 0.3, 0.7])
def test_an_empty_sky_has_no_subject(low: float) -> None:
    ramp = torch.linspace(low, 1, 240).view(1, 1, 240, 1).expand(1, 1, 240, 320)
    sky = torch.cat([0.6 * ramp, 0.8 * ramp, ramp], 1)
    assert find_subject(sky).mean() < 0.05


def test_a_white_sheet_has_no_subject() -> None:
    assert find_subject(torch.ones(1, 3, 200, 200)).mean() < 0.05


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 1, 8, 8), (1, 3, 0, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidImageError, match="give"):
        find_subject(torch.zeros(shape))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    data = (resources.files("impasto") / "assets" / ASSET).read_bytes()
    mini = (resources.files("impasto") / "assets" / "mini.safetensors").read_bytes()
    for number, wrong in enumerate((b"", data[:1000], data[:-1], mini)):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(wrong)
        with pytest.raises(IntegrityError, match="subject finder"):
            load_finder(path)


def test_the_weights_are_small() -> None:
    assert len((resources.files("impasto") / "assets" / ASSET).read_bytes()) <= 400_000


def test_logits_have_half_of_the_size_for_each_of_a_batch() -> None:
    taps = [torch.rand(2, STAGES[tap - 1][0], 128 >> (tap - 1), 96 >> (tap - 1)) for tap in TAPS]
    torch.manual_seed(0)
    finder = SubjectFinder()
    logits = finder(taps)
    assert logits.shape == (2, 1, 64, 48)
    alone = finder([tap[1:] for tap in taps])
    assert torch.allclose(logits[1:], alone, atol=1e-5)


def test_features_are_normalized_at_each_position() -> None:
    features = torch.rand(1, 8, 4, 5) * torch.logspace(0, 2, 5)
    found = normalize(features)
    assert found.shape == (1, 9, 4, 5)
    assert torch.allclose(found[:, :8].square().mean(1), torch.ones(1, 4, 5), atol=0.02)
    assert torch.allclose(found[:, 8], features.square().mean(1).log(), atol=0.05)
