"""What a batch paints: contents x styles x settings, or the rows of a manifest.

An :class:`Item` is one picture to paint. Its key is the hash of all that decides on it, so that
what is there and unchanged need not be painted again.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from impasto.config.texts import parse, render
from impasto.config.version import __version__
from impasto.config.video import engine_config
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.image.files import quoted, read_bytes
from impasto.image.swatches import SWATCHES

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif", ".jp2")
"""What counts for a picture in a folder."""
OWN_COLUMNS = ("content", "style", "output", "engine")
"""Columns of a manifest that are no settings."""
FILES = ("regions", "style_regions", "keep", "subject", "init")
"""Settings that may name files, which count for the key."""
TEMPLATE = "{folder}/{content}-{style}.png"


@dataclass(frozen=True)
class Item:
    """One picture to paint: ``content`` and ``styles`` are paths or swatches, ``output`` where it
    goes, ``engine`` quick or optimised, ``settings`` those that differ from the defaults."""

    content: str
    styles: tuple[str, ...]
    output: Path
    engine: str
    settings: Mapping[str, Any]

    def key(self) -> str:
        """The SHA-256 of the pictures' content, the settings, the engine and the version.

        Raises InputError for a picture that cannot be read.
        """
        told = {
            "content": hash_of(self.content),
            "styles": [hash_of(style) for style in self.styles],
            "masks": [
                hash_of(name)
                for setting in FILES
                for name in _texts(self.settings.get(setting))
                if os.path.isfile(name)
            ],
            "engine": self.engine,
            "settings": dict(sorted(self.settings.items())),
            "suffix": self.output.suffix,
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(told, default=list).encode()).hexdigest()


def matrix(
    contents: Sequence[str],
    styles: Sequence[str],
    folder: Path,
    *,
    engine: str = "quick",
    settings: Mapping[str, Any] | None = None,
    vary: Mapping[str, Sequence[Any]] | None = None,
    name: str | None = None,
) -> list[Item]:
    """Each content in each style with each combination of the values in ``vary``.

    ``contents`` are files, folders (with what is below them) and patterns with ``*``; ``styles``
    too, or swatches, or several joined with ``+``, which are blended. ``name`` is the template of
    the outputs in ``folder``: ``{content}`` and ``{style}`` are names without suffix, ``{folder}``
    is the folder of the content below the one that was given, ``{index}`` counts from 1, and each
    setting stands under its name. Raises InputError where there is no content, ConfigError where
    two items would have one name, UnknownNameError for settings that the engine does not have.
    """
    vary = dict(vary or {})
    template = name or TEMPLATE.replace(
        ".png", "".join(f"-{key}-{{{key}}}" for key in vary) + ".png"
    )
    found = list(expand(contents))
    painters = [style for given in styles for style in _expand_style(given)]
    if not painters:
        raise ConfigError("there is no style", "give at least one")
    combinations = [dict(zip(vary, x, strict=True)) for x in itertools.product(*vary.values())]
    items: list[Item] = []
    for (place, below), style, chosen in itertools.product(found, painters, combinations):
        own = check_settings(engine, {**(settings or {}), **chosen})
        parts = tuple(style.split("+")) if "+" in style and not _is_there(style) else (style,)
        values = {
            "content": Path(place).stem,
            "style": "+".join(Path(part).stem for part in parts),
            "folder": below,
            "index": len(items) + 1,
            **{key: render(value) for key, value in {**own, **chosen}.items()},
        }
        items.append(Item(place, parts, folder / fill(template, values), engine, own))
    check_names(items)
    return items


def read_manifest(
    path: str | Path,
    folder: Path,
    *,
    engine: str = "quick",
    settings: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> list[Item]:
    """The items of a CSV file with a header, or of a file of JSON lines.

    A row has ``content`` and ``style`` (several joined with ``+``), perhaps ``output`` and
    ``engine``, and any setting; what is empty is as in ``settings``. Paths are relative to the
    manifest. Raises InputError for a file that cannot be read, ConfigError for a row that makes no
    sense, with its number.
    """
    path = Path(path).expanduser()
    items = []
    for number, row in enumerate(_rows(path), start=1):
        try:
            items.append(_item(row, number, path.parent, folder, engine, settings or {}, name))
        except (ConfigError, UnknownNameError) as error:
            raise ConfigError(
                f"row {number} of {quoted(path)}: {error.message}", error.remedy
            ) from None
    if not items:
        raise InputError(f"{quoted(path)} has no rows", "give at least one")
    check_names(items)
    return items


def expand(contents: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Files, folders and patterns as files in natural order, each with its folder below the one
    that was given. Raises InputError where one of them gives no picture."""
    for given in contents:
        place = Path(given).expanduser()
        if place.is_dir():
            files = sorted(_pictures(place), key=lambda x: natural(str(x.relative_to(place))))
            found = [(str(x), x.relative_to(place).parent.as_posix()) for x in files]
        elif place.is_file():
            found = [(str(place), ".")]
        else:
            names = sorted(glob.glob(str(place), recursive=True), key=natural)
            found = [(x, ".") for x in names if Path(x).is_file()]
        if not found:
            raise InputError(f"there is no picture {quoted(given)}", "check the path")
        yield from found


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names as people do: picture 2 before picture 10.

    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts]


