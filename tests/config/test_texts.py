"""Settings as texts, and back."""

from __future__ import annotations

from dataclasses import fields

import pytest

from impasto.config.presets import PRESETS
from impasto.config.stylize import StylizeConfig
from impasto.config.texts import kind_of, parse, render
from impasto.errors import ConfigError


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_rendered_is_parsed_again(preset: str) -> None:
    for item in fields(StylizeConfig):
        value = getattr(PRESETS[preset], item.name)
        assert parse(item.name, render(value)) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("size", "big", "--size is 'big'; give a whole number, or none"),
        ("strength", "", "--strength is ''; give a number"),
        ("steps", "10,", "--steps is '10,'; give whole numbers with commas between them"),
        ("style_weights", "1;2", "give numbers with commas between them, or none"),
    ],
)
def test_what_cannot_be_parsed_is_told(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(name, text)
    assert said in str(caught.value)


def test_lists_of_names() -> None:
    assert parse("style_layers", "relu1_1, relu2_1") == ("relu1_1", "relu2_1")
    assert kind_of("flavour").optional
