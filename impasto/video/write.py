"""FRAMES -> CLIP: the painted frames as a video with the sound of the clip, an animation, a folder.

Sound is copied packet by packet, not decoded. Frames keep their times, so a variable frame rate
stays one. They are upright; the mark that a clip was filmed with the camera turned is not needed
any more, and not written.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from impasto.errors import InputError, OutputExistsError, ResourceError, UsageError
from impasto.image.files import check_folder, quoted, write_bytes
from impasto.outputs.animation import FORMATS, encode_animation, tag_colors, to_yuv
from impasto.video.read import Clip, import_av

CODECS = {
    ".mp4": ("libx264", {"crf": "16", "preset": "medium"}),
    ".mov": ("libx264", {"crf": "16", "preset": "medium"}),
    ".mkv": ("libx264", {"crf": "16", "preset": "medium"}),
    ".webm": ("libvpx-vp9", {"crf": "24", "b:v": "0", "row-mt": "1", "deadline": "good"}),
}
"""Extension -> how its frames are encoded."""
ANIMATIONS = (".gif", ".webp", ".png")
FINEST = Fraction(1, 90_000)
"""The unit of time of a video, unless the clip's own is one that containers take."""

# Written anew by whatever writes the file; and where something was filmed is nobody's business.
NOT_COPIED = ("encoder", "major_brand", "minor_version", "compatible_brands", "location", "gps")