def check_settings(engine: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the engine's defaults.

    Raises UnknownNameError for a setting or an engine that there is not, ConfigError for a value.
    """
    return engine_config(engine, settings)().with_changes(**settings).changes()


def fill(template: str, values: Mapping[str, Any]) -> Path:
    """A template with its values; ConfigError for a name that is none of them.

    >>> fill("{folder}/{content}-{index:03}.png", {"folder": ".", "content": "cat", "index": 7})
    PosixPath('cat-007.png')
    """
    try:
        path = Path(template.format_map(values))
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigError(
            f"the name '{template}' cannot be filled in ({error})",
            f"there are: {', '.join(f'{{{key}}}' for key in values)}",
        ) from None
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"the name '{path}' leaves the folder", "use a name inside of it")
    return path


def full_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose masks have full paths, for workers that run elsewhere."""
    found = dict(settings)
    for name in FILES:
        if given := found.get(name):
            texts = [given] if isinstance(given, str) else list(given)
            full = [os.path.abspath(text) if os.path.isfile(text) else text for text in texts]
            found[name] = full[0] if isinstance(given, str) else full
    return found


def check_names(items: Sequence[Item]) -> None:
    """ConfigError where two items have one output."""
    taken: dict[Path, Item] = {}
    for item in items:
        other = taken.setdefault(item.output, item)
        if other is not item:
            raise ConfigError(
                f"{item.output} would be made of {other.content} and of {item.content}",
                "tell them apart in the name, as with {index} or {folder}",
            )


@lru_cache(maxsize=4096)
def hash_of(source: str) -> str:
    """The SHA-256 of a picture file, or of the swatch of that name."""
    return hashlib.sha256(source_bytes(source)).hexdigest()


def source_bytes(source: str) -> bytes:
    """The content of a picture file, or of the swatch of that name. Raises InputError."""
    if source in SWATCHES and not Path(source).is_file():
        return SWATCHES[source].read_bytes()
    return read_bytes(source)


def _pictures(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            yield path


def _expand_style(given: str) -> list[str]:
    place = Path(given).expanduser()
    if place.is_dir() and given not in SWATCHES:
        return [path for path, _ in expand([given])]
    if "*" in given:
        return [path for path, _ in expand([given])]
    return [given]


def _is_there(name: str) -> bool:
    return name in SWATCHES or Path(name).expanduser().is_file()


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [x for x in value or () if isinstance(x, str)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    text = read_bytes(path).decode("utf-8-sig", "replace")
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"line {number} of {quoted(path)} is no JSON: {error}") from None
            if not isinstance(row, dict):
                raise InputError(f"line {number} of {quoted(path)} is no JSON object")
            yield row
        return
    for row in csv.DictReader(io.StringIO(text)):
        yield {key.strip(): (value or "").strip() for key, value in row.items() if key}


def _item(
    row: dict[str, Any],
    number: int,
    beside: Path,
    folder: Path,
    engine: str,
    settings: Mapping[str, Any],
    name: str | None,
) -> Item:
    from_text = all(isinstance(value, str) for value in row.values())
    row = {key: value for key, value in row.items() if value not in ("", None)}
    if missing := next((key for key in ("content", "style") if key not in row), None):
        raise ConfigError(f"there is no {missing}", f"columns are: {', '.join(OWN_COLUMNS)}, ...")
    engine = row.get("engine", engine)
    own = {key: value for key, value in row.items() if key not in OWN_COLUMNS}
    if from_text:
        kind = engine_config(engine, own)
        own = {key: parse(key, value.replace(";", ","), kind) for key, value in own.items()}
    given = row["style"] if isinstance(row["style"], list) else str(row["style"]).split("+")
    styles = tuple(x if x in SWATCHES else str(beside / x) for x in map(str, given))
    content = str(beside / str(row["content"]))
    chosen = check_settings(engine, {**settings, **own})
    values = {
        "content": Path(content).stem,
        "style": "+".join(Path(style).stem for style in styles),
        "folder": ".",
        "index": number,
        **{key: render(value) for key, value in chosen.items()},
    }
    output = fill(str(row.get("output") or name or TEMPLATE), values)
    return Item(content, styles, folder / output, engine, chosen)
