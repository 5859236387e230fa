"""``stylize_video``: a clip in, the clip painted out; and the run behind it, to iterate over."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.config.quick import LARGEST, QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.version import __version__
from impasto.config.video import VideoConfig, engine_config
from impasto.errors import ConfigError, InputError, ResourceError
from impasto.events import Event, Finished, FrameDone, pass_on
from impasto.image.files import check_apart
from impasto.image.inputs import Source, as_list, provenance_of, read_picture
from impasto.image.io import MAX_PIXELS, load_image, resize, size_to_fit
from impasto.machine.devices import peak_memory
from impasto.runs.checkpoint import checkpoint_path
from impasto.video.carry import ANCHOR_EVERY, Memory
from impasto.video.paint import MaskTracker, make_painter
from impasto.video.read import Clip, Frame, open_clip
from impasto.video.segments import Segments
from impasto.video.write import check_output, write_clip

WARM_UP = ANCHOR_EVERY
"""Frames of a clip's end from which the beginning of one that goes round is carried on."""


@dataclass(frozen=True)
class Plan:
    """What a run will take: ``frames`` (None: not known), their ``size`` (height, width), the
    ``seconds`` in all, ``memory`` and ``disk`` in bytes, estimated from the frames so far."""

    frames: int | None
    size: tuple[int, int]
    seconds: float | None
    memory: int
    disk: int | None


