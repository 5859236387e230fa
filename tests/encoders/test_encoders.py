from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.encoders import ENCODERS, VGG, Mini, get_encoder
from impasto.errors import ConfigError, UnknownNameError, WeightsError

STAGES = ((6, 1), (8, 1), (10, 1), (12, 1), (14, 1))


@pytest.fixture
def mini_file(tmp_path: Path) -> Path:
    model = Mini(stages=STAGES)
    tensors = {f"trunk.{k}": v for k, v in model.trunk.state_dict().items()}
    for name in model.layers:
        tensors[f"heads.{name}"] = torch.randn(64, model.trunk.widths[0] + 30)[:, : _width(name)]
    tensors = {k: v.contiguous() for k, v in tensors.items()}
    path = tmp_path / "mine.safetensors"
    save_file(tensors, path, metadata={"stages": json.dumps(STAGES)})
    return path


def _width(layer: str) -> int:
    return 1 + (STAGES[0][0] if layer.endswith("1_1") else STAGES[int(layer[4]) - 1][0])


def test_an_object_is_taken_as_it_is() -> None:
    encoder = Mini(stages=STAGES)
    assert get_encoder(encoder) is encoder


def test_a_file_of_mini(mini_file: Path) -> None:
    for place in (mini_file, str(mini_file)):
        encoder = get_encoder(place, padding="reflect", pooling="l2", flavour="caffe")
        assert isinstance(encoder, Mini)
        assert encoder.trunk.padding == "reflect"


@pytest.mark.weights
def test_names_and_files_of_vgg(vgg19_weights: Path, tmp_path: Path) -> None:
    named = get_encoder("vgg19", pooling="average", padding="replicate")
    assert isinstance(named, VGG)
    assert (named.name, named.pooling, named.padding) == ("vgg19", "average", "replicate")
    path = tmp_path / "Some-VGG19.safetensors"
    shutil.copyfile(vgg19_weights, path)
    filed = get_encoder(path, pooling="average", padding="replicate")
    assert isinstance(filed, VGG)
    assert filed.name == "vgg19"
    image = torch.rand(1, 3, 32, 32)
    layer = ["relu3_1"]
    assert torch.equal(named(image, layer)["relu3_1"], filed(image, layer)["relu3_1"])


@pytest.mark.parametrize("name", ["vgg91", "no/such/file.pth", ""])
def test_neither_name_nor_file(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"no encoder is called '{name}'"):
        get_encoder(name)


def test_an_unknown_name_gets_a_proposal() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'vgg19'.*mini, vgg16, vgg19, a file"):
        get_encoder("vgg91")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        get_encoder(tmp_path)


def test_a_file_that_holds_no_weights(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("hello")
    with pytest.raises(WeightsError):
        get_encoder(tmp_path / "a.safetensors")


def test_a_bad_option_is_no_bad_file(mini_file: Path) -> None:
    with pytest.raises(ConfigError, match="padding is 'wrap'"):
        get_encoder(mini_file, padding="wrap")


def test_the_table() -> None:
    assert list(ENCODERS) == ["mini", "vgg16", "vgg19"]
