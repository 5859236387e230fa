"""Shares against gradients taken by hand; hints where they are due."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto import (
    Encoder,
    FeatureLoss,
    GramLoss,
    MeanStdLoss,
    Objective,
    Stylization,
    StylizeConfig,
    stylize,
)
from impasto.optim.gradients import (
    MOST_GAIN,
    Explanation,
    Share,
    equalize_gradients,
    explain,
    gradient_norms,
    hints,
    text,
)

LAYERS = ("relu1_1", "relu2_1")


def objective(encoder: Encoder, photo: Tensor, painting: Tensor, **weights: float) -> Objective:
    return Objective(
        content=(
            FeatureLoss(encoder(photo, "relu2_1"), normalization="relative"),
            weights["content"],
        ),
        style=(GramLoss(encoder(painting, LAYERS), normalization="relative"), weights["style"]),
    )


def test_shares_by_hand(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    goal = objective(encoder, photo, painting, content=0.3, style=2.0)
    found = explain(image, encoder, goal)
    lengths, losses = {}, {}
    for name, (loss, weight) in goal.terms.items():
        x = image.clone().requires_grad_(True)
        value = weight * torch.stack(list(loss(encoder(x, loss.layers)).values())).sum()
        torch.autograd.backward(value)
        assert x.grad is not None
        lengths[name], losses[name] = float(x.grad.norm()), value.item()
    for name, share in found.terms.items():
        assert share.loss == pytest.approx(losses[name] / sum(losses.values()), rel=1e-4)
        assert share.gradient == pytest.approx(lengths[name] / sum(lengths.values()), rel=1e-3)
    assert set(found.parts) == {"content.relu2_1", "style.relu1_1", "style.relu2_1"}
    for shares in (found.terms, found.parts):
        assert sum(share.loss for share in shares.values()) == pytest.approx(1)
        assert sum(share.gradient for share in shares.values()) == pytest.approx(1)


def test_a_term_without_a_say_is_named(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    even = objective(encoder, photo, painting, content=1.0, style=1.0)
    faint = objective(encoder, photo, painting, content=1.0, style=1e-6)
    assert list(hints(explain(image, encoder, even))) == []
    (told,) = hints(explain(image, encoder, faint))
    assert told == "style pulls with 0 % of the force; raise its weight, or lower that of content"


def test_a_layer_that_drowns_the_others() -> None:
    parts = {"style.relu1_1": Share(0.5, 0.95), "style.relu2_1": Share(0.5, 0.05)}
    (told,) = hints(Explanation({"style": Share(1, 1)}, parts))
    assert told == "style.relu1_1 drowns the other layers of style; lower its weight"


def test_a_flat_style() -> None:
    found = Explanation({"style": Share(1, 1)}, {})
    grey = torch.full((1, 3, 8, 8), 0.5)
    assert list(hints(found, grey)) == [
        "the style picture is nearly one colour; choose one with texture"
    ]
    assert list(hints(found, torch.rand(1, 3, 8, 8))) == []


def test_the_table() -> None:
    parts = {"style.relu1_1": Share(0.5, 0.25), "style.relu2_1": Share(0.5, 0.75)}
    lines = list(text(Explanation({"style": Share(1, 1)}, parts)))
    assert lines[1].split() == ["style", "100.0", "%", "100.0", "%"]
    assert lines[2].split() == ["relu1_1", "50.0", "%", "25.0", "%"]
    assert len({len(line) for line in lines}) == 1


def test_a_run_explains_itself_and_goes_on_as_before(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = StylizeConfig(size=64, steps=(2, 2), precision="float32", style_loss=("sliced",))
    plain, asked = (Stylization(photo, painting, config, encoder=encoder) for _ in range(2))
    assert asked.explain() is None
    for _ in plain:
        pass
    for _ in asked:
        asked.explain()
    found = asked.explain()
    assert found is not None
    assert set(found.terms) == {"content", "style", "tv"}
    assert torch.equal(plain.result().image, asked.result().image)


def test_tiles_are_not_explained(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = StylizeConfig(size=100, steps=(1,), precision="float32", tile=64)
    run = Stylization(photo, painting, config, encoder=encoder)
    for _ in run:
        pass
    assert run.explain() is None


# --- gains ---------------------------------------------------------------------------------------


@pytest.fixture
def mixed(encoder: Encoder, photo: Tensor, painting: Tensor) -> Objective:
    target = encoder(painting, LAYERS)
    return Objective(
        content=(FeatureLoss(encoder(photo, "relu2_1"), normalization="relative"), 0.3),
        **{
            "style-gram": (GramLoss(target, normalization="relative"), 1.0),
            "style-mean-std": (MeanStdLoss(target, normalization="relative"), 0.2),
        },
    )


def test_parts_pull_in_the_proportion_that_is_wanted(
    encoder: Encoder, photo: Tensor, mixed: Objective
) -> None:
    wanted = {
        "style-gram": {"relu1_1": 0.5, "relu2_1": 0.25},
        "style-mean-std": {"relu1_1": 0.1, "relu2_1": 0.1},
    }
    before = gradient_norms(photo, encoder, mixed)
    after = gradient_norms(photo, encoder, equalize_gradients(mixed, photo, encoder, wanted))
    style = [name for name in before if name.startswith("style")]
    total = sum(before[name] for name in style)
    assert sum(after[name] for name in style) == pytest.approx(total, rel=1e-3)
    for name in style:
        term, _, layer = name.partition(".")
        assert after[name] == pytest.approx(total * wanted[term][layer] / 0.95, rel=1e-3)
    assert after["content.relu2_1"] == pytest.approx(before["content.relu2_1"], rel=1e-3)


def test_what_hardly_pulls_is_not_raised_without_limit(
    encoder: Encoder, photo: Tensor, mixed: Objective
) -> None:
    faint = Objective(
        **dict(mixed.terms, **{"style-mean-std": (mixed.terms["style-mean-std"][0], 1e-9)})
    )
    even = {term: dict.fromkeys(LAYERS, 1.0) for term in ("style-gram", "style-mean-std")}
    gains = equalize_gradients(faint, photo, encoder, even).gains
    # The bound holds before the sum is made whole again.
    assert max(gains.values()) <= MOST_GAIN * 2
    assert all(gain > 0 for gain in gains.values())


def test_regions_are_balanced_each_by_itself(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    target = encoder(painting, LAYERS)
    terms = {"style_1": (GramLoss(target), 1.0), "style_2": (GramLoss(target), 100.0)}
    mixed = Objective(**terms)
    wanted = {term: dict.fromkeys(LAYERS, 1.0) for term in terms}
    after = gradient_norms(photo, encoder, equalize_gradients(mixed, photo, encoder, wanted))
    before = gradient_norms(photo, encoder, mixed)
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
