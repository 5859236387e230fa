"""Paint the gallery of the docs: python docs/make_gallery.py [SLUG ...]

Each page varies one knob. The pages are in ``docs/gallery/pages.toml``: a text, and commands, which
are run as they stand on the page, in a folder with scikit-image's public-domain photos and a few
masks that are painted here. ``--photos FOLDER`` writes these files and nothing else, so that a
reader can type the commands; ``--pages`` writes the pages without painting.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import impasto
from impasto.cli import main as run_command
from impasto.image.io import size_to_fit, to_pil

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "gallery"
TABLE = FOLDER / "pages.toml"
NOTE = "<!-- Written by docs/make_gallery.py; change docs/gallery/pages.toml, not this page. -->"
LONG_SIDE, INPUT_SIDE = 224, 160
MAX_BYTES = 10_500  # of a picture of LONG_SIDE; larger ones may have more in proportion
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
COLUMNS = 4  # of the index
WIDTH = 100  # of a command's line

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Entry:
    """A picture: the command that makes ``file``, and what to see in it."""

    command: str
    caption: str
    file: str
    picture: str


@dataclass(frozen=True)
class Page:
    """One knob: ``shows`` are the inputs, ``repeat`` how often a picture is shown, down and
    across, ``long_side`` how large, ``thumbnail`` the picture (from 1) that stands in the index."""

    slug: str
    title: str
    group: str
    text: str
    shows: tuple[str, ...]
    entries: tuple[Entry, ...]
    repeat: tuple[int, int] = (1, 1)
    long_side: int = LONG_SIDE
    thumbnail: int = 1


def read_pages(path: Path = TABLE) -> list[Page]:
    """The table of pages; a command is a line, what stands behind its ``#`` its caption."""
    pages = []
    for given in tomllib.loads(path.read_text(encoding="utf-8"))["page"]:
        lines = [line for line in given.pop("commands").splitlines() if line.strip()]
        entries = tuple(_entry(given["slug"], k, line) for k, line in enumerate(lines, start=1))
        shows, repeat = tuple(given.pop("shows")), tuple(given.pop("repeat", (1, 1)))
        pages.append(Page(**given, shows=shows, repeat=repeat, entries=entries))
    return pages


def _entry(slug: str, number: int, line: str) -> Entry:
    command, _, caption = (part.strip() for part in line.partition("  # "))
    words = shlex.split(command)
    if "-o" not in words:
        command, words = f"{command} -o {slug}-{number}.png", [*words, "-o", f"{slug}-{number}.png"]
    return Entry(command, caption, words[words.index("-o") + 1], f"{slug}-{number}.webp")


# --- what the commands read ----------------------------------------------------------------------


