"""``impasto batch``, as its users see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from impasto.cli import main
from impasto.image.io import save_image

FAST = ["--subject", "off", "--threads", "1"]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        save_image(folder / f"{number}.png", torch.rand(1, 3, 16, 24))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_of_photos_becomes_one_of_paintings(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "photos", "--styles", "waves", "-o", "paintings", *FAST]
    assert main(command) == 0
    assert "3 painted, 0 unchanged, 0 failed" in capsys.readouterr().err
    assert Path("paintings/batch.html").is_file()
    assert main(command) == 0
    assert "0 painted, 3 unchanged" in capsys.readouterr().err


def test_some_failed(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "1.png").write_bytes(b"no picture")
    command = ["batch", "photos", "--styles", "waves", "-o", "out", "--json", *FAST]
    assert main(command) == 5
    told = json.loads(capsys.readouterr().out)
    assert list(told["failed"]) == ["1-waves.png"]
    assert len(told["done"]) == 2


def test_a_line_for_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "photos/*.png", "--styles", "waves", "-o", "out", "--progress", "json"]
    assert main([*command, *FAST]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines] == [1, 2, 3]
    assert {line["state"] for line in lines} == {"done"}


def test_a_matrix_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "photos", "--styles", "waves,night", "--vary", "strength=0.4,0.8"]
    assert main([*command, "-o", "out", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert str(Path("out/0-waves-strength-0.4.png")) in lines
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["photos", "--manifest", "orders.csv"],
        ["photos"],
        ["photos", "--styles", "waves", "--engine", "slow"],
        ["photos", "--styles", "waves", "--vary", "strenght=1"],
        ["photos", "--styles", "waves", "--vary", "strength"],
        ["photos", "--styles", "waves", "--steps", "5"],
        ["photos", "--styles", "waves", "--progress", "loud"],
        ["photos", "--styles", "waves", "--name", "{what}.png"],
        ["photos", "--styles", "waves", "--name", "{content}.xyz"],
    ],
)
def test_what_makes_no_sense_ends_with_2(words: list[str]) -> None:
    assert main(["batch", *words, "-o", "out"]) == 2
    assert not Path("out/batch.json").exists()


def test_an_unknown_style_fails_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "photos", "--styles", "wavs", "-o", "out", *FAST]) == 5
