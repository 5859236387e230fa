"""Frames on disk: whole segments or none, and only for the run that made them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.errors import ConfigError, DiskFullError, ResourceError
from impasto.image.io import load_image
from impasto.video.read import Frame
from impasto.video.segments import Segments

JOB = {"settings": {"strength": 0.5}}
IMAGE = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).mul(255).round() / 255


def filled(folder: Path, count: int = 2) -> Segments:
    segments = Segments(folder, JOB, resume=False)
    for number in range(count):
        segments.add(IMAGE, Frame(IMAGE, Fraction(number, 10), Fraction(1, 10)))
    segments.flush({"number": count})
    return segments


def test_frames_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    filled(folder)
    again = Segments(folder, JOB, resume=True)
    assert again.done == 2
    assert again.state == {"number": 2}
    assert again.stills[1].time == Fraction(1, 10)
    assert torch.equal(load_image(again.stills[1].path), IMAGE)


def test_only_the_last_state_is_kept(tmp_path: Path) -> None:
    segments = filled(tmp_path / "work")
    segments.add(IMAGE, Frame(IMAGE, Fraction(1), Fraction(1)))
    segments.flush({"number": 3})
    assert len(list((tmp_path / "work").glob("*/state.pt"))) == 1
    assert Segments(tmp_path / "work", JOB, resume=True).state == {"number": 3}


def test_a_half_written_segment_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    filled(folder)
    (folder / "part").mkdir()
    (folder / "part" / "0000.png").write_bytes(b"half")
    assert Segments(folder, JOB, resume=True).done == 2
    assert not (folder / "part").exists()


def test_another_run_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "work")
    with pytest.raises(ConfigError, match="another settings"):
        Segments(tmp_path / "work", {"settings": {"strength": 0.6}}, resume=True)


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    filled(tmp_path / "work")
    assert Segments(tmp_path / "work", JOB, resume=False).done == 0
    assert not (tmp_path / "work").exists()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise DiskFullError("'0000.png' cannot be written: No space left on device")

    segments = Segments(tmp_path / "work", JOB, resume=False)
    segments.add(IMAGE, Frame(IMAGE, Fraction(0), Fraction(1)))
    segments.flush({})
    segments.add(IMAGE, Frame(IMAGE, Fraction(1), Fraction(1)))
    monkeypatch.setattr("impasto.video.segments.write_bytes", full)
    with pytest.raises(ResourceError, match=r"'0000\.png' .* No space left .* --resume goes on"):
        segments.flush({})
    assert segments.done == 1
    assert sorted(x.name for x in (tmp_path / "work").iterdir()) == ["00000000", "job.json"]
