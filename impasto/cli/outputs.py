"""What a run writes: the picture, how it formed, its losses, numbered pictures, previews."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from impasto.errors import ConfigError, ImpastoError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.optim.gradients import Explanation
    from impasto.runs.result import Result, Run

AnyOutputs = TypeVar("AnyOutputs", bound="Outputs")

FRAMES = 60
DENSITY = 1.7  # frames lie at the powers of this: close together at first, where much happens
PREVIEW_SHARE = 0.05  # of the time, at most, goes into previews
DEPTHS = (8, 16)


@dataclass(frozen=True)
class Outputs:
    """What a run writes, and where. ``picture`` None is standard output, as PNG.

    Raises ConfigError for a depth that is not written.
    """

    picture: Path | None
    evolution: Path | None = None
    evolution_size: int = 512
    plot: Path | None = None
    save_every: int = 0
    preview: Path | None = None
    depth: int | None = None
    overwrite: bool = False
    quality: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"--jpeg-quality is {self.quality}", "give a number from 1 to 100")
        if self.depth is not None and self.depth not in DEPTHS:
            raise ConfigError(f"--depth is {self.depth}", "give 8 or 16")

    def check(self, inputs: Iterable[str | os.PathLike[str]], *, steps: int) -> None:
        """Raise now what would fail after a long run: UsageError, ConfigError, ResourceError.

        ``inputs`` may not be written to; ``steps`` is an upper bound of the run's steps.
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
        """Check what is known only once the pictures have been read: the size, the metadata."""
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
            result.save(self.picture, depth=self.depth, quality=self.quality)
            return
        from impasto.image.io import encode_image
        from impasto.runs.result import without_places

        data = encode_image(
            result.image,
            ".png",
            alpha=result.alpha,
            depth=self.depth,
            metadata=without_places(result.metadata),
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

    The frames lie in ``run.attachments``, so that they are part of the checkpoint. ``message``
    takes one line for the user.
    """

    def __init__(self, run: Run, outputs: Outputs, message: Callable[[str], None]) -> None:
        from impasto.image.io import size_to_fit

        self.run, self.outputs, self.message = run, outputs, message
        self.steps = sum(level.steps for level in run.levels)
        self.frame_steps = frame_steps(self.steps)
        longest = min(outputs.evolution_size, max(run.height, run.width))
        self.frame_size = size_to_fit(run.height, run.width, longest)
        self.frames: dict[int, Tensor] = {}
        if outputs.evolution is not None:
            self.frames = run.attachments.setdefault("frames", {})
            for step, frame in list(self.frames.items()):
                if tuple(frame.shape[-2:]) != self.frame_size:  # another --evolution-size
                    del self.frames[step]
        self.previewed, self.pause = 0.0, 0.0

    def on_step(self) -> None:
        """Take a frame, a numbered picture, a preview, when it is time."""
        number = len(self.run.history)
        if self.outputs.evolution is not None and number in self.frame_steps:
            self.frames[number] = self._frame()
        if self.outputs.save_every and number % self.outputs.save_every == 0:
            self.run.result().save(self.outputs.numbered(number), depth=self.outputs.depth)
        if number == self.steps or time.perf_counter() - self.previewed >= self.pause:
            self._preview()

    def on_explained(self, found: Explanation) -> None:
        """Keep each part's share of the gradients at the end of a level, for the plot."""
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
        if not self.run.history:
            self._preview()
        return written

    def _preview(self) -> None:
        """Refresh the preview, if there is one; the run goes on where that fails."""
        if self.outputs.preview is None:
            return
        began = time.perf_counter()
        try:
            self.run.result().save(self.outputs.preview)
        except ImpastoError as error:
            self.message(f"there is no preview: {error.message}")
        self.previewed = time.perf_counter()
        self.pause = max(1.0, (self.previewed - began) / PREVIEW_SHARE)

    def _frame(self) -> Tensor:
        import torch

        from impasto.image.io import resize

        frame = resize(self.run.picture(), self.frame_size)
        return frame.mul(255).round().to(torch.uint8)

    def _floats(self) -> Iterator[Tensor]:
        for step in sorted(self.frames):
            yield self.frames[step].float() / 255


def output_path(given: Path | None, default: Path | str, *, as_json: bool = False) -> Path | None:
    """Where the picture goes: as -o says, into a folder under the default's name, else to
    ``default``; None is standard output.

    Raises UsageError where the JSON document goes there as well.
    """
    if given is not None and str(given) == "-":
        if as_json:
            raise UsageError(
                "-o - and --json would both use standard output", "leave one of them out"
            )
        return None
    path = Path(default if given is None else given).expanduser()
    if given is not None and path.is_dir():
        return path / Path(default).name
    return path


def frame_steps(steps: int, count: int = FRAMES) -> frozenset[int]:
    """The steps, from 1, after which a frame is taken; the last one is among them.

    >>> sorted(frame_steps(100, 8))
    [1, 5, 13, 24, 39, 57, 77, 100]
    """
    spread = range(min(count, steps))
    last = max(len(spread) - 1, 1)
    return frozenset({round(1 + (steps - 1) * (k / last) ** DENSITY) for k in spread} | {steps})


def _check_apart(outputs: list[Path], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """UsageError where two outputs, or an output and an input, are the same file."""
    taken = {os.path.realpath(os.path.expanduser(path)): "an input" for path in inputs}
    for path in outputs:
        place = os.path.realpath(path.expanduser())
        if place in taken:
            raise UsageError(f"{path} is {taken[place]} already", "give each file its own name")
        taken[place] = "an output"