def write_inputs(folder: Path) -> None:
    """The photos, as PNG, and masks for them and for the swatch "waves"."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    for name, picture in masks().items():
        picture.save(folder / name)


def masks() -> dict[str, Image.Image]:
    """Masks, white inside, and maps, a colour for each region."""
    table, saucer, cup, sea, sky = "#2b6cb0", "#c53030", "#f6e05e", "#2b6cb0", "#f6e05e"
    plate = ellipse((400, 600), middle=(0.5, 0.463), radii=(0.48, 0.345))
    bowl = ellipse((400, 600), middle=(0.4, 0.49), radii=(0.37, 0.2))
    face = ellipse((512, 512), middle=(0.22, 0.44), radii=(0.2, 0.15))
    upper = np.broadcast_to(np.linspace(0, 1, 256)[:, None] < 0.4, (256, 256)).astype(float)
    across = np.broadcast_to(np.linspace(0, 1, 600)[None, :], (400, 600))
    return {
        "cup.png": grey(plate),
        "coffee-map.png": painted(table, (saucer, plate), (cup, bowl)),
        "cup-map.png": painted(sea, (sky, plate)),
        "left-to-right.png": grey(across),
        "face.png": grey(face),
        "sky.png": grey(upper),
        "sea.png": grey(1 - upper),
        "waves-map.png": painted(sea, (sky, upper)),
    }


def ellipse(
    size: tuple[int, int], *, middle: tuple[float, float], radii: tuple[float, float]
) -> Array:
    """1 inside and 0 outside, (rows, columns); middle and radii in heights and widths."""
    y = (np.linspace(0, 1, size[0])[:, None] - middle[0]) / radii[0]
    x = (np.linspace(0, 1, size[1])[None, :] - middle[1]) / radii[1]
    return (x**2 + y**2 < 1).astype(float)


def grey(mask: Array) -> Image.Image:
    """A mask as a picture."""
    return Image.fromarray((mask * 255).round().astype(np.uint8))


def painted(ground: str, *layers: tuple[str, Array]) -> Image.Image:
    """Masks one over the other, each in its colour."""
    height, width = layers[0][1].shape
    picture = Image.new("RGB", (width, height), ground)
    for colour, mask in layers:
        picture.paste(colour, mask=grey(mask))
    return picture


# --- painting ------------------------------------------------------------------------------------


def paint(page: Page, work: Path, out: Path, done: dict[str, Path]) -> None:
    """Run the page's commands in ``work``, and show what they write in ``out``.

    ``done`` knows what each command has made; what differs in the file's name only is made once.
    """
    show_inputs(page, work, out)
    for entry in page.entries:
        known = done.get(entry.command.replace(entry.file, ""))
        if known is None:
            (work / entry.file).unlink(missing_ok=True)
            print(entry.command, flush=True)
            with inside(work):
                code = run_command(shlex.split(entry.command)[1:])
            if code != 0:
                raise SystemExit(f"exit code {code}: {entry.command}")
        elif known.name != entry.file:
            shutil.copyfile(known, work / entry.file)
        done[entry.command.replace(entry.file, "")] = work / entry.file
        picture = last_frame(work / entry.file)
        shrink(repeated(picture, page.repeat), out / entry.picture, page.long_side)


def show_inputs(page: Page, work: Path, out: Path) -> None:
    """Small pictures of what the page's commands read: files, or swatches by their names."""
    for name in page.shows:
        if name in impasto.SWATCHES:
            picture = to_pil(impasto.swatch(name, size=384))
        else:
            picture = last_frame(work / name)
        shrink(picture, out / input_picture(name), INPUT_SIDE)


def input_picture(name: str) -> str:
    """Where an input is shown."""
    return f"input-{Path(name).stem}.webp"


def last_frame(path: Path) -> Image.Image:
    """A picture as RGB, or the last one of a sequence."""
    with Image.open(path) as picture:
        picture.seek(getattr(picture, "n_frames", 1) - 1)
        shown: Image.Image = picture.convert("RGB")
        return shown


