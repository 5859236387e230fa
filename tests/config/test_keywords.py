"""Functions take the settings as keywords, and type checkers know them."""

from __future__ import annotations

from dataclasses import fields

from impasto.config import keywords
from impasto.config.dream import DreamConfig, LookConfig
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.train import TrainConfig


def test_each_setting_is_a_keyword() -> None:
    """Their types are held to the code by the test of generated pages."""
    for config in (StylizeConfig, QuickConfig, TrainConfig, DreamConfig, LookConfig):
        found = getattr(keywords, config.__name__.replace("Config", "Keywords"))
        assert [*found.__annotations__] == [item.name for item in fields(config)]
