"""Runs that share a style look at it once, and end in the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Stylization, StylizeConfig
from impasto.losses import STYLE_LOSSES
from impasto.objective.style_cache import StyleCache

SMALL = StylizeConfig(size=48, steps=(2, 1), precision="float32", subject="off")


def painted(
    photo: Tensor, style: Tensor, encoder: Encoder, cache: StyleCache | None, config: StylizeConfig
) -> Tensor:
    run = Stylization(photo, style, config, encoder=encoder, style_cache=cache)
    return run.finish().image


@pytest.mark.parametrize("loss", sorted(STYLE_LOSSES))
def test_the_second_run_sees_no_style(
    loss: str, photo: Tensor, painting: Tensor, encoder: Encoder
) -> None:
    config, cache = replace(SMALL, style_loss=(loss,)), StyleCache()
    first = painted(photo, painting, encoder, cache, config)
    missed = cache.missed
    assert missed > 0
    second = painted(photo, painting, encoder, cache, config)
    assert cache.missed == missed
    assert cache.found >= missed
    assert torch.equal(first, second)
    assert torch.equal(first, painted(photo, painting, encoder, None, config))


def test_what_decides_on_features_is_told_apart(
    photo: Tensor, painting: Tensor, encoder: Encoder
) -> None:
    cache = StyleCache()
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"style_scale": (0.5,)},
        {"precision": "exact"},
        {"style_layers": ("relu1_1", "relu2_1")},
        {"style_loss": ("mean-std",)},
    )
    for change in changes:
        config = replace(SMALL, **change)
        missed = cache.missed
        found = painted(photo, painting, encoder, cache, config)
        assert cache.missed > missed, change
        assert torch.equal(found, painted(photo, painting, encoder, None, config)), change
    missed = cache.missed
    painted(photo, painting.flip(1), encoder, cache, SMALL)
    assert cache.missed > missed


def test_styles_with_transparency_are_seen_each_time(
    photo: Tensor, painting: Tensor, encoder: Encoder
) -> None:
    cache = StyleCache()
    half = torch.cat([painting, torch.ones_like(painting[:, :1])], 1)
    half[:, 3, :48] = 0
    found = painted(photo, half, encoder, cache, SMALL)
    assert cache.missed == 0
    assert torch.equal(found, painted(photo, half, encoder, None, SMALL))


def test_what_was_used_last_stays() -> None:
    cache = StyleCache(limit=80)  # two tensors of ten numbers
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda: {"x": torch.zeros(10)})
    assert (cache.found, cache.missed, cache.size) == (1, 3, 80)
    cache.get("a", lambda: {"x": torch.zeros(10)})
    assert cache.found == 2
    cache.get("b", lambda: {"x": torch.zeros(10)})
    assert cache.missed == 4
    cache.get("large", lambda: {"x": torch.zeros(1000)})
    assert cache.size == 80
