"""The settings of a run as flags: what its dataclass has, the command line has.

Flags are made from the fields of the dataclass, so a new field needs no change here. A flag that
is not given is None, whatever its default: only what the user said overrides ``--config`` and
``--preset``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from impasto.cli.options import option
from impasto.config.base import Settings, type_hints
from impasto.config.stylize import StylizeConfig, choices
from impasto.config.texts import Kind, flag_of, kind_of, parse, render
from impasto.config.video import ENGINES
from impasto.errors import ConfigError

SHORT = {"size": ["-s"]}

Command = TypeVar("Command", bound=Callable[..., Any])


def with_settings(config: type[Settings], *, defaults: bool = True) -> Callable[[Command], Command]:
    """Give a command with ``**settings`` one flag for each field of ``config``.

    ``defaults``: whether help tells them; not where several kinds of settings share the flags.
    """

    def decorate(command: Command) -> Command:
        parameters = inspect.signature(command, eval_str=True).parameters.values()
        own = [x for x in parameters if x.kind is not x.VAR_KEYWORD]
        flags = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=flag, annotation=str)
            for name, flag in _flags(config, defaults=defaults)
        ]
        command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        return command

    return decorate


def resolve(
    preset: str | None, file: Path | None, given: Mapping[str, str | None]
) -> StylizeConfig:
    """The settings that hold: a flag before the file, the file before the preset.

    Raises ConfigError and UnknownNameError for what cannot be.
    """
    from impasto.config.presets import get_preset, read_toml

    config = get_preset(preset) if preset else StylizeConfig()
    if file is not None:
        config = read_toml(file, config)
    return config.with_changes(**parse_all(given, StylizeConfig))


def parse_all(given: Mapping[str, str | None], config: type[Settings]) -> dict[str, Any]:
    """The values of the flags that were given."""
    return {name: parse(name, text, config) for name, text in given.items() if text is not None}


def parse_for_engine(given: Mapping[str, str | None], engine: str) -> dict[str, Any]:
    """The values of the flags that were given, as ``engine`` reads them.

    Raises ConfigError for a flag that the engine does not have.
    """
    kind = ENGINES.get(engine, StylizeConfig)  # a wrong engine is refused with the other settings
    for name, text in given.items():
        if text is not None and name not in type_hints(kind):
            raise ConfigError(
                f"{flag_of(name)} is given, and the engine {engine} does not have it",
                "leave it out, or give --engine optimised",
            )
    return parse_all(given, kind)


def split(text: str | None) -> list[str]:
    """The parts of a list with commas.

    >>> split("waves, night,"), split(None)
    (['waves', 'night'], [])
    """
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def completion(names: Iterable[str]) -> Callable[[str], list[str]]:
    """What offers a shell those of ``names`` that begin with what is there."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def _flags(config: type[Settings], *, defaults: bool) -> Iterator[tuple[str, Any]]:
    for item in fields(config):  # type: ignore[arg-type]  # each is a dataclass
        allowed = choices(item.name, config)
        told = defaults and item.default is not None
        default = f"  [default: {render(item.default)}]" if told else ""
        flag = option(
            item.metadata["help"] + default,
            _metavar(kind_of(item.name, config), allowed),
            flag_of(item.name),
            *SHORT.get(item.name, ()),
            autocompletion=completion(allowed) if allowed else None,
            rich_help_panel=config.group_of(item.name),
        )
        yield item.name, flag


def _metavar(kind: Kind, allowed: tuple[str, ...]) -> str:
    if allowed and kind.element is str:
        return "|".join(allowed)
    word = {int: "N", float: "X", str: "TEXT"}[kind.element]
    return f"{word},..." if kind.is_list else "|".join([word, *allowed])
