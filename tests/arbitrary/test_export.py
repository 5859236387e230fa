"""ONNX files: what they compute, what they say of themselves, and which are refused.

Tracing all of quick takes a minute, so those tests are slow ones. The others compare what is traced
with torch as it is, and export the operators that only quick needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto import swatch
from impasto.arbitrary import export as module
from impasto.arbitrary.export import (
    LIMIT,
    ExportedQuick,
    _pad,
    as_onnx,
    export_feedforward,
    export_quick,
    product_roots,
    solve_by_products,
)
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import transfer_style
from impasto.arbitrary.network import Quick
from impasto.arbitrary.transport import moments, optimal_map
from impasto.errors import ImpastoError, MissingDependencyError, OutputExistsError, UsageError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.timeout(900)  # tracing is slow where many share a core


class Toy(nn.Module):
    """Like a network of one style: convolutions and an instance norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")
        self.normalise = nn.InstanceNorm2d(6, affine=True)
        self.last = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.normalise(self.first(image)))
        return torch.sigmoid(self.last(x))


class Tilted(Toy):
    """Computes something else while it is exported, so that the graph is wrong."""

    def forward(self, image: Tensor) -> Tensor:
        found = super().forward(image)
        return found + 0.01 if torch.compiler.is_exporting() else found


class ColourTransfer(nn.Module):
    """The operators that only quick's graph has: indexing as padding, one style for all or one for
    each, the transport by products, and a branch."""

    def forward(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        own = torch.arange(content.shape[0]).clamp_max(style.shape[0] - 1)
        image, target = _pad(content), moments(_pad(style)[own])
        moved = optimal_map(moments(image), target, strength, solve=solve_by_products)(image)
        moved = torch.cond((strength < 1).all(), lambda x: x * 1, lambda x: x + 0, (moved,))
        moved = torch.where((strength == 0)[:, None, None, None], image, moved)
        return moved[..., : content.shape[2], : content.shape[3]].clamp(0, 1)


@pytest.fixture(scope="session")
def quick_file(network: Quick, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The network of these tests as a file, and its reported difference from torch."""
    path = tmp_path_factory.mktemp("onnx") / "quick.onnx"
    return path, export_quick(network, path)


def part(name: str, height: int, width: int) -> Tensor:
    """A corner of a swatch."""
    return swatch(name, size=160)[..., :height, :width]


def run(path: Path, **feed: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {name: value.numpy() for name, value in feed.items()})
    return torch.from_numpy(found)


def check_quick(fused: FusedQuick, quick: Callable[..., Tensor]) -> None:
    """``quick(content, style, strength)`` computes what transfer_style does: pictures of any size,
    at any strength, and batches with one style for all, or one for each."""
    names = ("waves", "night", "mosaic")
    cases = [
        (part("waves", *size), part("mosaic", 45, 60), strength)
        for size, strength in (((57, 43), 1.0), ((9, 130), 0.4), ((30, 20), 0.0))
    ]
    batch = torch.cat([part(name, 24, 33) for name in names])
    styles = torch.cat([part(name, 40, 40) for name in reversed(names)])
    wrong = []
    for content, style, strength in (*cases, (batch, styles, 1.0), (batch, styles[:1], 1.0)):
        found = quick(content, style, torch.tensor([strength]))
        assert found.shape == content.shape
        for k in range(len(content)):
            own = [style[k % len(style)][None]]
            wanted = transfer_style(fused, content[k : k + 1], own, strength=strength)
            difference = float((found[k : k + 1] - wanted).abs().max())
            if difference > (LIMIT if strength else 0):
                wrong.append((tuple(content.shape), len(style), strength, k, difference))
    assert not wrong


@pytest.fixture
def plain_cond(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.cond`` as an if: by itself it compiles its branches, for half a minute."""
    monkeypatch.setattr(
        torch, "cond", lambda yes, one, other, given: (one if yes else other)(*given)
    )


@pytest.mark.usefixtures("plain_cond")
def test_what_is_traced_computes_what_torch_does(network: Quick, fused: FusedQuick) -> None:
    with torch.no_grad():
        check_quick(fused, ExportedQuick(network))


@pytest.mark.slow
def test_the_file_computes_what_torch_does(
    fused: FusedQuick, quick_file: tuple[Path, float]
) -> None:
    check_quick(
        fused,
        lambda content, style, strength: run(
            quick_file[0], content=content, style=style, strength=strength
        ),
    )


def test_the_operators_of_quick_are_exported(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    module, path = ColourTransfer(), tmp_path / "colours.onnx"
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    given = {
        "content": torch.rand(2, 3, 40, 56),
        "style": torch.rand(2, 3, 24, 33),
        "strength": torch.tensor([0.5]),
    }
    path.write_bytes(as_onnx(module, given, (free, free, None), ["picture"], {}))
    request.getfixturevalue("plain_cond")
    for count, strength in ((1, 0.0), (1, 0.4), (3, 1.0)):
        content = part("waves", 33, 41).repeat(count, 1, 1, 1)
        feed = {"content": content, "style": part("mosaic", 30, 50)}
        strengths = torch.tensor([strength])
        found = run(path, **feed, strength=strengths)
        assert (found - module(**feed, strength=strengths)).abs().max() < LIMIT


@pytest.mark.slow
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


def test_the_runtime_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its telemetry, which builds for Windows have, is off before a graph is loaded."""
    onnxruntime = pytest.importorskip("onnxruntime")
    done: list[str] = []

    def load(*_: object, **__: object) -> None:
        done.append("loaded")
        raise RuntimeError

    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: done.append("off"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", load)
    with pytest.raises(RuntimeError):
        module._difference(b"", {}, torch.zeros(1))
    assert done == ["off", "loaded"]
