"""``impasto swatches``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.options import Overwrite
from impasto.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

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
    size: Annotated[int, typer.Option("-s", "--size", metavar="N", help="Side in pixels.")] = 512,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another painting.")] = 0,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """List the built-in styles, or write them as pictures.

    They are painted by code; their names stand wherever a style picture may.
    """
    from impasto.swatches import SWATCHES

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

    from impasto.image.io import save_image
    from impasto.swatches import swatch

    written = []
    for name, path in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(path, swatch(name, size=size, seed=seed), overwrite=overwrite)
        written.append(path)
    if sheet is not None:
        picture = contact_sheet(chosen or list(SWATCHES), size=min(size, 256), seed=seed)
        save_image(sheet, picture, overwrite=overwrite)
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


def contact_sheet(names: Sequence[str], *, size: int = 256, seed: int = 0) -> Tensor:
    """All swatches in ``names`` side by side with their names below, ``(1, 3, H, W)``.

    >>> contact_sheet(["waves", "mosaic"], size=32).shape
    torch.Size([1, 3, 78, 100])
    """
    from PIL import Image, ImageDraw, ImageFont

    from impasto.image.io import load_image, to_pil
    from impasto.swatches import swatch

    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width, height = columns * (size + GAP) + GAP, rows * (size + GAP + LABEL) + GAP
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(max(9, min(14, size // 8)))
    for number, name in enumerate(names):
        left = GAP + number % columns * (size + GAP)
        top = GAP + number // columns * (size + GAP + LABEL)
        picture.paste(to_pil(swatch(name, size=size, seed=seed)), (left, top))
        draw.text((left, top + size + 3), name, fill="black", font=font)
    return load_image(picture)


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
    from impasto.image.io import check_writable

    for path in [*targets.values(), *([sheet] if sheet is not None else [])]:
        if path.parent.is_dir():
            check_writable(path, overwrite=overwrite)
        elif path is sheet:
            raise UsageError(f"there is no folder {path.parent}", "make it first")
