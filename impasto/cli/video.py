"""``impasto video``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from impasto.cli import options
from impasto.cli.messages import message, print_json
from impasto.cli.options import argument, option, output_option, switch
from impasto.cli.settings import parse_all, parse_for_engine, split, with_settings
from impasto.config.base import type_hints
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import VideoConfig

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.video.stylize import Plan, VideoRun

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

Chosen = tuple[VideoConfig, QuickConfig | StylizeConfig]
"""The settings of the clip, and those of its pictures."""


@with_settings(StylizeConfig, defaults=False)
@with_settings(VideoConfig)
def video(
    clip: str = argument("A video, an animation, or a folder of numbered pictures.", "CLIP"),
    styles: list[str] | None = options.STYLES,
    output: Path | None = output_option(
        "Where it goes: .mp4, .mov, .mkv, .webm, .gif, .webp, .png, or a folder.  "
        "[default: CLIP-STYLE.mp4]"
    ),
    keyframes: str | None = option(
        "Frames that are painted already, named after their numbers (from 1) or files: they are "
        "carried through the clip.",
        "FILE,...",
    ),
    loop: bool = switch("The clip goes round: its end meets its beginning.", "--loop"),
    preview: bool = switch("Only the first second, and OUTPUT-sheet.png to look at.", "--preview"),
    resume: bool = options.RESUME,
    workers: int = option(
        "Processes that share the work, shot by shot; 0 paints in this one.",
        "N",
        default=0,
        min=0,
        rich_help_panel=options.MACHINE,
    ),
    scheduler: str | None = option(
        "A Dask scheduler, whose workers paint the shots; they see the same folders.",
        "ADDRESS",
        rich_help_panel=options.MACHINE,
    ),
    threads: int | None = options.THREADS,
    max_pixels: int | None = options.MAX_PIXELS,
    overwrite: bool = options.OVERWRITE,
    dry_run: bool = switch("Paint two frames, print the plan, keep nothing.", "--dry-run"),
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Paint a clip, held steady from frame to frame.

    Sound and metadata are copied, times and pixels' shape kept. --engine quick paints each frame in
    one pass, --engine optimised in a few steps that begin with the frame before. What the frames
    before show is carried along by optical flow. Ctrl-C keeps what is painted; --resume goes on.
    Settings are those of impasto quick, or of impasto stylize where the engine is optimised.
    """
    names, keys = list(styles or []), split(keyframes)
    given = parse_settings(settings)
    if preview:
        given["duration"] = min(1.0, given.get("duration") or 1.0)
    output = output or default_output(clip, names or keys)

    from impasto.cli.run import output_lock
    from impasto.machine import devices
    from impasto.video.stylize import split_settings
    from impasto.video.write import check_output

    devices.keep_freed_memory()
    more: dict[str, Any] = {"keyframes": keys, "loop": loop, "max_pixels": max_pixels}
    with devices.threads(threads):
        chosen = split_settings(given)
        if dry_run:
            check_output(output, overwrite=overwrite)
            plan = _two_frames(clip, names, output, chosen, more)
            if as_json:
                print_json({**vars(plan), "size": list(plan.size)})
            else:
                print(plan_text(plan))
            return
        with output_lock(output.expanduser(), resume=resume, quiet=quiet):
            more |= {"resume": resume, "overwrite": overwrite}
            run = _make_run(clip, names, output, chosen, more, workers, scheduler, threads)
            shown = _paint(run, output, quiet=quiet, tells_plan=not as_json, keeps=preview)
    sheet = _save_sheet(shown, output) if shown else None
    _tell(run, sheet, as_json=as_json, quiet=quiet)


def parse_settings(given: Mapping[str, str | None]) -> dict[str, Any]:
    """The values of the flags that were given, those of pictures as the chosen engine reads them.

    Raises ConfigError for a flag that the engine does not have.
    """
    own = {name: text for name, text in given.items() if name in type_hints(VideoConfig)}
    others = {name: text for name, text in given.items() if name not in own}
    return parse_all(own, VideoConfig) | parse_for_engine(
        others, own.get("engine") or VideoConfig.engine
    )


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


def _two_frames(
    clip: str, styles: list[str], output: Path, chosen: Chosen, more: Mapping[str, Any]
) -> Plan:
    """The plan of a run, after two of its frames, which are not kept."""
    from impasto.video.stylize import VideoRun

    with TemporaryDirectory(prefix="impasto-") as folder:
        run = VideoRun(clip, styles, Path(folder) / output.name, *chosen, **more)
        for _ in run:
            if run.painted == 2:
                break
        return run.plan()


def _make_run(
    clip: str,
    styles: list[str],
    output: Path,
    chosen: Chosen,
    more: Mapping[str, Any],
    workers: int,
    scheduler: str | None,
    threads: int | None,
) -> VideoRun:
    """The run: in this process, or with its shots shared out."""
    if not workers and not scheduler:
        from impasto.video.stylize import VideoRun

        return VideoRun(clip, styles, output, *chosen, **more)
    from impasto.batch.run import executor_maker
    from impasto.batch.shots import ShotsRun, paint_shots

    shared = executor_maker(paint_shots, workers=workers, scheduler=scheduler, threads=threads)
    return ShotsRun(clip, styles, output, *chosen, shared, threads=threads, **more)


def _paint(
    run: VideoRun, output: Path, *, quiet: bool, tells_plan: bool, keeps: bool
) -> list[tuple[str, Tensor]]:
    """Paint all frames. With ``keeps``: the frames with their times, for a contact sheet."""
    from impasto.cli.progress import make_progress
    from impasto.cli.run import raise_stopped
    from impasto.cli.signals import deferred_signals
    from impasto.events import FrameDone
    from impasto.runs.checkpoint import checkpoint_path

    checkpoint = checkpoint_path(output.expanduser().resolve())
    shown: list[tuple[str, Tensor]] = []
    with deferred_signals(message) as received, make_progress(quiet=quiet) as progress:
        for event in run:
            if not isinstance(event, FrameDone):
                continue
            progress.on_count("frames", event.frame, event.frames)
            if run.painted == PLANNED and tells_plan:
                progress.message(plan_text(run.plan()))
            if keeps:
                shown.append((f"{event.time:.2f} s", event.image))
            if received:
                run.save()
                where = f"at frame {event.frame}"
                raise_stopped(received, where, lambda: f"{checkpoint.name} has the frames")
    return shown


def _tell(run: VideoRun, sheet: Path | None, *, as_json: bool, quiet: bool) -> None:
    """What came out, as JSON or in one line after the notes."""
    result = run.result()
    if as_json:
        told = {
            "output": str(result.path),
            "frames": result.frames,
            "size": list(result.size),
            "seconds": round(run.seconds, 2),
            "notes": result.notes,
            "timings": result.timings,
        }
        print_json(told if sheet is None else {**told, "sheet": str(sheet)})
        return
    height, width = result.size
    also = "" if sheet is None else f", {sheet}"
    made = f"{result.frames} frames of {height}x{width}, {run.seconds:.1f} s"
    for line in (*result.notes, f"{result.path}{also} ({made})"):
        message(line, quiet=quiet)


def _save_sheet(frames: list[tuple[str, Tensor]], output: Path) -> Path:
    from impasto.image.io import save_image
    from impasto.outputs.contact_sheet import Cell, contact_sheet

    step = max(1, len(frames) // SHEET)
    cells = [Cell(label, image) for label, image in frames[::step][:SHEET]]
    rows = [cells[k : k + 4] for k in range(0, len(cells), 4)]
    return save_image(output.with_name(f"{output.stem}-sheet.png"), contact_sheet(rows, CELL))
