"""Which layers to look through, and with which channels."""

from __future__ import annotations

import pytest
import torch

from impasto.config.dream import DreamConfig
from impasto.dream.encoder import check_layers, default_layers, prepare_encoder
from impasto.encoders import VGG, Mini
from impasto.encoders.mini import load_mini
from impasto.errors import UnknownNameError

CPU = torch.device("cpu")


def test_default_layers() -> None:
    found = {name: [s.layer for s in default_layers(VGG(name))] for name in ("vgg16", "vgg19")}
    assert found == {"vgg16": ["relu4_3", "relu5_1"], "vgg19": ["relu4_4", "relu5_1"]}
    assert [s.layer for s in default_layers(Mini())] == found["vgg19"]


def test_channels_are_vggs_only_if_wanted() -> None:
    widths = {}
    for by_channel in (False, True):
        encoder = prepare_encoder("mini", DreamConfig(), CPU, torch.float32, by_channel=by_channel)
        features = encoder(torch.rand(1, 3, 32, 32), ["relu2_1", "relu4_1"])
        widths[by_channel] = [f.shape[1] for f in features.values()]
    assert widths[True] == [128, 512]
    assert widths[False] == [49, 161]


def test_an_object_stays_itself() -> None:
    mini = load_mini()
    assert prepare_encoder(mini, DreamConfig(), CPU, torch.float32, by_channel=True) is mini


def test_layers_that_are_not_there() -> None:
    check_layers(Mini(), ("relu1_1",))
    with pytest.raises(UnknownNameError, match=r"no layer of mini is called 'relu6_1'"):
        check_layers(Mini(), ("relu6_1",))
