"""Write ``settings.md`` and ``cli.md`` from the code: python docs/make_settings.py

The settings come from the fields of ``StylizeConfig``, the commands from the command line itself,
so neither page can say what the program does not. ``tests/test_docs.py`` fails when a page is old.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

from impasto.cli import COMMANDS, build
from impasto.cli.help import PANELS, by_panel
from impasto.config.dream import DreamConfig, LookConfig
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig, choices
from impasto.config.texts import flag_of, kind_of, render
from impasto.config.train import TrainConfig

DOCS = Path(__file__).parent
OBJECTS = {"regions", "style_regions", "keep", "subject", "content_loss", "style_loss", "encoder"}
"""Settings in whose place functions take objects, too."""

NOTE = "<!-- Written by docs/make_settings.py; change the code, not this page. -->"


def settings_page() -> str:
    """All settings in tables, one for each panel of the help."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "Each is a field of `impasto.StylizeConfig`, a keyword of `impasto.stylize()`, a flag of",
        "`impasto stylize` and a key in a TOML file for `--config`. On the command line lists are",
        'written with commas, and "none" stands for none; in TOML they are arrays and `"none"`.',
        "",
        "A flag wins over `--config`, `--config` over `--preset`, that over the defaults below.",
    ]
    for panel in PANELS:
        items = [x for x in fields(StylizeConfig) if StylizeConfig.group_of(x.name) == panel]
        if not items:
            continue
        lines += ["", f"## {panel}", ""]
        lines += ["| setting | flag | default | allowed | |", "| --- | --- | --- | --- | --- |"]
        for item in items:
            name, default, help = item.name, f"`{render(item.default)}`", item.metadata["help"]
            cells = (f"`{name}`", f"`{flag_of(name)}`", default, _allowed(name), help)
            lines.append(_row(*cells))
    return "\n".join(lines) + "\n"


def keywords_module() -> str:
    """``impasto/config/keywords.py``: the settings as the keywords that functions take, for editors
    and type checkers. What a setting holds as a tuple may be given as one value or any sequence."""
    lines = [
        '"""The keywords of the functions that take settings; nothing is imported at run time."""',
        "",
        "# Written by docs/make_settings.py; change the dataclasses, not this file.",
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Sequence",
        "from typing import Any, Literal, TypedDict",
    ]
    for config in (StylizeConfig, QuickConfig, TrainConfig, DreamConfig, LookConfig):
        name = config.__name__.replace("Config", "Keywords")
        lines += ["", "", f"class {name}(TypedDict, total=False):"]
        lines += [f'    """Fields of :class:`impasto.{config.__name__}`."""', ""]
        hints = get_type_hints(config)
        for item in fields(config):
            hint = "Any" if item.name in OBJECTS else _keyword(hints[item.name])
            lines.append(f"    {item.name}: {hint}")
    return "\n".join(lines) + "\n"


def _keyword(hint: Any) -> str:
    """``tuple[int, ...] | None`` -> ``int | Sequence[int] | None``."""
    if (origin := get_origin(hint)) is tuple:
        element = get_args(hint)[0].__name__
        return f"{element} | Sequence[{element}]"
    if origin is Literal:
        return f"Literal[{', '.join(json.dumps(value) for value in get_args(hint))}]"
    if origin is not None:  # a union
        return " | ".join(_keyword(part) for part in get_args(hint))
    return "None" if hint is type(None) else str(hint.__name__)


def cli_page() -> str:
    """Each command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        "`impasto COMMAND --help` shows the same. `--debug`, with any command, shows where an",
        "error comes from; exit codes are in the [README](../README.md#exit-codes).",
        "",
        "| command | |",
        "| --- | --- |",
    ]
    lines += [_row(f"[`impasto {name}`](#impasto-{name})", text) for name, text in COMMANDS.items()]
    group: Any = typer.main.get_command(build())
    for name in COMMANDS:
        lines += _command(f"impasto {name}", group.commands[name], level=2)
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any, level: int) -> Iterator[str]:
    yield from ("", f"{'#' * level} {name}", "")
    yield _plain(command.help)
    parts = getattr(command, "commands", None)
    if parts:
        for part, inner in parts.items():
            yield from _command(f"{name} {part}", inner, level + 1)
        return
    if command.epilog:
        yield from ("", "```sh", *command.epilog.strip().splitlines(), "```")
    settings = _settings_of(name)
    own = [x for x in command.params if x.name != "help" and x.name not in settings]
    for panel, parameters in by_panel(own).items():
        rows = [_row(f"`{_words(x)}`", _help(x)) for x in parameters]
        yield from ("", f"| {panel.lower()} | |", "| --- | --- |", *rows)
    if settings:
        but = ", but for those of a content" if name == "impasto texture" else ""
        yield from ("", f"And one flag for each of the [settings](settings.md){but}.")


def _settings_of(name: str) -> set[str]:
    """The settings of a command that stand on the page of settings."""
    is_there = name in ("impasto stylize", "impasto texture", "impasto video", "impasto batch")
    return {item.name for item in fields(StylizeConfig)} if is_there else set()


def _words(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    value = "" if parameter.is_flag else f" {parameter.metavar or 'TEXT'}"
    return ", ".join(parameter.opts) + value


def _help(parameter: Any) -> str:
    text = _plain(parameter.help or "")
    default = parameter.default
    shown = isinstance(default, int) and not isinstance(default, bool) and parameter.show_default
    return f"{text} Default: {default}." if shown else text


def _plain(text: str) -> str:
    text = " ".join(text.replace("  [default: ", " [default: ").split())
    return re.sub(r"\[default: ([^\]]+)\]", r"Default: \1.", text)


def _allowed(name: str) -> str:
    if allowed := choices(name):
        text = ", ".join(f"`{value}`" for value in allowed)
        return f"{text}, or none" if kind_of(name).optional else text
    item = next(item for item in fields(StylizeConfig) if item.name == name)
    kind = kind_of(name)
    word = {int: "whole number", float: "number", str: "text"}[kind.element]
    text = f"list of {word}s" if kind.is_list else word
    least, most = item.metadata.get("least"), item.metadata.get("most")
    if name == "seed":
        text += f", {least} or more"
    elif least is not None:
        text += f", {least} to {most}" if most is not None else f", {least} or more"
    return text + (", or none" if kind.optional else "")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


PAGES = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "../impasto/config/keywords.py": keywords_module,
}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (DOCS / page).write_text(make(), encoding="utf-8")
