"""One item, painted anywhere, is one file; what goes wrong comes back as text."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.batch.work import InProcess, Outcome, Task, _encoder, _read_encoder, carry_out
from impasto.config.stylize import StylizeConfig
from impasto.image.io import load_image, save_image


@pytest.fixture
def task(tmp_path: Path) -> Task:
    content = save_image(tmp_path / "photo.png", torch.rand(1, 3, 24, 32))
    out = str(tmp_path / "out.png")
    return Task(0, str(content), ("waves",), "quick", {"subject": "off"}, out, ".png", threads=1)


def with_changes(task: Task, **changes: object) -> Task:
    return replace(task, **changes)  # type: ignore[arg-type]  # of the fields' types


def test_a_file_is_written(task: Task) -> None:
    outcome = carry_out(task)
    assert outcome.error == ""
    assert task.output is not None
    data = Path(task.output).read_bytes()
    assert hashlib.sha256(data).hexdigest() == outcome.sha256
    assert load_image(task.output).shape == (1, 3, 24, 32)


def test_bytes_travel_both_ways(task: Task) -> None:
    assert isinstance(task.content, str)
    bare = with_changes(task, content=Path(task.content).read_bytes(), output=None)
    outcome = carry_out(bare)
    assert outcome.data is not None
    assert hashlib.sha256(outcome.data).hexdigest() == outcome.sha256


def test_it_is_the_same_file_each_time(task: Task) -> None:
    assert carry_out(task).sha256 == carry_out(task).sha256


def test_optimised(task: Task) -> None:
    settings = {"subject": "off", "steps": [2], "size": 32}
    outcome = carry_out(with_changes(task, engine="optimised", settings=settings))
    assert outcome.error == ""


def test_items_with_one_style_look_at_it_once(task: Task, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"subject": "off", "steps": [2], "size": 32}
    _read_encoder.cache_clear()
    for number in range(3):
        out = str(tmp_path / f"{number}.png")
        carry_out(with_changes(task, engine="optimised", settings=settings, output=out))
    _, seen = _encoder(StylizeConfig().with_changes(**settings))
    assert (seen.missed, seen.found) == (2, 4)  # for each of the two losses
    _read_encoder.cache_clear()
    assert (
        carry_out(with_changes(task, engine="optimised", settings=settings, output=out)).sha256
        == hashlib.sha256((tmp_path / "0.png").read_bytes()).hexdigest()
    )


def test_a_broken_picture_is_no_use_again(task: Task, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    outcome = carry_out(with_changes(task, content=str(bad)))
    assert "bad.png" in outcome.error
    assert outcome.again


def test_any_fault_is_an_outcome(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.batch.work._paint", lambda task: 1 / 0)
    outcome = carry_out(task)
    assert outcome.error.startswith("ZeroDivisionError")
    assert not outcome.again


def test_in_process_keeps_the_order(task: Task) -> None:
    executor = InProcess(lambda task: Outcome(sha256=str(task.number)))
    for number in range(3):
        executor.submit(with_changes(task, number=number))
    assert [executor.wait()[0][1].sha256 for _ in range(3)] == ["0", "1", "2"]
    executor.close()
