"""What classes of settings have in common: types and ranges, checked; dicts and changes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_type_hints

from impasto.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on


LONGEST = 4096
"""Characters of a text: longer than any path."""

LARGEST = 2**63 - 1
"""The largest whole number."""


def setting(default: Any, help: str, **limits: float) -> Any:
    """A field with its help text and, for numbers, its least and greatest value."""
    return field(default=default, metadata={"help": help, **limits})


_type_hints: dict[type, dict[str, Any]] = {}


def type_hints(config: type) -> dict[str, Any]:
    """What the fields of a dataclass hold: name -> type, evaluated once for each class."""
    if config not in _type_hints:
        hints = get_type_hints(config)
        _type_hints[config] = {item.name: hints[item.name] for item in fields(config)}
    return _type_hints[config]


class Settings:
    """What dataclasses of settings have in common: types and ranges are checked when one is made.

    A subclass is a frozen dataclass of fields made by :func:`setting`, each with a default. Numbers
    and arrays of numpy become Python's, lists become tuples.
    """

    group: ClassVar[str] = ""
    """What the settings of a class of its own are called together."""

    def __post_init__(self) -> None:
        hints = type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]  # each subclass is a dataclass
            value = _plain(getattr(self, item.name), hints[item.name])
            object.__setattr__(self, item.name, value)
            _check_type(item.name, value, hints[item.name])
            _check_range(item.name, value, item.metadata)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON types; tuples become lists."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`; what is not named keeps its default."""
        return cls().with_changes(**values)

    def with_changes(self, **changes: Any) -> Self:
        """A copy with some settings changed; lists become tuples, a lone value a tuple of one.

        Raises UnknownNameError for a setting that does not exist.

        >>> from impasto import StylizeConfig
        >>> StylizeConfig().with_changes(steps=50).steps
        (50,)
        """
        hints = type_hints(type(self))
        ready = {}
        for name, value in changes.items():
            if name not in hints:
                raise UnknownNameError("setting", name, hints)
            value = _plain(value, hints[name])
            if "tuple" in str(hints[name]) and isinstance(value, int | float | str):
                value = _plain((value,), hints[name])
            ready[name] = value
        changed: Self = replace(self, **ready)  # type: ignore[type-var]
        return changed

    @classmethod
    def group_of(cls, name: str) -> str:
        """The group that a setting comes from.

        >>> from impasto import StylizeConfig
        >>> StylizeConfig.group_of("color_match")
        'Colour'
        """
        kinds = [kind for kind in reversed(cls.__mro__) if issubclass(kind, Settings)]
        return next(kind.group for kind in kinds if name in inspect.get_annotations(kind))

    def changes(self) -> dict[str, Any]:
        """Only the settings that differ from their defaults."""
        standard = type(self)().to_dict()
        return {name: v for name, v in self.to_dict().items() if v != standard[name]}


def literals(hint: Any) -> tuple[str, ...]:
    """The texts that a hint allows, where it is a choice; empty otherwise."""
    options = get_args(hint)
    if options and all(isinstance(x, str) for x in options):
        return options
    return next((found for x in options if (found := literals(x))), ())


def _without_none(hint: Any) -> Any:
    """``float | None`` -> ``float``."""
    options = [x for x in get_args(hint) if x is not type(None)]
    return options[0] if len(options) == 1 and type(None) in get_args(hint) else hint


def _plain(value: Any, hint: Any) -> Any:
    """The value in Python's own types: a number, a text, None or a tuple of them.

    >>> import numpy as np
    >>> _plain(np.int64(3), int), _plain(np.ones(2), tuple[float, ...])
    (3, (1.0, 1.0))
    """
    if hasattr(value, "tolist"):  # numpy's and torch's
        value = value.tolist()
    if isinstance(value, list | tuple):
        value = tuple(x.tolist() if hasattr(x, "tolist") else x for x in value)
        return tuple(map(_as_float, value)) if "float" in str(hint) else value
    return _as_float(value) if _without_none(hint) is float else value


def _as_float(value: Any) -> Any:
    """A whole number as a float; anything else as it is, for the checks to judge."""
    if type(value) is not int:
        return value
    return float(value) if abs(value) < 2**1023 else math.inf


def _check_type(name: str, value: Any, hint: Any) -> None:
    if value is None and type(None) in get_args(hint):
        return
    allowed = literals(hint)
    if allowed and value in allowed:
        return
    if allowed and int not in get_args(hint):
        raise UnknownNameError(name, str(value), allowed)
    text = str(hint)
    if "tuple" in text:
        element: tuple[type, ...] = (
            (str,) if "str" in text else (int, float) if "float" in text else (int,)
        )
        good = isinstance(value, tuple) and all(
            isinstance(x, element) and not isinstance(x, bool) for x in value
        )
        wanted = f"a list of {'names' if str in element else 'numbers'}"
    elif _without_none(hint) is str:
        good, wanted = isinstance(value, str), "a text"
    elif _without_none(hint) is float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        wanted = "a number"
    else:
        good = isinstance(value, int) and not isinstance(value, bool)
        wanted = " or ".join(["a whole number", *allowed])
    if not good:
        raise ConfigError(f"{name} is {_shown(value)}", f"use {wanted}")
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, str) and len(part) > LONGEST:
            raise ConfigError(
                f"{name} is a text of {len(part):,} characters", f"use {LONGEST:,} at most"
            )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4300 digits; deep tables
        text = "nothing that can be shown"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _check_range(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    if isinstance(value, tuple) and "least" in limits:
        for x in value:
            _check_range(name, x, limits)
        if not value:
            raise ConfigError(f"{name} is empty", "give at least one number")
    if not isinstance(value, int | float):
        return
    least, most = limits.get("least"), limits.get("most")
    low = least is not None and not value >= least
    if most is None and isinstance(value, int) and abs(value) > LARGEST:
        most = LARGEST
    if low or (most is not None and not value <= most) or value == math.inf:
        span = f">= {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{name} is {_shown(value)}", f"use a number {span}")
