"""What any class of settings does, shown on a small one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from impasto.config.base import Settings, literals, setting
from impasto.errors import ConfigError, UnknownNameError

Hair = Literal["hog", "sable"]


@dataclass(frozen=True)
class Brush(Settings):
    """As small as a class of settings can be that has one of each kind."""

    width: float = setting(2.0, "In millimetres", least=0.1, most=200)
    count: int = setting(1, "How many", least=1)
    hair: Hair = setting("hog", "What it is made of")
    name: str | None = setting(None, "What it is called")
    weights: tuple[float, ...] | None = setting(None, "One for each", least=0)
    colors: tuple[str, ...] = setting(("red",), "What it was dipped in")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"width": 0.0}, "width is 0.0; use a number from 0.1 to 200"),
        ({"width": float("nan")}, "width is nan; use a number from 0.1 to 200"),
        ({"width": True}, "width is True; use a number"),
        ({"count": 0}, "count is 0; use a number >= 1"),
        ({"count": 1.5}, "count is 1.5; use a whole number"),
        ({"name": 3}, "name is 3; use a text"),
        ({"weights": (1.0, -1.0)}, "weights is -1.0; use a number >= 0"),
        ({"weights": ()}, "weights is empty; give at least one number"),
        ({"colors": (1,)}, "colors is (1,); use a list of names"),
    ],
)
def test_types_and_ranges(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Brush(**settings)
    assert str(caught.value) == told


def test_a_choice() -> None:
    assert literals(Hair | None) == ("hog", "sable")
    assert literals(str) == ()
    with pytest.raises(UnknownNameError, match="did you mean 'sable'"):
        Brush(hair="sabel")  # type: ignore[arg-type]


def test_changes_take_what_files_and_flags_give() -> None:
    brush = Brush().with_changes(width=3, weights=[1, 2], colors="blue")
    assert brush == Brush(width=3.0, weights=(1.0, 2.0), colors=("blue",))
    assert type(brush.width) is float
    assert brush.changes() == {"width": 3.0, "weights": [1.0, 2.0], "colors": ["blue"]}
    assert Brush.from_dict(brush.to_dict()) == brush


def test_an_unknown_name_gets_a_proposal() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        Brush().with_changes(widht=1)
