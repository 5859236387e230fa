"""A batch paints each item once, goes on after a kill, and sets aside what cannot be painted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import impasto
from impasto.batch.ledger import Ledger
from impasto.batch.manifest import matrix
from impasto.batch.run import BatchRun
from impasto.batch.work import InProcess, Outcome, Task, carry_out
from impasto.errors import ConfigError, OutputExistsError
from impasto.image.io import save_image

FAST: dict[str, Any] = {"subject": "off", "threads": 1}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        save_image(folder / f"{number}.png", torch.rand(1, 3, 24, 32, generator=generator))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {x.name: x.read_bytes() for x in sorted(folder.glob("*.png"))}


def test_each_is_painted_once(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = impasto.stylize_batch(photos, ["waves", "night"], out, **FAST)
    assert len(first.done) == 8
    assert len(files(out)) == 8
    again = impasto.stylize_batch(photos, ["waves", "night"], out, **FAST)
    assert (len(again.done), len(again.skipped)) == (0, 8)
    told = json.loads((out / "batch.json").read_text())
    assert (told["total"], told["skipped"], told["failed"]) == (8, 8, [])
    assert (out / "batch.html").read_text().count("<img") == 8


def test_its_pictures_can_be_made_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    impasto.stylize_batch(photos / "1.png", "waves", out, **FAST)
    told = impasto.read_metadata(out / "1-waves.png")
    assert told is not None
    assert told["content"]["path"] == "../photos/1.png"
    assert told["style"]["swatch"] == "waves"


def test_what_has_changed_is_painted_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    impasto.stylize_batch(photos, "waves", out, **FAST)
    save_image(photos / "2.png", torch.zeros(1, 3, 24, 32))  # another photo
    (out / "3-waves.png").write_bytes(b"damaged")
    again = impasto.stylize_batch(photos, "waves", out, **FAST)
    assert sorted(again.done) == ["2-waves.png", "3-waves.png"]
    other = impasto.stylize_batch(photos, "waves", out, strength=0.5, **FAST)
    assert len(other.done) == 4


def test_files_of_others_stay(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "1-waves.png").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="not made by a batch"):
        impasto.stylize_batch(photos, "waves", out, **FAST)
    assert (out / "1-waves.png").read_bytes() == b"mine"
    assert len(impasto.stylize_batch(photos, "waves", out, overwrite=True, **FAST).done) == 4


def test_a_poisoned_item_is_set_aside(photos: Path, tmp_path: Path) -> None:
    (photos / "1.png").write_bytes(b"no picture")
    result = impasto.stylize_batch(photos, "waves", tmp_path / "out", **FAST)
    assert len(result.done) == 3
    assert list(result.failed) == ["1-waves.png"]
    with Ledger(tmp_path / "out") as ledger:
        states = {entry.output: entry.state for entry in ledger.entries()}
    assert states["1-waves.png"] == "failed"


def test_what_fails_once_is_tried_again(photos: Path, tmp_path: Path) -> None:
    tried: list[int] = []

    def shaky(task: Task) -> Outcome:
        tried.append(task.number)
        if (task.number == 1 and tried.count(1) == 1) or task.number == 2:
            return Outcome(error="a hiccup")
        return carry_out(task)

    items = matrix([str(photos)], ["waves"], tmp_path / "out", settings={"subject": "off"})
    run = BatchRun(items, tmp_path / "out", lambda: InProcess(shaky), retries=2)
    states = [(event.output, event.state) for event in run]
    assert tried.count(1) == 2
    assert tried.count(2) == 3
    assert states.count(("1-waves.png", "retried")) == 1
    assert states[-1] == ("2-waves.png", "failed")
    assert run.result().failed == {"2-waves.png": "a hiccup"}


def test_workers_paint_the_same(photos: Path, tmp_path: Path) -> None:
    impasto.stylize_batch(photos, "waves", tmp_path / "here", **FAST)
    impasto.stylize_batch(photos, "waves", tmp_path / "there", workers=2, **FAST)
    assert files(tmp_path / "here") == files(tmp_path / "there")


def test_masks_are_found_from_anywhere(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image("mask.png", torch.ones(1, 3, 24, 32))
    given: list[Any] = []

    def perform(task: Task) -> Outcome:
        given.append(task.settings["keep"])
        return Outcome(sha256="x")

    items = matrix([str(photos)], ["waves"], tmp_path / "out", settings={"keep": "mask.png"})
    BatchRun(items, tmp_path / "out", lambda: InProcess(perform)).finish()
    assert given == [str(tmp_path / "mask.png")] * 4
    with pytest.raises(ConfigError, match="keep names a file"):
        BatchRun(items, tmp_path / "other", lambda: InProcess(perform), ship=True).finish()


def test_a_manifest(photos: Path, tmp_path: Path) -> None:
    (photos / "orders.csv").write_text("content,style,strength\n1.png,waves,0.5\n2.png,night,\n")
    result = impasto.stylize_batch(
        None, [], tmp_path / "out", manifest=photos / "orders.csv", **FAST
    )
    assert sorted(result.done) == ["1-waves.png", "2-night.png"]


def test_either_workers_or_a_scheduler(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both workers and a scheduler"):
        impasto.stylize_batch(photos, "waves", tmp_path, workers=2, scheduler="tcp://x:1")
