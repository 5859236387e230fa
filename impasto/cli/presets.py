"""``impasto presets``."""

from __future__ import annotations

from impasto.cli import options
from impasto.cli.options import argument
from impasto.config.texts import flag_of, render

EXAMPLES = """
impasto presets
impasto presets gatys2016 > mine.toml
impasto stylize cat.jpg waves --config mine.toml
"""


def presets(
    name: str | None = argument("Print this one as TOML.", "NAME", default=None),
    as_json: bool = options.AS_JSON,
) -> None:
    """List the named settings, or print one as TOML.

    The list shows what a preset changes against the defaults. Use one with --preset, or write it
    to a file, edit that, and use it with --config.
    """
    from impasto.config.presets import PRESETS, WHAT_FOR, get_preset, to_toml

    chosen = {name: get_preset(name)} if name is not None else PRESETS
    if as_json:
        from impasto.cli.messages import print_json

        print_json({key: config.to_dict() for key, config in chosen.items()})
    elif name is not None:
        print(to_toml(chosen[name]), end="")
    else:
        for key, config in chosen.items():
            print(f"{key}: {WHAT_FOR[key]}")
            for setting, value in config.changes().items():
                print(f"    {flag_of(setting)} {render(value)}")
