"""What every loss must do, and the objective that adds them up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor

from impasto.encoders.base import IMAGE, Features
from impasto.errors import ConfigError
from impasto.losses import (
    CONTENT_LOSSES,
    STYLE_LOSSES,
    EarthMoverLoss,
    FeatureLoss,
    GramLoss,
    HistogramLoss,
    LocalLoss,
    Loss,
    MeanStdLoss,
    Objective,
    PatchLoss,
    SampledLoss,
    SelfSimilarityLoss,
    SlicedLoss,
    TotalVariation,
    WassersteinLoss,
)
from impasto.losses.base import FARTHEST, LossOptions, Measurable, Sums

LAYERS = {"image": (1, 3, 6, 8), "relu1_1": (1, 4, 6, 8), "relu2_1": (1, 5, 3, 4)}

KINDS = {**STYLE_LOSSES, **CONTENT_LOSSES}


@dataclass(frozen=True)
class Source:
    """One style, as losses ask for it."""

    found: Features
    weights: dict[str, float]
    share: float = 1.0

    def features(self, quarter_turns: int = 0) -> tuple[Features, Features]:
        return self.found, {}

    def measure(self, loss: type[Measurable]) -> Sums:
        return loss.measure(self.found, {})


def build(kind: type[Loss], normalization: str, target: Features) -> Loss:
    """As a run does, with equal weights."""
    weights = dict.fromkeys(target, 1 / len(target))
    options = LossOptions(normalization)
    if kind.role == "content":
        return kind.from_content({IMAGE: features(0)[IMAGE], **target}, weights, options)
    [loss] = kind.from_styles([Source(target, weights)], weights, options)
    return loss


LOSSES: dict[str, Callable[[Features], Loss]] = {
    f"{name} {normalization}": partial(build, kind, normalization)
    for name, kind in KINDS.items()
    for normalization in kind.normalizations
}
TARGETED = list(LOSSES)
# A part of a painting is not all of it.
WHOLE = [name for name in TARGETED if KINDS[name.split()[0]] is not LocalLoss]
LOSSES["total variation"] = lambda target: TotalVariation()
# Up to rounding: products of unit vectors with themselves are 1, quantiles are interpolated.
ROUNDED = {name for name in TARGETED if issubclass(KINDS[name.split()[0]], SampledLoss)}
BY_LAYER = [
    *(FeatureLoss, GramLoss, LocalLoss, MeanStdLoss, WassersteinLoss, HistogramLoss, SlicedLoss),
    *(PatchLoss, EarthMoverLoss, SelfSimilarityLoss),
]


def features(seed: int, dtype: torch.dtype = torch.float32, batch: int = 1) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(batch, *shape[1:], generator=draw, dtype=torch.float64).to(dtype)
        for name, shape in LAYERS.items()
    }


def total(loss: Loss, ours: Features) -> Tensor:
    return torch.stack([value.double() for value in loss(ours).values()]).sum()


# --- every loss ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_one_scalar_for_each_layer(name: str) -> None:
    loss = LOSSES[name](features(0))
    values = loss(features(1))
    assert tuple(values) == loss.layers
    assert all(value.shape == () and value > 0 for value in values.values())


@pytest.mark.parametrize("name", WHOLE)
def test_the_own_target_costs_nothing(name: str) -> None:
    target = features(0)
    for value in LOSSES[name](target)(target).values():
        assert value == (pytest.approx(0, abs=1e-6) if name in ROUNDED else 0)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    loss = LOSSES[name](features(0, torch.float64))
    ours = {k: v.requires_grad_(True) for k, v in features(1, torch.float64).items()}

    def value(*tensors: Tensor) -> Tensor:
        return total(loss, dict(zip(ours, tensors, strict=True)))

    assert torch.autograd.gradcheck(value, tuple(ours.values()))


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_is_as_good_as_its_rounding(name: str) -> None:
    target, ours = features(0, torch.bfloat16), features(1, torch.bfloat16)
    exact = LOSSES[name]({k: v.double() for k, v in target.items()})(
        {k: v.double() for k, v in ours.items()}
    )
    for layer, value in LOSSES[name](target)(ours).items():
        assert value.isfinite()
        assert value.item() == pytest.approx(exact[layer].item(), rel=2e-2)


@pytest.mark.parametrize("name", LOSSES)
def test_the_features_are_not_modified(name: str) -> None:
    target, ours = features(0), features(1)
    LOSSES[name](target)(ours)
    assert all(
        torch.equal(x, y) for x, y in zip(target.values(), features(0).values(), strict=True)
    )
    assert all(torch.equal(x, y) for x, y in zip(ours.values(), features(1).values(), strict=True))


@pytest.mark.parametrize("name", LOSSES)
def test_it_needs_only_its_layers(name: str) -> None:
    loss = LOSSES[name]({"relu1_1": features(0)["relu1_1"]})
    ours = features(1)
    assert set(loss.layers) <= {"relu1_1", "image"}
    assert loss({layer: ours[layer] for layer in loss.layers})


@pytest.mark.parametrize("cls", BY_LAYER)
def test_weights_of_layers(cls: type[FeatureLoss]) -> None:
    target, ours = features(0), features(1)
    equal = cls(target)(ours)
    chosen = cls(target, {"relu1_1": 2.0, "image": 0.0})
    assert chosen.layers == ("relu1_1",)
    assert torch.allclose(chosen(ours)["relu1_1"], 6 * equal["relu1_1"])  # 2 against 1/3


@pytest.mark.parametrize("cls", BY_LAYER)
def test_weights_that_make_no_sense(cls: type[FeatureLoss]) -> None:
    with pytest.raises(ConfigError, match=r"given for relu4_2.*its layers are: image, relu1_1"):
        cls(features(0), {"relu4_2": 1.0})
    for weights in ({}, {"relu1_1": 0.0}):
        with pytest.raises(ConfigError, match="a loss without layers"):
            cls(features(0), weights)
    with pytest.raises(ConfigError, match="a loss without layers"):
        cls({})


# --- the objective -------------------------------------------------------------------------------


class Constant(Loss):
    """A loss of one's own: a fixed number for each layer, whatever the features."""

    def __init__(self, **values: float) -> None:
        self.values = values
        self.layers = tuple(values)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        return {layer: features[layer].sum() * 0 + value for layer, value in self.values.items()}


