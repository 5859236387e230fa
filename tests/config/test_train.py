"""The settings of a training, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from impasto.config.train import TrainConfig
from impasto.errors import ConfigError


@pytest.mark.parametrize("changes", [{}, {"minutes": 5.0, "style_loss": ["gram", "histogram=0.5"]}])
def test_changes_are_enough_to_make_it_again(changes: dict[str, Any]) -> None:
    config = TrainConfig().with_changes(**changes)
    assert config.changes() == changes
    assert TrainConfig().with_changes(**config.changes()) == config
    assert TrainConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minutes": 0}, "minutes is 0"),
        ({"style_layers": ()}, "style_layers is empty"),
        ({"style_layers": ("relu9_1",)}, "relu9_1"),
        ({"style_loss": ("gram", "gram")}, "twice"),
        ({"style_weight": 0}, "style_weight is 0"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**settings)
