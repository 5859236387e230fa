"""A full disk ends a clip in one line; with room on it the run goes on, to the same frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.errors import ResourceError
from impasto.image.io import save_image
from impasto.video.read import open_clip
from impasto.video.stylize import VideoRun, split_settings, stylize_video
from impasto.video.write import Still, write_clip

MakeDisk = Callable[[int], Path]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Noise, so that files are large: 37 KB each."""
    folder = tmp_path / "frames"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(6):
        image = torch.rand(1, 3, 96, 128, generator=generator)
        save_image(folder / f"{number}.png", image)
    return folder


def test_a_segment_that_does_not_fit(frames: Path, tmp_path: Path, make_disk: MakeDisk) -> None:
    """The first segment has room, the second has none; room is made, and the rest is painted."""
    out = make_disk(500) / "out"
    settings: dict[str, Any] = {"segment": 2, "subject": "off"}
    with pytest.raises(ResourceError, match=r"state\.pt \(No space left on device\); .*--resume"):
        VideoRun(frames, "waves", out, *split_settings(settings)).finish()
    make_disk(8000)
    seen: list[float] = []
    result = stylize_video(
        frames,
        "waves",
        out,
        resume=True,
        on_event=lambda event: seen.append(getattr(event, "frame", 0)),
        **settings,
    )
    assert result.frames == 6
    assert seen == [3, 4, 5, 6, 0]
    stylize_video(frames, "waves", tmp_path / "whole", **settings)
    for number in range(6):
        name = f"{number}.png"
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".gif", ".webp", ".png", ""])
def test_a_clip_that_does_not_fit(suffix: str, frames: Path, make_disk: MakeDisk) -> None:
    clip = open_clip(frames)
    stills = [Still(frames / f"{x.name}.png", x.time, x.duration, x.name) for x in clip.frames()]
    output = make_disk(20) / f"out{suffix}"
    with pytest.raises(ResourceError, match="' cannot be written: No space left on device"):
        write_clip(output, stills, clip)
    assert not output.is_file()
    assert not list(output.parent.rglob(".impasto-*"))
