from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import FeatureLoss
from impasto.losses.content import CONTENT_NORMALIZATIONS


def pair() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Target and ours, two layers of different size, float64."""
    draw = torch.Generator().manual_seed(0)
    shapes = {"relu1_1": (1, 2, 3, 4), "relu2_1": (1, 3, 2, 2)}
    target, ours = (
        {
            name: torch.randn(shape, generator=draw, dtype=torch.float64)
            for name, shape in shapes.items()
        }
        for _ in range(2)
    )
    return target, ours


def by_loops(
    target: Tensor, ours: Tensor, normalization: str, weight: Tensor | None = None
) -> float:
    distance, own = 0.0, 0.0
    for index in np.ndindex(*target.shape):
        share = 1.0 if weight is None else float(weight[0, 0, index[2], index[3]])
        distance += share * (float(ours[index]) - float(target[index])) ** 2
        own += share * float(target[index]) ** 2
    return distance * {"mean": 1 / target.numel(), "gatys": 0.5, "relative": 1 / own}[normalization]


@pytest.mark.parametrize("normalization", CONTENT_NORMALIZATIONS)
def test_the_value_by_loops(normalization: str) -> None:
    target, ours = pair()
    values = FeatureLoss(target, normalization=normalization)(ours)
    for name in target:
        expected = 0.5 * by_loops(target[name], ours[name], normalization)  # two layers: 1/2 each
        assert values[name].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("normalization", CONTENT_NORMALIZATIONS)
def test_masked_by_loops(normalization: str) -> None:
    target, ours = pair()
    weight = {"relu1_1": torch.rand(1, 1, 3, 4, generator=torch.Generator().manual_seed(1))}
    values = FeatureLoss(target, normalization=normalization, position_weight=weight)(ours)
    for name in target:
        expected = 0.5 * by_loops(target[name], ours[name], normalization, weight.get(name))
        assert values[name].item() == pytest.approx(expected, rel=1e-6)


def test_weights_pick_layers() -> None:
    target, ours = pair()
    loss = FeatureLoss(target, {"relu2_1": 3.0})
    assert loss.layers == ("relu2_1",)
    expected = 3 * by_loops(target["relu2_1"], ours["relu2_1"], "mean")
    assert loss(ours)["relu2_1"].item() == pytest.approx(expected)


def test_relative_is_one_for_an_empty_picture() -> None:
    target, _ = pair()
    nothing = {name: torch.zeros_like(x) for name, x in target.items()}
    for value in FeatureLoss(target, {"relu1_1": 1, "relu2_1": 1}, normalization="relative")(
        nothing
    ).values():
        assert value.item() == pytest.approx(1)


def test_transparent_positions_have_no_gradient() -> None:
    target, ours = pair()
    weight = torch.ones(1, 1, 3, 4)
    weight[..., 2:] = 0
    x = ours["relu1_1"].requires_grad_(True)
    loss = FeatureLoss({"relu1_1": target["relu1_1"]}, position_weight={"relu1_1": weight})
    torch.autograd.backward(loss({"relu1_1": x})["relu1_1"])
    assert x.grad is not None
    assert (x.grad[..., 2:] == 0).all()
    assert (x.grad[..., :2] != 0).all()


def test_bfloat16_differences_are_summed_in_float32() -> None:
    target = {"relu1_1": torch.zeros(1, 1, 128, 128, dtype=torch.bfloat16)}
    ours = {"relu1_1": torch.ones(1, 1, 128, 128, dtype=torch.bfloat16)}
    value = FeatureLoss(target, normalization="gatys")(ours)["relu1_1"]
    assert value.dtype == torch.float32
    assert value.item() == 128 * 128 / 2


def test_an_unknown_form() -> None:
    with pytest.raises(
        ConfigError, match="normalization is 'mse'; use one of: mean, gatys, relative"
    ):
        FeatureLoss(pair()[0], normalization="mse")


def test_another_size_is_refused_and_not_broadcast() -> None:
    loss = FeatureLoss({"relu4_1": torch.rand(1, 4, 6, 6)})
    with pytest.raises(ConfigError, match=r"\(1, 4, 1, 1\).*same size"):
        loss({"relu4_1": torch.rand(1, 4, 1, 1)})


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("masked", [False, True])
def test_a_mean_of_powers_by_loops(power: float, masked: bool) -> None:
    """``(mean d^p)^(1/p)``; with power 1 the plain relative distance."""
    target, ours = pair()
    draw = torch.Generator().manual_seed(1)
    weight = {"relu1_1": torch.rand(1, 1, 3, 4, generator=draw)} if masked else {}
    values = FeatureLoss(target, normalization="relative", position_weight=weight, power=power)(
        ours
    )
    for name in target:
        w = weight.get(name, torch.ones(1, 1, *target[name].shape[-2:]))[0, 0].double()
        size = float((w * target[name][0].square().sum(0)).sum() / w.sum())
        total = 0.0
        for y, x in np.ndindex(*w.shape):
            moved = float((ours[name] - target[name])[0, :, y, x].square().sum())
            total += float(w[y, x]) * (moved / size) ** power
        expected = 0.5 * (total / float(w.sum())) ** (1 / power)
        assert values[name].item() == pytest.approx(expected, rel=1e-4, abs=3e-3)


def test_with_a_power_one_place_far_off_counts_for_more() -> None:
    target = {"relu1_1": torch.ones(1, 2, 8, 8)}
    even, uneven = torch.ones(1, 2, 8, 8), torch.ones(1, 2, 8, 8)
    even += 0.1
    uneven[..., 0, 0] += 0.8  # the same squared distance, all of it at one place
    for power, ratio in ((1.0, 1.0), (2.0, 8.0)):
        loss = FeatureLoss(target, normalization="relative", power=power)
        near, far = (float(loss({"relu1_1": x})["relu1_1"]) for x in (even, uneven))
        assert far / near == pytest.approx(ratio, rel=0.2)


def test_a_power_has_a_slope_at_its_own_target() -> None:
    target, _ = pair()
    ours = {name: f.clone().requires_grad_(True) for name, f in target.items()}
    values = FeatureLoss(target, normalization="relative", power=2.0)(ours)
    sum(values.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]  # torch's
    for name, f in ours.items():
        assert values[name].item() == 0
        assert f.grad is not None
        assert torch.equal(f.grad, torch.zeros_like(f))


@pytest.mark.parametrize(("normalization", "power"), [("mean", 2.0), ("relative", 0.5)])
def test_powers_that_make_no_sense(normalization: str, power: float) -> None:
    with pytest.raises(ConfigError, match=f"power is {power} with normalization '{normalization}'"):
        FeatureLoss(pair()[0], normalization=normalization, power=power)
