"""What a run writes: the picture, how it formed, its losses, numbered pictures, previews."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from impasto.cli.messages import deliver
from impasto.config.base import Settings
from impasto.errors import ConfigError, ImpastoError, UsageError
from impasto.image.files import expanded

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.optim.gradients import Explanation
    from impasto.runs.result import Result, Run

AnyOutputs = TypeVar("AnyOutputs", bound="Outputs")

FRAMES = 60
DENSITY = 1.7  # frames lie at the powers of this: close together at first, where much happens
PREVIEW_SHARE = 0.05  # of the time, at most, goes into previews


@dataclass(frozen=True)
class Outputs:
    """What a run writes, and where. ``picture`` None is standard output, as PNG.

    Files that are there are replaced with ``overwrite``, and those in ``replaceable``. Raises
    ConfigError for a depth that is not written.
    """

    picture: Path | None
    evolution: Path | None = None
    evolution_size: int = 512
    plot: Path | None = None
    save_every: int = 0
    preview: Path | None = None
    config: Path | None = None
    depth: int | None = None
    overwrite: bool = False
    replaceable: frozenset[Path] = frozenset()
    quality: int = 95

    def __post_init__(self) -> None:
        if self.depth not in (None, 8, 16):
            raise ConfigError(f"--depth is {self.depth}", "give 8 or 16")

    def check(self, inputs: Iterable[str | os.PathLike[str]], *, steps: int) -> None:
        """Raise now what would fail after a long run: UsageError, ConfigError, ResourceError.

        ``inputs`` may not be written to; ``steps`` is an upper bound of the run's steps.
        """
        from impasto.image.files import check_apart, check_folder
        from impasto.image.io import check_writable
        from impasto.outputs.animation import check_animation_path
        from impasto.outputs.plots import check_plot_path

        pictures = self.pictures(steps)
        check_apart([*pictures, *self.others()], inputs)
        for path in pictures:
            depth = None if path is self.preview else self.depth
            check_writable(path, depth=depth, overwrite=self.may_replace(path))
        others = (
            (self.evolution, check_animation_path),
            (self.plot, check_plot_path),
            (self.config, check_folder),
        )
        for other, check in others:
            if other is not None:
                check(other, overwrite=self.may_replace(other))

    def pictures(self, steps: int) -> list[Path]:
        """The files that a run of at most so many ``steps`` may write and that tell what made them;
        UsageError for numbered ones of standard output."""
        found = [path for path in (self.picture, self.preview) if path is not None]
        if self.save_every and self.picture is None:
            raise UsageError("--save-every has no name to number", "give -o a file")
        if self.save_every:
            found += map(self.numbered, range(self.save_every, steps + 1, self.save_every))
        return found

    def others(self) -> list[Path]:
        """The other files that it writes."""
        return [path for path in (self.evolution, self.plot, self.config) if path is not None]

    def may_replace(self, path: Path) -> bool:
        """Whether a file that has this name may be replaced."""
        return self.overwrite or path in self.replaceable

    def resumed(self: AnyOutputs, steps: int) -> AnyOutputs:
        """The outputs of a run that is resumed: what it wrote before may be replaced.

        A picture that impasto has not made is not that.
        """
        ours = [*filter(_is_made_by_impasto, self.pictures(steps)), *self.others()]
        return replace(self, replaceable=frozenset(path for path in ours if os.path.isfile(path)))

    def check_result(self, run: Run) -> None:
        """Check what is known only once nobody else can be making the picture, and the inputs have
        been read: whether it is there now, its size, its metadata."""
        from impasto.image.io import check_writable

        if self.picture is not None:
            check_writable(
                self.picture,
                depth=self.depth,
                size=(run.height, run.width),
                metadata=run.metadata(),
                overwrite=self.may_replace(self.picture),
            )

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
            overwrite = self.may_replace(self.picture)
            result.save(self.picture, depth=self.depth, quality=self.quality, overwrite=overwrite)
        else:
            data = io.BytesIO()
            result.save(data, depth=self.depth)
            deliver(data.getvalue())


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
        self.preview: tuple[int, int, int] | None = None  # the file that was written last
        self.told = ""
        self.failed: ImpastoError | None = None

    def on_step(self) -> None:
        """Take a frame, a numbered picture, a preview, when it is time."""
        number = len(self.run.history)
        if self.outputs.evolution is not None and number in self.frame_steps:
            self.frames[number] = self._frame()
        if self.outputs.save_every and number % self.outputs.save_every == 0:
            path = self.outputs.numbered(number)
            try:
                replace(self.outputs, picture=path).save(self.run.result())
            except ImpastoError as error:  # told at the end: the picture itself comes first
                self.failed = self.failed or error
        if number == self.steps or time.perf_counter() - self.previewed >= self.pause:
            self._preview()

    def on_explained(self, found: Explanation) -> None:
        """Keep each part's share of the gradients at the end of a level, for the plot."""
        shares = self.run.attachments.setdefault("shares", {})
        shares[len(self.run.history)] = {x: part.gradient for x, part in found.parts.items()}

    def finish(self) -> dict[str, str]:
        """Write what needs the whole run; returns what was written, by kind. Raises what kept a
        numbered picture from being written."""
        outputs, history, written = self.outputs, self.run.history, {}
        if outputs.plot is not None and history:
            from impasto.outputs.plots import plot_losses

            shares = self.run.attachments.get("shares", {})
            overwrite = outputs.may_replace(outputs.plot)
            plot_losses(history, outputs.plot, shares=shares, overwrite=overwrite)
            written["plot"] = str(outputs.plot)
        if outputs.evolution is not None:
            from impasto.outputs.animation import write_animation

            if not self.frames:  # at strength 0 there are no steps
                self.frames[0] = self._frame()
            frames = (self.frames[step].float() / 255 for step in sorted(self.frames))
            overwrite = outputs.may_replace(outputs.evolution)
            write_animation(outputs.evolution, frames, overwrite=overwrite)
            written["evolution"] = str(outputs.evolution)
        if not history:
            self._preview()
        if self.failed is not None:
            raise self.failed
        return written

    def _preview(self) -> None:
        """Refresh the preview, if there is one; the run goes on where that fails."""
        if self.outputs.preview is None:
            return
        began = time.perf_counter()
        try:
            ours = self.preview is not None and self.preview == identity(self.outputs.preview)
            overwrite = ours or self.outputs.may_replace(self.outputs.preview)
            self.run.result().save(self.outputs.preview, overwrite=overwrite)
            self.preview = identity(self.outputs.preview)
        except (ImpastoError, OSError) as error:
            text = f"there is no preview: {getattr(error, 'message', error)}"
            if text != self.told:
                self.message(text)
            self.told = text
        self.previewed = time.perf_counter()
        self.pause = max(1.0, (self.previewed - began) / PREVIEW_SHARE)

    def _frame(self) -> Tensor:
        import torch

        from impasto.image.io import resize

        frame = resize(self.run.picture(), self.frame_size)
        return frame.mul(255).round().to(torch.uint8)


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
    path = expanded(Path(default if given is None else given))
    if given is not None and os.path.isdir(path):  # False where one may not look
        return path / Path(default).name
    return path


