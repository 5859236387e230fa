"""The settings of dreams and looks."""

from __future__ import annotations

from typing import Any

import pytest

from impasto.config.dream import CONFIGS, DreamConfig, LookConfig
from impasto.errors import ConfigError, UsageError


@pytest.mark.parametrize("config", CONFIGS.values())
def test_there_and_back(config: type[DreamConfig]) -> None:
    assert config.from_dict(config().to_dict()) == config()
    assert config().changes() == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"octaves": 0}, "octaves is 0; use a number from 1 to 16"),
        ({"layers": "relu4"}, None),
        ({"layers": "4_3"}, "'4_3' is no layer with channels and a weight"),
        ({"layers": []}, "layers is empty"),
        ({"smoothing": "gauss"}, "no smoothing is called 'gauss'"),
        ({"zoom": 1.1}, "a zoom or a turn needs frames"),
        ({"frames": 5, "colors": "original"}, "leaves the photo behind"),
        ({"size": 4}, "size is 4"),
    ],
)
def test_dreams_that_cannot_be(settings: dict[str, Any], message: str | None) -> None:
    if message is None:  # another encoder may call its layers what it likes
        assert DreamConfig().with_changes(**settings).layers == ("relu4",)
        return
    with pytest.raises(UsageError, match=message):
        DreamConfig().with_changes(**settings)


def test_looks_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="name channels to see what excites them, and only then"):
        LookConfig(show="channels")
    with pytest.raises(ConfigError, match="and only then"):
        LookConfig(channels=("relu3_1",))
    with pytest.raises(ConfigError, match="layers is empty"):
        LookConfig(layers=())


def test_most_steps() -> None:
    config = DreamConfig(octaves=3, steps=10, frames=5, frame_steps=2, zoom=1.1)
    assert config.most_steps == 3 * 10 + 4 * 3 * 2
