"""The settings of ``quick``: which are stylize's, and what they refuse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from impasto.config.groups import BlendConfig, ColorConfig, MasksConfig
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("changes", [{}, {"coarsest": None, "blend": [1.0, 2.0]}])
def test_changes_are_enough_to_make_it_again(changes: dict[str, Any]) -> None:
    config = QuickConfig().with_changes(**changes)
    assert config.changes() == changes
    assert QuickConfig().with_changes(**config.changes()) == config
    assert QuickConfig.from_dict(config.to_dict()) == config


def test_what_both_call_by_one_name_means_the_same_in_stylize() -> None:
    groups = (BlendConfig, ColorConfig, MasksConfig)
    shared = {item.name for kind in groups for item in fields(kind)}

    def described(config: type) -> dict[str, tuple[Any, ...]]:
        return {
            item.name: (item.default, *(item.metadata.get(k) for k in ("least", "most")))
            for item in fields(config)
            if item.name in shared
        }

    assert described(QuickConfig) == described(StylizeConfig)


def test_regions_reach_the_pictures_as_a_group() -> None:
    config = QuickConfig(regions=("map.png",), feather=0.1, blend=(1.0, 2.0))
    shared = config.styles_and_regions
    assert (shared.regions, shared.feather, shared.blend) == (("map.png",), 0.1, (1.0, 2.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coarsest": 32}, "coarsest is 32"),
        ({"strength": 1.2}, "strength is 1.2"),
        ({"size": "large"}, "size is 'large'; use a whole number or auto"),
        ({"size": True}, "size is True; use a whole number or auto"),
        ({"regions": ()}, "regions is empty"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QuickConfig(**settings)


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="best"):
        QuickConfig(quality="best")  # type: ignore[arg-type]


def test_old_settings_may_name_torch_as_their_backend() -> None:
    for backend in ("auto", "torch"):
        assert QuickConfig.from_dict({"backend": backend, "seed": 3}) == QuickConfig()
    with pytest.raises(ConfigError, match="backend is 'openvino', and only torch computes quick"):
        QuickConfig.from_dict({"backend": "openvino"})
