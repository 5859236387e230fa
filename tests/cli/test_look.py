"""impasto look, from flags to sheets."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto.cli import main
from impasto.image.io import load_image, read_metadata


def look(encoder_file: Path, *flags: str) -> int:
    tiny = ["--encoder", str(encoder_file), "--size", "64", "--cell", "32", "--threads", "1"]
    return main(["look", *flags, *tiny])


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["cat.png", "--count", "4"], "cat-features.png"),
        (["cat.png", "--show", "gram"], "cat-gram.png"),
        (["cat.png", "--show", "reconstructions", "--steps", "2"], "cat-reconstructions.png"),
        (["cat.png", "--show", "where", "--style", "waves"], "cat-where.png"),
        (["cat.png", "--subject"], "cat-subject.png"),
        (["--channels", "relu2_1:1+3,relu3_1:2", "--steps", "2"], "channels.png"),
    ],
)
def test_each_show(
    folder: Path,
    encoder_file: Path,
    flags: list[str],
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert look(encoder_file, *flags, "--layers", "relu1_1,relu2_1") == 0
    assert load_image(name).std() > 0.05
    told = read_metadata(name)
    assert told["command"] == "look"
    assert told["size"] == list(load_image(name).shape[-2:])
    capsys.readouterr()
    assert main(["info", name, "--command"]) == 0
    assert capsys.readouterr().out.startswith("impasto look ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "there is nothing to look at; give a picture, or --channels LAYER"),
        (["cat.png", "--channels", "relu1_1"], "--channels looks at no picture"),
        (["cat.png", "--show", "where"], "there is no style to compare the picture with"),
        (["cat.png", "--show", "everything"], "no show is called 'everything'"),
        (["--channels", "relu1_1:64"], "its channels are 0 to 63"),
    ],
)
def test_one_clear_line(
    folder: Path,
    encoder_file: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert look(encoder_file, *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
