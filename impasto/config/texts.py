"""Settings as texts, and back: flags of commands, cells of tables, commands to copy."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args, get_origin

from impasto.config.base import Settings, type_hints
from impasto.config.stylize import StylizeConfig, choices
from impasto.errors import ConfigError


class Kind(NamedTuple):
    """What a setting holds: elements of a type, one or a list of them, perhaps None."""

    element: type
    is_list: bool
    optional: bool


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
