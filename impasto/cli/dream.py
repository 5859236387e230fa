"""``impasto dream``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.options import (
    AsJson,
    Depth,
    Evolution,
    JpegQuality,
    MaxPixels,
    Overwrite,
    Plot,
    Quiet,
    Resume,
    Threads,
    output_flag,
)
from impasto.cli.outputs import Outputs, default_name, installed_files, output_path, settings_files
from impasto.cli.settings import parse_all, with_settings
from impasto.config.dream import DreamConfig
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.dream.deepdream import Dream
    from impasto.runs.result import Result, Run

app = typer.Typer()

EXAMPLES = """
impasto dream cat.jpg -o dream.png
impasto dream cat.jpg --layers relu5_1 --octaves 5 -o large-forms.png
impasto dream cat.jpg --frames 60 --zoom 1.03 -o journey.webp
"""


@app.command(epilog=EXAMPLES)
@partial(with_settings, config=DreamConfig)
def dream(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="The picture to dream on.")],
    output: Annotated[
        Path | None,
        output_flag(
            "Where the picture goes, or, of a sequence, the .gif, .webp, .mp4 or .png.  "
            "[default: PHOTO-dream.png]"
        ),
    ] = None,
    guide: Annotated[
        str | None, typer.Option(help="A picture of what to dream of.", metavar="FILE")
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    fps: Annotated[
        float, typer.Option(help="Frames a second, of a sequence.", metavar="X", min=0.1)
    ] = 15.0,
    depth: Depth = 8,
    jpeg_quality: JpegQuality = 95,
    evolution: Evolution = None,
    plot: Plot = None,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **settings: str | None,
) -> None:
    """Dream on a photo: let grow what the encoder sees in it.

    Layers, channels and weights are written relu4_3:7+12=0.5, several with commas between them.
    With --frames N and --zoom 1.03 a sequence is made, each frame a little closer and dreamt on
    again. Ctrl-C writes the picture as it is and ends; --resume goes on from there.
    """
    chosen = DreamConfig().with_changes(**parse_all(settings, DreamConfig))
    several = chosen.frames > 1
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
    named = [photo] if guide is None else [photo, guide]
    inputs: list[str | PathLike[str]] = [*named, *settings_files(chosen), *installed_files()]
    outputs = checked(outputs, inputs, steps=chosen.most_steps, resume=resume)

    def make(**where: Any) -> Dream:
        return Dream(photo, chosen, guide=guide, max_pixels=max_pixels, **where)

    result, written = execute(make, outputs, threads=threads, resume=resume, quiet=quiet)
    report_result(result, outputs, dict(written), as_json=as_json, quiet=quiet)


@dataclass(frozen=True)
class Animation(Outputs):
    """What a run of many frames writes: an animation where others write a picture."""

    fps: float = 15.0

    def check(self, inputs: Iterable[str | PathLike[str]], *, steps: int) -> None:
        """Raise now what would fail after a long run."""
        from impasto.image.files import check_apart
        from impasto.outputs.animation import check_animation_path, check_rate

        assert self.picture is not None
        check_apart([self.picture], inputs)
        check_animation_path(self.picture, overwrite=self.may_replace(self.picture))
        check_rate(self.picture, self.fps)
        Outputs.check(replace(self, picture=None), [self.picture, *inputs], steps=steps)

    def _pictures(self, steps: int) -> list[Path]:
        return [path for path in super()._pictures(steps) if path != self.picture]

    def check_result(self, run: Run) -> None:
        """Nothing more is known once the photo has been read."""

    def save(self, result: Result) -> None:
        """Write the frames; of a stopped run those dreamt so far."""
        from impasto.dream.deepdream import DreamResult
        from impasto.outputs.animation import write_animation

        assert self.picture is not None
        assert isinstance(result, DreamResult)
        frames = (frame.float() / 255 for frame in result.frames or (result.image * 255,))
        overwrite = self.may_replace(self.picture)
        write_animation(self.picture, frames, fps=self.fps, hold_last=0, overwrite=overwrite)
