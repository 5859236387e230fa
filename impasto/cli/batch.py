"""``impasto batch``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from impasto.cli import options
from impasto.cli.messages import message, print_json
from impasto.cli.options import MACHINE, argument, option, output_option, switch
from impasto.cli.settings import parse_for_engine, split, with_settings
from impasto.config.stylize import StylizeConfig
from impasto.config.texts import parse
from impasto.config.video import engine_config
from impasto.errors import ConfigError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from impasto.batch.run import BatchRun

EXAMPLES = """
impasto batch photos --styles waves -o paintings
impasto batch photos --styles waves,night --vary strength=0.4,0.8 -o paintings
impasto batch --manifest orders.csv -o paintings --workers 4
impasto batch photos --styles waves -o paintings --scheduler tcp://10.0.0.1:8786
"""

SOME_FAILED = 5
"""The exit code where some items failed."""
PROGRESS = ("bar", "json")


@with_settings(StylizeConfig, defaults=False)
def batch(
    contents: list[str] | None = argument(
        "Pictures, folders of pictures, patterns with *.", "[CONTENT...]", default=None
    ),
    styles: str | None = option(
        "Pictures, folders or swatches; each paints all contents. a+b blends two.", "STYLE,..."
    ),
    output: Path = output_option(
        "The folder of the paintings.", "FOLDER", default=Path("paintings")
    ),
    manifest: Path | None = option(
        "The items as rows of a CSV file, or as JSON lines: content, style, and perhaps output, "
        "engine and any setting.",
        "FILE",
    ),
    engine: str = option(
        "quick, in one pass; optimised, as stylize paints.", "NAME", default="quick"
    ),
    vary: list[str] | None = option("Each of these values of a setting.", "SETTING=X,..."),
    name: str | None = option(
        "How outputs are called: {content}, {style}, {folder}, {index}, {strength}, ...  "
        "[default: {folder}/{content}-{style}.png, and what varies]",
        "TEMPLATE",
    ),
    workers: int = option(
        "Processes that share the work; 0 paints in this one.",
        "N",
        default=0,
        min=0,
        rich_help_panel=MACHINE,
    ),
    scheduler: str | None = option(
        "The address of a Dask scheduler, whose workers paint.", "ADDRESS", rich_help_panel=MACHINE
    ),
    ship: bool = switch(
        "Send pictures to the scheduler's workers, which share no folder with this one.",
        "--ship",
        rich_help_panel=MACHINE,
    ),
    threads: int | None = option(
        "CPU threads of each worker.", "N", min=1, rich_help_panel=MACHINE
    ),
    retries: int = option("How often an item that failed is tried again.", "N", default=1, min=0),
    progress: str = option("bar, or json: a line on standard output for each item.", default="bar"),
    overwrite: bool = options.OVERWRITE,
    dry_run: bool = switch("Check everything, list the items, paint nothing.", "--dry-run"),
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
    **settings: str | None,
) -> None:
    """Paint many pictures: folders, lists, matrices, on one machine or several.

    Each content in each style, with each combination of what varies; or the rows of a manifest.
    What is there and unchanged is skipped, so the same command goes on after a kill. What fails is
    tried again and then set aside; the exit code is 5 where some failed. FOLDER/batch.html shows
    all pictures, FOLDER/batch.json tells of them.
    """
    if progress not in PROGRESS:
        raise UnknownNameError("progress", progress, PROGRESS)
    if progress == "json" and as_json:
        raise UsageError("--progress json and --json would both use standard output", "leave one")
    engine_config(engine)
    if bool(contents) == (manifest is not None):
        raise UsageError(
            "both contents and --manifest are given" if contents else "there is nothing to paint",
            "give pictures and --styles, or a --manifest",
        )
    chosen = parse_for_engine(settings, engine)
    varied = dict(_varied(text, engine) for text in vary or [])

    from impasto.batch.manifest import matrix, read_manifest
    from impasto.batch.run import make_run
    from impasto.cli.stale_files import remove_stale_files

    folder = output.expanduser()
    more: dict[str, Any] = {"engine": engine, "settings": chosen, "name": name}
    if manifest is not None:
        items = read_manifest(manifest, folder, **more)
    else:
        items = matrix(contents or [], split(styles), folder, vary=varied, **more)
    if dry_run:
        for item in items:
            print(item.output)
        return
    run = make_run(
        items,
        folder,
        workers=workers,
        scheduler=scheduler,
        ship=ship,
        threads=threads,
        retries=retries,
        overwrite=overwrite,
    )
    for place in {item.output.parent for item in items}:
        remove_stale_files(place)
    _paint(run, progress, quiet=quiet)
    result = run.result()
    if as_json:
        told = {name: getattr(result, name) for name in ("done", "skipped", "failed")}
        print_json({"output": str(folder), **told, "seconds": round(result.seconds, 2)})
    else:
        message(
            f"{folder} ({len(result.done)} painted, {len(result.skipped)} unchanged, "
            f"{len(result.failed)} failed, {result.seconds:.1f} s); see {folder / 'batch.html'}",
            quiet=quiet,
        )
    if result.failed:
        sys.stdout.flush()
        raise typer.Exit(SOME_FAILED)


def _paint(run: BatchRun, progress: str, *, quiet: bool) -> None:
    """Paint all items, and tell how far it is; a signal ends it between two of them."""
    from impasto.cli.progress import make_progress
    from impasto.cli.run import raise_stopped
    from impasto.cli.signals import deferred_signals

    silent = quiet or progress == "json"
    with deferred_signals(message) as received, make_progress(quiet=silent) as shown:
        for event in run:
            if progress == "json":
                print(json.dumps(event.to_json()), flush=True)
            elif event.error:
                shown.message(f"{event.output} {event.state}: {event.error}")
            shown.on_count("pictures", event.done, event.total)
            if received:
                run.close()
                raise_stopped(received, f"at item {event.done}", lambda: "what is done stays")


def _varied(text: str, engine: str) -> tuple[str, list[Any]]:
    """A setting and its values: ``strength=0.4,0.8``; a value that is a list has ``+`` in it."""
    name, given, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not given or not values.strip():
        raise ConfigError(f"--vary is '{text}'", "give a setting and values, as strength=0.4,0.8")
    kind = engine_config(engine, [name])
    return name, [parse(name, part.strip().replace("+", ","), kind) for part in values.split(",")]
