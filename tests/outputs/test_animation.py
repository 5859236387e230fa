from __future__ import annotations

import itertools
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from torch import Tensor

from impasto.errors import (
    ConfigError,
    MissingDependencyError,
    OutputExistsError,
    ResourceError,
    UsageError,
)
from impasto.outputs import animation as module
from impasto.outputs.animation import FORMATS, check_animation_path, write_animation

Pixels = NDArray[np.uint8]
av = pytest.importorskip("av")


@pytest.fixture
def frames(photo: Tensor) -> list[Tensor]:
    """Seven steps from the photo to its mirror image in other colours."""
    return [torch.lerp(photo, photo.flip(1, 3), step / 6) for step in range(7)]


def decode(path: Path) -> tuple[list[Pixels], list[float]]:
    """Frames and their durations in seconds, as a player sees them."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            found = [(f.to_ndarray(format="rgb24"), f.time) for f in container.decode(video=0)]
            end = float(container.duration) / 1e6
        times = [time for _, time in found] + [end]
        return [pixels for pixels, _ in found], [b - a for a, b in itertools.pairwise(times)]
    pictures, seconds = [], []
    with Image.open(path) as image:
        for picture in ImageSequence.Iterator(image):
            pictures.append(np.asarray(picture.convert("RGB")))
            seconds.append(picture.info["duration"] / 1000)
    return pictures, seconds


def distance(pixels: Pixels, frame: Tensor) -> float:
    """Mean absolute difference, in levels of 255."""
    wanted = frame[0].permute(1, 2, 0).numpy() * 255
    return float(np.abs(pixels[: wanted.shape[0], : wanted.shape[1]] - wanted).mean())


@pytest.mark.parametrize("extension", FORMATS)
def test_what_is_written_can_be_seen(tmp_path: Path, frames: list[Tensor], extension: str) -> None:
    path = tmp_path / f"waves{extension}"
    assert write_animation(path, iter(frames), fps=10, hold_last=1.5) == path
    pictures, seconds = decode(path)
    held = 14 if extension == ".mp4" else 0  # there the last frame is repeated
    assert len(pictures) == len(frames) + held
    assert sum(seconds[:6]) == pytest.approx(0.6, abs=0.011)
    assert sum(seconds[6:]) == pytest.approx(1.5, abs=0.011)
    assert {picture.shape for picture in pictures} == {(96, 128, 3)}
    allowed = {".png": 0.26, ".webp": 2, ".gif": 4, ".mp4": 2}[extension]
    for picture, frame in zip(pictures, frames, strict=False):
        assert distance(picture, frame) < allowed
    assert distance(pictures[-1], frames[-1]) < allowed
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("extension", FORMATS)
def test_flat_colours_keep_their_value(tmp_path: Path, extension: str) -> None:
    colors = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.2, 0.9], [0.5, 0.5, 0.5]])
    flat = [color.view(1, 3, 1, 1).expand(1, 3, 64, 64) for color in colors]
    pictures, _ = decode(write_animation(tmp_path / f"a{extension}", flat, hold_last=0))
    for picture, frame in zip(pictures, flat, strict=True):
        assert distance(picture, frame) < 2


def test_mp4_says_what_its_colours_are(tmp_path: Path, photo: Tensor) -> None:
    with av.open(str(write_animation(tmp_path / "a.mp4", [photo]))) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.colorspace, context.color_range) == ("yuv420p", 1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 13)


def test_mp4_pads_odd_sizes_and_puts_the_index_first(tmp_path: Path) -> None:
    frame = torch.rand(1, 3, 1, 35).expand(1, 3, 33, 35)
    path = write_animation(tmp_path / "odd.mp4", [frame] * 3, fps=23.976)
    pictures, _ = decode(path)
    assert pictures[0].shape == (34, 36, 3)
    assert np.abs(pictures[0][33].astype(int) - pictures[0][32]).mean() < 3
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_mp4_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    convert = module.to_yuv
    made = 0

    def source() -> Iterator[Tensor]:
        nonlocal made
        for made in range(1, 31):
            yield torch.full((1, 3, 32, 32), made / 30)

    def spy(pixels: Pixels, height: int, width: int) -> object:
        alive.append(made)
        return convert(pixels, height, width)

    monkeypatch.setattr(module, "to_yuv", spy)
    write_animation(tmp_path / "long.mp4", source(), hold_last=0)
    assert alive == list(range(1, 31))


def test_gif_has_one_palette_and_still_parts_stay_still(tmp_path: Path, photo: Tensor) -> None:
    moving = [photo.clone() for _ in range(5)]
    for index, frame in enumerate(moving):
        frame[:, :, 80:, 20 * index : 20 * index + 20] = 1
    path = write_animation(tmp_path / "a.gif", moving)
    pictures, _ = decode(path)
    assert len(pictures) == 5
    for picture in pictures:
        assert np.array_equal(picture[:79], pictures[0][:79])
    # Image descriptors that follow a graphic control block: no local colour table (top bit).
    data = path.read_bytes()
    blocks = data.split(b"\x21\xf9\x04")[1:]
    flags = [block[5 + 1 + 8] for block in blocks if block[5] == 0x2C]
    assert len(flags) == 5
    assert not any(flag & 0x80 for flag in flags)


def loops(path: Path) -> int | None:
    with Image.open(path) as image:
        repeats: int | None = image.info.get("loop")
        return repeats


@pytest.mark.parametrize(("extension", "once"), [(".gif", None), (".webp", 1), (".png", 1)])
def test_loop(tmp_path: Path, frames: list[Tensor], extension: str, once: int | None) -> None:
    path = tmp_path / f"a{extension}"
    assert loops(write_animation(path, frames)) == 0
    assert loops(write_animation(path, frames, loop=False)) == once


@pytest.mark.parametrize("extension", FORMATS)
def test_one_frame_is_enough(tmp_path: Path, photo: Tensor, extension: str) -> None:
    pictures = decode_any(write_animation(tmp_path / f"a{extension}", [photo], hold_last=0))
    assert len(pictures) == 1
    assert distance(pictures[0], photo) < 6


def decode_any(path: Path) -> list[Pixels]:
    if path.suffix == ".mp4":
        return decode(path)[0]
    with Image.open(path) as image:
        return [np.asarray(image.convert("RGB"))]


@given(count=st.integers(1, 60), limit=st.integers(3, 20))
def test_thinning_keeps_first_and_last(count: int, limit: int) -> None:
    source = [np.full((4, 5, 3), index, np.uint8) for index in range(count)]
    images, stride = module._collect(source, limit * 4 * 5 * 4)
    kept = [int(np.asarray(image)[0, 0, 0]) for image in images]
    assert kept == sorted({*range(0, count, stride), count - 1})
    assert len(kept) <= limit + 1
    assert stride == 1 or count > limit


def test_thinned_frames_stay_longer(
    tmp_path: Path, frames: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 4 * 96 * 128 * 4)
    pictures, seconds = decode(write_animation(tmp_path / "a.png", frames, fps=10, hold_last=1))
    assert len(pictures) == 4
    assert seconds == pytest.approx([0.2, 0.2, 0.2, 1.0])
    assert distance(pictures[-1], frames[-1]) < 0.26


@given(
    count=st.integers(1, 300),
    fps=st.floats(0.1, 50),
    hold=st.floats(0, 60),
    tick=st.sampled_from([1, 10]),
)
def test_durations_keep_pace(count: int, fps: float, hold: float, tick: int) -> None:
    durations = module._durations(count, fps, hold, tick)
    assert len(durations) == count
    assert all(duration > 0 and duration % tick == 0 for duration in durations)
    assert sum(durations[:-1]) == pytest.approx((count - 1) * 1000 / fps, abs=tick)
    assert durations[-1] >= hold * 1000 - tick


def test_values_outside_are_clamped_and_halves_are_read(tmp_path: Path) -> None:
    frame = torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    path = write_animation(tmp_path / "a.png", [frame.bfloat16().requires_grad_()])
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (0, 128, 255)


def test_a_failing_source_leaves_the_old_file(tmp_path: Path, photo: Tensor) -> None:
    def source() -> Iterator[Tensor]:
        yield photo
        raise RuntimeError("stopped")

    for extension in FORMATS:
        path = tmp_path / f"a{extension}"
        path.write_bytes(b"old")
        with pytest.raises(RuntimeError, match="stopped"):
            write_animation(path, source())
        assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == len(FORMATS)


def test_a_failing_encoder_is_a_resource_error(
    tmp_path: Path, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise av.FFmpegError(28, "No space left on device")

    monkeypatch.setattr(module, "to_yuv", fail)
    with pytest.raises(ResourceError, match="No space left"):
        write_animation(tmp_path / "a.mp4", [photo])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path: Path, photo: Tensor) -> None:
    gif = tmp_path / "a.gif"
    with pytest.raises(UsageError, match=r"\.gif, \.webp, \.png, \.mp4"):
        write_animation(tmp_path / "a.avi", [photo])
    with pytest.raises(UsageError, match="no folder"):
        write_animation(tmp_path / "missing" / "a.gif", [photo])
    for path in (gif, tmp_path / "a.mp4"):
        with pytest.raises(UsageError, match="no frames"):
            write_animation(path, [])
        with pytest.raises(UsageError, match="frame 1 is 95x128, the first was 96x128"):
            write_animation(path, [photo, photo[:, :, 1:]])
    with pytest.raises(UsageError, match="shape"):
        write_animation(gif, [photo[0]])
    with pytest.raises(ConfigError, match=r"0\.1 to 50"):
        write_animation(gif, [photo], fps=60)
    with pytest.raises(ConfigError, match="0 to 60 seconds"):
        write_animation(gif, [photo], hold_last=-1)
    with pytest.raises(ConfigError, match="16383 per side"):
        write_animation(tmp_path / "a.webp", [torch.zeros(1, 3, 1, 16_384)])
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_when_asked(tmp_path: Path, photo: Tensor) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        check_animation_path(path, overwrite=False)
    with pytest.raises(OutputExistsError):
        write_animation(path, [photo], overwrite=False)
    check_animation_path(path)
    assert path.read_bytes() == b"old"


def test_without_av_the_others_still_work(
    tmp_path: Path, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"writing MP4 .*impasto\[video\]"):
        check_animation_path(tmp_path / "a.mp4")
    write_animation(tmp_path / "a.webp", [photo, 1 - photo])


def test_av_is_imported_late() -> None:
    code = "import sys, impasto.outputs.animation; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_picture_viewer_that_knows_no_apng_sees_the_first_frame(
    tmp_path: Path, frames: list[Tensor]
) -> None:
    data = write_animation(tmp_path / "a.png", frames).read_bytes()
    at = data.index(b"acTL")
    assert struct.unpack(">I", data[at + 4 : at + 8]) == (7,)
    assert data.index(b"acTL") < data.index(b"IDAT") < data.index(b"fdAT")
