"""All backends paint the same picture; whoever is not installed is told of."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import swatch
from impasto.arbitrary import backends as module
from impasto.arbitrary.backends import (
    PARTS,
    Backend,
    OpenVinoBackend,
    choose_backend,
    graphs,
    is_installed,
    make_backend,
)
from impasto.arbitrary.inference import draft, measure
from impasto.arbitrary.network import Quick
from impasto.encoders.weights import cache_folder
from impasto.errors import ConfigError, MissingDependencyError

CPU = torch.device("cpu")
KINDS = [
    ("torch", torch.float32),
    ("torch", torch.bfloat16),
    ("onnxruntime", torch.float32),
    ("openvino", torch.float32),
    ("openvino", torch.bfloat16),
]


@pytest.fixture(scope="module")
def made(network: Quick) -> dict[tuple[str, torch.dtype], Backend]:
    """Backends, made when first asked for."""
    return {}


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{str(kind[1])[6:]}")
def backend(
    request: pytest.FixtureRequest,
    network: Quick,
    made: dict[tuple[str, torch.dtype], Backend],
) -> Backend:
    name, dtype = request.param
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    if request.param not in made:
        made[request.param] = make_backend(name, network, dtype)
    return made[request.param]


@pytest.fixture(scope="module")
def content() -> Tensor:
    return swatch("waves", size=(203, 309))


@pytest.fixture(scope="module")
def style() -> Tensor:
    return swatch("mosaic", size=(75, 96))


def test_they_agree_with_torch(
    backend: Backend, network: Quick, content: Tensor, style: Tensor
) -> None:
    exact = backend.dtype == torch.float32
    for part in (content[..., :50, :64], content[..., :33, :41], content[..., :7, :90]):
        wanted = draft(network, part, [style])
        found = draft(network, part, [style], backend=backend)
        assert found.shape == part.shape
        difference = (found - wanted).abs()
        assert difference.max() < (1e-3 if exact else 0.15)
        assert difference.square().mean().sqrt() < (1e-4 if exact else 1e-2)


def test_tiles_and_the_whole_agree(
    backend: Backend, network: Quick, content: Tensor, style: Tensor
) -> None:
    whole = draft(network, content, [style], backend=backend)
    tiled = draft(network, content, [style], backend=backend, tile=88)
    exact = backend.dtype == torch.float32
    assert (whole - tiled).abs().max() < (0.1 if exact else 2) / 255


def test_what_was_encoded_stays(backend: Backend, network: Quick) -> None:
    """The next picture of the same size does not overwrite it."""
    first, second = (swatch(name, size=32) for name in ("waves", "mosaic"))
    taps = backend.encode(first)
    before = [tap.clone() for tap in taps]
    backend.encode(second)
    assert all(torch.equal(one, other) for one, other in zip(before, taps, strict=True))
    assert all(tap.dtype == backend.dtype for tap in taps)


def test_not_every_size_is_kept(network: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenVINO has compiled takes memory, and a large picture meets many sizes."""
    if not is_installed("openvino"):
        pytest.skip("openvino is not installed")
    backend = make_backend("openvino", network, torch.float32)
    assert isinstance(backend, OpenVinoBackend)
    monkeypatch.setattr(module, "KEPT", 600_000)
    kept = []
    for size in (48, 64, 80, 96, 48):
        backend.encode(torch.rand(1, 3, size, size))
        kept.append(sorted(key[1][-1] for key in backend._requests))
        assert sum(numbers for numbers, _ in backend._requests.values()) <= 600_000
    assert kept[1] == [48, 64]
    assert kept[3] == [96]
    assert kept[4] == [48, 96]


def test_moments_are_torchs(backend: Backend, network: Quick, content: Tensor) -> None:
    wanted = measure(network, content)
    for name, found in measure(network, content, backend=backend).items():
        scale = float(wanted[name].covariance.abs().max())
        tolerance = (1e-4 if backend.dtype == torch.float32 else 2e-2) * scale
        assert torch.allclose(found.covariance, wanted[name].covariance, atol=tolerance)


def test_a_model_keeps_its_weights(network: Quick) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    make_backend("torch", network, torch.bfloat16).encode(swatch("waves", size=32))
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_graphs_lie_in_the_cache(
    network: Quick, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And are read from there, by another process too."""
    if not is_installed("onnxruntime"):
        pytest.skip("nothing to export with")
    made = graphs(network)
    monkeypatch.setattr(module, "_EXPORTED", {})
    folder = cache_folder().parent / "networks"
    shutil.rmtree(folder, ignore_errors=True)  # this test may be the first to export
    calls = []

    def export(model: Quick) -> dict[str, bytes]:
        calls.append(model)
        return made

    monkeypatch.setattr("impasto.arbitrary.export.parts", export)
    with caplog.at_level("INFO", "impasto"):
        assert graphs(network) == made
    assert "once" in caplog.text
    assert {path.stem.partition("-")[2] for path in folder.iterdir()} == set(PARTS)
    monkeypatch.setattr(module, "_EXPORTED", {})
    assert graphs(network) == made
    assert len(calls) == 1
    for name in ("encoder.trunk.stages.4.0.weight", "decoder.colour.bias"):
        other = deepcopy(network)  # other weights, another file
        other.state_dict()[name].add_(1)
        graphs(other)
    assert len(calls) == 3


def test_a_cache_that_cannot_be_written_does_no_harm(
    network: Quick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not is_installed("onnxruntime"):
        pytest.skip("nothing to export with")
    monkeypatch.setattr(module, "_EXPORTED", {})
    made = {part: part.encode() for part in PARTS}
    monkeypatch.setattr("impasto.arbitrary.export.parts", lambda model: made)
    (tmp_path / "file").touch()
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "file" / "weights")
    assert graphs(network) == made


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_auto_is_what_is_there_soonest(device: str, precision: str) -> None:
    assert choose_backend("auto", torch.device(device), precision) == "torch"


def test_bad_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="device is 'cuda'"):
        choose_backend("openvino", torch.device("cuda"), "auto")
    with pytest.raises(ConfigError, match="precision is 'bfloat16'"):
        choose_backend("onnxruntime", CPU, "bfloat16")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for name, extra in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        with pytest.raises(MissingDependencyError) as caught:
            choose_backend(name, CPU, "auto")
        assert caught.value.remedy == f'pip install "impasto[{extra}]"'
