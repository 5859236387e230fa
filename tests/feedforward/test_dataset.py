"""A folder of photos: which are read, which are held out, which crops come when."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from impasto.errors import InputError
from impasto.feedforward.dataset import Crops, PhotoDataset, centre_crop, crop_size, random_crop
from impasto.image.io import save_image


def fill(folder: Path, count: int, size: tuple[int, int] = (40, 56)) -> Path:
    """Photos of one colour each, by which they can be distinguished."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        save_image(folder / f"{number:03}.png", torch.full((1, 3, *size), number / 255))
    return folder


def photos(folder: Path, memory: int = 2**20, crop: int = 32) -> PhotoDataset:
    return PhotoDataset(folder, crop=crop, memory=memory)


def test_pictures_below_the_folder_by_name(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    fill(tmp_path / "more", 1)
    fill(tmp_path / ".hidden", 1)
    fill(tmp_path / "model", 1)
    (tmp_path / "notes.txt").write_text("no picture")
    found = PhotoDataset(tmp_path, crop=32, memory=0, exclude=tmp_path / "model")
    names = [path.relative_to(tmp_path).as_posix() for path in found.paths]
    assert names == ["000.png", "001.png", "more/000.png"]


@pytest.mark.parametrize("count", [0, 2])
def test_too_few(tmp_path: Path, count: int) -> None:
    with pytest.raises(InputError, match=f"holds {count} pictures; training takes 3 at least"):
        photos(fill(tmp_path, count))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        photos(tmp_path / "nowhere")


def test_every_twentieth_is_held_out(tmp_path: Path) -> None:
    rest, held_out = photos(fill(tmp_path, 60)).split()
    assert len(held_out) == 3
    assert sorted([*rest, *held_out]) == list(range(60))
    rest, held_out = photos(fill(tmp_path / "few", 3)).split()
    assert (len(rest), len(held_out)) == (1, 2)


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    (tmp_path / "000.png").write_bytes(b"broken")  # one that would be held out
    (tmp_path / "003.png").write_bytes((tmp_path / "003.png").read_bytes()[:60])
    save_image(tmp_path / "004.png", torch.zeros(1, 3, 8, 100))  # too small
    found = photos(tmp_path)
    rest, held_out = found.split()
    assert 0 not in held_out
    assert len(held_out) == 2
    crops = Crops(found, rest, seed=0)
    for _ in range(8):
        crops.next(32)
    assert found.skipped == {0, 3, 4}


def test_nothing_can_be_read(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match="holds 5 pictures, 5 of which cannot be read"):
        photos(tmp_path).split()


def test_one_that_can_be_read_is_too_few(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    for number in range(5):
        (tmp_path / f"broken{number}.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match="5 of which cannot be read"):
        photos(tmp_path).split()


def test_each_photo_once_before_any_comes_again(tmp_path: Path) -> None:
    found = photos(fill(tmp_path, 9))
    crops = Crops(found, list(range(9)), seed=0)
    first, second = ([round(float(crops.next(32).mean()) * 255) for _ in range(9)] for _ in "ab")
    assert sorted(first) == sorted(second) == list(range(9))
    assert first != second


def test_crops_go_on_where_they_were(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    for number in range(5):
        save_image(tmp_path / f"{number:03}.png", torch.rand(1, 3, 50, 70))
    one, other = (Crops(photos(tmp_path, memory), list(range(5)), 3) for memory in (2**20, 0))
    for _ in range(7):
        one.next(32)
    other.load_state_dict(one.state_dict())
    for _ in range(9):
        assert torch.equal(one.next(32), other.next(32))


def test_memory_is_bounded(tmp_path: Path) -> None:
    found = photos(fill(tmp_path, 6), memory=2 * 3 * 40 * 56)
    for number in range(6):
        assert found[number] is not None
    assert len(found._kept) == 2


def test_large_photos_are_kept_smaller(tmp_path: Path) -> None:
    photo = photos(fill(tmp_path, 3, (200, 300)))[0]
    assert photo is not None
    assert photo.shape == (3, 48, 72)
    assert photo.dtype == torch.uint8


def test_fingerprint_knows_another_folder(tmp_path: Path) -> None:
    before = photos(fill(tmp_path, 3)).fingerprint()
    assert photos(tmp_path).fingerprint() == before
    fill(tmp_path, 4)
    assert photos(tmp_path).fingerprint() != before


def test_random_crops_differ_in_place_size_and_direction() -> None:
    ramp = torch.arange(200, dtype=torch.uint8).expand(3, 100, 200).contiguous()
    draw = torch.Generator().manual_seed(0)
    crops = [random_crop(ramp, 32, draw) for _ in range(40)]
    assert all(crop.shape == (1, 3, 32, 32) for crop in crops)
    slopes = torch.tensor([float(crop[0, 0, 0, -1] - crop[0, 0, 0, 0]) for crop in crops])
    assert 10 < (slopes > 0).sum() < 30
    assert slopes.abs().max() > 2 * slopes.abs().min()
    assert len({round(float(crop.mean()), 3) for crop in crops}) > 20


def test_centre_crop() -> None:
    photo = torch.zeros(3, 40, 80, dtype=torch.uint8)
    photo[..., 20:60] = 255
    assert centre_crop(photo, 16).min() > 0.99


def test_crops_grow() -> None:
    sizes = [crop_size(progress / 10, 256) for progress in range(11)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 256
    assert crop_size(0, 32) == 32


def test_folders_that_links_lead_to(tmp_path: Path) -> None:
    """Each once, under its own name where it has one here; loops end."""
    fill(tmp_path / "elsewhere", 2)
    fill(tmp_path / "photos", 2)
    fill(tmp_path / "photos" / "own", 1)
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "a-loop").symlink_to(tmp_path / "photos")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "another").symlink_to(tmp_path / "photos" / "own")
    (tmp_path / "photos" / "broken").symlink_to(tmp_path / "nothing")
    (tmp_path / "photos" / "file.png").symlink_to(tmp_path / "photos" / "000.png")
    root = tmp_path / "photos"
    found = [path.relative_to(root).as_posix() for path in photos(root).paths]
    linked = [name for name in found if name.split("/")[0] in ("linked", "again")]
    assert len(linked) == 2
    others = ["000.png", "001.png", "file.png", "own/000.png"]
    assert sorted(set(found) - set(linked)) == others
    assert len(photos(tmp_path / "photos")) == 6
