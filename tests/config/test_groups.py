"""Groups stand alone, and configurations are made of them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from impasto.config.base import Settings
from impasto.config.dream import DreamConfig, LookConfig
from impasto.config.groups import ColorConfig, EncoderConfig, MachineConfig, RegionsConfig
from impasto.config.stylize import StylizeConfig
from impasto.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("group", [ColorConfig, EncoderConfig, MachineConfig, RegionsConfig])
def test_a_group_is_a_configuration_by_itself(group: type[Settings]) -> None:
    own, whole = group(), StylizeConfig()
    names = [item.name for item in fields(own)]  # type: ignore[arg-type]  # a dataclass
    assert names
    assert {name: getattr(whole, name) for name in names} == own.to_dict() | {
        name: getattr(own, name) for name in names
    }
    assert isinstance(whole, group)


def test_groups_check_what_is_theirs() -> None:
    with pytest.raises(UnknownNameError, match="no color is called 'kep'; did you mean 'keep'"):
        ColorConfig(color="kep")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="blend is"):
        RegionsConfig(blend=(0.0, 0.0))


def test_where_settings_come_from() -> None:
    assert StylizeConfig.group_of("size") == "Picture"
    assert StylizeConfig.group_of("precision") == "Machine"
    assert StylizeConfig.group_of("blend") == "Styles"
    assert StylizeConfig.group_of("keep") == "Regions"
    assert DreamConfig.group_of("octaves") == "Dream"
    assert LookConfig.group_of("device") == "Machine"
    groups = [StylizeConfig.group_of(item.name) for item in fields(StylizeConfig)]
    assert [g for k, g in enumerate(groups) if g not in groups[:k]][:3] == [
        "Picture", "Subject", "Colour",
    ]  # fmt: skip
