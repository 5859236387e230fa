"""``impasto video``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.messages import message, print_json
from impasto.cli.options import (
    AsJson,
    MaxPixels,
    Overwrite,
    Quiet,
    Resume,
    Threads,
    output_flag,
)
from impasto.cli.settings import flag_of, parse
from impasto.cli.settings import with_settings as with_flags
from impasto.config.base import type_hints
from impasto.config.stylize import StylizeConfig
from impasto.config.video import ENGINES, VideoConfig
from impasto.errors import ConfigError

if TYPE_CHECKING:
    from impasto.video.stylize import Plan, VideoRun

app = typer.Typer()

EXAMPLES = """
impasto video clip.mp4 waves -o waves.mp4
impasto video clip.mov night -o night.webm --size 640 --color keep
impasto video clip.mp4 mosaic -o best.mp4 --engine optimised --start 2 --duration 1.5
impasto video frames -o frames-out --keyframes painted/0001.png,painted/0120.png
"""

PLANNED = 3
"""Frames after which the plan is told: the first ones take longer than the others."""
SHEET = 12
"""Frames on the contact sheet of a preview."""
CELL = 240


@app.command(epilog=EXAMPLES)
@partial(with_flags, config=StylizeConfig, defaults=False)
@partial(with_flags, config=VideoConfig)
def video(
    clip: Annotated[
        str,
        typer.Argument(
            metavar="CLIP", help="A video, an animation, or a folder of numbered pictures."
        ),
    ],
    styles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STYLE...]", help="Pictures, or swatches, to paint it like."),
    ] = None,
    output: Annotated[
        Path | None,
        output_flag(
            "Where it goes: .mp4, .mov, .mkv, .webm, .gif, .webp, .png, or a folder.  "
            "[default: CLIP-STYLE.mp4]"
        ),
    ] = None,
    keyframes: Annotated[
        str | None,
        typer.Option(
            help="Frames that are painted already, named after their numbers (from 1) or files: "
            "they are carried through the clip.",
            metavar="FILE,...",
        ),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="The clip goes round: its end meets its beginning.")
    ] = False,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Only the first second, and OUTPUT-sheet.png to look at."),
    ] = False,
    resume: Resume = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that share the work, shot by shot; 0 paints in this one.",
            metavar="N",
            min=0,
            rich_help_panel="Machine",
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The address of a Dask scheduler, whose workers paint the shots; they see the "
            "same folders.",
            metavar="ADDRESS",
            rich_help_panel="Machine",
        ),
    ] = None,
    threads: Threads = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Paint two frames, print the plan, keep nothing."),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **settings: str | None,
) -> None:
    """Paint a clip, held steady from frame to frame.

    Sound and metadata are copied, times and pixels' shape kept. --engine quick paints each frame in
    one pass, --engine optimised in a few steps that begin with the frame before. What the frames
    before show is carried along by optical flow. Ctrl-C keeps what is painted; --resume goes on.
    Settings are those of impasto quick, or of impasto stylize where the engine is optimised.
    """
    names = list(styles or [])
    keys = [] if keyframes is None else [x.strip() for x in keyframes.split(",") if x.strip()]
    given = parse_for_engine(settings)
    if preview:
        given["duration"] = min(1.0, given.get("duration") or 1.0)
    if output is None:
        output = default_output(clip, names or keys)

    from impasto.batch.run import executor_maker
    from impasto.batch.shots import ShotsRun, paint_shots
    from impasto.cli.progress import make_progress
    from impasto.cli.run import output_lock, raise_stopped
    from impasto.cli.signals import deferred_signals
    from impasto.events import FrameDone
    from impasto.machine.devices import keep_freed_memory
    from impasto.machine.devices import threads as use_threads
    from impasto.runs.checkpoint import checkpoint_path
    from impasto.video.stylize import VideoRun, split_settings
    from impasto.video.write import check_output

    keep_freed_memory()
    checkpoint = checkpoint_path(output.expanduser().resolve())
    with use_threads(threads):
        options: dict[str, Any] = {"keyframes": keys, "loop": loop, "max_pixels": max_pixels}
        chosen = split_settings(given)
        if dry_run:
            check_output(output, overwrite=overwrite)
            with TemporaryDirectory(prefix="impasto-") as folder:
                look = VideoRun(clip, names, Path(folder) / output.name, *chosen, **options)
                _tell(_plan(look), as_json=as_json)
            return
        with output_lock(output, checkpoint, resume=resume, quiet=quiet):
            options |= {"resume": resume, "overwrite": overwrite}
            run: VideoRun
            if workers or scheduler:
                shared = executor_maker(
                    paint_shots, workers=workers, scheduler=scheduler, threads=threads
                )
                run = ShotsRun(clip, names, output, *chosen, shared, threads=threads, **options)
            else:
                run = VideoRun(clip, names, output, *chosen, **options)
            sheet: list[tuple[str, Any]] = []
            with deferred_signals(message) as received, make_progress(quiet=quiet) as progress:
                for event in run:
                    if not isinstance(event, FrameDone):
                        continue
                    progress.on_count("frames", event.frame, event.frames, str)
                    if run.painted == PLANNED and not as_json:
                        progress.message(plan_text(run.plan()))
                    if preview:
                        sheet.append((f"{event.time:.2f} s", event.image))
                    if received:
                        run.save()
                        where = f"at frame {event.frame}"
                        raise_stopped(received, where, lambda: f"{checkpoint.name} has the frames")
    result = run.result()
    extra: dict[str, Any] = {}
    if sheet:
        extra["sheet"] = str(_save_sheet(sheet, output))
    if as_json:
        print_json(
            {
                "output": str(result.path),
                "frames": result.frames,
                "size": list(result.size),
                "seconds": round(run.seconds, 2),
                "notes": result.notes,
                "timings": result.timings,
                **extra,
            }
        )
        return
    for note in result.notes:
        message(note, quiet=quiet)
    height, width = result.size
    also = f", {extra['sheet']}" if extra else ""
    message(
        f"{result.path}{also} ({result.frames} frames of {height}x{width}, {run.seconds:.1f} s)",
        quiet=quiet,
    )


def parse_for_engine(settings: dict[str, str | None]) -> dict[str, Any]:
    """The values of the flags that were given, each as the chosen engine reads it.

    Raises ConfigError for a flag that the engine does not have.
    """
    engine = parse("engine", settings.get("engine") or VideoConfig.engine, VideoConfig)
    kind = ENGINES.get(engine, StylizeConfig)  # a wrong engine is for the configuration to refuse
    found = {}
    for name, text in settings.items():
        if text is None:
            continue
        if name in type_hints(VideoConfig):
            found[name] = parse(name, text, VideoConfig)
        elif name in type_hints(kind):
            found[name] = parse(name, text, kind)
        else:
            raise ConfigError(
                f"{flag_of(name)} is given, and the engine {engine} does not have it",
                "leave it out, or give --engine optimised",
            )
    return found


def default_output(clip: str, styles: list[str]) -> Path:
    """Where the clip goes unless told: beside where one stands, named after clip and style.

    >>> default_output("holiday/clip.mov", ["waves"]).name
    'clip-waves.mov'
    """
    place = Path(clip)
    suffix = place.suffix if not place.is_dir() else ""
    known = suffix.lower() in (".mp4", ".mov", ".mkv", ".webm", ".gif", ".webp", ".png", "")
    name = f"{place.stem}-{Path(styles[0]).stem if styles else 'keys'}"
    return Path(name + (suffix if known else ".mp4"))


def plan_text(plan: Plan) -> str:
    """A plan in one line for people."""
    height, width = plan.size
    if plan.frames is None or plan.seconds is None or plan.disk is None:
        return f"frames of {height}x{width}, {plan.memory / 2**30:.1f} GiB of memory"
    minutes, seconds = divmod(round(plan.seconds), 60)
    return (
        f"{plan.frames} frames of {height}x{width}: about {minutes}:{seconds:02} min, "
        f"{plan.memory / 2**30:.1f} GiB of memory, {plan.disk / 1e6:.0f} MB on disk meanwhile"
    )


def _plan(run: VideoRun) -> Plan:
    """The plan after two frames, of which nothing stays."""
    for _ in run:
        if run.painted == 2:
            break
    return run.plan()


def _tell(plan: Plan, *, as_json: bool) -> None:
    if not as_json:
        print(plan_text(plan))
        return
    print_json({**vars(plan), "size": list(plan.size)})


def _save_sheet(frames: list[tuple[str, Any]], output: Path) -> Path:
    from impasto.image.io import save_image
    from impasto.outputs.contact_sheet import Cell, contact_sheet

    step = max(1, len(frames) // SHEET)
    cells = [Cell(label, image) for label, image in frames[::step][:SHEET]]
    rows = [cells[k : k + 4] for k in range(0, len(cells), 4)]
    return save_image(output.with_name(f"{output.stem}-sheet.png"), contact_sheet(rows, CELL))