@dataclass(frozen=True)
class VideoResult:
    """A clip that was painted: its ``path``, how many ``frames``, ``notes`` on what could not be
    read or kept, ``metadata`` that tells how it was made, and ``timings``: seconds for decode,
    flow, paint, keep and encode."""

    path: Path
    frames: int
    size: tuple[int, int]
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def stylize_video(
    clip: str | Path,
    style: Source | Sequence[Source] | None,
    output: str | Path,
    config: VideoConfig | None = None,
    *,
    keyframes: Sequence[str | Path] = (),
    loop: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> VideoResult:
    """Paint the clip at ``clip`` in the style of ``style``, and write it to ``output``.

    Clips are videos, animated GIF, WebP and PNG, and folders of pictures, on both sides. Frames
    hold still: what the frames before show is carried along the optical flow (see
    :mod:`impasto.video.carry`). ``settings`` are fields of :class:`impasto.VideoConfig` and of the
    engine's configuration: :class:`impasto.QuickConfig`, or :class:`impasto.StylizeConfig` with
    ``engine="optimised"``. ``keyframes`` are pictures that were painted already, each named after
    the number of its frame (from 1) or its file: they are carried through the clip, and need no
    ``style``. ``loop``: the clip goes round, and its end is to meet its beginning. With ``resume``
    a run that was stopped or killed goes on from its last segment, and ends in the same frames.

    Raises ConfigError and UnknownNameError for bad settings, InputError for clips and pictures that
    cannot be read, OutputExistsError, MissingDependencyError without ``impasto[video]``,
    ResourceError when the disk is full.
    """
    run = VideoRun(
        clip,
        style,
        output,
        *split_settings(settings, config),
        keyframes=keyframes,
        loop=loop,
        resume=resume,
        overwrite=overwrite,
    )
    return run.finish(on_event)


def split_settings(
    settings: dict[str, Any], config: VideoConfig | None = None
) -> tuple[VideoConfig, QuickConfig | StylizeConfig]:
    """The settings of the clip, and those of its pictures, by the engine's kind.

    Raises UnknownNameError for a setting that the engine does not have.
    """
    own = {item.name for item in fields(VideoConfig)}
    video = (config or VideoConfig()).with_changes(
        **{name: value for name, value in settings.items() if name in own}
    )
    rest = {name: value for name, value in settings.items() if name not in own}
    return video, engine_config(video.engine, rest)().with_changes(**rest)


class VideoRun:
    """One run of :func:`stylize_video`: iterating yields FrameDone for each frame, then Finished.

    :meth:`save` keeps what is painted so far; call it between two events, before one stops.
    ``kept_in`` is the folder for that, unless it is the one that ``resume`` looks for.
    """

    def __init__(
        self,
        clip: str | Path,
        style: Source | Sequence[Source] | None,
        output: str | Path,
        config: VideoConfig,
        pictures: QuickConfig | StylizeConfig,
        *,
        keyframes: Sequence[str | Path] = (),
        loop: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        max_pixels: int | None = None,
        kept_in: Path | None = None,
    ) -> None:
        self.config, self.pictures, self.loop = config, pictures, loop
        self.output = Path(output).expanduser()
        folder = kept_in or checkpoint_path(self.output.resolve())
        check_output(self.output, overwrite=overwrite or (resume and folder.is_dir()))
        self.clip = open_clip(clip, fps=config.fps, max_pixels=max_pixels or MAX_PIXELS)
        files = [x for x in (*as_list(style), *keyframes) if isinstance(x, str | Path)]
        check_apart([self.output], [self.clip.path, *files])
        self.size = _painted_size(self.clip, pictures)
        self.keys = {_key_number(path): load_image(path, size=self.size) for path in keyframes}
        styles = as_list(style) or list(keyframes)
        if not styles:
            raise ConfigError("there is no style", "give at least one, or keyframes")
        told = [provenance_of(x, read_picture(x)) for x in styles]
        self.sources = {"style": told[0] if len(told) == 1 else told}
        self.painter = make_painter(styles, pictures, config)
        self.memory, self.masks = Memory(config.cuts), MaskTracker(pictures)
        self.timings = dict.fromkeys(("decode", "flow", "paint", "keep", "encode"), 0.0)
        self.notes: list[str] = []
        self.painted, self.bytes, self.seconds = 0, 0, 0.0
        self.segments = Segments(folder, self._fingerprint(), resume=resume)
        if self.segments.state is not None:
            self.memory.load_state_dict(self.segments.state["memory"])
            self.masks.load_state_dict(self.segments.state["masks"])

    # --- running ---------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        began, image = time.perf_counter(), torch.zeros(1, 3, 1, 1)
        for event in self.paint():
            image = event.image
            yield event
        if not self.segments.done:
            raise InputError(
                f"{self.clip.path.name} has no frames in this part", "choose another part"
            )
        with _Clock(self.timings, "encode"):
            self._write()
        self.segments.remove()
        self.seconds = time.perf_counter() - began
        yield Finished(self.seconds, self.segments.done, image)

    def paint(self, first: int = 0, end: int | None = None) -> Iterator[FrameDone]:
        """Paint the frames from the number ``first``, where a shot begins, to before ``end`` (None:
        all), without those that are on disk, and keep them there."""
        began = time.perf_counter()
        if self.loop and first == 0 and not self.segments.done:
            for _, frame in deque(self.selected(), maxlen=WARM_UP):
                self._paint(self._resized(frame), None)
        frames, done = self.count(), first + self.segments.done
        selected = self.selected()
        for number in itertools.count():
            with _Clock(self.timings, "decode"):
                found = next(selected, None)
            if found is None or number == end:
                break
            index, frame = found
            key = self._key(index, frame)
            if number < done:
                continue
            with _Clock(self.timings, "decode"):
                frame = self._resized(frame)
            image, cut = self._paint(frame, key)
            with _Clock(self.timings, "keep"):
                self.bytes += self.segments.add(image, frame)
                self.painted += 1
                if self.painted == 1:
                    self._check_disk(frames)
                if len(self.segments.pending) >= self.config.segment:
                    self.save()
            self.seconds = time.perf_counter() - began
            yield FrameDone(number + 1, frames, float(frame.time), cut, self.seconds, image)
        self.save()

    def finish(self, on_event: Callable[[Event], None] | None = None) -> VideoResult:
        """Run to the end, pass on each event, and return the result."""
        pass_on(self, on_event)
        return self.result()

    def save(self) -> None:
        """Keep on disk what is painted so far."""
        state = {"memory": self.memory.state_dict(), "masks": self.masks.state_dict()}
        self.segments.flush(state)

    def result(self) -> VideoResult:
        """What was made; call it after :class:`Finished`."""
        return VideoResult(
            path=self.output,
            frames=self.segments.done,
            size=self.size,
            notes=[*self.clip.notes, *self.notes],
            metadata=self.metadata(),
            timings={name: round(value, 3) for name, value in self.timings.items()},
        )

    def metadata(self) -> dict[str, Any]:
        """What made the clip."""
        return {
            "impasto": __version__,
            "command": "video",
            "config": {**self.pictures.to_dict(), **self.config.to_dict()},
            "content": {"name": self.clip.path.name, "sha256": self.clip.digest},
            **self.sources,
            "size": list(self.size),
        }

    # --- the plan --------------------------------------------------------------------------------

    def count(self) -> int | None:
        """How many frames will be painted, as far as the clip says."""
        total, config = self.clip.count, self.config
        if total is None:
            return None
        if self.clip.seconds and (config.start or config.duration):
            part = max(0.0, float(self.clip.seconds) - config.start)
            part = min(part, config.duration or part)
            total = max(1, min(total, round(total * part / float(self.clip.seconds))))
        return -(-total // config.every)

    def plan(self) -> Plan:
        """What the run will take, by the frames that it has painted."""
        frames = self.count()
        each = self.seconds / max(1, self.painted)
        return Plan(
            frames=frames,
            size=self.size,
            seconds=None if frames is None else each * frames,
            memory=peak_memory(),
            disk=None if frames is None else self.bytes // max(1, self.painted) * frames,
        )

    def _check_disk(self, frames: int | None) -> None:
        """ResourceError now where the disk will not hold the frames."""
        wanted = self.bytes * max(1, (frames or 1) - self.segments.done)
        free = shutil.disk_usage(self.output.resolve().parent).free
        if wanted > free:
            raise ResourceError(
                f"the frames will take {wanted / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free",
                "free some space, or paint a part: --duration, --every",
            )

    # --- steps -----------------------------------------------------------------------------------

    def selected(self) -> Iterator[tuple[int, Frame]]:
        """The frames to paint, with their number in the clip."""
        config = self.config
        end = None if config.duration is None else config.start + config.duration
        inside = 0
        for index, frame in enumerate(self.clip.frames()):
            if frame.time < config.start:
                continue
            if end is not None and frame.time >= end:
                break
            inside += 1
            if (inside - 1) % config.every == 0:
                yield index, frame

    def _resized(self, frame: Frame) -> Frame:
        """At the size in which it is painted."""
        return frame._replace(pixels=resize(frame.pixels, self.size))

    def _key(self, index: int, frame: Frame) -> Tensor | None:
        """The key that belongs to a frame: by the name of its file, else by its number."""
        for name in list(self.keys):
            if name == frame.name or (not frame.name and _number(name) in (None, index + 1)):
                return self.keys.pop(name)
        return None

    def _paint(self, frame: Frame, key: Tensor | None) -> tuple[Tensor, bool]:
        """The painting of a frame, and whether a shot begins with it."""
        photo = frame.pixels
        with _Clock(self.timings, "flow"):
            carried = self.memory.carry(photo)
        with _Clock(self.timings, "paint"):
            masks = self.masks.at(photo, carried)  # at a key, too: the next ones go on from there
            if key is not None:
                self.memory.add_key(photo, key)
                return key, carried is None
            painting = self.painter.paint(photo, carried, masks).clamp(0, 1)
        self.memory.remember(photo, painting)
        return painting, carried is None

    def _write(self) -> None:
        config = self.config
        partly = config.start > 0 or config.duration is not None
        until = None if config.duration is None else config.start + config.duration
        self.notes += write_clip(
            self.output,
            self.segments.stills,
            self.clip,
            offset=Fraction(self.segments.stills[0].time) if partly else Fraction(0),
            until=None if until is None else Fraction(until),
            loop=self.loop,
            told=self.metadata(),
        )

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a resumed run to end in the same frames."""
        keys = {
            name: hashlib.sha256(key.numpy().tobytes()).hexdigest()
            for name, key in self.keys.items()
        }
        settings = {**self.pictures.to_dict(), **self.config.to_dict()}
        settings.pop("segment")
        return {
            "settings": settings,
            "clip": self.clip.digest,
            "style": self.sources,
            "keyframes": keys,
            "loop": self.loop,
            "size": list(self.size),
            "number of threads": torch.get_num_threads(),
            "version": __version__,
        }


class _Clock:
    """Adds up the seconds of a stage."""

    def __init__(self, timings: dict[str, float], name: str) -> None:
        self.timings, self.name = timings, name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.timings[self.name] += time.perf_counter() - self.began


def _painted_size(clip: Clip, pictures: QuickConfig | StylizeConfig) -> tuple[int, int]:
    size = pictures.size
    if size is None or (size == "auto" and max(clip.size) <= LARGEST):
        return clip.size
    return size_to_fit(*clip.size, LARGEST if size == "auto" else size)


def _key_number(path: str | Path) -> str:
    return Path(path).stem


def _number(name: str) -> int | None:
    """The last number in a name.

    >>> _number("key-0012")
    12
    """
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None
