"""Layers, channels and weights in one text."""

from __future__ import annotations

import pytest

from impasto.config.layers import Selection, parse_selection, parse_selections
from impasto.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu4_3", Selection("relu4_3", None, 1.0)),
        (" relu4_3=0.5 ", Selection("relu4_3", None, 0.5)),
        ("conv2_1:7", Selection("conv2_1", (7,), 1.0)),
        ("relu5_1:0-2+9=-1e-1", Selection("relu5_1", (0, 1, 2, 9), -0.1)),
    ],
)
def test_what_is_understood(text: str, expected: Selection) -> None:
    assert parse_selection(text) == expected


@pytest.mark.parametrize(
    "text", ["", "4_3", "relu4_3:", "relu4_3:a", "relu4_3:5-3", "relu4_3:1--2", "relu4_3=x", "a b"]
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write relu4_3, relu4_3=0\.5 or"):
        parse_selection(text)


@pytest.mark.parametrize("text", ["relu4_3=0", "relu4_3=nan", "relu4_3=inf"])
def test_weights_that_wish_for_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="use any other number than 0"):
        parse_selection(text)


def test_a_layer_is_named_once() -> None:
    assert [s.layer for s in parse_selections(["relu1_1", "relu2_1:3"])] == ["relu1_1", "relu2_1"]
    with pytest.raises(ConfigError, match=r"relu1_1 is named twice; join .* relu1_1:3\+7"):
        parse_selections(["relu1_1:3", "relu1_1:7"])


def test_no_endless_spans() -> None:
    with pytest.raises(ConfigError):
        parse_selection("relu1_1:0-999999999999")
