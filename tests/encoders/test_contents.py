"""What a file of VGG weights holds: by content, and nothing unsafe is ever run."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.encoders.contents import (
    CHANNELS,
    CONVOLUTIONS,
    FEATURE_INDEX,
    FIRST_FILTERS,
    flavour_of,
    read_tensors,
    recognise,
)
from impasto.errors import IntegrityError

HERE = Path("file")


def tensors_of(architecture: str, *, style: str = "canonical") -> dict[str, Tensor]:
    """All tensors of a network; expanded zeros, so that they take no memory."""
    tensors = {}
    channels = 3
    for conv in CONVOLUTIONS[architecture]:
        width = CHANNELS[int(conv[4])]
        index = FEATURE_INDEX[architecture][conv]
        name = conv if style == "canonical" else f"features.{index}"
        tensors[f"{name}.weight"] = torch.zeros(1).expand(width, channels, 3, 3)
        tensors[f"{name}.bias"] = torch.zeros(1).expand(width)
        channels = width
    return tensors


def test_the_tables_are_those_of_the_paper() -> None:
    assert {name: len(convolutions) for name, convolutions in CONVOLUTIONS.items()} == {
        "vgg16": 13,
        "vgg19": 16,
    }
    assert CONVOLUTIONS["vgg16"][6:8] == ("conv3_3", "conv4_1")
    assert list(FEATURE_INDEX["vgg16"].values()) == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert list(FEATURE_INDEX["vgg19"].values()) == [
        *(0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    ]


@pytest.mark.parametrize("architecture", CONVOLUTIONS)
@pytest.mark.parametrize("style", ["canonical", "features"])
def test_architecture_is_told_from_the_shapes(architecture: str, style: str) -> None:
    raw: dict[str, Any] = tensors_of(architecture, style=style)
    raw |= {"classifier.0.weight": torch.zeros(2), "classifier.6.bias": torch.zeros(2)}
    found, names = recognise(HERE, raw)
    assert found == architecture
    assert list(names) == [
        f"{conv}.{kind}" for conv in CONVOLUTIONS[architecture] for kind in ("weight", "bias")
    ]


def test_the_order_in_the_file_does_not_matter() -> None:
    raw = dict(reversed(tensors_of("vgg19", style="features").items()))
    assert next(iter(recognise(HERE, raw)[1])) == "conv1_1.weight"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv3_2.bias": None}, r"conv3_2\.bias is not there"),
        ({"conv1_1.weight": None}, r"conv1_1\.weight is not there"),
        ({"conv5_4.weight": None, "conv5_4.bias": None}, r"vgg16 has no 'conv3_4"),
        ({"conv4_2.bias": torch.full((512,), torch.nan)}, "conv4_2.bias that are not finite"),
        ({"conv2_1.weight": torch.zeros(128, 64, 1, 1)}, r"\[128, 64, 1, 1\], not \[128, 64, 3"),
        ({"conv1_1.bias": torch.zeros(64, dtype=torch.int32)}, "int32"),
        ({"conv1_1.bias": torch.zeros(64).to_sparse()}, "plain"),
        ({"conv1_1.bias": torch.zeros(64, device="meta")}, "plain"),
        ({"conv1_1.bias": [0.0] * 64}, "or not a tensor"),
        ({"conv6_1.weight": torch.zeros(1)}, "conv6_1"),
        ({"features.1.running_mean": torch.zeros(64)}, "running_mean"),
        ({"features.3.weight": torch.zeros(64)}, "features.3"),
        ({"features." + "9" * 5000 + ".weight": torch.zeros(64)}, "does not hold VGG"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], reason: str) -> None:
    raw: dict[str, Any] = tensors_of("vgg19") | change
    raw = {key: value for key, value in raw.items() if value is not None}
    with pytest.raises(IntegrityError, match=reason):
        recognise(HERE, raw)


@pytest.mark.parametrize("raw", [{}, {"classifier.0.weight": torch.zeros(1)}])
def test_a_file_without_convolutions(raw: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="does not hold"):
        recognise(HERE, raw)


@pytest.mark.parametrize(("architecture", "flavour"), FIRST_FILTERS)
def test_flavour_is_told_from_the_first_filter(architecture: str, flavour: str) -> None:
    weight = torch.randn(64, 3, 3, 3)
    weight[0, 0] = torch.tensor(FIRST_FILTERS[architecture, flavour]).view(3, 3)
    assert flavour_of(weight, architecture) == flavour
    assert flavour_of(weight.half(), architecture) == flavour
    assert flavour_of(weight.bfloat16(), architecture) in (flavour, None)
    scaled = "normalised" if flavour == "caffe" else None
    assert flavour_of(weight * 0.02, architecture) == scaled
    assert flavour_of(weight.flip(2), architecture) is None
    assert flavour_of(torch.full_like(weight, torch.nan), architecture) is None


def test_first_filters_are_far_enough_apart() -> None:
    for one, other in itertools.combinations(FIRST_FILTERS.values(), 2):
        cosine = torch.cosine_similarity(torch.tensor(one), torch.tensor(other), dim=0)
        assert cosine < 0.999


def test_tensors_are_copies_in_float32() -> None:
    raw = {key: tensor.half() for key, tensor in tensors_of("vgg16").items()}
    assert {x.dtype for x in recognise(HERE, raw)[1].values()} == {torch.float32}
    raw = tensors_of("vgg16")
    found = recognise(HERE, raw)[1]
    assert found["conv1_1.bias"].data_ptr() != raw["conv1_1.bias"].data_ptr()


def test_the_loader_follows_the_content_not_the_name(tmp_path: Path) -> None:
    tensors = {"conv1_1.bias": torch.arange(4.0)}
    save_file(tensors, tmp_path / "a.pth", {"flavour": "caffe"})
    torch.save(tensors, tmp_path / "b.SafeTensors")
    torch.save(tensors, tmp_path / "c.safetensors", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "d")
    torch.save(tensors, tmp_path / "e.safetensors")
    for name, metadata in [("a.pth", {"flavour": "caffe"})] + [
        (name, {}) for name in ("b.SafeTensors", "c.safetensors", "d", "e.safetensors")
    ]:
        raw, found = read_tensors(tmp_path / name)
        assert found == metadata
        assert torch.equal(raw["conv1_1.bias"], tensors["conv1_1.bias"])


class Evil:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("name", ["evil.pth", "evil.safetensors", "evil.SafeTensors"])
def test_a_malicious_pickle_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / name
    state = {"conv1_1.weight": torch.zeros(3), "evil": Evil(mark)}
    if kind == "pickle":
        file.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(IntegrityError, match="unsafe") as caught:
        read_tensors(file)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"conv1_1.bias": torch.zeros(64)}, tmp_path / "whole.safetensors")
    torch.save({"conv1_1.bias": torch.zeros(64)}, tmp_path / "whole.pth")
    safe, zipped = (tmp_path / f"whole.{s}" for s in ("safetensors", "pth"))
    contents = [b"", b"{", b"<!doctype html>", bytes(100), b"\xff" * 8 + b"{" + bytes(50)]
    contents += [safe.read_bytes()[:n] for n in (8, 9, 20, 100, 200)]
    contents += [zipped.read_bytes()[:n] for n in (4, 100, 700)]
    contents += [b"\x80", b"\x80\x02}.", b"\x80\x04]q\x00.", b"PK\x03\x04" + bytes(60)]
    for content in contents:
        file = tmp_path / "broken"
        file.write_bytes(content)
        with pytest.raises(IntegrityError) as caught:
            recognise(file, read_tensors(file)[0])
        assert "\n" not in str(caught.value)


def test_lists_and_tensors_are_not_weights(tmp_path: Path) -> None:
    for content in ([1, 2], torch.zeros(3), {"state_dict": 5}):
        torch.save(content, tmp_path / "file.pth")
        with pytest.raises(IntegrityError):
            read_tensors(tmp_path / "file.pth")


@pytest.mark.parametrize("architecture", CONVOLUTIONS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_dense_layers_of_timm(architecture: str, prefix: str) -> None:
    """It calls them pre_logits.fc1, pre_logits.fc2 and head.fc."""
    raw: dict[str, Any] = tensors_of(architecture, style="features")
    for name in ("pre_logits.fc1", "pre_logits.fc2", "head.fc"):
        raw |= {f"{name}.weight": torch.zeros(2), f"{name}.bias": torch.zeros(2)}
    found, names = recognise(HERE, {prefix + name: tensor for name, tensor in raw.items()})
    assert found == architecture
    assert len(names) == 2 * len(CONVOLUTIONS[architecture])


class Harmful:
    """What a pickle may hold that is no tensor."""


def test_nobody_is_told_to_switch_the_protection_off(tmp_path: Path) -> None:
    torch.save({"a": Harmful()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": Harmful()}))
    torch.save(Harmful(), tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for name in ("a.pth", "b.pth", "c.pth"):
        with pytest.raises(IntegrityError) as raised:
            read_tensors(tmp_path / name)
        told = str(raised.value)
        assert name in told
        for advice in ("weights_only", "Weights only", "trust", "still be loaded", "two options"):
            assert advice not in told
