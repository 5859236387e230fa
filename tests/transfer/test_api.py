"""``stylize`` and ``texture`` as one calls them: settings, objects, events."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import (
    Encoder,
    GramLoss,
    Loss,
    Stylization,
    stylize,
)
from impasto.encoders.base import Features
from impasto.errors import ConfigError
from impasto.transfer.api import pop_own_losses
from tests.transfer.test_stylization import SMALL, run


def test_events_are_handed_on(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    seen: list[str] = []
    result = stylize(
        photo, painting, SMALL, encoder=encoder, on_event=lambda e: seen.append(type(e).__name__)
    )
    assert seen.count("Step") == len(result.history) == 3
    assert seen[-1] == "Finished"


# --- losses of one's own -------------------------------------------------------------------------


class MeanLoss(Loss):
    """Squared distance of channel means: as little as a loss can be."""

    def __init__(self, target: Features, weights: dict[str, float]) -> None:
        self.layers = tuple(weights)
        self.weights = weights
        self.target = {name: target[name].float().mean((2, 3)) for name in self.layers}

    def __call__(self, features: Features) -> dict[str, Tensor]:
        return {
            name: self.weights[name] * (features[name].float().mean((2, 3)) - mean).square().mean()
            for name, mean in self.target.items()
        }


def test_own_losses_beside_named_ones(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    made = run(photo, painting, encoder, style_loss={"gram": 1.0, MeanLoss: 0.5})
    assert {"style-gram", "style-MeanLoss"} <= set(made.history[-1]["losses"])
    assert made.metadata["config"]["style_loss"] == ["gram=1.0", "MeanLoss=0.5"]
    plain = run(photo, painting, encoder, style_loss="gram")
    assert not torch.equal(made.image, plain.image)
    nothing = run(photo, painting, encoder, style_loss={"gram": 1.0, MeanLoss: 0.0})
    assert torch.equal(nothing.image, plain.image)


def test_an_own_loss_is_what_it_computes(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """GramLoss, given as a class, paints what its name paints; an object is used as it is."""
    named = run(photo, painting, encoder, tv_weight=0.0, style_loss="gram")
    own = run(photo, painting, encoder, tv_weight=0.0, style_loss=GramLoss)
    assert torch.equal(own.image, named.image)
    target = encoder(painting, ["relu1_1"])
    ready = run(photo, painting, encoder, style_loss=[GramLoss(target)])
    assert ready.metadata["config"]["style_loss"] == ["GramLoss"]


def test_an_own_loss_may_hold_the_content(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    made = Stylization(
        photo,
        painting,
        SMALL.with_changes(content_loss=["MeanLoss", "features"]),
        encoder=encoder,
        own_losses={"MeanLoss": MeanLoss},
    )
    objective = made.objective(0)
    assert {"content-MeanLoss", "content-features"} <= set(objective.terms)
    assert "content-MeanLoss" not in objective.limits  # a limit is a share of the relative distance


def test_an_own_loss_that_knows_no_masks_is_told_so(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    left = torch.zeros(1, 1, 96, 128)
    left[..., :64] = 1
    with pytest.raises(ConfigError, match="MeanLoss cannot tell positions apart"):
        run(photo, painting, encoder, style_loss=MeanLoss, regions=[left, "rest"])
    with pytest.raises(ConfigError, match="MeanLoss cannot be computed in tiles, and tile is 64"):
        run(photo, painting, encoder, style_loss=MeanLoss, size=100, tile=64)


def test_losses_are_taken_out_of_the_settings() -> None:
    ready = GramLoss({"relu1_1": torch.rand(1, 2, 3, 3)})
    settings: dict[str, Any] = {"style_loss": ready, "content_loss": ["features", MeanLoss]}
    assert pop_own_losses(settings) == {"GramLoss": ready, "MeanLoss": MeanLoss}
    assert settings == {"style_loss": ("GramLoss",), "content_loss": ("features", "MeanLoss")}
    plain: dict[str, Any] = {"style_loss": "gram", "size": 64}
    assert pop_own_losses(plain) == {}
    assert plain == {"style_loss": "gram", "size": 64}
