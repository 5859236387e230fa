"""Clips are written as they were: sound to the bit, times, shape; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from impasto.errors import OutputExistsError, ResourceError, UsageError
from impasto.image.io import save_image
from impasto.video.read import open_clip
from impasto.video.write import Still, check_output, write_clip

av = pytest.importorskip("av")

Make = Callable[..., Path]


def stills_of(clip: Any, folder: Path) -> list[Still]:
    found = []
    for number, frame in enumerate(clip.frames()):
        path = save_image(folder / f"still-{number}.png", frame.pixels)
        found.append(Still(path, frame.time, frame.duration, frame.name))
    return found


def sound_of(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as file:
        packets = file.demux(file.streams.audio[0])
        return [(packet.pts, bytes(packet)) for packet in packets if packet.size]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_times_and_title_stay(suffix: str, make_clip: Make, tmp_path: Path) -> None:
    source = make_clip(turned=True, aspect=Fraction(4, 3))
    clip = open_clip(source)
    output = tmp_path / f"out{suffix}"
    notes = write_clip(output, stills_of(clip, tmp_path), clip, told={"command": "video"})
    assert notes == []
    written = open_clip(output)
    assert [x for _, x in sound_of(output)] == [x for _, x in sound_of(source)]
    times = [round(1000 * frame.time) for frame in written.frames()]
    times = [time - times[0] for time in times]  # Matroska begins with the sound, 23 ms before
    assert times == [0, 40, 80, 200, 240, 400, 440, 480]
    assert written.size == clip.size == (64, 48)
    assert written.sample_aspect == Fraction(3, 4)
    assert {k.lower(): v for k, v in written.metadata.items()}["title"] == "a test"
    assert "impasto" in {key.lower() for key in written.metadata}


def test_any_size_in_webm_and_its_sound_is_told_of(make_clip: Make, tmp_path: Path) -> None:
    clip = open_clip(make_clip(size=(49, 65)))
    notes = write_clip(tmp_path / "out.webm", stills_of(clip, tmp_path), clip)
    assert notes == ["sound in aac cannot be copied to webm"]
    assert open_clip(tmp_path / "out.webm").size == (49, 65)


def test_sound_that_a_container_refuses_is_left_out(make_clip: Make, tmp_path: Path) -> None:
    clip = open_clip(make_clip("clip.mkv", codec="pcm_s16le"))
    notes = write_clip(tmp_path / "out.mp4", stills_of(clip, tmp_path), clip)
    assert notes == ["sound in pcm_s16le cannot be copied to mp4"]
    written = open_clip(tmp_path / "out.mp4")
    assert len(list(written.frames())) == 8
    assert not written.sound


def test_an_odd_mp4_has_its_border_repeated(make_clip: Make, tmp_path: Path) -> None:
    clip = open_clip(make_clip(size=(49, 65), sound=False))
    write_clip(tmp_path / "out.mp4", stills_of(clip, tmp_path), clip)
    assert open_clip(tmp_path / "out.mp4").size == (50, 66)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_keep_their_times(suffix: str, make_clip: Make, tmp_path: Path) -> None:
    clip = open_clip(make_clip(sound=False))
    write_clip(tmp_path / f"out{suffix}", stills_of(clip, tmp_path), clip, loop=True)
    times = [round(1000 * x.time) for x in open_clip(tmp_path / f"out{suffix}").frames()]
    assert times == [0, 40, 80, 200, 240, 400, 440, 480]


def test_a_folder_has_the_names_of_its_frames(tmp_path: Path, shot: Callable[..., Tensor]) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in (1, 2):
        save_image(frames / f"{number:04}.png", shot(number))
    clip = open_clip(frames)
    write_clip(tmp_path / "out", stills_of(clip, tmp_path), clip)
    assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["0001.png", "0002.png"]


def test_outputs_are_checked_before(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mp4"):
        check_output(tmp_path / "out.avi", overwrite=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(OutputExistsError):
        check_output(tmp_path / "full", overwrite=False)
    check_output(tmp_path / "new", overwrite=False)


def test_a_full_disk_leaves_nothing(
    make_clip: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = open_clip(make_clip(sound=False))
    stills = stills_of(clip, tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        write_clip(tmp_path / "out.mp4", stills, clip)
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".impasto-*"))
