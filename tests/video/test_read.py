"""Clips are read as they are shown: upright, with their times; what is broken is said."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.image.io import save_image
from impasto.outputs.animation import write_animation
from impasto.video.read import natural_key, open_clip

Make = Callable[..., Path]


def test_a_video_has_its_frames_and_times(make_clip: Make, shot: Callable[..., Tensor]) -> None:
    clip = open_clip(make_clip())
    frames = list(clip.frames())
    assert clip.size == (48, 64)
    assert clip.count == 8
    assert [round(1000 * frame.time) for frame in frames] == [0, 40, 80, 200, 240, 400, 440, 480]
    assert float((frames[3].pixels - shot(3)).abs().mean()) < 0.02
    assert clip.sound
    assert clip.notes == []


def test_a_turned_clip_is_upright(make_clip: Make, shot: Callable[..., Tensor]) -> None:
    clip = open_clip(make_clip(turned=True, aspect=Fraction(4, 3)))
    assert clip.size == (64, 48)
    assert clip.sample_aspect == Fraction(3, 4)
    found = next(iter(clip.frames())).pixels
    clockwise = shot(0).rot90(-1, (2, 3))
    assert float((found - clockwise).abs().mean()) < 0.02


def test_a_truncated_clip_gives_what_can_be_read(make_clip: Make, tmp_path: Path) -> None:
    whole = make_clip("whole.mkv", 30, sound=False).read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole[: len(whole) * 4 // 5])
    clip = open_clip(broken)
    count = len(list(clip.frames()))
    assert 3 < count < 30
    assert "broken.mkv" in clip.notes[0]


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mp4"):
        open_clip(path)


def test_a_clip_that_is_not_there() -> None:
    with pytest.raises(InputError, match="there is no clip"):
        open_clip("nowhere.mp4")


def test_an_empty_folder_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        open_clip(tmp_path)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations(suffix: str, tmp_path: Path, shot: Callable[..., Tensor]) -> None:
    path = write_animation(tmp_path / f"a{suffix}", [shot(k) for k in range(4)], fps=10)
    frames = list(open_clip(path).frames())
    assert len(frames) == 4
    assert [frame.time for frame in frames] == [Fraction(k, 10) for k in range(4)]
    assert frames[-1].duration == 2
    assert float((frames[2].pixels - shot(2)).abs().mean()) < 0.06


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for number in (9, 10, 2):
        save_image(tmp_path / f"f{number}.png", torch.full((1, 3, 8, 8), number / 10))
    clip = open_clip(tmp_path, fps=10)
    frames = list(clip.frames())
    assert [frame.name for frame in frames] == ["f2", "f9", "f10"]
    assert frames[2].time == Fraction(2, 10)
    save_image(tmp_path / "g1.png", torch.zeros(1, 3, 9, 8))
    with pytest.raises(InputError, match="9x8"):
        list(clip.frames())


def test_natural_key_of_mixed_names() -> None:
    assert sorted(["b", "1", "a1", "a"], key=natural_key) == ["1", "a", "a1", "b"]
