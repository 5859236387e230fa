"""``impasto info``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from impasto.cli import options
from impasto.cli.help import PANELS
from impasto.cli.messages import print_json, print_lines, printable, shell_words
from impasto.cli.options import argument, switch
from impasto.config.base import Settings
from impasto.config.dream import CONFIGS
from impasto.config.quick import QuickConfig
from impasto.config.stylize import CONTENT_SETTINGS, StylizeConfig
from impasto.config.texts import flag_of, render
from impasto.errors import ImpastoError, InputError, InvalidImageError, UsageError
from impasto.image.files import quoted

EXAMPLES = """
impasto info cat-waves.png
impasto info cat-waves.png --command
impasto info cat-waves.png --toml > mine.toml
"""

OTHERS: dict[str, type[Settings]] = {**CONFIGS, "quick": QuickConfig}
"""Command -> its settings, where they are not those of stylize."""

_ROLES = ("content", "style")

MOST_THREADS = 4096
"""More than any machine has; what a picture was made with is no number beyond it."""

BEFORE_LIMITS = {"strength_mode": "weight", "subject": "off"}
"""What pictures mean that were made before there were these settings."""

MASKS = ("regions", "style_regions", "keep", "subject")
"""The settings that name files."""

AnyConfig = TypeVar("AnyConfig", bound=Settings)


def info(
    pictures: list[Path] = argument("Pictures that impasto made.", "PICTURE..."),
    command: bool = switch("The command line that makes it again.", "--command"),
    toml: bool = switch("Its settings, for --config.", "--toml"),
    as_json: bool = options.AS_JSON,
) -> None:
    """Tell what made a picture.

    The parameters of a run lie in the picture that it made. They are gone where another program
    has saved it since.
    """
    from impasto.image.metadata import read_metadata

    if command + toml + as_json > 1:
        raise UsageError("--command, --toml and --json exclude each other", "choose one")
    found = [(picture, read_metadata(picture)) for picture in pictures]
    if as_json:
        documents = [{"picture": str(path), **metadata} for path, metadata in found]
        print_json(documents if len(documents) > 1 else documents[0])
        return
    for number, (path, metadata) in enumerate(found):
        with naming(path):
            if command:
                print_lines(command_line(metadata, path))
            elif toml:
                from impasto.config.presets import to_toml

                print_lines(f"# {path}", *to_toml(config_of(metadata)).rstrip().split("\n"))
            else:
                print("\n" * bool(number) + table(metadata, path))


@contextmanager
def naming(picture: Path) -> Iterator[None]:
    """Errors about what a picture tells say which picture it is."""
    try:
        yield
    except InputError as error:
        raise error.about(quoted(picture)) from None


def config_of(metadata: dict[str, Any]) -> StylizeConfig:
    """The settings of the run that made a picture.

    Settings that this version of impasto does not know are left out. Raises InvalidImageError where
    there are none, or they are out of range; UsageError for a picture that another command made.
    """
    if (command := metadata.get("command", "stylize")) != "stylize":
        raise UsageError(
            f"the picture was made by impasto {command}, not by impasto stylize",
            "see what made it with impasto info, or the command with impasto info --command",
        )
    return _settings(metadata, StylizeConfig)


def _settings(metadata: dict[str, Any], kind: type[AnyConfig]) -> AnyConfig:
    try:
        known = kind().to_dict()
        values = {name: value for name, value in metadata["config"].items() if name in known}
        if kind is StylizeConfig and "strength_mode" not in values:
            values |= BEFORE_LIMITS
        return kind.from_dict(values)
    except (KeyError, AttributeError, TypeError):
        raise InvalidImageError(
            "the picture does not tell the settings it was made with", "it cannot be repeated"
        ) from None
    except ImpastoError as error:
        raise InvalidImageError(
            f"this version of impasto cannot use the picture's settings: {error.message[:300]}",
            f"install impasto {str(metadata.get('impasto', ''))[:20]}",
        ) from None


def command_line(metadata: dict[str, Any], path: Path) -> str:
    """The command that makes the picture at ``path`` again, for people to read before they run it.

    No name in it is taken for a flag, whatever it is: values are joined to their flags, and what
    goes in stands behind ``--``.

    >>> config = {"size": 256, "strength_mode": "limit"}
    >>> inputs = {"content": {"path": "my cat.jpg"}, "style": {"swatch": "waves"}}
    >>> command_line({"config": config, **inputs}, Path("out.png"))
    "impasto stylize -o out.png --size 256 -- 'my cat.jpg' waves"
    """
    texture = is_texture(metadata)
    command = str(metadata.get("command", "texture" if texture else "stylize"))
    kind = OTHERS.get(command)
    config = config_of(metadata) if kind is None else _settings(metadata, kind)

    def places(role: str) -> list[str]:
        return [_source(source, role, path) for source in sources(metadata, role)]

    if command in CONFIGS:
        inputs = places("content") if "content" in metadata else []
        flags: tuple[str, ...] = ("guide", "style")
    else:
        flags = ("model",)
        inputs = [] if texture else places("content")
        inputs += [] if "model" in metadata else places("style")
    values = [(f"--{role}", place) for role in flags if role in metadata for place in places(role)]
    values.append(("-o", f"./{path}" if str(path).startswith("-") else str(path)))
    changes = config.changes()
    for name in sorted(changes, key=lambda name: PANELS.index(config.group_of(name))):
        value = changes[name]
        if not (texture and name in CONTENT_SETTINGS):
            value = places(name) or value if name in MASKS else value
            values.append((flag_of(name), render(value)))
    if threads := told_threads(metadata):
        values.append(("--threads", str(threads)))
    words = ["impasto", command]
    for flag, value in values:
        words += [f"{flag}={value}"] if value.startswith("-") else [flag, value]
    return shell_words([*words, *(["--", *inputs] if inputs else [])])


def told_threads(metadata: dict[str, Any]) -> int | None:
    """The number of threads that a picture was made with; None where it does not tell.

    Raises InvalidImageError for what is no number of threads.
    """
    threads = _part(metadata, "machine").get("threads")
    if threads is None or (type(threads) is int and 1 <= threads <= MOST_THREADS):
        return threads
    raise InvalidImageError(
        f"the picture was made with {str(threads)[:20]!r} threads, so it says", "give --threads"
    )


def is_texture(metadata: dict[str, Any]) -> bool:
    """Whether the picture was made without a content."""
    return "content" not in metadata and "texture" in str(metadata.get("method"))


def table(metadata: dict[str, Any], path: Path) -> str:
    """What made the picture, in aligned lines; settings that differ from their default are marked.

    >>> print(table({"impasto": "0.1.0", "style": {"swatch": "waves"}}, Path("out.png")))
    picture          out.png
    impasto          0.1.0
    style            swatch waves
    """
    rows = [("picture", str(path)), *_rows(metadata)]
    return "\n".join(f"{printable(name):16} {printable(text)}".rstrip() for name, text in rows)


def _rows(metadata: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        if key in (*_ROLES, *MASKS, "guide", "model"):
            for source in sources(metadata, key):
                yield key, source_name(source)
        elif key == "size" and isinstance(value, list):
            yield "height x width", "x".join(map(str, value))
        elif key == "moved" and isinstance(value, dict):
            for name in value:
                yield f"{name} moved", _moved(value, name)
        elif key in ("encoder", "enlarger", "backend", "machine"):
            told = _part(metadata, key)
            shown = {k: str(v)[:12] if k == "sha256" else v for k, v in told.items() if v != ""}
            yield key, ", ".join(f"{k} {v}" for k, v in shown.items())
        elif key == "layers" and isinstance(value, list):
            continue  # they stand among the settings, or are the default
        elif key != "config":
            yield key, "yes" if value is True else "no" if value is False else str(value)
    config = _part(metadata, "config")
    standard = OTHERS.get(str(metadata.get("command")), StylizeConfig)().to_dict()
    for name, value in config.items():
        yield name, render(value) + ("" if value == standard.get(name) else "  *")
    if config:
        yield "", "* differs from the default"


def sources(metadata: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """The metadata of an input, or of each of several; where there are none, one empty dict for
    content and style, and no dict for masks.

    >>> sources({"style": [{"swatch": "waves"}, {"swatch": "mosaic"}]}, "style")
    [{'swatch': 'waves'}, {'swatch': 'mosaic'}]
    """
    source = metadata.get(role, {} if role in _ROLES else [])
    listed = source if isinstance(source, list) else [source]
    return [part if isinstance(part, dict) else {} for part in listed]


def source_name(source: dict[str, Any]) -> str:
    """An input as it is shown: the place of its file, or the word that stands for it.

    >>> source_name({"swatch": "waves"})
    'swatch waves'
    """
    if "swatch" in source:
        return f"swatch {source['swatch']}"
    return str(source.get("path", source.get("word", "unknown")))


def _moved(moved: dict[str, Any], name: str) -> str:
    """How far a content term has moved, and how far it may."""
    limits = _part(moved, name)
    far, most = limits.get("distance"), limits.get("limit")
    if not isinstance(far, float) or not isinstance(most, float):
        return "unknown"
    return f"{far:.3f} of at most {most:.3f}" + ("" if limits.get("held") else ": not held")


def _part(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    part = metadata.get(key)
    return part if isinstance(part, dict) else {}


def _source(source: dict[str, Any], role: str, picture: Path) -> str:
    for word in ("swatch", "word"):
        if word in source:
            return str(source[word])
    place = str(picture.parent / str(source["path"])) if "path" in source else role.upper()
    return f"./{place}" if place.startswith("-") else place
