"""The network of one style: shapes, receptive field, norms, and the file it is kept in."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from impasto.errors import InputError, IntegrityError
from impasto.feedforward.inference import freeze_instance_norm
from impasto.feedforward.network import (
    ARCHITECTURE,
    FeedForward,
    InstanceNorm,
    load_feedforward,
    save_feedforward,
)


def small(seed: int = 0) -> FeedForward:
    return FeedForward((4, 6, 8), 2, seed=seed).eval().requires_grad_(False)


def test_any_size_comes_back() -> None:
    for size in ((32, 32), (33, 47), (5, 64), (1, 1), (2, 3)):
        image = torch.rand(2, 3, *size)
        painted = small()(image)
        assert painted.shape == image.shape
        assert painted.dtype == torch.float32
        assert ((painted >= 0) & (painted <= 1)).all(), size


def test_the_standard_one_is_small() -> None:
    assert 200_000 < sum(p.numel() for p in FeedForward().parameters()) < 450_000


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = small().state_dict()
    before = torch.random.get_rng_state()
    second = small().state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["enter.convolution.weight"], small(1).enter.convolution.weight)


def test_each_number_learns() -> None:
    model = FeedForward((4, 6, 8), 2)
    weight = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (model(torch.rand(1, 3, 32, 32)) * weight).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_norms_of_one_picture_are_the_same_in_training() -> None:
    model, image = small(), torch.rand(1, 3, 40, 48)
    other = small().train()
    assert torch.allclose(model(image), other(image), atol=1e-5)


def test_pictures_of_a_batch_do_not_mix() -> None:
    images = torch.rand(3, 3, 24, 32)
    alone = torch.cat([small()(image[None]) for image in images])
    assert torch.allclose(small()(images), alone, atol=1e-5)


def test_instance_norm_by_hand() -> None:
    norm, x = InstanceNorm(2), torch.rand(1, 2, 5, 7)
    mean, deviation = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (deviation.square() + 1e-5).sqrt()
    assert torch.allclose(norm(x), expected, atol=1e-5)
    norm.frozen = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 9.0])
    assert torch.allclose(norm(x)[:, 1], (x[:, 1] - 2) / 3, atol=1e-5)


def test_nothing_flat_gets_a_grid() -> None:
    """Transposed convolutions would paint one, and zeros at the border a frame."""
    painted = small()(torch.full((1, 3, 64, 64), 0.4))
    assert (painted.amax((2, 3)) - painted.amin((2, 3))).max() < 1e-3


def test_the_receptive_field_is_how_far_a_pixel_is_seen() -> None:
    model = FeedForward((4, 6, 8), 1).eval()
    image = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    still = freeze_instance_norm(model, image).requires_grad_(False)
    other = image.clone()
    other[..., 80, 80] = 1 - other[..., 80, 80]
    rows = (still(image) - still(other)).abs().amax((0, 1, 3)).nonzero().flatten()
    radius = model.receptive_field()
    assert rows.min() >= 80 - radius
    assert rows.max() <= 80 + radius
    assert rows.max() - rows.min() > radius  # and not many times too large


# --- files ---------------------------------------------------------------------------------------


def test_a_file_gives_back_the_network(tmp_path: Path) -> None:
    model = small(3)
    path = save_feedforward(model, tmp_path / "model.safetensors", style="waves", steps="7")
    again = load_feedforward(tmp_path)  # the folder
    assert again.sha256 == load_feedforward(str(path)).sha256 != ""
    assert (again.name, again.about["steps"]) == ("waves", "7")
    image = torch.rand(1, 3, 20, 24)
    assert torch.equal(model(image), again(image))
    other = save_feedforward(again, tmp_path / "other", steps="7", style="waves")
    assert other.read_bytes() == path.read_bytes()
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_no_file(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError):
            load_feedforward(place)


Change = Callable[[bytes], bytes]


def rebuilt(change: Callable[[dict[str, Tensor], dict[str, Any]], object]) -> Change:
    """A change of tensors and metadata."""

    def changed(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["impasto"])
        tensors = load(data)
        change(tensors, about)
        return save(tensors, {"impasto": json.dumps(about)})

    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:4],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: b"not at all",
        lambda data: (resources.files("impasto") / "assets" / "mini.safetensors").read_bytes(),
        lambda data: save({"x": torch.ones(1)}),
        rebuilt(lambda tensors, about: about.update(architecture=ARCHITECTURE[:-1] + "0")),
        rebuilt(lambda tensors, about: about.update(widths=[1000000, 4, 4])),
        rebuilt(lambda tensors, about: about.update(widths=[4, 6])),
        rebuilt(lambda tensors, about: about.update(widths={})),
        rebuilt(lambda tensors, about: about.update(blocks=3)),
        rebuilt(lambda tensors, about: about.update(blocks="many")),
        rebuilt(lambda tensors, about: tensors.update({"last.bias": torch.zeros(4)})),
        rebuilt(lambda tensors, about: tensors.update({"more": torch.zeros(4)})),
        rebuilt(lambda tensors, about: about.update(blocks=True)),
        rebuilt(lambda tensors, about: tensors["last.bias"].fill_(torch.nan)),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: Change) -> None:
    path = save_feedforward(small(), tmp_path / "model.safetensors")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError, match="does not hold a network of impasto train"):
        load_feedforward(path)
