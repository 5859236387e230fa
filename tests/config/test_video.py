"""The settings of a clip, and whose the settings of its pictures are."""

from __future__ import annotations

from dataclasses import fields

import pytest

from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import ENGINES, VideoConfig
from impasto.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    "wrong", [{"steadiness": 1.5}, {"every": 0}, {"start": -1.0}, {"fps": 0.0}, {"segment": 0}]
)
def test_ranges(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        VideoConfig().with_changes(**wrong)


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quick'"):
        VideoConfig().with_changes(engine="quik")


def test_no_name_means_two_things() -> None:
    """Flags of a clip and of its pictures stand side by side."""
    own = {item.name for item in fields(VideoConfig)}
    for kind in ENGINES.values():
        assert not own & {item.name for item in fields(kind)}


def test_quick_has_no_setting_that_stylize_has_not() -> None:
    """So the flags of the one serve both engines."""
    names = [{item.name for item in fields(kind)} for kind in (QuickConfig, StylizeConfig)]
    assert names[0] <= names[1]
