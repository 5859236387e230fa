"""impasto dream, from flags to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli import main
from impasto.image.io import load_image, read_metadata

SMALL = "--size 64 --octaves 2 --steps 3 --jitter 4 --threads 1 --precision float32"


def dream(encoder_file: Path, *flags: str) -> int:
    return main(["dream", "cat.png", "--encoder", str(encoder_file), *SMALL.split(), *flags])


def test_makes_a_picture_with_what_made_it(
    folder: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dream(encoder_file, "--plot", "plot.png", "--evolution", "how.gif") == 0
    assert capsys.readouterr().err.splitlines()[0] == "impasto: level 1/2 (34x46): 3 steps"
    assert load_image("cat-dream.png").shape == (1, 3, 48, 64)
    assert read_metadata("cat-dream.png")["config"]["steps"] == 3
    assert load_image("plot.png").std() > 0
    assert Path("how.gif").is_file()
    assert main(["info", "cat-dream.png", "--command"]) == 0
    words = capsys.readouterr().out
    assert words.startswith("impasto dream -o cat-dream.png")
    assert "--size 64 --octaves 2 --steps 3" in words
    assert words.endswith(" -- cat.png\n")
    assert main(["info", "cat-dream.png"]) == 0
    assert "gradient ascent on activations" in capsys.readouterr().out
    assert main(["replay", "cat-dream.png", "-o", "again.png"]) == 2
    assert "made by impasto dream" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_a_sequence(folder: Path, encoder_file: Path, suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("av")
    out = f"zoom{suffix}"
    flags = ["-o", out, "--frames", "4", "--zoom", "1.1", "--frame-steps", "1", "-q"]
    assert dream(encoder_file, *flags) == 0
    if suffix == ".mp4":
        import av

        with av.open(out) as file:
            assert sum(1 for _ in file.decode(video=0)) == 4
        return
    with Image.open(out) as picture:
        assert picture.size == (64, 48)
        assert picture.n_frames == 4


def test_guided(folder: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dream(encoder_file, "--guide", "art.png", "-o", "out.png", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metadata"]["guide"]["sha256"]
    assert set(told["losses"]) == {"total", "guide", "guide.relu4_4", "guide.relu5_1"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layers", "relu4_4=x"], "no layer with channels and a weight"),
        (["--layers", "relu7_1"], "no layer of mini is called 'relu7_1'"),
        (["--zoom", "1.1"], "ask for more than 1 frame"),
        (["--frames", "3", "-o", "x.jpg"], "no animation that impasto writes"),
        (["--frames", "3", "-o", "x.gif", "--fps", "90"], ".gif allows 0.1 to 50"),
        (["--frames", "3", "-o", "-"], "holds one picture"),
        (["-o", "cat.png"], "an input"),
    ],
)
def test_one_clear_line(
    folder: Path,
    encoder_file: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dream(encoder_file, *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert {path.name for path in folder.iterdir()} == {"cat.png", "art.png"}
