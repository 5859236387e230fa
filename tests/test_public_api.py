"""What ``import impasto`` promises, and that each module has its tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import impasto

ROOT = Path(__file__).parents[1]
MODULES = [
    path.relative_to(ROOT / "impasto")
    for path in sorted((ROOT / "impasto").rglob("*.py"))
    if not path.stem.startswith("__")
]


def test_all_is_sorted() -> None:
    """Constants, classes, functions; each by name (the order that ruff keeps)."""

    def key(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name

    assert impasto.__all__ == sorted(set(impasto.__all__), key=key)


def test_names_are_in_dir_and_nothing_else_is() -> None:
    assert set(impasto.__all__) <= set(dir(impasto))
    with pytest.raises(AttributeError, match="stylise"):
        impasto.stylise  # noqa: B018  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "impasto" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(impasto.__all__)


@pytest.mark.parametrize("name", impasto.__all__)
def test_name_resolves_and_explains_itself(name: str) -> None:
    value = getattr(impasto, name)
    if callable(value):
        assert value.__name__ == name
        assert value.__doc__
        # A dataclass without a docstring gets its signature for one.
        assert not value.__doc__.startswith(f"{name}(")


def test_no_name_hides_a_module() -> None:
    rooms = {path.parts[0].removesuffix(".py") for path in MODULES}
    assert not rooms & set(impasto.__all__)


@pytest.mark.parametrize("module", MODULES, ids=Path.as_posix)
def test_module_has_its_tests(module: Path) -> None:
    """In a file of its own, or in one for its whole room."""
    own = ROOT / "tests" / module.parent / f"test_{module.name}"
    room = ROOT / "tests" / f"test_{module.parts[0]}.py"
    assert own.is_file() or room.is_file(), f"write {own.relative_to(ROOT)}"


def test_import_star_gives_what_all_says() -> None:
    code = "from impasto import *; import impasto; assert set(impasto.__all__) <= set(globals())"
    subprocess.run([sys.executable, "-c", code], check=True)