def repeated(picture: Image.Image, times: tuple[int, int]) -> Image.Image:
    """Copies side by side, so that a seam would show."""
    rows, columns = times
    sheet = Image.new("RGB", (picture.width * columns, picture.height * rows))
    for k in range(rows * columns):
        sheet.paste(picture, (k % columns * picture.width, k // columns * picture.height))
    return sheet


def shrink(picture: Image.Image, path: Path, long_side: int) -> None:
    """As WebP, no longer than ``long_side``, in the best quality that MAX_BYTES allow."""
    if max(picture.size) > long_side:
        height, width = size_to_fit(picture.height, picture.width, long_side)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    allowed = MAX_BYTES * max(1, max(picture.size) / LONG_SIDE) ** 2
    for quality in range(80, 40, -5):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= allowed:
            break
    path.write_bytes(buffer.getvalue())


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The working folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# --- pages ---------------------------------------------------------------------------------------


def write_pages(pages: Sequence[Page], folder: Path) -> None:
    """Every page and the index; pages that are no longer in the table go."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"{page.slug}.md": page_text(page) for page in pages}
    texts["README.md"] = index_text(pages)
    for old in folder.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def page_text(page: Page) -> str:
    """A page in Markdown."""
    cells = [f"![{name}](pictures/{input_picture(name)})" for name in page.shows]
    lines = [f"# {page.title}", "", NOTE, "", page.text.strip(), ""]
    if cells:
        lines += [row(page.shows), row("---" for _ in cells), row(cells), ""]
    for entry in page.entries:
        alt = described(entry)
        lines += [f"![{alt}](pictures/{entry.picture})", ""]
        lines += ["```sh", *wrapped(entry.command), "```", ""]
        lines += [entry.caption, ""] if entry.caption else []
    lines += ["[All pages of the gallery](README.md)"]
    return "\n".join(lines) + "\n"


def described(entry: Entry) -> str:
    """A picture in words, for those who do not see it: what its command says beside the size."""
    words = shlex.split(entry.command)[1:]
    for flag in ("--size", "-o"):
        del words[words.index(flag) : words.index(flag) + 2]
    return shlex.join(words)


def index_text(pages: Sequence[Page]) -> str:
    """The gallery's first page: every page with one of its pictures, group by group."""
    lines = [
        *("# Gallery", "", NOTE, ""),
        "Every page varies one knob and leaves all others alone; under each picture stands the",
        "command that made it. The styles are built in. The photos are scikit-image's, in the",
        "public domain or CC0. To type the commands yourself, have photos and masks written to a",
        "folder (in a checkout, with scikit-image installed), and type there:",
        *("", "    python docs/make_gallery.py --photos photos", ""),
        "Most are 384 pixels large, which takes seconds, and are shown smaller; larger ones come",
        "out finer. `python docs/make_gallery.py` paints all of them again, with the names of",
        "pages behind it only theirs.",
        "What can be set is listed in [settings.md](../settings.md).",
    ]
    for group in dict.fromkeys(page.group for page in pages):
        cells = [index_cell(page) for page in pages if page.group == group]
        cells += [""] * (-len(cells) % COLUMNS)
        lines += ["", f"## {group}", "", row([""] * COLUMNS), row(["---"] * COLUMNS)]
        lines += [row(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
    return "\n".join(lines) + "\n"


def index_cell(page: Page) -> str:
    picture = page.entries[page.thumbnail - 1].picture
    link = f"{page.slug}.md"
    return f"[![{page.title}](pictures/{picture})]({link}) [{page.title}]({link})"


def row(cells: Sequence[str] | Iterator[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def wrapped(command: str) -> list[str]:
    """A command on lines that fit, broken before flags."""
    lines, words = [""], command.split(" ")
    for word in words:
        if word.startswith("-") and len(lines[-1]) > WIDTH - 40:
            lines[-1] += " \\"
            lines.append("    " + word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="pages to paint; default: all")
    parser.add_argument("--pages", action="store_true", help="write the pages, paint nothing")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="write photos and masks only")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep the full pictures there")
    parser.add_argument("--out", type=Path, default=FOLDER, help="default: docs/gallery")
    a = parser.parse_args()
    if a.photos is not None:
        write_inputs(a.photos)
        return
    pages = read_pages()
    if unknown := set(a.slugs) - {page.slug for page in pages}:
        parser.error(f"no page is called {', '.join(sorted(unknown))}")
    write_pages(pages, a.out)
    if a.pages:
        return
    pictures: Path = a.out / "pictures"
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = (a.work or Path(temporary)).resolve()
        write_inputs(work)
        done: dict[str, Path] = {}
        for page in pages:
            if not a.slugs or page.slug in a.slugs:
                paint(page, work, pictures.resolve(), done)
    if not a.slugs:
        for old in pictures.glob("*"):
            if old.name not in picture_names(pages):
                old.unlink()


def picture_names(pages: Sequence[Page]) -> set[str]:
    """The files of all pictures that the pages show."""
    made = {entry.picture for page in pages for entry in page.entries}
    return made | {input_picture(name) for page in pages for name in page.shows}


if __name__ == "__main__":
    main()