class Still(NamedTuple):
    """A painted frame on disk, and when it is shown."""

    path: Path
    time: Fraction
    duration: Fraction
    name: str


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise now what :func:`write_clip` would raise after a long run: UsageError for an extension
    that is not written, OutputExistsError, ResourceError for a folder that cannot be written to."""
    suffix = output.suffix.lower()
    if suffix in CODECS or suffix in ANIMATIONS:
        if suffix in CODECS:
            import_av()
        check_folder(output, overwrite=overwrite)
        return
    if suffix and not output.is_dir():
        known = ", ".join([*CODECS, *ANIMATIONS])
        raise UsageError(
            f"{quoted(output)} is no clip that impasto writes",
            f"end it in {known}, or in nothing for a folder of pictures",
        )
    if output.exists() and not output.is_dir():
        raise UsageError(f"{quoted(output)} is a file", "give the name of a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise OutputExistsError(
            f"{quoted(output)} has something in it", "give another name, or allow overwriting"
        )
    check_folder(output.with_name(f".{output.name}.impasto"))


def write_clip(
    output: Path,
    stills: list[Still],
    clip: Clip,
    *,
    offset: Fraction = Fraction(0),
    until: Fraction | None = None,
    sound: bool = True,
    loop: bool = False,
    told: dict[str, Any] | None = None,
) -> list[str]:
    """Write the frames; return notes on what could not be kept.

    Of the ``clip``'s sound, what lies from ``offset`` to ``until`` (seconds) is copied, unless
    ``sound`` is false. ``told`` goes into the file's metadata. The file appears whole or not at
    all. Raises ResourceError when the disk is full.
    """
    if not stills:
        raise InputError(f"{clip.path.name} has no frames in this part", "choose another part")
    # Shown until the next one: what a file says of the length of a frame is often wrong.
    stills = [
        *(x._replace(duration=y.time - x.time) for x, y in itertools.pairwise(stills)),
        stills[-1],
    ]
    suffix = output.suffix.lower()
    try:
        if suffix in CODECS:
            return _write_video(
                output, stills, clip, offset, until, sound=sound and clip.sound, told=told or {}
            )
        if suffix in ANIMATIONS:
            _write_animation(output, stills, loop=loop)
        else:
            _write_folder(output, stills)
    except OSError as error:
        raise ResourceError(
            f"{quoted(output)} cannot be written: {error.strerror or error}", "free some space"
        ) from None
    return ["an animation has no sound"] if clip.sound and sound and suffix in ANIMATIONS else []


def _write_video(
    output: Path,
    stills: list[Still],
    clip: Clip,
    offset: Fraction,
    until: Fraction | None,
    *,
    sound: bool,
    told: dict[str, Any],
) -> list[str]:
    av = import_av()
    notes: list[str] = []
    part = output.with_name(f".impasto-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    kind = {".mov": "mov", ".mkv": "matroska", ".webm": "webm"}.get(output.suffix.lower(), "mp4")
    flags = {"movflags": "+faststart+use_metadata_tags"} if kind in ("mp4", "mov") else {}
    with contextlib.ExitStack() as stack:
        stack.callback(part.unlink, missing_ok=True)
        file = stack.enter_context(av.open(str(part), "w", format=kind, options=flags))
        file.metadata.update(_metadata(clip, told))
        stream = _add_video(file, output, stills, clip)
        copied: dict[int, Any] = {}
        source = None
        if sound:
            source = stack.enter_context(av.open(str(clip.path)))
            copied = _add_sound(av, file, source, kind, notes)
        packets: list[Iterator[tuple[float, int, Any]]] = [_encoded(stream, stills, clip, kind)]
        if source is not None and copied:
            packets.append(_sound(source, copied, offset, until))
        try:
            for _, _, packet in heapq.merge(*packets, key=lambda x: x[:2]):
                file.mux(packet)
            file.close()
        except (av.FFmpegError, ValueError) as error:
            if copied and getattr(error, "errno", errno.EINVAL) == errno.EINVAL:
                return _without_sound(output, stills, clip, offset, until, source, told)
            raise ResourceError(
                f"{quoted(output)} cannot be written: {getattr(error, 'strerror', '') or error}",
                "free some space",
            ) from None
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, output)
    return notes


def _without_sound(
    output: Path,
    stills: list[Still],
    clip: Clip,
    offset: Fraction,
    until: Fraction | None,
    source: Any,
    told: dict[str, Any],
) -> list[str]:
    """The video alone, where its container does not take the codec of the sound."""
    codecs = ", ".join(dict.fromkeys(x.codec_context.name for x in source.streams.audio))
    notes = _write_video(output, stills, clip, offset, until, sound=False, told=told)
    return [*notes, f"sound in {codecs} cannot be copied to {output.suffix[1:]}"]


def _add_video(file: Any, output: Path, stills: list[Still], clip: Clip) -> Any:
    codec, options = CODECS[output.suffix.lower()]
    with Image.open(stills[0].path) as image:
        width, height = image.size
    if codec == "libx264":  # halves its colour planes
        width, height = width + width % 2, height + height % 2
    span = stills[-1].time + stills[-1].duration - stills[0].time
    rate = (len(stills) / span if span else Fraction(24)).limit_denominator(1001)
    stream = file.add_stream(codec, max(rate, Fraction(1, 100)), options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = _time_base(clip)
    stream.codec_context.sample_aspect_ratio = clip.sample_aspect
    tag_colors(stream.codec_context, full_range=clip.full_range)
    return stream


def _encoded(
    stream: Any, stills: list[Still], clip: Clip, kind: str
) -> Iterator[tuple[float, int, Any]]:
    """The encoded frames with their times in seconds."""
    base, begin = _time_base(clip), stills[0].time
    last = -1
    for still in [*stills, None]:
        frame = None
        if still is not None:
            with Image.open(still.path) as image:
                samples = np.asarray(image.convert("RGB"))
            frame = to_yuv(samples, stream.height, stream.width, full_range=clip.full_range)
            frame.time_base = base
            last = max(last + 1, round((still.time - begin) / base))
            frame.pts = last
            frame.duration = max(1, round(still.duration / base))
        for packet in stream.encode(frame):
            yield float((packet.dts or 0) * packet.time_base), 0, packet


def _add_sound(av: Any, file: Any, source: Any, kind: str, notes: list[str]) -> dict[int, Any]:
    """Streams that the sound is copied to, by the index of those in the clip."""
    found = {}
    for stream in source.streams.audio:
        try:
            if stream.codec_context.name not in file.supported_codecs and kind == "webm":
                raise ValueError(stream.codec_context.name)
            copy = file.add_stream_from_template(stream)
            copy.metadata.update(stream.metadata)
            found[stream.index] = copy
        except (av.FFmpegError, ValueError):
            notes.append(f"sound in {stream.codec_context.name} cannot be copied to {kind}")
    return found


def _sound(
    source: Any, copied: dict[int, Any], offset: Fraction, until: Fraction | None
) -> Iterator[tuple[float, int, Any]]:
    av = import_av()
    streams = [x for x in source.streams.audio if x.index in copied]
    try:
        for packet in source.demux(streams):
            if packet.dts is None:
                continue
            time = packet.pts * packet.time_base
            if (offset and time < offset) or (until is not None and time >= until):
                continue
            shift = round(offset / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            when = float(packet.dts * packet.time_base)
            packet.stream = copied[packet.stream.index]
            yield when, 1, packet
    except av.FFmpegError:  # a truncated clip: what could be read is there
        return


def _time_base(clip: Clip) -> Fraction:
    return clip.time_base if 1 / clip.time_base >= 1000 else FINEST


def _metadata(clip: Clip, told: dict[str, Any]) -> dict[str, str]:
    kept = {
        key: value
        for key, value in clip.metadata.items()
        if not any(word in key.lower() for word in NOT_COPIED)
    }
    return {**kept, "impasto": json.dumps(told, ensure_ascii=True)} if told else kept


def _write_animation(output: Path, stills: list[Still], *, loop: bool) -> None:
    limits = FORMATS[output.suffix.lower()]
    images, durations = [], []
    owed = Fraction(0)  # so that rounding to the format's ticks does not add up
    for still in stills:
        with Image.open(still.path) as image:
            images.append(image.convert("RGB"))
        owed += still.duration * 1000
        ticks = max(limits.tick, limits.tick * round(owed / limits.tick))
        durations.append(ticks)
        owed -= ticks
    data = encode_animation(images, durations, output.suffix.lower(), loop=loop)
    write_bytes(output, data)


def _write_folder(output: Path, stills: Iterable[Still]) -> None:
    output.mkdir(exist_ok=True)
    for number, still in enumerate(stills):
        target = output / f"{still.name or f'{number:05}'}.png"
        part = output / f".impasto-{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            shutil.copyfile(still.path, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
