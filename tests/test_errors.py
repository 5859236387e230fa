from __future__ import annotations

import inspect
import pickle
import re

import pytest

from impasto import errors
from impasto.errors import (
    ImpastoError,
    InvalidImageError,
    MissingDependencyError,
    UnknownNameError,
    UsageError,
)

TREE = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, ImpastoError) and cls.__module__ == errors.__name__
]


def drawn() -> dict[str, tuple[int, int]]:
    """Name -> (depth, exit code) as the module's docstring draws them."""
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([ │├└─]*)([A-Z]\w+) +(\d+)  ", line):
            found[match[2]] = (len(match[1]) // 4, int(match[3]))
    return found


def test_the_tree_is_as_drawn() -> None:
    real = {cls.__name__: (cls.__mro__.index(ImpastoError), cls.exit_code) for cls in TREE}
    assert drawn() == real


def test_each_is_drawn_below_its_parent() -> None:
    path: list[str] = []
    for name, (depth, _) in drawn().items():
        path = [*path[:depth], name]
        parents = [base.__name__ for base in getattr(errors, name).__mro__]
        assert parents[: depth + 1] == path[::-1]


@pytest.mark.parametrize("cls", TREE)
def test_each_says_what_it_is(cls: type[ImpastoError]) -> None:
    assert cls.__doc__
    assert cls.exit_code not in (0, 5, 143)


def test_message_and_remedy() -> None:
    error = InvalidImageError("'a.png' is broken", "save it again")
    assert (error.message, error.remedy) == ("'a.png' is broken", "save it again")
    assert str(error) == "'a.png' is broken; save it again"
    assert str(InvalidImageError("'a.png' is broken")) == "'a.png' is broken"


def test_unknown_name_proposes_a_close_one() -> None:
    allowed = {"gram": 1, "mean_std": 2}
    assert "did you mean 'gram'? there are: gram, mean_std" in str(
        UnknownNameError("style loss", "grma", allowed)
    )
    assert str(UnknownNameError("style loss", "xyz", iter(allowed))) == (
        "no style loss is called 'xyz'; there are: gram, mean_std"
    )


def test_missing_dependency_says_how_to_install_it() -> None:
    error = MissingDependencyError("--plot", "plots")
    assert str(error) == '--plot needs an optional package; pip install "impasto[plots]"'
    assert isinstance(error, UsageError)


@pytest.mark.parametrize(
    "error",
    [errors.UnknownNameError("swatch", "x", ["y"]), errors.MissingDependencyError("a", "b")],
)
def test_errors_survive_the_way_home_from_a_worker_process(error: errors.ImpastoError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.exit_code == error.exit_code
