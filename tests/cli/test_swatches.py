"""impasto swatches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from impasto.cli import main
from impasto.image.io import load_image
from impasto.image.swatches import SWATCHES
from impasto.outputs.contact_sheet import GAP, LABEL


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["swatches"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SWATCHES)
    assert all(
        each.description in line for each, line in zip(SWATCHES.values(), lines, strict=True)
    )
    assert main(["swatches", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["swatches"]
    assert [each["name"] for each in told] == list(SWATCHES)


def test_one_into_a_file_and_several_into_a_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["swatches", "waves", "-o", "w.png", "--size", "40"]) == 0
    assert load_image("w.png").shape == (1, 3, 40, 40)
    assert main(["swatches", "waves", "mosaic", "-o", "here", "--size", "40"]) == 0
    assert sorted(path.name for path in Path("here").iterdir()) == ["mosaic.png", "waves.png"]
    assert capsys.readouterr().out.splitlines() == ["w.png", "here/waves.png", "here/mosaic.png"]


def test_all_and_a_sheet(folder: Path) -> None:
    assert main(["swatches", "--all", "-o", "every", "--size", "32"]) == 0
    assert {path.stem for path in Path("every").iterdir()} == set(SWATCHES)
    names = list(SWATCHES)[:6]
    assert main(["swatches", *names, "-o", "six", "--sheet", "sheet.png", "--size", "32"]) == 0
    assert load_image("sheet.png").shape[-2:] == (
        2 * (32 + GAP + LABEL) + GAP,
        5 * (32 + GAP) + GAP,
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["waves", "-o", "cat.png"],
        ["waves", "mosaic", "-o", "one.png"],
        ["waves", "--all"],
        ["-o", "nothing"],
        ["waves", "--size", "1025"],
        ["--sheet", "nowhere/sheet.png"],
        ["waves", "-o", "w.xyz"],
    ],
)
def test_bad_requests(argv: list[str], folder: Path) -> None:
    assert main(["swatches", *argv]) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["art.png", "cat.png"]
