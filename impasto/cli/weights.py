"""``impasto weights``: which weights there are, where they lie; get, check and convert them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from impasto.cli import options
from impasto.cli.messages import message, print_json, print_lines, print_table
from impasto.cli.options import argument, option, switch
from impasto.errors import IntegrityError, WeightsError

if TYPE_CHECKING:
    from impasto.encoders.weights import LoadedWeights

EXAMPLES = """
impasto weights list
impasto weights verify
impasto weights download vgg19-caffe
"""

SHOWN = ("name", "architecture", "flavour", "size", "sha256", "licence", "source", "url")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_weights(as_json: bool = options.AS_JSON) -> None:
    """Show the known files of weights, where they were found, and where they are looked for."""
    from impasto.encoders.weights import WEIGHTS, find_weights, search_path

    found = {name: find_weights(spec) for name, spec in WEIGHTS.items()}
    places = search_path()
    if as_json:
        rows = [
            {name: getattr(spec, name) for name in SHOWN}
            | {"path": str(found[name]) if found[name] else None}
            for name, spec in WEIGHTS.items()
        ]
        print_json({"weights": rows, "search_path": [str(place) for place in places]})
        return

    cells = []
    for name, spec in WEIGHTS.items():
        file = found[name]
        size = file.stat().st_size if file else spec.size
        where = str(file) if file else "no" if spec.url else "no; not to be downloaded"
        cells.append((name, spec.flavour, _megabytes(size) if size else "?", spec.licence, where))
    print_table(("name", "flavour", "size", "licence", "found"), cells)
    for place in places:
        kind = " (a file)" if os.path.isfile(place) else " (does not exist)"
        print_lines(f"looked for in {place}{'' if os.path.isdir(place) else kind}")


@app.command()
def download(
    name: str = argument("A name from the list, such as vgg19-caffe."),
    sha256: str | None = option("The file must have this checksum (8 digits or more)."),
    quiet: bool = options.QUIET,
    as_json: bool = options.AS_JSON,
) -> None:
    """Download a file of weights into the cache; what broke off earlier is resumed."""
    from impasto.cli.progress import make_progress
    from impasto.encoders.weights import download, read_weights

    with make_progress(quiet=quiet) as progress:
        show = partial(progress.on_count, name, text=_megabytes)
        path = download(name, sha256=sha256, on_progress=show)
    _print_file(read_weights(path), as_json=as_json)


@app.command()
def verify(
    names: list[str] | None = argument(
        "Names from the list, or files. Default: all that are found.", default=None
    ),
    as_json: bool = options.AS_JSON,
) -> None:
    """Check files of weights: format, shapes, numbers, checksum and flavour."""
    from impasto.encoders.weights import WEIGHTS, find_weights, search_path, verify

    if not names:
        found = {name: file for name, spec in WEIGHTS.items() if (file := find_weights(spec))}
        others = [
            file for file in search_path() if os.path.isfile(file) and file not in found.values()
        ]
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
            print_lines(line)
    if as_json:
        print_json({"files": reports})
        if errors:  # told above; one document is enough
            raise typer.Exit(WeightsError.exit_code)
    elif not names:
        message("no weights were found")
    elif errors and len(names) == 1:
        raise errors[0]
    elif errors:
        bad = ", ".join(report["name"] for report in reports if not report["ok"])
        raise IntegrityError(f"{len(errors)} of {len(names)} failed: {bad}", "get them anew")


@app.command()
def convert(
    source: Path = argument("A .safetensors, .pth or .pt file."),
    destination: Path = argument("The file to write, or a folder for it."),
    flavour: str | None = option("caffe, torchvision or normalised, if SOURCE does not tell."),
    half: bool = switch("Store float16: half the size.", "--half"),
    overwrite: bool = options.OVERWRITE,
    as_json: bool = options.AS_JSON,
) -> None:
    """Write weights as safetensors with canonical names and metadata."""
    from impasto.encoders.weights import convert, read_weights

    path = convert(source, destination, flavour=flavour, half=half, overwrite=overwrite)
    _print_file(read_weights(path), as_json=as_json)


def _print_file(loaded: LoadedWeights, *, as_json: bool) -> None:
    if as_json:
        print_json(_told(loaded))
    else:
        print_lines(str(loaded.path))


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


def _megabytes(count: int) -> str:
    """A size for people.

    >>> _megabytes(574_673_361)
    '575 MB'
    """
    return f"{count / 1e6:.0f} MB"
