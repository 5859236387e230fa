"""``impasto info``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from impasto.cli.options import AsJson
from impasto.cli.settings import CONTENT_SETTINGS, flag_of, render
from impasto.config.base import Settings
from impasto.config.dream import CONFIGS
from impasto.config.networks import QuickConfig
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
    from impasto.image.io import read_metadata

    if command + toml + as_json > 1:
        raise UsageError("--command, --toml and --json exclude each other", "choose one")
    found = [(picture, read_metadata(picture)) for picture in pictures]
    if as_json:
        from impasto.cli.messages import print_json

        documents = [{"picture": str(path), **told} for path, told in found]
        print_json(documents if len(documents) > 1 else documents[0])
        return
    for number, (path, told) in enumerate(found):
        if command:
            print(command_line(told, path))
        elif toml:
            from impasto.config.presets import to_toml

            print(f"# {path}\n{to_toml(config_of(told))}", end="")
        else:
            print("\n" * bool(number) + table(told, path))


def config_of(metadata: dict[str, Any]) -> StylizeConfig:
    """The settings of the run that made a picture.

    Settings that this version of impasto has not are left out. Raises UsageError where there are
    none, or they make no sense.
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

    >>> told = {"config": {"size": 256, "strength_mode": "limit"}, "style": {"swatch": "waves"},
    ...         "content": {"path": "my cat.jpg"}}
    >>> command_line(told, Path("out.png"))
    "impasto stylize 'my cat.jpg' waves -o out.png --size 256"
    """
    texture = is_texture(metadata)
    roles = _ROLES[1:] if texture else _ROLES
    command = str(metadata.get("command", "texture" if texture else "stylize"))
    words = ["impasto", command]
    if command in CONFIGS:
        words += [_source(metadata["content"], "content", path)] if "content" in metadata else []
        for role in ("guide", "style"):
            for told in parts(metadata, role) if role in metadata else []:
                words += [f"--{role}", _source(told, role, path)]
        changes = _settings(metadata, CONFIGS[command]).changes()
    else:
        model = parts(metadata, "model") if "model" in metadata else []
        if model:
            roles = ("content",)
        words += [_source(told, role, path) for role in roles for told in parts(metadata, role)]
        words += [word for told in model for word in ("--model", _source(told, "model", path))]
        quick = command == "quick"
        config = _settings(metadata, QuickConfig) if quick else config_of(metadata)
        changes = config.changes()
    words += ["-o", str(path)]
    for name, value in changes.items():
        if texture and name in CONTENT_SETTINGS:
            continue
        if masks := parts(metadata, name) if name in MASKS else []:
            value = [_source(told, name, path) for told in masks]
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
            rows += [(key, source_name(told)) for told in parts(metadata, key)]
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


def parts(metadata: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """What a picture tells of an input, or of each of several; without a word of it one empty
    dict for content and style, none for masks.

    >>> parts({"style": [{"swatch": "waves"}, {"swatch": "mosaic"}]}, "style")
    [{'swatch': 'waves'}, {'swatch': 'mosaic'}]
    """
    told = metadata.get(role, {} if role in _ROLES else [])
    listed = told if isinstance(told, list) else [told]
    return [part if isinstance(part, dict) else {} for part in listed]


def source_name(told: dict[str, Any]) -> str:
    """An input as it is shown: the place of its file, or the word that stands for it.

    >>> source_name({"swatch": "waves"})
    'swatch waves'
    """
    if "swatch" in told:
        return f"swatch {told['swatch']}"
    return str(told.get("path", told.get("word", "unknown")))


def masks_of(config: StylizeConfig) -> list[str]:
    """The files of masks that settings name.

    >>> masks_of(StylizeConfig(regions=("sky.png", "rest"), keep="face.png"))
    ['sky.png', 'face.png']
    """
    named = [*(config.regions or ()), *(config.style_regions or ()), config.keep, config.subject]
    return [x for x in named if x is not None and x not in ("auto", "rest", "all", "off")]


_ROLES = ("content", "style")

BEFORE_LIMITS = {"strength_mode": "weight", "subject": "off"}
"""What pictures mean that were made before there were these settings."""

MASKS = ("regions", "style_regions", "keep", "subject")
"""The settings that name files."""


def _moved(moved: dict[str, Any], name: str) -> str:
    """How far a content term has come, and how far it may."""
    told = _part(moved, name)
    far, most = told.get("distance"), told.get("limit")
    if not isinstance(far, float) or not isinstance(most, float):
        return "unknown"
    return f"{far:.3f} of at most {most:.3f}" + ("" if told.get("held") else ": not held")


def _part(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    part = metadata.get(key)
    return part if isinstance(part, dict) else {}


def _source(told: dict[str, Any], role: str, picture: Path) -> str:
    for word in ("swatch", "word"):
        if word in told:
            return str(told[word])
    return str(picture.parent / str(told["path"])) if "path" in told else role.upper()


def _printable(text: str) -> str:
    """Metadata is a stranger's text: no control codes reach the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
