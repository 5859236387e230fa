"""Where a photo has something to say."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor

from impasto.image.io import Picture, resize
from impasto.objective import subject
from impasto.objective.finder import find_subject
from impasto.objective.masks import Masks
from impasto.objective.subject import LEAST, MOST, SIZE, detail_map, read_or_find_subject


def with_checks(height: int, width: int) -> Tensor:
    """Grey, with a checkerboard of 8 pixels in the left third."""
    image = torch.full((1, 3, height, width), 0.5)
    rows, columns = torch.arange(height)[:, None] // 8, torch.arange(width // 3)[None] // 8
    image[..., : width // 3] = ((rows + columns) % 2).float()
    return image


def test_detail_is_where_edges_are() -> None:
    found = detail_map(with_checks(192, 240))
    assert found.shape == (1, 1, 192, 240)
    assert found[..., 80:-80, :50].min() > 1.2 > 0.2 > found[..., -50:].max()
    assert LEAST <= float(found.min()) <= float(found.max()) <= MOST


@pytest.mark.parametrize("size", [(48, 64), (300, 400), (384, 1200), (16, 900)])
def test_detail_is_found_at_one_size(size: tuple[int, int]) -> None:
    found = detail_map(torch.rand(1, 3, *size))
    assert max(found.shape[-2:]) == min(SIZE, max(size))
    assert bool(found.isfinite().all())


def test_a_picture_of_another_size_has_the_same_map() -> None:
    large = with_checks(512, 640)
    small = resize(large, (410, 512))
    assert torch.allclose(detail_map(large), detail_map(small), atol=0.15)


def test_a_photo_of_one_colour_has_no_preference() -> None:
    assert torch.equal(detail_map(torch.full((1, 3, 40, 30), 0.2)), torch.ones(1, 1, 40, 30))


def test_detail_goes_round_where_borders_meet() -> None:
    """An edge at the border has its effect on the other side."""
    image = torch.full((1, 3, 64, 64), 0.5)
    image[..., 3:5] = 1
    open_, closed = detail_map(image)[0, 0, 32], detail_map(image, (3,))[0, 0, 32]
    assert closed[-1] > 2 * open_[-1]
    shifted = detail_map(image.roll(20, 3), (3,))[0, 0, 32]
    assert torch.allclose(shifted.roll(-20), closed, atol=1e-4)


def test_the_subject_of_a_photo_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[torch.Size] = []

    def counting(photo: Tensor) -> Tensor:
        looked.append(photo.shape)
        return find_subject(photo)

    monkeypatch.setattr(subject, "find_subject", counting)
    monkeypatch.setattr(subject, "KNOWN", OrderedDict())
    photo = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(5))

    def found(photo: Tensor) -> Tensor:
        mask, _ = read_or_find_subject(Masks((), ()), Picture(photo), "auto")
        assert mask is not None
        return mask

    first = found(photo)
    first += 1  # what a caller does to a mask is its own affair
    assert torch.equal(found(photo.clone()), find_subject(photo))
    assert len(looked) == 1
    for number in range(subject.REMEMBERED):
        found(photo * number / 100)
    assert len(subject.KNOWN) == subject.REMEMBERED
    found(photo)
    assert len(looked) == 1 + subject.REMEMBERED + 1
