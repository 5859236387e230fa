"""The settings of a run as flags: what its dataclass has, the command line has.

Flags are made from the fields of the dataclass, so a new field needs no change here. A flag that
is not given is None, whatever its default: only what the user said overrides ``--config`` and
``--preset``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import typer

from impasto.config.base import Settings, type_hints
from impasto.config.stylize import StylizeConfig, choices
from impasto.errors import ConfigError

SHORT = {"size": "-s"}

Command = TypeVar("Command", bound=Callable[..., Any])


class Kind(NamedTuple):
    """What a setting holds: elements of a type, one or a list of them, perhaps None."""

    element: type
    is_list: bool
    optional: bool


def with_settings(
    command: Command, config: type[Settings] = StylizeConfig, *, defaults: bool = True
) -> Command:
    """Give a command with ``**settings`` one flag for each field of ``config``.

    ``defaults``: whether help tells them; not where several kinds of settings share the flags.
    """
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=str)
        for name, option in _options(config, defaults=defaults)
    ]
    command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    return command


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


def flag_of(name: str) -> str:
    """The flag of a setting.

    >>> flag_of("style_layers")
    '--style-layers'
    """
    return "--" + name.replace("_", "-")


def parse(name: str, text: str, config: type[Settings] = StylizeConfig) -> Any:
    """The value of a setting from what stands behind its flag; ConfigError where it is none.

    >>> parse("steps", "150,100"), parse("size", "none"), parse("strength", "0.7")
    ((150, 100), None, 0.7)
    """
    kind = kind_of(name, config)
    if kind.optional and text.strip().lower() == "none":
        return None
    allowed = choices(name, config)
    if text in allowed:
        return text
    try:
        if not kind.is_list:
            return kind.element(text)
        return tuple(kind.element(part.strip()) for part in text.split(","))
    except ValueError:
        noun = {int: "whole number", float: "number"}[kind.element]
        wanted = f"{noun}s with commas between them" if kind.is_list else f"a {noun}"
        words = [*allowed, *(["none"] if kind.optional else [])]
        others = "".join(f", or {word}" for word in words)
        raise ConfigError(f"{flag_of(name)} is '{text}'", f"give {wanted}{others}") from None


def render(value: Any) -> str:
    """The opposite of :func:`parse`.

    >>> render((150, 100)), render(None), render(0.7)
    ('150,100', 'none', '0.7')
    """
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def kind_of(name: str, config: type[Settings] = StylizeConfig) -> Kind:
    """What the setting ``name`` holds.

    >>> kind_of("content_weights")
    Kind(element=<class 'float'>, is_list=True, optional=True)
    """
    hint = type_hints(config)[name]
    options = [option for option in get_args(hint) if option is not type(None)]
    optional = type(None) in get_args(hint)
    if optional:
        hint = options[0]
    if get_origin(hint) is tuple:
        return Kind(get_args(hint)[0], True, optional)
    return Kind(hint if hint in (int, float) else str, False, optional)


def _options(config: type[Settings], *, defaults: bool) -> Iterator[tuple[str, Any]]:
    for item in fields(config):  # type: ignore[arg-type]  # each is a dataclass
        if item.default is MISSING:
            raise TypeError(f"the setting {item.name} has no default")
        allowed = choices(item.name, config)
        flags = [flag_of(item.name), *([SHORT[item.name]] if item.name in SHORT else [])]
        told = defaults and item.default is not None
        default = f"  [default: {render(item.default)}]" if told else ""
        yield (
            item.name,
            typer.Option(
                None,
                *flags,
                help=item.metadata["help"] + default,
                metavar=_metavar(kind_of(item.name, config), allowed),
                show_default=False,
                autocompletion=_complete(allowed) if allowed else None,
                rich_help_panel=config.group_of(item.name),
            ),
        )


def _metavar(kind: Kind, allowed: tuple[str, ...]) -> str:
    if allowed and kind.element is str:
        return "|".join(allowed)
    word = {int: "N", float: "X", str: "TEXT"}[kind.element]
    return f"{word},..." if kind.is_list else "|".join([word, *allowed])


def _complete(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in allowed if name.startswith(incomplete)]

    return complete
