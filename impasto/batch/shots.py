"""A clip painted by several workers: its shots as tasks, by the same executors as batches.

A frame depends on the one before, through the flow that it is held steady by; only where a shot
begins does it depend on none. So shots are what can be painted at the same time without another
frame coming out, and a clip of one shot is painted by one worker.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from impasto.batch.manifest import full_paths
from impasto.batch.work import Executor, Outcome, failure
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import VideoConfig
from impasto.errors import InputError, ResourceError
from impasto.events import FrameDone
from impasto.image.inputs import as_list
from impasto.image.io import load_image, resize
from impasto.machine.devices import threads
from impasto.video.carry import is_cut
from impasto.video.flow import motion
from impasto.video.segments import Segments
from impasto.video.stylize import VideoRun

THUMBNAIL = (18, 32)
CHANGE = 0.04
"""Mean difference of thumbnails from which on it is worth a look whether a shot begins. What is not
looked at stays within one task, where the cut is found as ever."""
MOST_TASKS = 32
"""Each worker reads the clip from its beginning, which many tasks would make dear."""
ATTEMPTS = 3
"""A worker that dies takes one of them; the next goes on from its last segment."""


@dataclass(frozen=True)
class ShotTask:
    """Shots on their way to a worker: the frames from number ``first`` to before ``end``, of the
    clip, styles and settings that the ``arguments`` of a :class:`VideoRun` name, kept in
    ``folder``."""

    number: int
    arguments: dict[str, Any]
    first: int
    end: int | None
    folder: str
    threads: int | None = None
    styles: tuple[str | bytes, ...] = ()


def paint_shots(task: ShotTask) -> Outcome:
    """Paint the frames of a task and keep them on disk; never raises but for Ctrl-C. ``data`` tells
    the seconds of each stage, as JSON."""
    try:
        with threads(task.threads):
            folder = Path(task.folder)
            run = VideoRun(**task.arguments, kept_in=folder, resume=True, overwrite=True)
            for _ in run.paint(task.first, task.end):
                pass
        told = {"timings": run.timings, "notes": run.clip.notes}
        return Outcome(seconds=run.seconds, data=json.dumps(told).encode())
    except Exception as error:  # of any kind: it is told where the run is led
        return failure(error)


class ShotsRun(VideoRun):
    """A :class:`VideoRun` whose shots are painted by the workers of an executor.

    Events come for each task that is over, in any order. The frames are those of a run in one
    process with as many ``threads``.
    """

    def __init__(
        self,
        clip: str | Path,
        style: str | Sequence[str] | None,
        output: str | Path,
        config: VideoConfig,
        pictures: QuickConfig | StylizeConfig,
        executor: Callable[[], Executor],
        *,
        keyframes: Sequence[str | Path] = (),
        loop: bool = False,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        self.make_executor, self.threads = executor, threads
        output = Path(output).expanduser().resolve()
        self.arguments = {
            "clip": os.path.abspath(clip),
            "style": [_full(x) for x in as_list(style)] or None,
            "output": output,
            "config": config,
            "pictures": pictures.with_changes(**full_paths(pictures.changes())),
            "keyframes": [_full(x) for x in keyframes],
            "loop": loop,
            "max_pixels": options.get("max_pixels"),
        }
        super().__init__(
            clip, style, output, config, pictures, keyframes=keyframes, loop=loop, **options
        )

    def save(self) -> None:
        """The workers keep what they have painted."""

    def paint(self, first: int = 0, end: int | None = None) -> Iterator[FrameDone]:
        """See :meth:`VideoRun.paint`; here it paints all."""
        tasks = list(self.tasks())
        self.segments.begin()
        frames = self.count()
        over: dict[int, Segments] = {}
        for task in self._carried_out(tasks):
            kept = over[task.number] = Segments(Path(task.folder), {}, resume=True)
            if not kept.stills:
                continue
            done = sum(x.done for x in over.values())
            self.painted += kept.done
            last = kept.stills[-1]
            image = load_image(last.path)
            yield FrameDone(done, frames, float(last.time), False, self.seconds, image)
        for number in sorted(over):
            self.segments.stills += over[number].stills

    def tasks(self) -> Iterator[ShotTask]:
        """The shots, short ones together."""
        starts = [0]
        least = max(self.config.segment, (self.count() or 0) // MOST_TASKS)
        for number in self.cuts():
            if number - starts[-1] >= least:
                starts.append(number)
        for number, (first, end) in enumerate(itertools.pairwise([*starts, None])):
            assert first is not None
            folder = str(self.segments.folder / f"shot-{first:08}")
            yield ShotTask(number, self.arguments, first, end, folder, self.threads)

    def cuts(self) -> Iterator[int]:
        """The numbers of frames with which a shot begins: those that are easily seen."""
        before: Tensor | None = None
        for number, (_, frame) in enumerate(self.selected()):
            small = F.adaptive_avg_pool2d(frame.pixels, THUMBNAIL)
            if before is not None:
                change = float((small - F.adaptive_avg_pool2d(before, THUMBNAIL)).abs().mean())
                if change > CHANGE:
                    now, then = (resize(x, self.size) for x in (frame.pixels, before))
                    if is_cut(motion(now, then), self.config.cuts):
                        yield number
            before = frame.pixels

    def _carried_out(self, tasks: list[ShotTask]) -> Iterator[ShotTask]:
        """The tasks, each when it is over. Raises InputError and ResourceError for one that fails
        for good."""
        attempts = dict.fromkeys(range(len(tasks)), 0)
        waiting, running = list(tasks), 0
        executor = self.make_executor()
        try:
            while waiting or running:
                while waiting and running < executor.slots:
                    task = waiting.pop(0)
                    attempts[task.number] += 1
                    executor.submit(task)
                    running += 1
                for task, outcome in executor.wait():
                    running -= 1
                    if not outcome.error:
                        self._add_up(outcome)
                        yield task
                    elif outcome.again or outcome.full or attempts[task.number] == ATTEMPTS:
                        raise (InputError if outcome.again else ResourceError)(
                            f"frames from {task.first + 1} on cannot be painted: {outcome.error}",
                            "the same command with --resume goes on",
                        )
                    else:
                        waiting.append(task)
        finally:
            executor.close()

    def _add_up(self, outcome: Outcome) -> None:
        told = json.loads(outcome.data or b"{}")
        for name, seconds in told.get("timings", {}).items():
            self.timings[name] += seconds
        for note in told.get("notes", []):
            self.clip.note(note)

    def _fingerprint(self) -> dict[str, Any]:
        return {**super()._fingerprint(), "number of threads": self.threads, "executor": "shots"}


def _full(name: str | Path) -> str:
    """The full path of a file; the name of a swatch."""
    return os.path.abspath(name) if os.path.isfile(name) else str(name)
