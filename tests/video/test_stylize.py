"""A clip is painted whole, in part, again after a kill, with keys; and it flickers less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.events import FrameDone
from impasto.image.io import load_image, save_image
from impasto.video.flow import motion, warp
from impasto.video.read import open_clip
from impasto.video.stylize import VideoRun, split_settings, stylize_video

Make = Callable[..., Path]
FAST: dict[str, Any] = {"subject": "off"}


@pytest.fixture
def frames(tmp_path: Path, shot: Callable[..., Tensor]) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 9):
        save_image(folder / f"{number:04}.png", shot(number))
    return folder


def pictures(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def test_a_clip_becomes_a_clip(make_clip: Make, tmp_path: Path) -> None:
    seen: list[FrameDone] = []

    def note(event: Any) -> None:
        if isinstance(event, FrameDone):
            seen.append(event)

    clip = make_clip(turned=True)
    result = stylize_video(clip, "waves", tmp_path / "out.mp4", on_event=note, **FAST)
    assert result.frames == 8
    assert result.size == (64, 48)  # upright
    assert [event.frame for event in seen] == list(range(1, 9))
    assert [event.cut for event in seen] == [True] + [False] * 7
    written = open_clip(result.path)
    assert [round(1000 * frame.time) for frame in written.frames()][3] == 200
    assert written.sound
    assert not list(tmp_path.glob(".*checkpoint*"))


def test_it_flickers_less(frames: Path, shot: Callable[..., Tensor], tmp_path: Path) -> None:
    def flicker(images: list[Tensor]) -> float:
        errors = []
        for number in range(1, len(images)):
            found = motion(shot(number + 1), shot(number))
            mask = (found.trust > 0.5).float()
            error = (images[number] - warp(images[number - 1], found.flow, "bilinear")).square()
            errors.append(float((error * mask).sum() / mask.sum()))
        return float(sum(errors) ** 0.5)

    stylize_video(frames, "night", tmp_path / "out", **FAST)
    stylize_video(frames, "night", tmp_path / "loose", steadiness=0.0, **FAST)
    steady, loose = (
        [load_image(path) for path in sorted((tmp_path / name).glob("*.png"))]
        for name in ("out", "loose")
    )
    assert flicker(steady) < flicker(loose) / 2


def test_a_part_of_a_clip(make_clip: Make, tmp_path: Path) -> None:
    result = stylize_video(
        make_clip(), "waves", tmp_path / "out", start=0.08, duration=0.35, every=2, **FAST
    )
    assert result.frames == 2  # of 80, 200, 240, 400 ms
    with pytest.raises(InputError, match="no frames in this part"):
        stylize_video(make_clip(), "waves", tmp_path / "no", start=60.0, **FAST)


def test_one_frame(make_clip: Make, tmp_path: Path) -> None:
    result = stylize_video(make_clip(frames=1, size=(49, 65)), "waves", tmp_path / "o.webm", **FAST)
    assert result.frames == 1
    assert open_clip(result.path).size == (49, 65)


def test_a_run_that_stopped_goes_on_to_the_bit(frames: Path, tmp_path: Path) -> None:
    stylize_video(frames, "waves", tmp_path / "whole")
    run = VideoRun(frames, "waves", tmp_path / "out", *split_settings({"segment": 2}))
    for _ in run:
        if run.painted == 5:  # two segments are kept, and a frame is lost
            break
    result = stylize_video(frames, "waves", tmp_path / "out", resume=True)
    assert result.frames == 8
    assert pictures(tmp_path / "out") == pictures(tmp_path / "whole")


def test_another_clip_is_not_gone_on_with(frames: Path, tmp_path: Path) -> None:
    run = VideoRun(frames, "waves", tmp_path / "out", *split_settings({"segment": 1, **FAST}))
    next(iter(run))
    with pytest.raises(ConfigError, match="another settings"):
        stylize_video(frames, "waves", tmp_path / "out", resume=True, strength=0.5, **FAST)


def test_keys_are_carried(frames: Path, shot: Callable[..., Tensor], tmp_path: Path) -> None:
    key = save_image(tmp_path / "0001.png", shot(1).flip(1))
    stylize_video(frames, None, tmp_path / "out", keyframes=[key], **FAST)
    painted = [load_image(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    assert torch.equal(painted[0], load_image(key))
    error = (painted[-1] - shot(8).flip(1))[..., 6:-6, 16:-6]
    assert float(error.abs().mean()) < 0.05


def test_a_key_without_a_number_is_the_first_frames(
    make_clip: Make, shot: Callable[..., Tensor], tmp_path: Path
) -> None:
    """Of a run that goes on, too."""
    clip, key = make_clip(sound=False), save_image(tmp_path / "key.png", shot(0).flip(1))
    settings = {**FAST, "segment": 2}
    stylize_video(clip, "waves", tmp_path / "whole", keyframes=[key], **settings)
    run = VideoRun(clip, "waves", tmp_path / "out", *split_settings(settings), keyframes=[key])
    for _ in zip(range(3), run, strict=False):
        pass
    stylize_video(clip, "waves", tmp_path / "out", keyframes=[key], resume=True, **FAST)
    assert pictures(tmp_path / "out") == pictures(tmp_path / "whole")


def test_a_loop_meets_its_beginning(tmp_path: Path, shot: Callable[..., Tensor]) -> None:
    folder = tmp_path / "round"
    folder.mkdir()
    scene = [shot(0).roll(4 * number, 3) for number in range(16)]  # once round
    for number, frame in enumerate(scene):
        save_image(folder / f"{number:02}.png", frame)
    found = motion(scene[0], scene[-1])
    gaps = {}
    for loop in (False, True):
        out = tmp_path / f"out-{loop}"
        stylize_video(folder, "night", out, loop=loop, **FAST)
        first, last = load_image(out / "00.png"), load_image(out / "15.png")
        gaps[loop] = float(((first - warp(last, found.flow)).square() * found.trust).mean())
    assert gaps[True] < gaps[False] / 2


def test_settings_are_those_of_the_engine() -> None:
    video, own = split_settings({"engine": "optimised", "steps": 3, "every": 2})
    assert video.every == 2
    assert isinstance(own, impasto.StylizeConfig)
    assert own.steps == (3,)
    with pytest.raises(UnknownNameError, match="engine quick"):
        split_settings({"steps": 3})


def test_there_must_be_a_style(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no style"):
        stylize_video(frames, None, tmp_path / "out")
