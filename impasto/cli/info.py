"""``impasto info``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from impasto.cli.help import PANELS
from impasto.cli.options import AsJson
from impasto.cli.settings import CONTENT_SETTINGS, flag_of, render
from impasto.config.base import Settings
from impasto.config.dream import CONFIGS
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.errors import ImpastoError, UsageError

app = typer.Typer()

EXAMPLES = """
impasto info cat-waves.png
impasto info cat-waves.png --command
impasto info cat-waves.png --toml > mine.toml
"""

AnyConfig = TypeVar("AnyConfig", bound=Settings)


@app.command(epilog=EXAMPLES)
def info(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Pictures that impasto made.")
    ],
    command: Annotated[
        bool, typer.Option("--command", help="The command line that makes it again.")
    ] = False,
    toml: Annotated[bool, typer.Option("--toml", help="Its settings, for --config.")] = False,
    as_json: AsJson = False,
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
        from impasto.cli.messages import print_json

        documents = [{"picture": str(path), **metadata} for path, metadata in found]
        print_json(documents if len(documents) > 1 else documents[0])
        return
    for number, (path, metadata) in enumerate(found):
        if command:
            print(command_line(metadata, path))
        elif toml:
            from impasto.config.presets import to_toml

            print(f"# {path}\n{to_toml(config_of(metadata))}", end="")
        else:
            print("\n" * bool(number) + table(metadata, path))


def config_of(metadata: dict[str, Any]) -> StylizeConfig:
    """The settings of the run that made a picture.

    Settings that this version of impasto does not know are left out. Raises UsageError where there
    are none, or they are out of range.
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
        raise UsageError(
            "the picture does not tell the settings it was made with", "it cannot be repeated"
        ) from None
    except ImpastoError as error:
        raise UsageError(
            f"this version of impasto cannot use the picture's settings: {error.message}",
            f"install impasto {metadata.get('impasto', '')}",
        ) from None


def command_line(metadata: dict[str, Any], path: Path) -> str:
    """The command that makes the picture at ``path`` again.

    >>> config = {"size": 256, "strength_mode": "limit"}
    >>> inputs = {"content": {"path": "my cat.jpg"}, "style": {"swatch": "waves"}}
    >>> command_line({"config": config, **inputs}, Path("out.png"))
    "impasto stylize 'my cat.jpg' waves -o out.png --size 256"
    """
    texture = is_texture(metadata)
    command = str(metadata.get("command", "texture" if texture else "stylize"))
    kind = {**CONFIGS, "quick": QuickConfig}.get(command)
    config = config_of(metadata) if kind is None else _settings(metadata, kind)

    def places(role: str) -> list[str]:
        return [_source(source, role, path) for source in sources(metadata, role)]

    words = ["impasto", command]
    if command in CONFIGS:
        words += places("content") if "content" in metadata else []
        flags: tuple[str, ...] = ("guide", "style")
    else:
        flags = ("model",)
        words += [] if texture else places("content")
        words += [] if "model" in metadata else places("style")
    for role in flags:
        for place in places(role) if role in metadata else []:
            words += [f"--{role}", place]
    words += ["-o", str(path)]
    changes = config.changes()
    for name in sorted(changes, key=lambda name: PANELS.index(config.group_of(name))):
        value = changes[name]
        if texture and name in CONTENT_SETTINGS:
            continue
        if name in MASKS:
            value = places(name) or value
        words += [flag_of(name), render(value)]
    if isinstance(threads := _part(metadata, "machine").get("threads"), int):
        words += ["--threads", str(threads)]
    return shlex.join(words)


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
    rows = [("picture", str(path))]
    config = _part(metadata, "config")
    for key, value in metadata.items():
        if key in (*_ROLES, *MASKS, "guide", "model"):
            rows += [(key, source_name(source)) for source in sources(metadata, key)]
        elif key == "size" and isinstance(value, list):
            rows.append(("height x width", "x".join(map(str, value))))
        elif key == "moved" and isinstance(value, dict):
            rows += [(f"{name} moved", _moved(value, name)) for name in value]
        elif key in ("encoder", "enlarger", "backend", "machine"):
            shown = {k: v[:12] if k == "sha256" else v for k, v in _part(metadata, key).items()}
            rows.append((key, ", ".join(f"{k} {v}" for k, v in shown.items() if v != "")))
        elif key == "layers" and isinstance(value, list):
            continue  # they stand among the settings, or are the default
        elif key != "config":
            rows.append((key, "yes" if value is True else "no" if value is False else str(value)))
    kinds = {**CONFIGS, "quick": QuickConfig}
    kind = kinds.get(str(metadata.get("command")), StylizeConfig)
    standard = kind().to_dict()
    for name, value in config.items():
        mark = "" if value == standard.get(name) else "  *"
        rows.append((name, render(value) + mark))
    if config:
        rows.append(("", "* differs from the default"))
    return "\n".join(f"{name:16} {_printable(text)}".rstrip() for name, text in rows)


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


_ROLES = ("content", "style")

BEFORE_LIMITS = {"strength_mode": "weight", "subject": "off"}
"""What pictures mean that were made before there were these settings."""

MASKS = ("regions", "style_regions", "keep", "subject")
"""The settings that name files."""


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
    return str(picture.parent / str(source["path"])) if "path" in source else role.upper()


def _printable(text: str) -> str:
    """Metadata is a stranger's text: no control codes reach the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
