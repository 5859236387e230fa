"""Notebooks show pictures, small; progress uses IPython only where a notebook has loaded it."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

import impasto
from impasto.errors import InputError
from impasto.outputs import notebook
from impasto.outputs.notebook import NotebookProgress, compare, png


def picture(height: int = 40, width: int = 60) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_pictures_are_shown_small() -> None:
    shown = Image.open(io.BytesIO(png(picture(600, 1200))))
    assert shown.size == (512, 256)
    assert Image.open(io.BytesIO(png(picture()))).size == (60, 40)


def test_transparency_is_shown() -> None:
    result = impasto.Result(picture(), alpha=torch.zeros(1, 1, 40, 60))
    shown = Image.open(io.BytesIO(result._repr_png_()))
    assert shown.mode == "RGBA"
    assert shown.getchannel("A").getextrema() == (0, 0)


def test_swatches_show_themselves() -> None:
    shown = Image.open(io.BytesIO(impasto.SWATCHES["waves"]._repr_png_()))
    assert shown.size == (256, 256)


def test_compare_lays_results_and_tensors_side_by_side() -> None:
    red, blue = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1
    blue[:, 2] = 1
    sheet = compare(impasto.Result(red), blue, labels=["red", "blue"], width=32)
    assert sheet.image[0, :, 20, 20].tolist() == [1, 0, 0]
    assert sheet.image[0, :, 20, 20 + 38].tolist() == [0, 0, 1]
    shown = Image.open(io.BytesIO(sheet._repr_png_()))
    assert shown.size == (sheet.image.shape[3], sheet.image.shape[2])
    assert compare(*[red] * 7, width=32, columns=3).image.shape[-2] > 3 * 32


def test_compare_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="nothing to compare"):
        compare()
    with pytest.raises(InputError, match="1 labels for 2 pictures"):
        compare(picture(), picture(), labels=["one"])


class Display:
    """IPython's display, which remembers what it was given."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, data: dict[str, str], **_: Any) -> Display:
        self.shown.append(data)
        return self

    def update(self, data: dict[str, str], **_: Any) -> None:
        self.shown.append(data)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    """A notebook."""
    fake = Display()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=fake))
    monkeypatch.setattr(notebook, "PAUSE", 0.0)
    return fake


def test_progress_follows_a_run(display: Display) -> None:
    impasto.stylize(
        picture(64, 64), "waves", size=64, steps=(2,), subject="off", on_event=NotebookProgress()
    )
    texts = [data["text/plain"] for data in display.shown]
    assert texts[0].startswith("  0% level 1/1 (64x64)")
    assert texts[1].startswith(" 50% level 1/1 (64x64), step 1/2, loss ")
    assert texts[-1].startswith("100% 2 steps in ")
    assert "data:image/png;base64," in display.shown[1]["text/html"]
    assert "<img" not in display.shown[-1]["text/html"]


def test_progress_is_silent_without_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for get_ipython in (lambda: None, lambda: SimpleNamespace()):  # a plain Python; a terminal
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=get_ipython))
        progress = NotebookProgress()
        progress(impasto.LevelStarted(0, 1, 64, 64, 2))
        assert progress.handle is None
    assert capsys.readouterr() == ("", "")
