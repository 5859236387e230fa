"""Gains that make layers pull as hard as their weights say."""

from __future__ import annotations

import pytest
import torch
from impasto.optim.balance import LIMIT, equalize_gradients
from torch import Tensor

from impasto import (
    Encoder,
    FeatureLoss,
    GramLoss,
    MeanStdLoss,
    Objective,
    StylizeConfig,
    stylize,
)
from impasto.optim.gradients import gradient_norms
from impasto.transfer.stylization import Stylization

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture
def objective(encoder: Encoder, photo: Tensor, painting: Tensor) -> Objective:
    target = encoder(painting, LAYERS)
    return Objective(
        content=(FeatureLoss(encoder(photo, "relu2_1"), normalization="relative"), 0.3),
        **{
            "style-gram": (GramLoss(target, normalization="relative"), 1.0),
            "style-mean-std": (MeanStdLoss(target, normalization="relative"), 0.2),
        },
    )


def test_parts_pull_in_the_proportion_that_is_wanted(
    encoder: Encoder, photo: Tensor, objective: Objective
) -> None:
    wanted = {
        "style-gram": {"relu1_1": 0.5, "relu2_1": 0.25},
        "style-mean-std": {"relu1_1": 0.1, "relu2_1": 0.1},
    }
    before = gradient_norms(photo, encoder, objective)
    after = gradient_norms(photo, encoder, equalize_gradients(objective, photo, encoder, wanted))
    style = [name for name in before if name.startswith("style")]
    total = sum(before[name] for name in style)
    assert sum(after[name] for name in style) == pytest.approx(total, rel=1e-3)
    for name in style:
        term, _, layer = name.partition(".")
        assert after[name] == pytest.approx(total * wanted[term][layer] / 0.95, rel=1e-3)
    assert after["content.relu2_1"] == pytest.approx(before["content.relu2_1"], rel=1e-3)


def test_what_hardly_pulls_is_not_raised_without_limit(
    encoder: Encoder, photo: Tensor, objective: Objective
) -> None:
    faint = Objective(
        **dict(objective.terms, **{"style-mean-std": (objective.terms["style-mean-std"][0], 1e-9)})
    )
    even = {term: dict.fromkeys(LAYERS, 1.0) for term in ("style-gram", "style-mean-std")}
    gains = equalize_gradients(faint, photo, encoder, even).gains
    # The bound holds before the sum is made whole again.
    assert max(gains.values()) <= LIMIT * 2
    assert all(gain > 0 for gain in gains.values())


def test_regions_are_balanced_each_by_itself(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    target = encoder(painting, LAYERS)
    terms = {"style_1": (GramLoss(target), 1.0), "style_2": (GramLoss(target), 100.0)}
    objective = Objective(**terms)
    wanted = {term: dict.fromkeys(LAYERS, 1.0) for term in terms}
    after = gradient_norms(photo, encoder, equalize_gradients(objective, photo, encoder, wanted))
    before = gradient_norms(photo, encoder, objective)
    for term in terms:
        pair = [after[f"{term}.{layer}"] for layer in LAYERS]
        assert pair[0] == pytest.approx(pair[1], rel=1e-3)
        assert sum(pair) == pytest.approx(sum(before[f"{term}.{x}"] for x in LAYERS), rel=1e-3)


def test_a_balanced_run(photo: Tensor, painting: Tensor) -> None:
    config = StylizeConfig(size=64, steps=(3,), style_layers=LAYERS, precision="float32")
    plain = stylize(photo, painting, config).image
    even = stylize(photo, painting, config, balance="style")
    assert not torch.equal(plain, even.image)
    assert even.metadata["config"]["balance"] == "style"


def test_in_tiles_the_gains_are_those_of_a_smaller_picture(photo: Tensor, painting: Tensor) -> None:
    config = StylizeConfig(size=96, steps=(2,), balance="style", precision="float32")
    small = Stylization(photo, painting, config).objective(0).gains
    tiled = Stylization(photo, painting, config.with_changes(tile=96, size=128)).objective(0).gains
    assert tiled == pytest.approx(dict(small), rel=1e-3)
