"""``impasto swatches``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.messages import print_lines, printable
from impasto.cli.options import AsJson, Overwrite, output_flag
from impasto.cli.outputs import assets
from impasto.errors import UnknownNameError, UsageError
from impasto.image.files import expanded

if TYPE_CHECKING:
    from PIL import Image

app = typer.Typer()

EXAMPLES = """
impasto swatches
impasto swatches waves -o waves.png --size 1024
impasto swatches --all -o swatches --sheet swatches.png
"""

COLUMNS = 5  # of a sheet


@app.command(epilog=EXAMPLES)
def swatches(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which ones to write.")
    ] = None,
    output: Annotated[
        Path | None, output_flag("A file for one swatch, a folder for several.", "PATH")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write all of them.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one picture that shows them all.")
    ] = None,
    size: Annotated[
        int, typer.Option("-s", "--size", metavar="N", help="Side in pixels, up to 1024.")
    ] = 512,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """List the built-in styles, or write them as pictures.

    Their names stand wherever a style picture may.
    """
    from impasto.image.swatches import SWATCHES, render_swatch

    for name in names or ():
        if name not in SWATCHES:
            raise UnknownNameError("swatch", name, SWATCHES)
    if names and every:
        raise UsageError("names and --all exclude each other", "leave one of them out")
    chosen = list(SWATCHES) if every else list(dict.fromkeys(names or ()))
    if output is not None and not chosen:
        raise UsageError("-o needs to know which swatches", "name some, or give --all")
    targets = _targets(chosen, output) if chosen else {}
    _check(targets, sheet, overwrite)

    written = []
    for name, path in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, render_swatch(name, size=size), overwrite)
        written.append(path)
    if sheet is not None:
        from impasto.image.io import save_image
        from impasto.image.swatches import swatch
        from impasto.outputs.contact_sheet import Cell, contact_sheet

        side = min(size, 256)
        cells = [Cell(name, swatch(name, size=side)) for name in chosen or SWATCHES]
        rows = [cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)]
        save_image(sheet, contact_sheet(rows, side), overwrite=overwrite)
        written.append(sheet)
    if as_json:
        from impasto.cli.messages import print_json

        table = [
            {"name": each.name, "title": each.title, "description": each.description}
            for each in SWATCHES.values()
        ]
        print_json({"written": list(map(str, written))} if written else {"swatches": table})
    elif written:
        print_lines("\n".join(map(printable, map(str, written))))
    else:
        width = max(map(len, SWATCHES))
        for each in SWATCHES.values():
            print(f"{each.name:{width}}  {each.description}")


def _targets(names: Sequence[str], output: Path | None) -> dict[str, Path]:
    """Where each swatch goes."""
    if output is None:
        return {name: Path(f"{name}.png") for name in names}
    output = expanded(output)
    if len(names) == 1 and output.suffix and not os.path.isdir(output):
        return {names[0]: output}
    if output.suffix and not os.path.isdir(output):
        raise UsageError(f"{output} is one file for {len(names)} swatches", "give a folder")
    return {name: output / f"{name}.png" for name in names}


def _write(path: Path, picture: Image.Image, overwrite: bool) -> None:
    """Without torch, which takes a second to load."""
    import numpy as np

    from impasto.image.files import write_bytes
    from impasto.image.writing import WRITABLE, encode

    data = encode(np.asarray(picture), WRITABLE[path.suffix.lower()])
    write_bytes(path, data, overwrite=overwrite)


def _check(targets: dict[str, Path], sheet: Path | None, overwrite: bool) -> None:
    from impasto.image.files import check_apart, check_folder
    from impasto.image.writing import WRITABLE

    paths = [*targets.values(), *([sheet] if sheet is not None else [])]
    check_apart(paths, assets())
    for path in paths:
        if path.suffix.lower() not in WRITABLE:
            raise UnknownNameError("output format", path.suffix, WRITABLE)
        if os.path.isdir(path.parent):
            check_folder(path, overwrite=overwrite)
        elif path is sheet:
            raise UsageError(f"there is no folder {path.parent}", "make it first")
