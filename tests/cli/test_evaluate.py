"""impasto evaluate, from names and tables to numbers and sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.cli import main
from impasto.image.io import load_image, save_image
from impasto.metrics import judges


@pytest.fixture(autouse=True)
def only_the_first_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed here."""
    monkeypatch.setattr(judges, "find_spec", lambda name: None)


@pytest.fixture
def painted(folder: Path, photo: Tensor) -> Path:
    """``cat.png`` in the style ``art.png``: twice, in the folders ``one`` and ``two``."""
    for name, share in (("one", 0.2), ("two", 0.7)):
        (folder / name).mkdir()
        save_image(folder / name / "cat-art.png", torch.lerp(photo, photo.flip(1), share))
    return folder


def evaluate(encoder_file: Path, *words: str) -> int:
    return main(["evaluate", *words, "--judge", str(encoder_file), "--threads", "1"])


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_table(painted: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(encoder_file, "cat.png", "art.png", "cat.png", "art.png", "one", "two") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "picture"
    assert [line.split()[0] for line in lines[1:]] == ["cat", "art", "one", "two"]
    assert lines[1].split()[1:] == ["0.000"] * 4  # as the photo: no style, no distance
    assert lines[2].split()[1] == "1.000"
    assert "subject" not in lines[0]
    assert "impasto: paint taken needs: pip install" in err


def test_json_and_a_mask(
    painted: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = torch.zeros(1, 3, 96, 128)
    mask[..., :64] = 1
    save_image("mask.png", mask)
    assert evaluate(encoder_file, "cat.png", "art.png", "two", "--mask", "mask.png", "--json") == 0
    found = told(capsys)
    assert (found["second"], found["edges"], found["means"]) == (None, None, {})
    [row] = found["pictures"]
    assert (row["pair"], row["picture"]) == ("cat-art", "two")
    assert Path(row["path"]) == Path("two/cat-art.png")
    assert row["content_subject"] > 0
    assert row["paint_taken"] is None


def test_pairs(painted: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (painted / "tables").mkdir()
    table = painted / "tables" / "pairs.csv"
    table.write_text("content,style,mask\n../cat.png,../art.png,\n../cat.png,waves,../cat.png\n")
    save_image("two/cat-waves.png", load_image("cat.png"))
    words = ["--pairs", str(table), "one", "two", "--sheet", "sheet.png"]
    assert evaluate(encoder_file, *words, "--json") == 0
    found = told(capsys)
    names = [(row["pair"], row["picture"]) for row in found["pictures"]]
    assert names == [("cat-art", "one"), ("cat-art", "two"), ("cat-waves", "two")]
    assert {name: mean["pairs"] for name, mean in found["means"].items()} == {"one": 1, "two": 2}
    gaps = [row["gap"] for row in found["pictures"][1:]]
    assert found["means"]["two"]["gap"] == pytest.approx(sum(gaps) / 2)
    assert "content_subject" not in found["means"]["two"]  # one of them has no mask
    sheet = load_image("sheet.png")
    assert sheet.shape[-1] > 4 * 256  # photo, painting, one, two
    assert evaluate(encoder_file, *words) == 2
    assert "sheet.png" in capsys.readouterr().err
    assert evaluate(encoder_file, *words, "--overwrite", "-q") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split("  ")[0] for line in out.splitlines()[4:]] == ["mean of 1", "mean of 2"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("cat.png art.png", 2, "there are 2 names; a content, a style and a picture are needed"),
        ("cat.png art.png none.png", 3, "there is no file 'none.png'"),
        ("cat.png art.png empty", 3, "there is no file 'empty/cat-art.png'"),
        ("--pairs none.csv one", 3, "there is no file 'none.csv'"),
        ("--pairs pairs.csv cat.png", 2, "'cat.png' is no folder"),
        ("--pairs pairs.csv empty", 3, "'empty' holds a picture of none of the pairs"),
        ("--pairs pairs.csv one --mask cat.png", 2, "--mask is for one pair"),
        ("--pairs wrong.csv one", 3, "'wrong.csv' has no columns content and style, but: a, b"),
        ("--pairs half.csv one", 3, "line 2 of 'half.csv' lacks a content or a style"),
        ("cat.png art.png one --mask black.png", 2, "'black.png' is black everywhere"),
        ("cat.png art.png one --sheet sheet.txt", 2, "no output format is called '.txt'"),
    ],
)
def test_one_clear_line(
    painted: Path,
    encoder_file: Path,
    words: str,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (painted / "empty").mkdir()
    Path("pairs.csv").write_text("content,style\ncat.png,art.png\n")
    Path("wrong.csv").write_text("a,b\ncat.png,art.png\n")
    Path("half.csv").write_text("content,style\ncat.png,\n")
    save_image("black.png", torch.zeros(1, 3, 96, 128))
    assert evaluate(encoder_file, *words.split()) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_judges_by_name(painted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "cat.png", "art.png", "one", "--threads", "1"]
    assert main([*words, "--judge", "mini"]) == 0
    assert "judged by mini, which pictures are painted for" in capsys.readouterr().err
    assert main([*words, "--judge", "minni"]) == 2
    assert "no judge is called 'minni'; did you mean 'mini'?" in capsys.readouterr().err
    assert main([*words, "--judge", "vgg19"]) == 4
