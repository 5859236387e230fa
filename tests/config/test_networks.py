"""The settings of what paints in one pass: which are stylize's, and what they refuse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from impasto.config.networks import SHARED_BY_QUICK, QuickConfig, TrainConfig
from impasto.config.stylize import StylizeConfig
from impasto.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (QuickConfig(), {}),
        (QuickConfig(coarsest=None, blend=(1.0, 2.0)), {"coarsest": None, "blend": [1.0, 2.0]}),
        (TrainConfig(), {}),
        (TrainConfig(minutes=5, style_loss=("gram", "histogram=0.5")), None),
    ],
)
def test_changes_are_enough_to_make_it_again(config: Any, changes: dict[str, Any] | None) -> None:
    if changes is not None:
        assert config.changes() == changes
    assert type(config)().with_changes(**config.changes()) == config
    assert type(config).from_dict(config.to_dict()) == config


@pytest.mark.parametrize("name", SHARED_BY_QUICK)
def test_what_quick_shares_it_shares_whole(name: str) -> None:
    own, other = (
        next(field for field in fields(config) if field.name == name)
        for config in (QuickConfig, StylizeConfig)
    )
    assert own.type == other.type
    assert own.default == other.default
    limits = ("least", "most")
    assert [own.metadata.get(k) for k in limits] == [other.metadata.get(k) for k in limits]


def test_what_quick_shares_reaches_the_pictures() -> None:
    config = QuickConfig(color="match", regions=("map.png",), feather=0.1, strength=0.3)
    shared = config.for_pictures()
    assert (shared.color, shared.regions, shared.feather) == ("match", ("map.png",), 0.1)
    assert shared.strength == StylizeConfig().strength  # the one number that means another thing


@pytest.mark.parametrize(
    ("config", "settings", "told"),
    [
        (QuickConfig, {"coarsest": 32}, "coarsest is 32"),
        (QuickConfig, {"strength": 1.2}, "strength is 1.2"),
        (QuickConfig, {"size": "large"}, "size is 'large'; use a whole number or auto"),
        (QuickConfig, {"size": True}, "size is True; use a whole number or auto"),
        (QuickConfig, {"regions": ()}, "regions is empty"),
        (TrainConfig, {"minutes": 0}, "minutes is 0"),
        (TrainConfig, {"style_layers": ()}, "style_layers is empty"),
        (TrainConfig, {"style_layers": ("relu9_1",)}, "relu9_1"),
        (TrainConfig, {"style_loss": ("gram", "gram")}, "twice"),
        (TrainConfig, {"style_weight": 0}, "style_weight is 0"),
    ],
)
def test_what_is_wrong_is_told(config: type, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config(**settings)


def test_an_unknown_choice_is_told() -> None:
    with pytest.raises(UnknownNameError, match="opencl"):
        QuickConfig(backend="opencl")  # type: ignore[arg-type]
