"""CLIP -> FRAMES: videos, animations, folders of numbered pictures; upright, with their times.

Videos are read by PyAV, animated GIF, WebP and PNG by Pillow, pictures as everywhere.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.errors import InputError, InvalidImageError, MissingDependencyError
from impasto.image.files import quoted
from impasto.image.inputs import fill_under_alpha
from impasto.image.io import MAX_PIXELS, read_image
from impasto.image.samples import check_pixels

ANIMATIONS = (".gif", ".webp", ".png", ".apng")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
HASHED_AT_ONCE = 1 << 20  # bytes
USUAL_DURATION = 100  # milliseconds, of a frame of an animation that does not say


class Frame(NamedTuple):
    """One frame: its ``pixels`` ``(1, 3, H, W)`` in [0, 1], upright, when it is shown and for how
    long, in seconds, and the name of its file, where it has one of its own."""

    pixels: Tensor
    time: Fraction
    duration: Fraction
    name: str = ""


@dataclass
class Clip(ABC):
    """A clip to be read: its ``size`` (height, width) as shown upright, in its own pixels.

    ``count`` is the number of its frames, ``counted`` or estimated, and ``seconds`` how long it is,
    as far as that is known beforehand. ``sample_aspect`` is the width of a pixel over its height;
    ``full_range`` whether its file uses all codes of a byte; ``digest`` the SHA-256 of its content.
    ``notes`` say what could not be read.
    """

    path: Path
    size: tuple[int, int]
    count: int | None
    seconds: Fraction | None
    time_base: Fraction
    sample_aspect: Fraction = Fraction(1)
    full_range: bool = False
    sound: bool = False
    counted: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    notes: list[str] = field(default_factory=list)
    max_pixels: int = MAX_PIXELS

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """All frames in order; may be called again. What cannot be read ends it, with a note."""

    def note(self, text: str) -> None:
        """Remember what is to be said, once."""
        if text not in self.notes:
            self.notes.append(text)


def open_clip(path: str | Path, *, fps: float = 24.0, max_pixels: int = MAX_PIXELS) -> Clip:
    """The clip at ``path``: a video, an animation, or a folder of pictures in natural order, which
    are shown for ``1 / fps`` seconds each.

    Raises InputError where there is none, or no frame in it, MissingDependencyError for a video
    without PyAV.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return _Folder.open(place, fps, max_pixels)
    if not place.is_file():
        raise InputError(f"there is no clip {quoted(path)}", "check the path")
    if place.suffix.lower() in ANIMATIONS:
        return _Animation.open(place, max_pixels)
    return _Video.open(place, max_pixels)


