"""``impasto swatches``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from impasto.cli import options
from impasto.cli.messages import print_json, print_lines
from impasto.cli.options import argument, option, output_option, switch
from impasto.cli.outputs import assets
from impasto.errors import UnknownNameError, UsageError
from impasto.image.files import check_apart, check_folder, expanded, write_bytes

EXAMPLES = """
impasto swatches
impasto swatches waves -o waves.png --size 1024
impasto swatches --all -o swatches --sheet swatches.png
"""

COLUMNS = 5  # of a sheet


def swatches(
    names: list[str] | None = argument("Which ones to write.", "[NAME]...", default=None),
    output: Path | None = output_option("A file for one swatch, a folder for several.", "PATH"),
    every: bool = switch("Write all of them.", "--all"),
    sheet: Path | None = option("Write one picture that shows them all.", "FILE"),
    size: int = option("Side in pixels, up to 1024.", "N", "-s", "--size", default=512),
    overwrite: bool = options.OVERWRITE,
    as_json: bool = options.AS_JSON,
) -> None:
    """List the built-in styles, or write them as pictures.

    Their names stand wherever a style picture may.
    """
    from impasto.image.swatches import SWATCHES, render_swatch
    from impasto.image.writing import WRITABLE, encode

    for name in names or ():
        if name not in SWATCHES:
            raise UnknownNameError("swatch", name, SWATCHES)
    if names and every:
        raise UsageError("names and --all exclude each other", "leave one of them out")
    chosen = list(SWATCHES) if every else list(dict.fromkeys(names or ()))
    targets = _targets(chosen, output)
    written = [*targets.values(), *([] if sheet is None else [sheet])]
    check_apart(written, assets())
    for path in written:
        if path.suffix.lower() not in WRITABLE:
            raise UnknownNameError("output format", path.suffix, WRITABLE)
        if os.path.isdir(path.parent):
            check_folder(path, overwrite=overwrite)
        elif path is sheet:
            raise UsageError(f"there is no folder {path.parent}", "make it first")

    for name, path in targets.items():  # without torch, which takes a second to load
        import numpy as np

        path.parent.mkdir(parents=True, exist_ok=True)
        data = encode(np.asarray(render_swatch(name, size=size)), WRITABLE[path.suffix.lower()])
        write_bytes(path, data, overwrite=overwrite)
    if sheet is not None:
        from impasto.image.io import save_image
        from impasto.image.swatches import swatch
        from impasto.outputs.contact_sheet import Cell, contact_sheet

        side = min(size, 256)
        cells = [Cell(name, swatch(name, size=side)) for name in chosen or SWATCHES]
        rows = [cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)]
        save_image(sheet, contact_sheet(rows, side), overwrite=overwrite)

    if as_json:
        table = [
            {"name": each.name, "title": each.title, "description": each.description}
            for each in SWATCHES.values()
        ]
        print_json({"written": list(map(str, written))} if written else {"swatches": table})
    elif written:
        print_lines(*map(str, written))
    else:
        width = max(map(len, SWATCHES))
        print_lines(*(f"{each.name:{width}}  {each.description}" for each in SWATCHES.values()))


def _targets(names: Sequence[str], output: Path | None) -> dict[str, Path]:
    """Where each swatch goes."""
    if output is None:
        return {name: Path(f"{name}.png") for name in names}
    if not names:
        raise UsageError("-o needs to know which swatches", "name some, or give --all")
    output = expanded(output)
    if not output.suffix or os.path.isdir(output):
        return {name: output / f"{name}.png" for name in names}
    if len(names) > 1:
        raise UsageError(f"{output} is one file for {len(names)} swatches", "give a folder")
    return {names[0]: output}
