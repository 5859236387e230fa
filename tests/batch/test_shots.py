"""A clip's shots are painted by several workers, to the frames of one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.batch.run import executor_maker
from impasto.batch.shots import ShotsRun, ShotTask, paint_shots
from impasto.batch.work import InProcess, Outcome
from impasto.errors import ConfigError, ResourceError
from impasto.events import FrameDone
from impasto.image.io import save_image
from impasto.machine.devices import threads
from impasto.video.stylize import split_settings, stylize_video

pytest.importorskip("av")
pytest.importorskip("cv2")

SHOTS = (3, 4, 2, 5)
"""Frames of each shot; each has colours and a texture of its own."""
SETTINGS: dict[str, Any] = {"segment": 2}


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    number = 0
    for shot, count in enumerate(SHOTS):
        generator = torch.Generator().manual_seed(shot)
        coarse = torch.rand(1, 3, 8, 12, generator=generator)
        scene = torch.nn.functional.interpolate(coarse, (48, 80), mode="bicubic").clamp(0, 1)
        for step in range(count):
            number += 1
            save_image(folder / f"{number:02}.png", scene[..., step : step + 64])
    return folder


def make(frames: Path, out: Path, executor: Any = InProcess, **options: Any) -> ShotsRun:
    config, pictures = split_settings(options.pop("settings", SETTINGS))
    return ShotsRun(frames, "waves", out, config, pictures, executor, threads=1, **options)


def pictures(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


@pytest.fixture
def whole(frames: Path, tmp_path: Path) -> list[bytes]:
    """The frames as one process paints them, with one thread."""
    with threads(1):
        stylize_video(frames, "waves", tmp_path / "whole")
    return pictures(tmp_path / "whole")


def test_shots_are_found_where_painting_finds_them(frames: Path, tmp_path: Path) -> None:
    with threads(1):
        seen: list[Any] = []
        stylize_video(frames, "waves", tmp_path / "whole", on_event=seen.append, subject="off")
    cuts = [x.frame - 1 for x in seen if isinstance(x, FrameDone) and x.cut]
    assert [0, *make(frames, tmp_path / "out").cuts()] == cuts == [0, 3, 7, 9]
    parts = [(x.first, x.end) for x in make(frames, tmp_path / "out").tasks()]
    assert parts == [(0, 3), (3, 7), (7, 9), (9, None)]
    long = make(frames, tmp_path / "out", settings={"segment": 5})
    assert [(x.first, x.end) for x in long.tasks()] == [(0, 7), (7, None)]


def test_workers_paint_the_same_frames(
    frames: Path, tmp_path: Path, whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths need not be full
    executor = executor_maker(paint_shots, workers=2, threads=1)
    seen: list[Any] = []
    result = make(Path("frames"), Path("out"), executor).finish(seen.append)
    assert result.frames == len(whole) == sum(SHOTS)
    assert pictures(tmp_path / "out") == whole
    assert [x.frame for x in seen if isinstance(x, FrameDone)][-1] == sum(SHOTS)
    assert result.timings["paint"] > 0
    assert not list(tmp_path.glob(".*checkpoint*"))


def test_what_dies_is_tried_again_from_its_last_segment(
    frames: Path, tmp_path: Path, whole: list[bytes]
) -> None:
    tried: list[int] = []

    def shaky(task: ShotTask) -> Outcome:
        tried.append(task.number)
        if tried.count(task.number) == 1:
            with threads(1):
                run = task_run(task)
                for _ in zip(range(3), run.paint(task.first, task.end), strict=False):
                    pass  # one segment is kept, and a frame is lost
            return Outcome(error="its worker process ended by signal 9")
        return paint_shots(task)

    make(frames, tmp_path / "out", lambda: InProcess(shaky)).finish()
    assert sorted(tried) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert pictures(tmp_path / "out") == whole


def task_run(task: ShotTask) -> Any:
    from impasto.video.stylize import VideoRun

    return VideoRun(**task.arguments, kept_in=Path(task.folder), resume=True, overwrite=True)


def test_what_fails_for_good_ends_the_run_which_goes_on(
    frames: Path, tmp_path: Path, whole: list[bytes]
) -> None:
    tried: list[int] = []

    def broken(task: ShotTask) -> Outcome:
        tried.append(task.number)
        return Outcome(error="no luck") if task.number == 2 else paint_shots(task)

    with pytest.raises(ResourceError, match="frames from 8 on cannot be painted: no luck"):
        make(frames, tmp_path / "out", lambda: InProcess(broken)).finish()
    assert tried.count(2) == 3
    with pytest.raises(ConfigError, match="another settings"):
        make(frames, tmp_path / "out", settings={"strength": 0.4}, resume=True)
    make(frames, tmp_path / "out", lambda: InProcess(paint_shots), resume=True).finish()
    assert pictures(tmp_path / "out") == whole


def test_keys_and_the_optimised_engine(
    frames: Path, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    settings: dict[str, Any] = {"engine": "optimised", "steps": [2], "frame_steps": 1, "size": 48}
    keys = [make_key("02"), make_key("08")]
    with threads(1):
        stylize_video(frames, "night", tmp_path / "whole", keyframes=keys, **settings)
    config, own = split_settings({**settings, "segment": 2})
    ShotsRun(
        *(frames, "night", tmp_path / "out", config, own),
        lambda: InProcess(paint_shots),
        keyframes=keys,
        threads=1,
    ).finish()
    assert pictures(tmp_path / "out") == pictures(tmp_path / "whole")


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(9))
        (tmp_path / "keys").mkdir(exist_ok=True)
        return save_image(tmp_path / "keys" / f"{name}.png", picture)

    return make
