from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.losses import (
    GramLoss,
    MeanStdLoss,
    StatisticLoss,
    WassersteinLoss,
)
from impasto.losses.base import Sums

STATISTICS = [GramLoss, MeanStdLoss, WassersteinLoss]


def features(height: int, width: int, seed: int, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64)


@pytest.mark.parametrize("normalization", ["mean", "relative"])
def test_mean_and_std_by_numpy(normalization: str) -> None:
    style, ours = features(4, 5, 0), features(6, 3, 1)
    a, b = style[0].flatten(1).numpy(), ours[0].flatten(1).numpy()
    distance = (a.mean(1) - b.mean(1)) ** 2 + (a.std(1) - b.std(1)) ** 2
    own = a.mean(1) ** 2 + a.std(1) ** 2
    expected = distance.mean() if normalization == "mean" else distance.sum() / own.sum()
    loss = MeanStdLoss({"relu1_1": style}, normalization=normalization)({"relu1_1": ours})[
        "relu1_1"
    ]
    assert loss.item() == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("cls", STATISTICS)
def test_relative_is_one_for_an_empty_picture(cls: type[GramLoss]) -> None:
    loss = cls({"relu1_1": features(4, 5, 0)}, normalization="relative")
    value = loss({"relu1_1": torch.zeros(1, 3, 4, 4, dtype=torch.float64)})["relu1_1"]
    assert value.item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("cls", STATISTICS)
def test_where_things_are_does_not_matter(cls: type[GramLoss]) -> None:
    style = features(4, 6, 0)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    moved = style.flatten(2)[..., order].view_as(style)
    assert cls({"a": style})({"a": moved})["a"].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("cls", STATISTICS)
def test_full_masks_are_no_masks(cls: type[GramLoss]) -> None:
    style, ours = features(4, 6, 0).float(), features(5, 5, 1).float()
    full = {"a": torch.ones(1, 1, 4, 6)}, {"a": torch.ones(1, 1, 5, 5)}
    plain = cls({"a": style})({"a": ours})["a"]
    masked = cls({"a": style}, target_weight=full[0], position_weight=full[1])({"a": ours})["a"]
    assert torch.allclose(plain, masked, rtol=1e-5)


@pytest.mark.parametrize("cls", STATISTICS)
def test_transparent_halves_do_not_count(cls: type[GramLoss]) -> None:
    style, ours = features(4, 6, 0), features(4, 6, 1)
    left = torch.ones(1, 1, 4, 6)
    left[..., 3:] = 0
    expected = cls({"a": style[..., :3]})({"a": ours[..., :3]})["a"]
    x = ours.requires_grad_(True)
    value = cls({"a": style}, target_weight={"a": left}, position_weight={"a": left})({"a": x})["a"]
    torch.autograd.backward(value)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert x.grad is not None
    assert (x.grad[..., 3:] == 0).all()


@pytest.mark.parametrize("cls", STATISTICS)
def test_layers_with_and_without_masks_may_mix(cls: type[GramLoss]) -> None:
    style = {"a": features(4, 6, 0), "b": features(2, 3, 1)}
    ours = {"a": features(4, 6, 2), "b": features(2, 3, 3)}
    mask = {"b": torch.ones(1, 1, 2, 3)}
    plain, masked = cls(style)(ours), cls(style, target_weight=mask, position_weight=mask)(ours)
    assert plain["a"] == masked["a"]
    assert torch.allclose(plain["b"], masked["b"])


def test_unknown_forms() -> None:
    target = {"a": features(2, 2, 0)}
    with pytest.raises(
        ConfigError, match="normalization is 'sum'; use one of: mean, gatys, relative"
    ):
        GramLoss(target, normalization="sum")
    with pytest.raises(ConfigError, match="normalization is 'gatys'; use one of: mean, relative"):
        MeanStdLoss(target, normalization="gatys")


@pytest.mark.parametrize("cls", STATISTICS)
def test_a_loss_keeps_nothing_of_a_graph(cls: type[GramLoss]) -> None:
    style = features(2, 2, 0).requires_grad_(True)
    loss = cls({"a": style})
    ours = features(2, 2, 1).requires_grad_(True)
    torch.autograd.backward(loss({"a": ours})["a"])
    assert style.grad is None
    assert np.isfinite(float(ours.grad.sum() if ours.grad is not None else np.nan))


# --- mixtures of styles --------------------------------------------------------------------------


def measured(kind: type[StatisticLoss], *seeds: int) -> list[Sums]:
    return [kind.measure({"relu1_1": features(6, 8, seed)}, {}) for seed in seeds]


@pytest.mark.parametrize("kind", STATISTICS)
def test_the_ends_of_a_blend_are_the_styles_themselves(kind: type[StatisticLoss]) -> None:
    one, two = measured(kind, 1, 2)
    for weights, end in (((1.0, 0.0), one), ((0.0, 1.0), two)):
        blended = kind.from_target_sums(kind.blend(list(zip(weights, (one, two), strict=True))))
        assert torch.equal(blended.target["relu1_1"], kind.from_target_sums(end).target["relu1_1"])


@pytest.mark.parametrize("kind", STATISTICS)
def test_a_blend_is_the_styles_side_by_side(kind: type[StatisticLoss]) -> None:
    """Weights 1 and 3: as one picture of which the second style fills three quarters."""
    one, two = features(6, 8, 1), features(6, 8, 2)
    sums = [kind.measure({"relu1_1": x}, {}) for x in (one, two)]
    blended = kind.from_target_sums(kind.blend([(0.25, sums[0]), (0.75, sums[1])]))
    beside = kind({"relu1_1": torch.cat([one, two, two, two], 3)})
    assert torch.allclose(blended.target["relu1_1"], beside.target["relu1_1"], atol=1e-6)


def test_a_layer_that_only_one_style_has() -> None:
    one = GramLoss.measure({"relu1_1": features(6, 8, 1), "relu2_1": features(3, 4, 3)}, {})
    two = GramLoss.measure({"relu1_1": features(6, 8, 2)}, {})
    blended = GramLoss.blend([(0.5, one), (0.5, two)])
    assert torch.equal(blended["relu2_1"], one["relu2_1"])
    assert set(blended) == set(one)