def identity(path: Path) -> tuple[int, int, int] | None:
    """Which file has the name now, and since when; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def frame_steps(steps: int, count: int = FRAMES) -> frozenset[int]:
    """The steps, from 1, after which a frame is taken; the last one is among them.

    >>> sorted(frame_steps(100, 8))
    [1, 5, 13, 24, 39, 57, 77, 100]
    """
    spread = range(min(count, steps))
    last = max(len(spread) - 1, 1)
    return frozenset({round(1 + (steps - 1) * (k / last) ** DENSITY) for k in spread} | {steps})


def _is_made_by_impasto(picture: Path) -> bool:
    from impasto.image.metadata import read_metadata

    with suppress(ImpastoError):
        return "impasto" in read_metadata(picture)
    return False


def default_name(parts: Iterable[str | os.PathLike[str]], suffix: str) -> Path:
    """The name of an output that is called after its inputs, in the current folder.

    >>> str(default_name(["photos/cat.jpg", "waves"], ".png"))
    'cat-waves.png'
    """
    from impasto.image.files import fit_name

    return Path(fit_name("-".join(Path(part).stem for part in parts), suffix))


def settings_files(config: Settings) -> list[str]:
    """The files that settings name: masks, encoder, picture to begin with.

    >>> from impasto.config.stylize import StylizeConfig
    >>> settings_files(StylizeConfig(keep="there is no such file.png"))
    []
    """
    found = []
    for value in config.to_dict().values():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, str) and os.path.isfile(os.path.expanduser(part)):
                found.append(part)
    return found


def network_files(path: Path | None) -> list[Path]:
    """The file of a network, or those in its folder."""
    if path is None:
        return []
    place = expanded(path)
    try:
        return [place, *place.iterdir()]
    except OSError:  # it is no folder
        return [place]


def installed_files() -> list[Path]:
    """What any run may read: :func:`assets`, and the weights that are found."""
    from impasto.encoders.weights import WEIGHTS, find_weights, search_path

    own = [entry for entry in search_path() if os.path.isfile(entry)]
    own += [file for spec in WEIGHTS.values() if (file := find_weights(spec))]
    return own + assets()


def assets() -> list[Path]:
    """The files that ship with impasto.

    >>> "waves.webp" in [path.name for path in assets()]
    True
    """
    folder = Path(__file__).parents[1] / "assets"
    return [path for path in folder.rglob("*") if os.path.isfile(path)]
