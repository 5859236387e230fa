"""All that a run may write besides progress: the picture, how it formed, its losses, previews."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError
from impasto.events import Step

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.optim.gradients import Explanation
    from impasto.runs.result import Result, Run

FRAMES = 60
DENSITY = 1.7  # frames lie at the powers of this: close together at first, where much happens
PREVIEW_SHARE = 0.05  # of the time, at most, goes into previews


@dataclass(frozen=True)
class Outputs:
    """What a run writes, and where. ``picture`` None is standard output, as PNG."""

    picture: Path | None
    evolution: Path | None = None
    evolution_size: int = 512
    plot: Path | None = None
    save_every: int = 0
    preview: Path | None = None
    depth: int | None = None
    overwrite: bool = False

    def check(self, inputs: Iterable[str | os.PathLike[str]], *, steps: int) -> None:
        """Raise now what would fail after a long run: UsageError, ConfigError, ResourceError.

        ``inputs`` may not be written to; ``steps`` is how many there will be at most.
        """
        from impasto.image.io import check_writable
        from impasto.outputs.animation import check_animation_path
        from impasto.outputs.plots import check_plot_path

        numbered = self._numbered_paths(steps)
        named = [self.picture, self.evolution, self.plot, self.preview]
        _check_apart([path for path in named if path is not None] + numbered, inputs)
        for path in [self.picture, self.preview, *numbered]:
            if path is not None:
                depth = None if path is self.preview else self.depth
                check_writable(path, depth=depth, overwrite=self.overwrite)
        if self.evolution is not None:
            check_animation_path(self.evolution, overwrite=self.overwrite)
        if self.plot is not None:
            check_plot_path(self.plot, overwrite=self.overwrite)

    def check_result(self, run: Run) -> None:
        """The same for what is only known when the pictures have been read."""
        from impasto.image.io import check_writable

        if self.picture is not None:
            size, metadata = (run.height, run.width), run.metadata()
            check_writable(self.picture, depth=self.depth, size=size, metadata=metadata)

    def numbered(self, step: int) -> Path:
        """Where the picture after ``step`` goes.

        >>> Outputs(Path("out.jpg")).numbered(50).name
        'out-00050.png'
        """
        assert self.picture is not None
        return self.picture.with_name(f"{self.picture.stem}-{step:05}.png")

    def save(self, result: Result) -> None:
        """Write the picture itself."""
        if self.picture is not None:
            result.save(self.picture, depth=self.depth)
            return
        import sys

        from impasto.image.io import encode_image

        data = encode_image(
            result.image,
            ".png",
            alpha=result.alpha,
            depth=self.depth,
            metadata=_without_paths(result.metadata),
            exif=result.exif,
        )
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def _numbered_paths(self, steps: int) -> list[Path]:
        if not self.save_every:
            return []
        if self.picture is None:
            raise UsageError("--save-every has no name to number", "give -o a file")
        return [self.numbered(n) for n in range(self.save_every, steps + 1, self.save_every)]


class Recorder:
    """Writes while a run goes on, and keeps what is written at its end.

    The frames lie in ``run.attachments``, so that they are part of the checkpoint.
    """

    def __init__(self, run: Run, outputs: Outputs) -> None:
        from impasto.image.io import size_to_fit

        self.run, self.outputs = run, outputs
        self.steps = sum(level.steps for level in run.levels)
        self.moments = moments(self.steps)
        longest = min(outputs.evolution_size, max(run.height, run.width))
        self.frame_size = size_to_fit(run.height, run.width, longest)
        self.frames: dict[int, Tensor] = {}
        if outputs.evolution is not None:
            self.frames = run.attachments.setdefault("frames", {})
            for step, frame in list(self.frames.items()):
                if tuple(frame.shape[-2:]) != self.frame_size:  # another --evolution-size
                    del self.frames[step]
        self.previewed, self.pause = 0.0, 0.0

    def on_step(self, event: Step) -> None:
        """Take a frame, a numbered picture, a preview, when it is time."""
        number = len(self.run.history)
        last = number == self.steps
        if self.outputs.evolution is not None and number in self.moments:
            self.frames[number] = self._frame()
        if self.outputs.save_every and number % self.outputs.save_every == 0:
            self.run.result().save(self.outputs.numbered(number), depth=self.outputs.depth)
        if self.outputs.preview is not None:
            now = time.perf_counter()
            if last or now - self.previewed >= self.pause:
                self.run.result().save(self.outputs.preview)
                self.previewed = time.perf_counter()
                self.pause = max(1.0, (self.previewed - now) / PREVIEW_SHARE)

    def on_explained(self, found: Explanation) -> None:
        """Keep what pulled at the end of a level, for the plot."""
        shares = self.run.attachments.setdefault("shares", {})
        shares[len(self.run.history)] = {x: part.gradient for x, part in found.parts.items()}

    def finish(self) -> dict[str, str]:
        """Write what needs the whole run; returns what was written, by kind."""
        written = {}
        if self.outputs.plot is not None and self.run.history:
            from impasto.outputs.plots import plot_losses

            shares = self.run.attachments.get("shares", {})
            plot_losses(self.run.history, self.outputs.plot, shares=shares)
            written["plot"] = str(self.outputs.plot)
        if self.outputs.evolution is not None:
            from impasto.outputs.animation import write_animation

            if not self.frames:  # at strength 0 there are no steps
                self.frames[0] = self._frame()
            write_animation(self.outputs.evolution, self._floats())
            written["evolution"] = str(self.outputs.evolution)
        if self.outputs.preview is not None and not self.run.history:
            self.run.result().save(self.outputs.preview)
        return written

    def _frame(self) -> Tensor:
        import torch

        from impasto.image.io import resize

        frame = resize(self.run.picture(), self.frame_size)
        return frame.mul(255).round().to(torch.uint8)

    def _floats(self) -> Iterator[Tensor]:
        for step in sorted(self.frames):
            yield self.frames[step].float() / 255


def moments(steps: int, count: int = FRAMES) -> frozenset[int]:
    """The steps, from 1, after which a frame is taken; the last one is among them.

    >>> sorted(moments(100, 8))
    [1, 5, 13, 24, 39, 57, 77, 100]
    """
    spread = range(min(count, steps))
    last = max(len(spread) - 1, 1)
    return frozenset({round(1 + (steps - 1) * (k / last) ** DENSITY) for k in spread} | {steps})


def _check_apart(outputs: list[Path], inputs: Iterable[str | os.PathLike[str]]) -> None:
    taken = {os.path.realpath(os.path.expanduser(path)): "an input" for path in inputs}
    for path in outputs:
        place = os.path.realpath(path.expanduser())
        if place in taken:
            raise UsageError(f"{path} is {taken[place]} already", "give each file its own name")
        taken[place] = "an output"


def _without_paths(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata for a picture that has no place of its own: only the names of its inputs."""
    from impasto.runs.result import with_places

    return with_places(metadata, lambda place: Path(place).name)
