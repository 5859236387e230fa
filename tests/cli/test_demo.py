"""A first picture, from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto.cli import main
from impasto.cli.demo import draw_landscape
from impasto.image.io import load_image, read_metadata


def test_it_paints_what_it_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--size", "32"]) == 0
    assert "impasto stylize demo-photo.png night -o demo.png --size 32" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo-photo.png", "demo.png"]
    assert load_image("demo.png").shape == (1, 3, 24, 32)
    told = read_metadata("demo.png")
    assert (told["content"]["path"], told["style"]["swatch"]) == ("demo-photo.png", "night")


def test_it_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo.png").write_text("mine")
    assert main(["demo", "--size", "32", "-o", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["demo.png"]


def test_it_makes_its_folder(tmp_path: Path) -> None:
    assert main(["demo", "--size", "32", "-o", str(tmp_path / "new" / "one")]) == 0
    assert (tmp_path / "new" / "one" / "demo.png").is_file()


@pytest.mark.parametrize("size", [16, 17, 100, 256])
def test_a_landscape(size: int) -> None:
    """Always the same, in range, and something to look at: bright above, dark below."""
    image = draw_landscape(size)
    assert image.shape == (1, 3, max(12, size * 3 // 4), size)
    assert image.equal(draw_landscape(size))
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    assert float(image.std()) > 0.1
    rows = image.mean((0, 1, 3))
    third = len(rows) // 3
    assert rows[:third].mean() > rows[2 * third :].mean()
