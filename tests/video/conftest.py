"""Clips made in the tests: a square that moves over a landscape, with sound, turned, uneven."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

av = pytest.importorskip("av")
pytest.importorskip("cv2")

TIMES = (0, 40, 80, 200, 240, 400, 440, 480)  # milliseconds: a variable frame rate


def scene(number: int, height: int = 48, width: int = 64) -> Tensor:
    """Frame ``number`` of a shot ``(1, 3, H, W)``: texture that moves to the right by a pixel."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = (x - number).float()
    waves = [
        torch.sin(at / 3.1 + y / 5.0),
        torch.sin(at / 7.3 - y / 4.1),
        torch.cos(y / 6.0 + at / 4),
    ]
    return (0.5 + 0.4 * torch.stack(waves))[None]


def samples(image: Tensor) -> Any:
    return image[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()


@pytest.fixture
def shot() -> Callable[..., Tensor]:
    return scene


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a clip ``name`` of ``frames`` frames, with sound unless told otherwise."""

    def make(
        name: str = "clip.mp4",
        frames: int = 8,
        size: tuple[int, int] = (48, 64),
        *,
        sound: bool = True,
        codec: str = "aac",
        turned: bool = False,
        aspect: Fraction = Fraction(1),
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as file:
            file.metadata["title"] = "a test"
            stream = file.add_stream("libx264", 25, options={"crf": "10", "bf": "2"})
            stream.height, stream.width = size
            stream.pix_fmt = "yuv444p"  # which takes odd sizes
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            stream.codec_context.sample_aspect_ratio = aspect
            voice = file.add_stream(codec, 44100) if sound else None
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(samples(scene(number, *size)), format="rgb24")
                frame.time_base = Fraction(1, 1000)
                frame.pts = TIMES[number] if number < len(TIMES) else 480 + 40 * (number - 7)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
            if voice is not None:
                tone = np.sin(np.arange(22050) / 20).astype(np.float32)
                for start in range(0, len(tone), 1024):
                    block = tone[None, start : start + 1024]
                    kind = "fltp" if codec == "aac" else "s16"
                    if kind == "s16":
                        block = (block * 9000).astype(np.int16)
                    heard = av.AudioFrame.from_ndarray(block, format=kind, layout="mono")
                    heard.sample_rate, heard.pts = 44100, start
                    file.mux(voice.encode(heard))
                file.mux(voice.encode())
        if turned:
            turn(path)
        return path

    return make


def turn(path: Path) -> None:
    """Mark an MP4 as filmed with the camera turned: its pictures are to be shown turned clockwise
    (the matrix in its track header)."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") - 4
    one = 0x00010000
    matrix = [0, one, 0, -one & 0xFFFFFFFF, 0, 0, 0, 0, 0x40000000]
    place = header + 48  # of a header of version 0
    for index, value in enumerate(matrix):
        data[place + 4 * index : place + 4 * index + 4] = value.to_bytes(4, "big")
    path.write_bytes(bytes(data))