def test_parts_sum_to_terms_and_terms_to_the_total() -> None:
    target, ours = features(0), features(1)
    objective = Objective(
        content=(FeatureLoss(target), 0.3),
        style=(GramLoss(target), 2.0),
        tv=(TotalVariation(), 0.1),
    )
    result = objective(ours)
    assert set(result.terms) == {"content", "style", "tv"}
    for name, term in result.terms.items():
        parts = [v for key, v in result.parts.items() if key.startswith(f"{name}.")]
        assert term.item() == pytest.approx(sum(x.item() for x in parts), rel=1e-6)
    assert result.total.item() == pytest.approx(sum(x.item() for x in result.terms.values()))
    expected = 0.3 * total(FeatureLoss(target), ours) + 2 * total(GramLoss(target), ours)
    expected += 0.1 * total(TotalVariation(), ours)
    assert result.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_sum_by_hand() -> None:
    one, two = Constant(image=1.0, relu1_1=10.0), Constant(relu1_1=100.0)
    result = Objective(one=(one, 2.0), two=(two, 0.5))(features(0))
    assert {k: v.item() for k, v in result.parts.items()} == {
        "one.image": 2.0,
        "one.relu1_1": 20.0,
        "two.relu1_1": 50.0,
    }
    assert {k: v.item() for k, v in result.terms.items()} == {"one": 22.0, "two": 50.0}
    assert result.total.item() == 72.0


def test_layers_are_named_once_and_terms_of_weight_zero_read_none() -> None:
    objective = Objective(
        a=(Constant(relu1_1=1.0, relu2_1=1.0), 1.0),
        b=(Constant(relu2_1=1.0, image=1.0), 1.0),
        c=(Constant(relu5_1=1.0), 0.0),
    )
    assert objective.layers == ("relu1_1", "relu2_1", "image")
    assert set(objective(features(0)).terms) == {"a", "b"}


def test_the_total_has_the_gradient_of_the_sum() -> None:
    target, image = features(0)["image"], features(1)["image"].requires_grad_(True)
    objective = Objective(a=(FeatureLoss({"image": target}, normalization="gatys"), 3.0))
    torch.autograd.backward(objective({"image": image}).total)
    assert image.grad is not None
    assert torch.allclose(image.grad, 3 * (image - target))


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_bad_weights(weight: float) -> None:
    with pytest.raises(ConfigError, match=f"the weight of 'tv' is {weight}; use a number >= 0"):
        Objective(tv=(TotalVariation(), weight))


def test_all_losses_are_told_of_a_step() -> None:
    loss = SlicedLoss(features(0))
    Objective(a=(loss, 1.0), tv=(TotalVariation(), 1.0)).on_step_start(7)
    assert loss.step == 7


def test_nothing_to_minimise() -> None:
    with pytest.raises(ConfigError, match="without terms"):
        Objective()
    with pytest.raises(ConfigError, match="all weights of an objective are 0"):
        Objective(tv=(TotalVariation(), 0.0))


class Distance(Loss):
    """The image's mean square."""

    layers = (IMAGE,)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        return {IMAGE: features[IMAGE].square().mean()}


def test_a_limited_term_counts_for_more_above_its_limit() -> None:
    objective = Objective(a=(Distance(), 2.0), b=(Distance(), 3.0)).with_limits({"a": 0.25})
    below, at, above = (
        objective({IMAGE: torch.full((1, 3, 2, 2), value)}) for value in (0.1, 0.5, 1.0)
    )
    assert at.terms["a"].item() == pytest.approx(2 * 0.25)
    assert at.distances == {"a": torch.tensor(0.25)}
    assert above.terms["a"].item() > 2 * 1.0
    assert below.terms["a"].item() == pytest.approx(2 * 0.01)  # never for less than its weight
    assert above.terms["b"].item() == pytest.approx(3.0)  # it has no limit


def test_multipliers_rise_above_a_limit_and_fall_below_it() -> None:
    objective = Objective(a=(Distance(), 2.0)).with_limits({"a": 0.25})
    values = []
    for value in (1.0, 1.0, 0.1, 0.1):
        objective.ascend(objective({IMAGE: torch.full((1, 3, 2, 2), value)}))
        values.append(objective.multipliers["a"])
    assert 0 < values[0] < values[1] > values[2] > values[3] > 0
    for _ in range(1000):
        objective.ascend(objective({IMAGE: torch.full((1, 3, 2, 2), 0.1)}))
    assert objective.multipliers["a"] == 0
    for _ in range(1000):
        objective.ascend(objective({IMAGE: torch.full((1, 3, 2, 2), 9.0)}))
    assert objective.multipliers["a"] == FARTHEST
    objective.ascend(objective({IMAGE: torch.full((1, 3, 2, 2), torch.nan)}))
    assert objective.multipliers["a"] == FARTHEST


def test_gains_and_limits_live_together() -> None:
    objective = Objective(a=(Distance(), 1.0)).with_limits({"a": 0.25}).with_gains({"a.image": 2.0})
    assert objective.limits == {"a": 0.25}
    assert objective.with_limits({}).gains == {"a.image": 2.0}
