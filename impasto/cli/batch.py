"""``impasto batch``."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.messages import message, print_json
from impasto.cli.options import AsJson, Overwrite, Quiet, output_flag
from impasto.cli.settings import flag_of, parse
from impasto.cli.settings import with_settings as with_flags
from impasto.config.base import type_hints
from impasto.config.stylize import StylizeConfig
from impasto.config.video import ENGINES
from impasto.errors import ConfigError, UnknownNameError, UsageError

app = typer.Typer()

EXAMPLES = """
impasto batch photos --styles waves -o paintings
impasto batch photos --styles waves,night --vary strength=0.4,0.8 -o paintings
impasto batch --manifest orders.csv -o paintings --workers 4
impasto batch photos --styles waves -o paintings --scheduler tcp://10.0.0.1:8786
"""

SOME_FAILED = 5
"""The exit code where some items failed."""
PROGRESS = ("bar", "json")


@app.command(epilog=EXAMPLES)
@partial(with_flags, config=StylizeConfig, defaults=False)
def batch(
    contents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONTENT...]", help="Pictures, folders of pictures, patterns with *."
        ),
    ] = None,
    styles: Annotated[
        str | None,
        typer.Option(
            help="Pictures, folders or swatches; each paints all contents. a+b blends two.",
            metavar="STYLE,...",
        ),
    ] = None,
    output: Annotated[Path, output_flag("The folder of the paintings.", "FOLDER")] = Path(
        "paintings"
    ),
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="The items as rows of a CSV file, or as JSON lines: content, style, and perhaps "
            "output, engine and any setting.",
            metavar="FILE",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="quick, in one pass; optimised, as stylize paints.", metavar="NAME")
    ] = "quick",
    vary: Annotated[
        list[str] | None,
        typer.Option(help="Each of these values of a setting.", metavar="SETTING=X,..."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="How outputs are called: {content}, {style}, {folder}, {index}, {strength}, ...  "
            "[default: {folder}/{content}-{style}.png, and what varies]",
            metavar="TEMPLATE",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that share the work; 0 paints in this one.",
            metavar="N",
            min=0,
            rich_help_panel="Machine",
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The address of a Dask scheduler, whose workers paint.",
            metavar="ADDRESS",
            rich_help_panel="Machine",
        ),
    ] = None,
    ship: Annotated[
        bool,
        typer.Option(
            "--ship",
            help="Send pictures to the scheduler's workers, which share no folder with this one.",
            rich_help_panel="Machine",
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of each worker.", metavar="N", min=1, rich_help_panel="Machine"
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option(help="How often an item that failed is tried again.", metavar="N", min=0)
    ] = 1,
    progress: Annotated[
        str, typer.Option(help="bar, or json: a line on standard output for each item.")
    ] = "bar",
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, list the items, paint nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
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
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    if bool(contents) == (manifest is not None):
        raise UsageError(
            "both contents and --manifest are given" if contents else "there is nothing to paint",
            "give pictures and --styles, or a --manifest",
        )
    kind = ENGINES[engine]
    chosen = {}
    for key, text in settings.items():
        if text is None:
            continue
        if key not in type_hints(kind):
            raise ConfigError(
                f"{flag_of(key)} is given, and the engine {engine} does not have it",
                "leave it out, or give --engine optimised",
            )
        chosen[key] = parse(key, text, kind)
    varied = dict(_varied(text, engine) for text in vary or [])

    from impasto.batch.manifest import matrix, read_manifest
    from impasto.batch.run import make_run
    from impasto.cli.progress import make_progress
    from impasto.cli.run import raise_stopped
    from impasto.cli.signals import deferred_signals
    from impasto.cli.stale_files import remove_stale_files

    folder = output.expanduser()
    if manifest is not None:
        items = read_manifest(manifest, folder, engine=engine, settings=chosen, name=name)
    else:
        names = [x.strip() for x in (styles or "").split(",") if x.strip()]
        options: dict[str, Any] = {"settings": chosen, "vary": varied, "name": name}
        items = matrix(contents or [], names, folder, engine=engine, **options)
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
    silent = quiet or progress == "json"
    with deferred_signals(message) as received, make_progress(quiet=silent) as shown:
        for event in run:
            if progress == "json":
                print(json.dumps(event.to_json()), flush=True)
            elif event.error:
                shown.message(f"{event.output} {event.state}: {event.error}")
            shown.on_count("pictures", event.done, event.total, str)
            if received:
                run.close()
                raise_stopped(received, f"at item {event.done}", lambda: "what is done stays")
    result = run.result()
    if as_json:
        print_json(
            {
                "output": str(folder),
                "done": result.done,
                "skipped": result.skipped,
                "failed": result.failed,
                "seconds": round(result.seconds, 2),
            }
        )
    else:
        message(
            f"{folder} ({len(result.done)} painted, {len(result.skipped)} unchanged, "
            f"{len(result.failed)} failed, {result.seconds:.1f} s); see {folder / 'batch.html'}",
            quiet=quiet,
        )
    if result.failed:
        sys.stdout.flush()
        raise typer.Exit(SOME_FAILED)


def _varied(text: str, engine: str) -> tuple[str, list[Any]]:
    """A setting and its values: ``strength=0.4,0.8``; a value that is a list has ``+`` in it."""
    name, given, values = text.partition("=")
    name = name.strip().replace("-", "_")
    kind = ENGINES[engine]
    if not given or not values.strip():
        raise ConfigError(f"--vary is '{text}'", "give a setting and values, as strength=0.4,0.8")
    if name not in type_hints(kind):
        raise UnknownNameError(f"setting of the engine {engine}", name, sorted(type_hints(kind)))
    parts = (part.strip().replace("+", ",") for part in values.split(","))
    return name, [parse(name, part, kind) for part in parts]
