"""FRAMES -> FILE: write an animation as GIF, animated WebP or PNG, or MP4.

The only importer of PyAV, and only for an MP4. An MP4 is streamed frame by frame; the other formats
need all frames before the first byte (one palette for a GIF, the number of frames for a PNG), so
the memory for them is bounded: past that bound every other frame is dropped and the rest are shown
twice as long.
"""

from __future__ import annotations

import io
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from impasto.errors import ConfigError, MissingDependencyError, ResourceError, UsageError
from impasto.image.files import check_folder, quoted, write_bytes

__all__ = ["check_animation_path", "check_rate", "encode_animation", "write_animation"]

Pixels = NDArray[np.uint8]
"""One frame ``(H, W, 3)``, sRGB, 0 to 255."""

MAX_HELD_BYTES = 512 * 1024**2
"""Upper bound of the memory for the frames of a GIF, WebP or PNG."""

_PALETTE_PIXELS = 2**18  # sampled to choose the colours of a GIF
_PALETTE_FRAMES = 16


@dataclass(frozen=True)
class _Format:
    """Limits of a file format: frames per second, pixels per side, the unit of a duration."""

    max_fps: float
    max_side: int
    tick: int = 1  # milliseconds


FORMATS = {
    ".gif": _Format(max_fps=50, max_side=65_535, tick=10),  # browsers slow down faster ones
    ".webp": _Format(max_fps=120, max_side=16_383),
    ".png": _Format(max_fps=120, max_side=65_535),
    ".mp4": _Format(max_fps=120, max_side=16_384),
}


