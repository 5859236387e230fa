from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.errors import MissingDependencyError, OutputExistsError, UsageError
from impasto.outputs.plots import KINDS, check_plot_path, plot_losses

pytest.importorskip("matplotlib")

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


def run(levels: int = 3, steps: int = 40) -> list[dict[str, Any]]:
    """A made-up run: each level starts higher than the last one ended."""
    history: list[dict[str, Any]] = []
    for level in range(levels):
        for step in range(steps):
            decay = math.exp(-step / 12) * 0.6**level
            layers = {f"style.{name}": (0.2 + 3 * decay) / (1 + k) for k, name in enumerate(LAYERS)}
            terms = {
                "content": 0.5 + 0.3 * (1 - decay),
                "style": sum(layers.values()),
                "tv": 0.05 * (1 + 0.3 * math.sin(step)),
            }
            history.append(
                {
                    "step": len(history) + 1,
                    "level": level,
                    "size": (96 * 2**level, 128 * 2**level),
                    "losses": {**terms, **layers},
                    "total": sum(terms.values()),
                }
            )
    return history


@pytest.mark.parametrize(
    ("extension", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_the_extension_chooses_the_format(tmp_path: Path, extension: str, start: bytes) -> None:
    assert extension in KINDS
    path = tmp_path / f"losses{extension.upper()}"
    assert plot_losses(run(), path) == path
    assert path.read_bytes().startswith(start)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def labels(tmp_path: Path, history: list[dict[str, Any]]) -> str:
    """The texts of a plot; matplotlib writes each into the SVG as a comment."""
    return plot_losses(history, tmp_path / "a.svg").read_text(encoding="utf-8")


def test_terms_layers_and_sizes_are_named(tmp_path: Path) -> None:
    svg = labels(tmp_path, run())
    for text in ["sum", "content", "style", "tv", *LAYERS, "96×128", "192×256", "384×512"]:
        assert f"<!-- {text} -->" in svg
    assert "style.relu1_1" not in svg


def test_it_is_no_blank_page(tmp_path: Path) -> None:
    with Image.open(plot_losses(run(), tmp_path / "a.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] > 1.5 * pixels.shape[0]
    colorful = pixels.max(2) - pixels.min(2) > 60
    for half in np.array_split(colorful, 2, axis=1):
        assert half.sum() > 1000


def test_without_layers_there_is_one_panel(tmp_path: Path) -> None:
    history = run()
    for entry in history:
        entry["losses"] = {"content": entry["losses"]["content"]}
    svg = labels(tmp_path, history)
    assert "losses, weighted" in svg
    assert "by layer" not in svg


@pytest.mark.parametrize("broken", [0.0, -1.0, math.nan, math.inf])
def test_values_that_no_logarithm_shows_are_left_out(tmp_path: Path, broken: float) -> None:
    history = run()
    for entry in history[10:]:
        entry["losses"]["tv"] = broken
    assert "<!-- tv -->" in labels(tmp_path, history)
    for entry in history:
        entry["losses"]["tv"] = 0.0
    assert "<!-- tv -->" not in labels(tmp_path, history)


def test_one_step_and_terms_that_come_later(tmp_path: Path) -> None:
    plot_losses(run(levels=1, steps=1), tmp_path / "a.png")
    history = run(levels=2, steps=1)
    del history[0]["losses"]["tv"]
    assert "<!-- tv -->" in labels(tmp_path, history)


def test_more_terms_than_colours(tmp_path: Path) -> None:
    history = run(levels=1)
    for entry in history:
        entry["losses"] |= {f"term{index}": 1.0 + index for index in range(12)}
    assert "<!-- term11 -->" in labels(tmp_path, history)


def test_what_cannot_be_plotted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no losses"):
        plot_losses([], tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        plot_losses(run(), tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="no folder"):
        check_plot_path(tmp_path / "missing" / "a.png")
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        plot_losses(run(), tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"--plot .*impasto\[plots\]"):
        check_plot_path(tmp_path / "a.png")


def test_matplotlib_is_imported_late_and_pyplot_never(tmp_path: Path) -> None:
    code = (
        "import sys, impasto.outputs.plots as plots; assert 'matplotlib' not in sys.modules;"
        "entry = {'step': 1, 'level': 0, 'size': (4, 5), 'losses': {'tv': 1.0}, 'total': 1.0};"
        "plots.plot_losses([entry], sys.argv[1]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_who_pulled_gets_a_panel(tmp_path: Path) -> None:
    parts = {"content.relu4_2": 0.2, "tv.image": 0.05, **{f"style.{x}": 0.15 for x in LAYERS}}
    path = plot_losses(run(), tmp_path / "a.svg", shares={40: parts, 80: parts})
    text = path.read_text(encoding="utf-8")
    for word in ("share of the gradients", "relu1_1", "content.relu4_2", "after step"):
        assert word in text
    assert "share of the gradients" not in labels(tmp_path, run())
