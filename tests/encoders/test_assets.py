"""Weights that ship: packed in 8 bits, loaded, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from impasto.encoders.assets import SCALE, load_asset, pack, unpack
from impasto.errors import IntegrityError


def make(tensors: dict[str, Tensor], sha256: str) -> nn.Linear:
    layer = nn.Linear(3, 2)
    layer.load_state_dict(tensors)
    return layer


def test_packing_rounds_to_a_step_of_each_channel_and_no_more() -> None:
    kernel, bias = (
        torch.randn(4, 3, 3, 3) * torch.logspace(-3, 3, 4).view(4, 1, 1, 1),
        torch.randn(4),
    )
    packed = pack({"kernel": kernel, "bias": bias}, in_int8=lambda name, _: name == "kernel")
    assert packed["kernel"].dtype == torch.int8
    assert packed["bias"].dtype == torch.float16
    assert packed.keys() == {"kernel", "kernel" + SCALE, "bias"}
    found = unpack(packed)
    assert found.keys() == {"kernel", "bias"}
    step = kernel.abs().amax((1, 2, 3)) / 127
    assert bool(((found["kernel"] - kernel).abs().amax((1, 2, 3)) <= 0.51 * step).all())


def test_a_file_is_loaded_and_the_random_state_left_as_it_was(tmp_path: Path) -> None:
    wanted = {"weight": torch.randn(2, 3), "bias": torch.randn(2)}
    save_file(wanted, tmp_path / "linear.safetensors")
    state = torch.get_rng_state()
    layer = load_asset("none", tmp_path / "linear.safetensors", "the layer", make)
    assert torch.equal(layer.weight, wanted["weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_damaged_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(
        IntegrityError, match=r"broken\.safetensors does not hold the layer's weights"
    ):
        load_asset("none", path, "the layer", make)
    save_file({"other": torch.ones(1)}, path)
    with pytest.raises(IntegrityError, match="the layer"):
        load_asset("none", path, "the layer", make)
