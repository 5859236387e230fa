"""Every example runs, at sizes that take no time, with nothing but what is installed."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import FeedForward, load_image, quick, read_metadata, swatch
from impasto.image.io import save_image

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERED = sorted(EXAMPLES.glob("[0-9]*.py"))
EXPORTED = EXAMPLES / "08_run_the_exported_file.py"  # takes files


def run(path: Path, *arguments: str) -> int:
    """Run an example as a script in this process; returns its exit code."""
    before = sys.argv
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    finally:
        sys.argv = before
    return 0


@pytest.mark.parametrize(
    "path", [path for path in NUMBERED if path != EXPORTED], ids=lambda path: path.stem
)
def test_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIZE", "64")
    monkeypatch.setenv("STEPS", "2")
    assert run(path) == 0
    written = list((tmp_path / "out").iterdir())
    assert written
    assert {file.name[:2] for file in written} == {path.stem[:2]}
    assert [file for file in tmp_path.iterdir() if file.name != "out"] == []
    for file in written:
        assert load_image(file).std() > 0.01


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


def test_the_exported_file_runs_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one style, and with the inputs of quick's."""
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    import torch
    from torch import Tensor, nn

    from impasto.arbitrary.export import as_onnx, export_feedforward

    class Mix(nn.Module):
        """Takes and returns what the exported quick does."""

        def forward(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
            colour = style.mean((2, 3), keepdim=True)
            return torch.lerp(content, colour.expand_as(content), strength)

    monkeypatch.chdir(tmp_path)
    save_image("cat.png", swatch("fauve", size=(40, 52)))
    save_image("art.png", swatch("waves", size=(40, 32)))
    model = FeedForward((4, 6, 8), 1).eval()
    export_feedforward(model, "mine.onnx")
    assert run(EXPORTED, "mine.onnx", "cat.png", "art.png", "mine.png") == 0
    wanted = quick("cat.png", model=model, precision="float32").image
    assert (load_image("mine.png") - wanted).abs().max() < 1.5 / 255

    free = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    given = {
        "content": torch.rand(1, 3, 24, 32),
        "style": torch.rand(1, 3, 16, 24),
        "strength": torch.rand(1),
    }
    Path("mix.onnx").write_bytes(as_onnx(Mix(), given, (free, free, None), ["picture"], {}))
    assert run(EXPORTED, "mix.onnx", "cat.png", "art.png", "mix.png") == 0
    mean = np.asarray(Image.open("art.png"), np.float32).mean((0, 1))
    mixed = np.asarray(Image.open("mix.png"), np.float32)
    assert mixed.shape == (40, 52, 3)
    assert np.abs(mixed - mean).max() < 1

    tree = ast.parse(EXPORTED.read_text(encoding="utf-8"))
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"sys", "numpy", "onnxruntime", "PIL"}


def test_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(EXAMPLES / "demo.py", "--size", "64", "--steps", "2") == 0
    out = tmp_path / "out"
    names = {file.name for file in out.iterdir()}
    assert names == {"demo.png", "demo-content.png", "demo-style.png", "demo-sheet.png"}
    told = read_metadata(out / "demo.png")
    assert told["size"] == [64, 64]
    assert told["style"] == {"swatch": "night", "sha256": told["style"]["sha256"]}
    assert told["content"]["path"] == "demo-content.png"  # so that it can be replayed
    captured = capfd.readouterr()
    assert "peak memory" in captured.out
    assert "64x64" in captured.err


def test_demo_with_own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_image("cat.jpg", swatch("fauve", size=(40, 80)))
    save_image("art.png", swatch("waves", size=(80, 40)))
    assert (
        run(EXAMPLES / "demo.py", "cat.jpg", "--style", "art.png", "--size", "64", "--steps=1") == 0
    )
    assert load_image("out/demo.png").shape == (1, 3, 32, 64)
    assert load_image("out/demo-content.png").shape == (1, 3, 32, 64)
    assert read_metadata("out/demo.png")["content"]["path"] == "../cat.jpg"


def test_demo_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(EXAMPLES / "demo.py", "missing.jpg") == 3
    assert "missing.jpg" in capsys.readouterr().err
