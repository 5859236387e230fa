"""The painted frames on disk while a clip is painted, in segments: what a kill leaves behind.

A folder beside the output, ``.out.mp4.checkpoint``: ``job.json`` says which run it belongs to, and
each segment is a folder of lossless PNGs, named after the first frame's number, that appears whole
or not at all. The last one holds the state that the next frame depends on.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from impasto.errors import ConfigError, ResourceError
from impasto.image.files import quoted, write_bytes
from impasto.image.io import encode_image
from impasto.runs.checkpoint import load_checkpoint, save_checkpoint
from impasto.video.read import Frame
from impasto.video.write import Still

JOB, FRAMES, STATE = "job.json", "frames.json", "state.pt"


class Segments:
    """The frames that are kept in ``folder``.

    With ``resume`` those that are there stay, and ConfigError is raised where another run made
    them; else they are thrown away.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any], *, resume: bool) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.stills: list[Still] = []
        self.pending: list[tuple[bytes, Frame]] = []
        self.state: dict[str, Any] | None = None
        if resume and (folder / JOB).is_file():
            self._load()
        else:
            self.remove()

    @property
    def done(self) -> int:
        """How many frames are on disk."""
        return len(self.stills)

    def begin(self) -> None:
        """Make the folder. Raises ResourceError where that cannot be."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"{quoted(self.folder)} cannot be made: {error.strerror or error}",
                "choose another folder",
            ) from None
        if not (self.folder / JOB).is_file():
            write_bytes(self.folder / JOB, json.dumps(self.fingerprint).encode())

    def add(self, painting: Tensor, frame: Frame) -> int:
        """Keep a painted frame for the next segment; returns the bytes that it takes."""
        data = encode_image(painting, ".png")
        self.pending.append((data, frame._replace(pixels=frame.pixels[..., :1, :1])))
        return len(data)

    def flush(self, state: dict[str, Any]) -> None:
        """Write what is pending as a segment, with the ``state`` after its last frame.

        Raises ResourceError where the disk is full; the segments before are still there.
        """
        if not self.pending:
            return
        part = self.folder / "part"
        try:
            self.begin()
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            listed = []
            for number, (data, frame) in enumerate(self.pending):
                write_bytes(part / f"{number:04}.png", data)
                listed.append([str(frame.time), str(frame.duration), frame.name])
            write_bytes(part / FRAMES, json.dumps(listed).encode())
            save_checkpoint(part / STATE, {"fingerprint": self.fingerprint, "state": state})
            target = self.folder / f"{self.done:08}"
            os.replace(part, target)
        except (OSError, ResourceError) as error:
            shutil.rmtree(part, ignore_errors=True)
            reason = error.message if isinstance(error, ResourceError) else error.strerror or error
            raise ResourceError(
                f"the frames cannot be kept in {quoted(self.folder)}: {reason}",
                "free some space; the same command with --resume goes on",
            ) from None
        before = sorted(x for x in self.folder.glob("[0-9]*") if x != target)
        for old in before[-1:]:  # only the last state is needed
            with suppress(OSError):
                (old / STATE).unlink(missing_ok=True)
        self.stills += _stills(target)
        self.pending = []

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _load(self) -> None:
        known = json.loads((self.folder / JOB).read_text("utf-8"))
        wanted = json.loads(json.dumps(self.fingerprint))
        if differing := [key for key in wanted if known.get(key) != wanted[key]]:
            raise ConfigError(
                f"{self.folder} was made with another {', '.join(differing)}",
                "repeat that command to resume it, or leave out --resume to start anew",
            )
        shutil.rmtree(self.folder / "part", ignore_errors=True)
        segments = sorted(self.folder.glob("[0-9]*"))
        for segment in segments:
            self.stills += _stills(segment)
        if segments:
            saved = load_checkpoint(segments[-1] / STATE)
            if saved is not None:
                self.state = saved["state"]


def _stills(segment: Path) -> list[Still]:
    listed = json.loads((segment / FRAMES).read_text("utf-8"))
    return [
        Still(segment / f"{number:04}.png", Fraction(time), Fraction(duration), name)
        for number, (time, duration, name) in enumerate(listed)
    ]
