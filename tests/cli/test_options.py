"""Flags that several commands have are written once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typer.models import ParameterInfo

from impasto.cli import options

SHARED = [name for name, value in vars(options).items() if isinstance(value, ParameterInfo)]
OTHERS = [x for x in Path(options.__file__).parent.glob("*.py") if x.name != "options.py"]


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_flag_is_used_by_several_commands_and_repeated_by_none(name: str) -> None:
    option = getattr(options, name)
    users = []
    for path in OTHERS:
        source = path.read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(source)))
        users += [path.name] * any(isinstance(x, ast.Attribute) and x.attr == name for x in nodes)
        assert not any(isinstance(x, ast.Constant) and x.value == option.help for x in nodes), path
    assert len(users) >= 2


def test_there_are_shared_flags() -> None:
    assert {"OVERWRITE", "RESUME", "THREADS", "QUIET"} <= set(SHARED)
