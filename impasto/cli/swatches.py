"""``impasto swatches``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.options import Overwrite
from impasto.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from PIL import Image

app = typer.Typer()

COLUMNS = 5
GAP = 12  # pixels between the swatches of a sheet
LABEL = 22  # pixels for a name below each


@app.command()
def swatches(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which ones to write.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--output"), metavar="PATH", help="A file for one swatch, a folder for several."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write all of them.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one picture that shows them all.")
    ] = None,
    size: Annotated[
        int, typer.Option("-s", "--size", metavar="N", help="Side in pixels, up to 1024.")
    ] = 512,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
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
        _write(sheet, contact_sheet(chosen or list(SWATCHES), size=min(size, 256)), overwrite)
        written.append(sheet)
    if as_json:
        from impasto.cli.run import print_json

        table = [
            {"name": each.name, "title": each.title, "description": each.description}
            for each in SWATCHES.values()
        ]
        print_json({"written": list(map(str, written))} if written else {"swatches": table})
    elif written:
        print(*written, sep="\n")
    else:
        width = max(map(len, SWATCHES))
        for each in SWATCHES.values():
            print(f"{each.name:{width}}  {each.description}")


def contact_sheet(names: Sequence[str], *, size: int = 256) -> Image.Image:
    """All swatches in ``names`` side by side with their names below.

    >>> contact_sheet(["waves", "mosaic"], size=32).size
    (100, 78)
    """
    from PIL import Image, ImageDraw, ImageFont

    from impasto.image.swatches import render_swatch

    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width, height = columns * (size + GAP) + GAP, rows * (size + GAP + LABEL) + GAP
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(max(9, min(14, size // 8)))
    for number, name in enumerate(names):
        left = GAP + number % columns * (size + GAP)
        top = GAP + number // columns * (size + GAP + LABEL)
        picture.paste(render_swatch(name, size=size), (left, top))
        draw.text((left, top + size + 3), name, fill="black", font=font)
    return picture


def _write(path: Path, picture: Image.Image, overwrite: bool) -> None:
    import numpy as np

    from impasto.image.codecs import WRITABLE, encode
    from impasto.image.files import write_bytes

    data = encode(np.asarray(picture), WRITABLE[path.suffix.lower()])
    write_bytes(path, data, overwrite=overwrite)


def _targets(names: Sequence[str], output: Path | None) -> dict[str, Path]:
    """Where each swatch goes."""
    if output is None:
        return {name: Path(f"{name}.png") for name in names}
    output = output.expanduser()
    if len(names) == 1 and output.suffix and not output.is_dir():
        return {names[0]: output}
    if output.suffix and not output.is_dir():
        raise UsageError(f"{output} is one file for {len(names)} swatches", "give a folder")
    return {name: output / f"{name}.png" for name in names}


def _check(targets: dict[str, Path], sheet: Path | None, overwrite: bool) -> None:
    from impasto.image.codecs import WRITABLE
    from impasto.image.files import check_folder

    for path in [*targets.values(), *([sheet] if sheet is not None else [])]:
        if path.suffix.lower() not in WRITABLE:
            raise UnknownNameError("output format", path.suffix, WRITABLE)
        if path.parent.is_dir():
            check_folder(path, overwrite=overwrite)
        elif path is sheet:
            raise UsageError(f"there is no folder {path.parent}", "make it first")
