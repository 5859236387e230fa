"""``impasto dream``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli import options
from impasto.cli.options import argument, option, output_option
from impasto.cli.outputs import Outputs, default_name, output_path
from impasto.cli.settings import parse_all, with_settings
from impasto.config.dream import DreamConfig
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.runs.result import Result, Run

EXAMPLES = """
impasto dream cat.jpg -o dream.png
impasto dream cat.jpg --layers relu5_1 --octaves 5 -o large-forms.png
impasto dream cat.jpg --frames 60 --zoom 1.03 -o journey.webp
"""


@with_settings(DreamConfig)
def dream(
    photo: str = argument("The picture to dream on.", "PHOTO"),
    output: Path | None = output_option(
        "Where the picture goes, or, of a sequence, the .gif, .webp, .mp4 or .png.  "
        "[default: PHOTO-dream.png]"
    ),
    guide: str | None = option("A picture of what to dream of.", "FILE"),
    overwrite: bool = options.OVERWRITE,
    resume: bool = options.RESUME,
    fps: float = option("Frames a second, of a sequence.", "X", default=15.0, min=0.1),
    depth: int = options.DEPTH,
    jpeg_quality: int = options.JPEG_QUALITY,
    evolution: Path | None = options.EVOLUTION,
    plot: Path | None = options.PLOT,
    threads: int | None = options.THREADS,
    max_pixels: int | None = options.MAX_PIXELS,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Dream on a photo: let grow what the encoder sees in it.

    Layers, channels and weights are written relu4_3:7+12=0.5, several with commas between them.
    With --frames N and --zoom 1.03 a sequence is made, each frame a little closer and dreamt on
    again. Ctrl-C writes the picture as it is and ends; --resume goes on from there.
    """
    config = DreamConfig().with_changes(**parse_all(settings, DreamConfig))
    several = config.frames > 1
    default = default_name([photo, "dream"], ".gif" if several else ".png")
    path = output_path(output, default, as_json=as_json)
    if path is None and several:
        raise UsageError("-o - holds one picture and nothing else", "give -o a file")

    from impasto.cli.run import checked, execute, report_result
    from impasto.dream.deepdream import Dream

    kind = partial(Animation, fps=fps) if several else Outputs
    outputs = kind(
        path,
        evolution=evolution,
        plot=plot,
        depth=depth,
        quality=jpeg_quality,
        overwrite=overwrite,
    )
    outputs = checked(outputs, [photo, guide], config, steps=config.most_steps, resume=resume)
    make = partial(Dream, photo, config, guide=guide, max_pixels=max_pixels)
    result, written = execute(make, outputs, threads=threads, resume=resume, quiet=quiet)
    report_result(result, outputs, written, as_json=as_json, quiet=quiet)


@dataclass(frozen=True)
class Animation(Outputs):
    """What a run of many frames writes: an animation, which tells nothing of what made it, where
    others write a picture."""

    fps: float = 15.0

    def check(self, inputs: Iterable[str | PathLike[str]], *, steps: int) -> None:
        """Raise now what would fail after a long run."""
        from impasto.outputs.animation import check_animation_path, check_rate

        assert self.picture is not None
        super().check(inputs, steps=steps)
        check_animation_path(self.picture, overwrite=self.may_replace(self.picture))
        check_rate(self.picture, self.fps)

    def pictures(self, steps: int) -> list[Path]:
        return []

    def others(self) -> list[Path]:
        """The animation, and what goes with it."""
        assert self.picture is not None
        return [self.picture, *super().others()]

    def check_result(self, run: Run) -> None:
        """Check that the animation is not there now; nothing more is known of it."""
        from impasto.outputs.animation import check_animation_path

        assert self.picture is not None
        check_animation_path(self.picture, overwrite=self.may_replace(self.picture))

    def save(self, result: Result) -> None:
        """Write the frames; of a stopped run those dreamt so far."""
        from impasto.dream.deepdream import DreamResult
        from impasto.outputs.animation import write_animation

        assert self.picture is not None
        assert isinstance(result, DreamResult)
        frames = (frame.float() / 255 for frame in result.frames or (result.image * 255,))
        overwrite = self.may_replace(self.picture)
        write_animation(self.picture, frames, fps=self.fps, hold_last=0, overwrite=overwrite)
