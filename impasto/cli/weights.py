"""``impasto weights``: which weights there are, where they lie; get, check and convert them."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.errors import IntegrityError, WeightsError

if TYPE_CHECKING:
    from impasto.encoders.weights import LoadedWeights

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

PAUSE = 10.0  # seconds between lines where there is no terminal to draw a bar on

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """Show the known files of weights, where they were found, and where they are looked for."""
    from impasto.encoders.weights import WEIGHTS, find_weights, search_path

    found = {name: find_weights(spec) for name, spec in WEIGHTS.items()}
    places = search_path()
    if as_json:
        rows = [
            {
                "name": name,
                "architecture": spec.architecture,
                "flavour": spec.flavour,
                "path": str(found[name]) if found[name] else None,
                "size": spec.size,
                "sha256": spec.sha256,
                "licence": spec.licence,
                "source": spec.source,
                "url": spec.url,
            }
            for name, spec in WEIGHTS.items()
        ]
        _print_json({"weights": rows, "search_path": [str(place) for place in places]})
        return

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("name", "flavour", "size", "licence", "found"):
        table.add_column(title, overflow="fold")
    for name, spec in WEIGHTS.items():
        file = found[name]
        size = file.stat().st_size if file else spec.size
        where = str(file) if file else "no" if spec.url else "no; not to be downloaded"
        cells = (name, spec.flavour, _megabytes(size) if size else "?", spec.licence, where)
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(width=None if sys.stdout.isatty() else 240, highlight=False)
    console.print(table)
    for place in places:
        kind = "" if place.is_dir() else " (a file)" if place.is_file() else " (does not exist)"
        console.print(Text(f"looked for in {place}{kind}"), soft_wrap=True)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="A name from the list, such as vgg19-caffe.")],
    sha256: Annotated[
        str | None, typer.Option(help="The file must have this checksum (8 digits or more).")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download a file of weights into the cache; what broke off earlier is resumed."""
    from impasto.encoders.weights import download, read_weights

    with _progress(name, quiet=quiet or sys.stderr is None) as report:
        path = download(name, sha256=sha256, on_progress=report)
    loaded = read_weights(path)
    if as_json:
        _print_json(_told(loaded))
    else:
        print(path)


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names from the list, or files. Default: all that are found."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check files of weights: format, shapes, numbers, checksum and flavour."""
    from impasto.encoders.weights import WEIGHTS, find_weights, search_path, verify

    if not names:
        found = {name: file for name, spec in WEIGHTS.items() if (file := find_weights(spec))}
        others = [file for file in search_path() if file.is_file() and file not in found.values()]
        names = [*found, *map(str, others)]
    reports: list[dict[str, Any]] = []
    errors: list[WeightsError] = []
    for name in names:
        try:
            loaded = verify(name)
        except WeightsError as error:
            errors.append(error)
            reports.append({"name": name, "ok": False, "error": str(error)})
            line = f"{name}: failed, {error.message}"
        else:
            reports.append({"name": name, "ok": True, **_told(loaded)})
            line = f"{name}: ok, {_line(loaded)}"
        if not as_json and (len(names) > 1 or not errors):
            print(line)
    if as_json:
        _print_json({"files": reports})
        if errors:  # told above; one document is enough
            raise typer.Exit(WeightsError.exit_code)
    elif not names:
        print("no weights were found", file=sys.stderr)
    elif errors and len(names) == 1:
        raise errors[0]
    elif errors:
        bad = ", ".join(report["name"] for report in reports if not report["ok"])
        raise IntegrityError(f"{len(errors)} of {len(names)} failed: {bad}", "get them anew")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .safetensors, .pth or .pt file.")],
    destination: Annotated[Path, typer.Argument(help="The file to write, or a folder for it.")],
    flavour: Annotated[
        str | None, typer.Option(help="caffe, torchvision or normalised, if SOURCE does not tell.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DESTINATION.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write weights as safetensors with canonical names and metadata."""
    from impasto.encoders.weights import convert, read_weights

    path = convert(
        source,
        destination,
        flavour=flavour,
        half=half,
        overwrite=overwrite,
    )
    if as_json:
        _print_json(_told(read_weights(path)))
    else:
        print(path)


def _told(loaded: LoadedWeights) -> dict[str, Any]:
    return {
        "path": str(loaded.path),
        "architecture": loaded.architecture,
        "flavour": loaded.flavour,
        "evidence": loaded.evidence,
        "convolutions": len(loaded.tensors) // 2,
        "sha256": loaded.sha256,
        "known": loaded.spec.name if loaded.spec else None,
    }


def _line(loaded: LoadedWeights) -> str:
    known = f", the published {loaded.spec.filename}" if loaded.spec else ""
    return (
        f"{loaded.architecture} {loaded.flavour} (so says its {loaded.evidence}{known}), "
        f"{len(loaded.tensors) // 2} convolutions, sha256 {loaded.sha256}, {loaded.path}"
    )


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))


def _megabytes(count: int) -> str:
    """A size for people.

    >>> _megabytes(574_673_361)
    '575 MB'
    """
    return f"{count / 1e6:.0f} MB"


@contextlib.contextmanager
def _progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on a terminal's stderr, a line now and then elsewhere, or nothing."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        told = [time.monotonic()]

        def line(done: int, total: int | None) -> None:
            if time.monotonic() - told[0] >= PAUSE:
                told[0] = time.monotonic()
                of = f" of {_megabytes(total)}" if total else ""
                print(f"impasto: {name}: {_megabytes(done)}{of}", file=sys.stderr, flush=True)

        yield line
    else:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