def check_animation_path(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise now what ``write_animation`` would raise for this path after a long run.

    ``UsageError`` for an extension that is not known or a folder that is not there,
    ``OutputExistsError`` for a file that may not be replaced, ``MissingDependencyError`` for an
    MP4 without PyAV.

    >>> check_animation_path("waves.avi")
    Traceback (most recent call last):
        ...
    impasto.errors.UsageError: 'waves.avi' is no animation that impasto writes; \
end it in .gif, .webp, .png, .mp4
    """
    if _extension(path) == ".mp4":
        _import_av()
    check_folder(path, overwrite=overwrite)


def check_rate(path: str | os.PathLike[str], fps: float) -> None:
    """Raise ``ConfigError`` for a frame rate that the format does not allow."""
    extension = _extension(path)
    if not 0.1 <= fps <= FORMATS[extension].max_fps:
        raise ConfigError(
            f"fps is {fps}; {extension} allows 0.1 to {FORMATS[extension].max_fps:g}",
            "choose a rate in between",
        )


def write_animation(
    path: str | os.PathLike[str],
    frames: Iterable[Tensor],
    *,
    fps: float = 12,
    hold_last: float = 2.0,
    loop: bool = True,
    overwrite: bool = True,
) -> Path:
    """Write an animation in the format that the extension names; return the path.

    ``frames`` are ``(1, 3, H, W)`` sRGB in [0, 1], all of one size, and may be a generator.
    The last frame is held for ``hold_last`` seconds. ``loop`` repeats the animation for ever (of
    an MP4 the player decides). An MP4 of an odd size repeats its last row or column, since H.264
    halves the colour planes. Equal successive frames may be stored as one.

    The file appears whole or not at all. Raises what ``check_animation_path`` raises,
    ``UsageError`` for no frames or frames of different sizes, ``ConfigError`` for a rate or a
    size that the format does not allow, ``ResourceError`` when the disk is full.
    """
    check_animation_path(path, overwrite=overwrite)
    check_rate(path, fps)
    extension = _extension(path)
    limits = FORMATS[extension]
    if not 0 <= hold_last <= 60:
        raise ConfigError(f"hold_last is {hold_last}; 0 to 60 seconds are allowed", "change it")
    pixels = _to_pixels(frames, extension)
    if extension == ".mp4":
        data = _encode_mp4(pixels, fps, hold_last)
    else:
        images, stride = _collect(pixels, MAX_HELD_BYTES)
        durations = _durations(len(images), fps / stride, hold_last, limits.tick)
        data = encode_animation(images, durations, extension, loop=loop)
    return write_bytes(path, data, overwrite=overwrite)


def encode_animation(
    images: list[Image.Image], durations: list[int], extension: str, *, loop: bool = True
) -> bytes:
    """The bytes of a ``.gif``, ``.webp`` or ``.png``: RGB images of one size, each shown for so
    many milliseconds."""
    encode = _encode_gif if extension == ".gif" else partial(_save_all, codec=extension[1:])
    return encode(images, durations, loop=loop)


def _extension(path: str | os.PathLike[str]) -> str:
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise UsageError(
            f"{quoted(path)} is no animation that impasto writes", f"end it in {', '.join(FORMATS)}"
        )
    return extension


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise MissingDependencyError("writing MP4", "video") from None
    return av


def _to_pixels(frames: Iterable[Tensor], extension: str) -> Iterator[Pixels]:
    """The frames as bytes, each checked against the first; raises for none at all."""
    max_side = FORMATS[extension].max_side
    first: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        shape = tuple(frame.shape)
        if len(shape) != 4 or shape[:2] != (1, 3):
            raise UsageError(f"frame {index} has the shape {shape}", "frames are (1, 3, H, W)")
        first = first or shape
        if shape != first:
            raise UsageError(
                f"frame {index} is {shape[2]}x{shape[3]}, the first was {first[2]}x{first[3]}",
                "resize all frames to one size",
            )
        if max(shape) > max_side:
            raise ConfigError(
                f"frames are {shape[2]}x{shape[3]}; {extension} allows {max_side} per side",
                "make them smaller",
            )
        levels = frame.detach()[0].float().clamp(0, 1).mul(255).round().byte()
        yield levels.permute(1, 2, 0).contiguous().cpu().numpy()  # (H, W, 3)
    if first is None:
        raise UsageError("there are no frames to write", "give at least one")


def _collect(pixels: Iterable[Pixels], max_bytes: int) -> tuple[list[Image.Image], int]:
    """The frames and their stride: every ``stride``-th where all would take too much memory, and
    always the last one."""
    held: list[Image.Image] = []
    stride, index = 1, 0
    for index, frame in enumerate(pixels):
        image = Image.fromarray(frame)
        if index % stride == 0:
            held.append(image)
        if len(held) > 2 and len(held) * image.width * image.height * 4 > max_bytes:
            held, stride = held[::2], 2 * stride  # what is left are the multiples of the new stride
    if index % stride:
        held.append(image)
    return held, stride


def _durations(count: int, fps: float, hold_last: float, tick: int) -> list[int]:
    """Milliseconds per frame, in whole ticks that do not drift away from ``fps``.

    >>> _durations(4, 12, 2.0, 10)
    [80, 90, 80, 2000]
    """
    edges = [round(index * 1000 / fps / tick) for index in range(count + 1)]
    each = [tick * (end - start) for start, end in itertools.pairwise(edges)]
    return [*each[:-1], max(each[-1], tick * round(hold_last * 1000 / tick))]


def _encode_gif(images: list[Image.Image], durations: list[int], *, loop: bool) -> bytes:
    """A GIF with one palette for all frames, so that still parts do not flicker."""
    palette = _palette(images)
    images = [
        image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in images
    ]
    colors = bytes(palette.getpalette() or ())
    return _save_all(images, durations, codec="gif", loop=loop, palette=colors, optimize=False)


def _palette(images: list[Image.Image]) -> Image.Image:
    """An image with the 256 colours that suit the frames, half of them those of the last one."""
    # Evenly spread from the last frame backwards: it is seen longest.
    chosen = images[:: -max(1, len(images) // _PALETTE_FRAMES)]
    weights = [len(chosen), *[1] * (len(chosen) - 1)]
    samples = []
    for image, weight in zip(chosen, weights, strict=True):
        pixels = np.asarray(image).reshape(-1, 3)
        wanted = _PALETTE_PIXELS * weight // sum(weights)
        samples.append(pixels[:: len(pixels) // wanted | 1])  # odd: not the same columns each row
    strip = Image.fromarray(np.concatenate(samples)[None])
    return strip.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _save_all(
    images: list[Image.Image], durations: list[int], *, codec: str, loop: bool, **options: Any
) -> bytes:
    if codec == "webp":
        options |= {"quality": 90, "method": 4}
    if loop or codec != "gif":  # a GIF without a number of loops is shown once
        options["loop"] = 0 if loop else 1
    buffer = io.BytesIO()
    first, *rest = images
    first.save(buffer, codec, save_all=True, append_images=rest, duration=durations, **options)
    return buffer.getvalue()


def _encode_mp4(frames: Iterator[Pixels], fps: float, hold_last: float) -> bytes:
    """H.264, streamed to a temporary file: moving the index to the front needs a file."""
    av = _import_av()
    first = next(frames)
    height, width = (side + side % 2 for side in first.shape[:2])
    try:
        with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
            path = Path(folder) / "frames.mp4"
            with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as file:
                stream = file.add_stream(
                    "libx264", Fraction(fps).limit_denominator(1001), options={"crf": "16"}
                )
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                tag_colors(stream.codec_context)
                pixels = first
                for pixels in itertools.chain([first], frames):
                    file.mux(stream.encode(to_yuv(pixels, height, width)))
                for _ in range(round(hold_last * fps) - 1):
                    file.mux(stream.encode(to_yuv(pixels, height, width)))
                file.mux(stream.encode())
            return path.read_bytes()
    except av.FFmpegError as error:
        raise ResourceError(f"the MP4 cannot be written: {error}", "free some space") from None


def tag_colors(context: Any, *, full_range: bool = False) -> None:
    """Name the colour space of an encoder's stream: without it, players guess from the size."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709  # sRGB has the same
    context.color_trc = ColorTrc.IEC61966_2_1
    context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG


def to_yuv(pixels: Pixels, height: int, width: int, *, full_range: bool = False) -> Any:
    """A frame ``(h, w, 3)`` as ``tag_colors`` names it; its last row and column go on to the
    ``height`` and ``width`` of the stream, which are even."""
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    margins = [(0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)]
    frame = VideoFrame.from_ndarray(np.pad(pixels, margins, mode="edge"), format="rgb24")
    wanted = ColorRange.JPEG if full_range else ColorRange.MPEG
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=wanted
    )
