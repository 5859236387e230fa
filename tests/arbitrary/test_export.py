"""ONNX files: what they compute, what they say of themselves, and what becomes of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto import swatch
from impasto.arbitrary import export as module
from impasto.arbitrary.export import LIMIT, export_feedforward, export_quick, product_roots
from impasto.arbitrary.inference import draft
from impasto.arbitrary.network import Quick
from impasto.errors import ImpastoError, MissingDependencyError, OutputExistsError, UsageError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.timeout(900)  # tracing is slow where many share a core


class Toy(nn.Module):
    """Of the kind that per-style networks are: it shrinks, normalises, grows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")
        self.normalise = nn.InstanceNorm2d(6, affine=True)
        self.last = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.normalise(self.first(image)))
        return torch.sigmoid(self.last(x))


class Tilted(Toy):
    """What it computes depends on whether it is being exported: no graph can be right."""

    def forward(self, image: Tensor) -> Tensor:
        found = super().forward(image)
        return found + 0.01 if torch.compiler.is_exporting() else found


@pytest.fixture(scope="session")
def quick_file(network: Quick, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The network of these tests as a file, and how far from torch it is said to be."""
    path = tmp_path_factory.mktemp("onnx") / "quick.onnx"
    return path, export_quick(network, path)


def part(name: str, height: int, width: int) -> Tensor:
    """A corner of a swatch."""
    return swatch(name, size=160)[..., :height, :width]


def run(path: Path, **feed: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {name: value.numpy() for name, value in feed.items()})
    return torch.from_numpy(found)


@pytest.mark.parametrize(
    ("size", "strength"), [((64, 64), 1.0), ((57, 43), 1.0), ((9, 130), 0.4), ((30, 20), 0.0)]
)
def test_quick_is_torchs(
    network: Quick, quick_file: tuple[Path, float], size: tuple[int, int], strength: float
) -> None:
    content, style = part("waves", *size), part("mosaic", 45, 60)
    found = run(quick_file[0], content=content, style=style, strength=torch.tensor([strength]))
    wanted = draft(network, content, [style], strength=strength)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < LIMIT
    if strength == 0:
        assert torch.equal(found, content)


def test_quick_takes_batches(network: Quick, quick_file: tuple[Path, float]) -> None:
    """With one style for all, or one for each."""
    names = ("waves", "night", "mosaic")
    content = torch.cat([part(name, 24, 33) for name in names])
    styles = torch.cat([part(name, 40, 40) for name in reversed(names)])
    for given in (styles, styles[:1]):
        found = run(quick_file[0], content=content, style=given, strength=torch.ones(1))
        for k in range(3):
            style = given[k % len(given)][None]
            wanted = draft(network, content[k : k + 1], [style])
            assert (found[k : k + 1] - wanted).abs().max() < LIMIT


def test_quick_runs_in_openvino(network: Quick, quick_file: tuple[Path, float]) -> None:
    """Which computes in float32 where the graph says double."""
    core = pytest.importorskip("openvino").Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    graph = core.compile_model(core.read_model(quick_file[0]), "CPU", hint)
    content, style = part("waves", 41, 56), part("mosaic", 40, 40)
    for strength in (1.0, 0.4):
        feed = [content.numpy(), style.numpy(), torch.tensor([strength]).numpy()]
        found = torch.from_numpy(graph(feed)[0])
        assert (found - draft(network, content, [style], strength=strength)).abs().max() < 1e-2


def test_quick_is_one_file_that_says_what_it_is(quick_file: tuple[Path, float]) -> None:
    path, most = quick_file
    assert 0 < most < LIMIT
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model)
    assert [each.name for each in model.graph.input] == ["content", "style", "strength"]
    assert [each.name for each in model.graph.output] == ["picture"]
    assert not any(each.external_data for each in model.graph.initializer)
    for folder in (Path.cwd(), Path(torch.__file__).parent):  # whose machine it was
        assert str(folder).encode() not in path.read_bytes()
    assert path.stat().st_size < 16e6
    told = {each.key: each.value for each in model.metadata_props}
    assert told["network"] == "quick"
    assert {"impasto", "encoder", "encoder_sha256", "input", "output"} <= set(told)


def test_any_network_from_picture_to_picture(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        toy = Toy()
    path = tmp_path / "toy.onnx"
    assert export_feedforward(toy, path, described={"network": "toy"}) < LIMIT
    assert toy.training
    toy.eval()
    for shape in ((1, 3, 31, 44), (3, 3, 64, 17)):
        content = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        assert (run(path, content=content) - toy(content)).abs().max() < LIMIT
    told = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert told["network"] == "toy"


def test_a_graph_that_is_wrong_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match=r"from torch; at most 0\.001") as caught:
        export_feedforward(Tilted(), tmp_path / "toy.onnx")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("it should have looked first")

    monkeypatch.setattr(module, "as_onnx", never)
    (tmp_path / "toy.onnx").write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        export_feedforward(Toy(), tmp_path / "toy.onnx", overwrite=False)
    with pytest.raises(UsageError, match="no folder"):
        export_feedforward(Toy(), tmp_path / "nowhere" / "toy.onnx")


def test_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"impasto\[onnx\]"):
        export_feedforward(Toy(), tmp_path / "toy.onnx")


@pytest.mark.parametrize("least", [1e-1, 1e-3, 1e-5])
def test_roots_by_products_are_those_by_eigenvectors(least: float) -> None:
    """Down to the smallest that is foretold."""
    draw = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(2, 20, 20, dtype=torch.double, generator=draw)).Q
    roots = torch.logspace(0, torch.tensor(1.01 * least).log10(), 20, dtype=torch.double)
    values = roots.square() * 7
    matrix = (basis * values) @ basis.mT
    norm = values.square().sum().sqrt()
    eigen = [(basis * values**power) @ basis.mT for power in (0.5, -0.5)]
    for found, wanted in zip(
        product_roots(matrix, least * float((7 / norm) ** 0.5)), eigen, strict=True
    ):
        assert (found - wanted).abs().max() < 1e-6 * wanted.abs().max()