def natural_key(name: str) -> list[Any]:
    """A key that sorts names as people do: frame 2 before frame 10.

    >>> sorted(["10.png", "9.png", "a2", "a10"], key=natural_key)
    ['9.png', '10.png', 'a2', 'a10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts]


def import_av() -> ModuleType:
    """PyAV. Raises MissingDependencyError."""
    try:
        import av
    except ImportError:
        raise MissingDependencyError("reading video", "video") from None
    return av


class _Video(Clip):
    """A file that FFmpeg reads."""

    @classmethod
    def open(cls, place: Path, max_pixels: int) -> Clip:
        av = import_av()
        try:
            with av.open(str(place)) as file:
                if not file.streams.video:
                    raise InputError(f"{quoted(place)} has no picture", "give a video")
                stream = file.streams.video[0]
                first = next(iter(file.decode(stream)), None)
                if first is None:
                    raise InputError(f"{quoted(place)} has no frames", "give a longer clip")
                height, width = first.height, first.width
                aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1) or Fraction(1)
                if _turns(first) % 2:
                    height, width, aspect = width, height, 1 / aspect
                check_pixels(height, width, max_pixels, quoted(place))
                rate = stream.average_rate or stream.guessed_rate
                count = stream.frames or None
                if count is None and file.duration and rate:
                    count = max(1, round(file.duration / av.time_base * rate))
                return cls(
                    path=place,
                    size=(height, width),
                    count=count,
                    seconds=Fraction(file.duration, av.time_base) if file.duration else None,
                    time_base=stream.time_base or Fraction(1, 1000),
                    sample_aspect=aspect,
                    full_range=int(first.color_range) == 2,
                    sound=bool(file.streams.audio),
                    counted=bool(stream.frames),
                    metadata={**file.metadata},
                    digest=_hash([place]),
                    max_pixels=max_pixels,
                )
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"{quoted(place)} cannot be read as a video: {_reason(error)}", "check the file"
            ) from None

    def frames(self) -> Iterator[Frame]:
        av = import_av()
        number = 0
        with av.open(str(self.path)) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            base = stream.time_base or self.time_base
            step = 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
            time = Fraction(0)
            try:
                for frame in file.decode(stream):
                    time = time if frame.pts is None else frame.pts * base
                    shown = frame.duration * base if frame.duration else step
                    yield Frame(_pixels(frame), time, Fraction(shown))
                    time, number = time + shown, number + 1
            except av.FFmpegError as error:
                self.note(f"{self.path.name} is damaged after {number} frames: {_reason(error)}")
        # What is estimated from the length of the file may be wrong by a few.
        least = 0 if self.count is None else self.count if self.counted else 0.95 * self.count - 1
        if number < least:
            self.note(f"{self.path.name} says that it has {self.count} frames; {number} were read")


class _Animation(Clip):
    """A GIF, WebP or PNG; of one frame, too."""

    @classmethod
    def open(cls, place: Path, max_pixels: int) -> Clip:
        try:
            with Image.open(place) as image:
                check_pixels(image.height, image.width, max_pixels, quoted(place))
                return cls(
                    path=place,
                    size=(image.height, image.width),
                    count=getattr(image, "n_frames", 1),
                    seconds=None,
                    time_base=Fraction(1, 1000),
                    digest=_hash([place]),
                    max_pixels=max_pixels,
                )
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(
                f"{quoted(place)} cannot be read as an animation: {error}", "check the file"
            ) from None

    def frames(self) -> Iterator[Frame]:
        time = Fraction(0)
        with Image.open(self.path) as image:
            for number in range(self.count or 1):
                try:
                    image.seek(number)
                    picture = fill_under_alpha(read_image(image.convert("RGBA")))
                except (OSError, ValueError, SyntaxError, EOFError, InvalidImageError) as error:
                    self.note(f"{self.path.name} is damaged after {number} frames: {error}")
                    return
                shown = Fraction(round(image.info.get("duration") or USUAL_DURATION), 1000)
                yield Frame(picture.pixels, time, shown)
                time += shown


class _Folder(Clip):
    """Numbered pictures, all of the first one's size."""

    rate = Fraction(24)

    @classmethod
    def open(cls, place: Path, fps: float, max_pixels: int) -> Clip:
        files = _pictures(place)
        if not files:
            raise InputError(
                f"{quoted(place)} has no frames", f"give it pictures: {', '.join(PICTURES)}"
            )
        rate = Fraction(fps).limit_denominator(1001)
        clip = cls(
            path=place,
            size=read_image(files[0], max_pixels=max_pixels).size,
            count=len(files),
            seconds=len(files) / rate,
            time_base=1 / rate,
            digest=_hash(files),
            max_pixels=max_pixels,
        )
        clip.rate = rate
        return clip

    def frames(self) -> Iterator[Frame]:
        for number, path in enumerate(_pictures(self.path)):
            picture = fill_under_alpha(read_image(path, max_pixels=self.max_pixels))
            if picture.size != self.size:
                raise InputError(
                    f"{quoted(path)} is {picture.size[0]}x{picture.size[1]}, the first frame "
                    f"{self.size[0]}x{self.size[1]}",
                    "give frames of one size",
                )
            yield Frame(picture.pixels, number / self.rate, 1 / self.rate, path.stem)


def _pictures(folder: Path) -> list[Path]:
    files = [x for x in folder.iterdir() if x.suffix.lower() in PICTURES and x.is_file()]
    return sorted((x for x in files if x.name[0] != "."), key=lambda x: natural_key(x.name))


def _pixels(frame: Any) -> Tensor:
    """A decoded frame, turned upright, as a tensor."""
    samples = np.rot90(frame.to_ndarray(format="rgb24"), _turns(frame))
    return torch.from_numpy(np.ascontiguousarray(samples)).permute(2, 0, 1)[None].float() / 255


def _turns(frame: Any) -> int:
    """By how many right angles, counterclockwise, a frame is to be turned."""
    return int(round(frame.rotation / 90) % 4)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while block := file.read(HASHED_AT_ONCE):
                digest.update(block)
    return digest.hexdigest()
