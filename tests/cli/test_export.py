"""``impasto export`` from the outside; what it writes: tests/arbitrary/test_export.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.cli import main
from impasto.errors import MissingDependencyError
from impasto.feedforward.network import FeedForward, save_feedforward


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[dict[str, Any]]:
    """What the exporter is called with; it writes a word in place of a graph."""
    calls = []

    def export(model: Any, path: Path, *, overwrite: bool) -> float:
        calls.append({"model": model, "path": path, "overwrite": overwrite})
        Path(path).write_bytes(b"graph")
        return 0.00012

    monkeypatch.setattr("impasto.arbitrary.export.export_quick", export)
    return calls


def test_it_says_how_far_from_torch(
    exported: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "quick", "-o", "m.onnx"]) == 0
    assert capsys.readouterr().err == "impasto: m.onnx (at most 0.0001 from torch at 3 sizes)\n"
    assert Path("m.onnx").read_bytes() == b"graph"
    assert exported[0]["model"].sha256
    assert not exported[0]["overwrite"]


def test_json(exported: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "quick", "--overwrite", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "quick.onnx"
    assert told["difference"] == 0.00012
    assert told["sha256"] == exported[0]["model"].sha256
    assert exported[0]["overwrite"]


@pytest.fixture
def own_network(folder: Path) -> FeedForward:
    """A small network in the folder ``my-style``."""
    model = FeedForward((4, 8, 8), 1, name="dots").eval()
    Path("my-style").mkdir()
    save_feedforward(model, Path("my-style") / "model.safetensors", style="dots")
    return model


def test_a_network_of_ones_own(
    own_network: FeedForward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    described: dict[str, str] = {}

    def export(model: FeedForward, path: Path, **options: Any) -> float:
        described.update(options["described"])
        return 0.0

    monkeypatch.setattr("impasto.arbitrary.export.export_feedforward", export)
    assert main(["export", "my-style", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["network"], told["output"]) == ("my-style", "my-style.onnx")
    assert described == {"style": "dots", "sha256": told["sha256"]}


@pytest.mark.slow
def test_its_graph_computes_what_it_computes(
    own_network: FeedForward, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert main(["export", "my-style", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["difference"] < 1e-4
    photo = torch.rand(1, 3, 41, 58)
    session = onnxruntime.InferenceSession(told["output"], providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"content": photo.numpy()})
    with torch.no_grad():
        assert (torch.from_numpy(found) - own_network(photo)).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["qiuck", "-o", "m.onnx"], "did you mean 'quick'"),
        (["quick", "-o", "nowhere/m.onnx"], "no folder"),
        (["quick", "-o", "art.png"], "exists already"),
    ],
)
def test_bad_requests(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["export", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_without_onnx(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: Any, **options: Any) -> float:
        raise MissingDependencyError("exporting a network", "onnx")

    monkeypatch.setattr("impasto.arbitrary.export.export_quick", missing)
    assert main(["export", "quick"]) == 2
    assert 'pip install "impasto[onnx]"' in capsys.readouterr().err
