"""What is minimised: which terms, how they are weighed, what they are held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import (
    Encoder,
    GramLoss,
    HistogramLoss,
    LaplacianLoss,
    LocalLoss,
    Picture,
    Stylization,
    StylizeConfig,
    resize,
    stylize,
)
from impasto.errors import ConfigError, UnknownNameError
from impasto.losses import (
    CONTENT_LOSSES,
    STYLE_LOSSES,
    FeatureLoss,
    StatisticLoss,
)
from impasto.objective.build import AROUND_LIMIT, SUBJECT_POWER, limit_at, non_tileable
from impasto.objective.guidance import inside_masks
from impasto.optim.tiling import differentiate

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32", style_loss=("gram",))


@pytest.mark.parametrize(("strength", "factor"), [(0.5, 1.0), (0.2, 16.0), (0.8, 1 / 16)])
def test_the_content_weight(
    encoder: Encoder, photo: Tensor, painting: Tensor, strength: float, factor: float
) -> None:
    config = replace(SMALL, strength=strength, content_weight=0.7, style_weight=0.3, tv_weight=0.2)
    terms = Stylization(photo, painting, config, encoder=encoder).objective(0).terms
    assert terms["content"][1] == pytest.approx(0.7 * factor)
    assert terms["style"][1] == 0.3
    assert terms["tv"][1] == 0.2


def test_weights_of_layers(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = replace(
        SMALL, style_layers=("relu1_1", "relu3_1"), style_weights=(0.25, 4.0),
        content_layers=("relu2_1", "image"),
    )  # fmt: skip
    objective = Stylization(photo, painting, config, encoder=encoder).objective(0)
    assert objective.terms["style"][0].weights == {"relu1_1": 0.25, "relu3_1": 4.0}  # type: ignore[attr-defined]
    assert objective.terms["content"][0].weights == {"relu2_1": 0.5, "image": 0.5}  # type: ignore[attr-defined]


def test_transparent_parts_do_not_count(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """A style of which the wrong half is cut away is the right half."""
    style = torch.cat([painting, 1 - painting], 3)
    alpha = torch.ones(1, 1, 96, 192)
    alpha[..., 96:] = 0
    cut = Picture(style, alpha)
    config = replace(SMALL, size=96, style_layers=("image",), style_scale=(2.0,))
    masked = Stylization(photo, cut, config, encoder=encoder).objective(-1).terms["style"][0]
    half = replace(config, style_scale=(1.0,))
    plain = Stylization(photo, painting, half, encoder=encoder).objective(-1).terms["style"][0]
    assert torch.allclose(masked.target["image"], plain.target["image"], atol=1e-4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"style_loss": "gramm"}, "no style_loss is called 'gramm'; did you mean 'gram'"),
        ({"content_loss": "feature"}, "no content_loss is called 'feature'; did you mean"),
        ({"style_loss": "laplacian"}, "no style_loss is called 'laplacian'"),
        ({"style_loss": "mean-std", "style_form": "gatys"}, "style_form is 'gatys' for mean-std"),
        (
            {"content_loss": ["features", "laplacian"], "content_form": "gatys"},
            "content_form is 'gatys' for laplacian; use relative or mean",
        ),
    ],
)
def test_losses_that_there_are_not(settings: dict[str, Any], told: str, photo: Tensor) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        stylize(photo, "waves", SMALL, **settings)
    assert told in str(caught.value)


def test_mixed_losses_are_terms_of_their_own(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = SMALL.with_changes(
        style_loss=["gram", "histogram=0.5"], style_weight=0.3, content_weight=0.7,
        content_loss=["features", "laplacian=2"], style_weights=[1.0, 2.0, 3.0, 4.0, 5.0],
    )  # fmt: skip
    terms = Stylization(photo, painting, config, encoder=encoder).objective(0).terms
    assert set(terms) == {
        "content-features", "content-laplacian", "style-gram", "style-histogram", "tv",
    }  # fmt: skip
    assert terms["style-gram"][1] == pytest.approx(0.3)
    assert terms["style-histogram"][1] == pytest.approx(0.5 * 0.3 * HistogramLoss.scale)
    assert terms["content-features"][1] == pytest.approx(0.7)
    full = 2 * 0.7 * LaplacianLoss.scale
    assert terms["content-laplacian"][1] == pytest.approx(LaplacianLoss.least * full)  # it grows
    weighed = replace(config, strength_mode="weight")
    terms = Stylization(photo, painting, weighed, encoder=encoder).objective(0).terms
    assert terms["content-laplacian"][1] == pytest.approx(full)
    for name in ("style-gram", "style-histogram"):
        assert terms[name][0].weights["relu3_1"] == 3.0  # type: ignore[attr-defined]
    printed = config.with_changes(style_form="mean", content_form="mean")
    terms = Stylization(photo, painting, printed, encoder=encoder).objective(0).terms
    assert terms["style-histogram"][1] == pytest.approx(0.15)


@pytest.mark.parametrize("kind", ["content_loss", "style_loss"])
def test_each_loss_paints_with_transparency_and_resumes(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path, kind: str
) -> None:
    """Random parts too: what is drawn depends on the seed and the step."""
    alpha = torch.ones(1, 1, 96, 128)
    alpha[..., 64:] = 0
    cut, half = torch.cat([photo, alpha], 1), torch.cat([painting, alpha[..., :96]], 1)
    known = STYLE_LOSSES if kind == "style_loss" else CONTENT_LOSSES
    names = [name for name, loss in known.items() if loss.weighs_positions]
    config = SMALL.with_changes(**{kind: names}, steps=(2, 4), tv_weight=0.0, init="noise")
    place = tmp_path / "run.ckpt"
    first = Stylization(cut, half, config, encoder=encoder, checkpoint=place)
    events = iter(first)
    for _ in range(6):  # into the second level
        next(events)
    first.save_checkpoint()
    whole = stylize(cut, half, config, encoder=encoder)
    resumed = Stylization(cut, half, config, encoder=encoder, checkpoint=place, resume=True)
    for _ in resumed:
        pass
    assert torch.equal(resumed.result().image, whole.image)
    assert whole.image.isfinite().all()
    other = stylize(cut, half, config, encoder=encoder, seed=1)
    assert not torch.equal(other.image, whole.image)


def test_what_needs_the_whole_picture() -> None:
    assert non_tileable(SMALL) == ""
    config = SMALL.with_changes(style_loss=["gram", "emd"], content_loss="self-similarity")
    assert non_tileable(config) == "emd, self-similarity"
    assert non_tileable(SMALL.with_changes(style_loss=["gram", "emd=0"])) == ""
    for name, loss in STYLE_LOSSES.items():
        tiled = non_tileable(SMALL.with_changes(style_loss=name)) == ""
        assert tiled == loss.tileable


def test_tiles_are_refused(encoder: Encoder, photo: Tensor) -> None:
    config = SMALL.with_changes(style_loss="patches", tile=64, size=100)
    with pytest.raises(ConfigError, match="patches cannot be computed in tiles, and tile is 64"):
        Stylization(photo, "waves", config, encoder=encoder)


# --- several styles ------------------------------------------------------------------------------


def targets(run: Stylization, term: str = "style") -> dict[str, Tensor]:
    loss = run.objective(0).terms[term][0]
    assert isinstance(loss, StatisticLoss)
    return loss.target


def test_a_blend_ends_in_its_styles(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    styles = [painting, 1 - painting.flip(2)]
    single = [targets(Stylization(photo, style, SMALL, encoder=encoder)) for style in styles]

    def blended(*weights: float) -> dict[str, Tensor]:
        return targets(Stylization(photo, styles, replace(SMALL, blend=weights), encoder=encoder))

    for layer in SMALL.style_layers:
        assert torch.equal(blended(1.0, 0.0)[layer], single[0][layer])
        assert torch.equal(blended(0.0, 1.0)[layer], single[1][layer])
        mean = (single[0][layer] + single[1][layer]) / 2
        assert torch.allclose(blended(0.5, 0.5)[layer], mean, rtol=1e-5, atol=1e-7)


def test_layers_and_scales_of_their_own(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    styles = [painting, 1 - painting]
    config = replace(SMALL, layers_per_style=("fine", "coarse"), style_scale=(0.75, 1.5))
    both = targets(Stylization(photo, styles, config, encoder=encoder))
    fine = Stylization(photo, styles[0], replace(SMALL, style_scale=(0.75,)), encoder=encoder)
    coarse = Stylization(photo, styles[1], replace(SMALL, style_scale=(1.5,)), encoder=encoder)
    for layer in ("relu1_1", "relu2_1"):
        assert torch.equal(both[layer], targets(fine)[layer])
    for layer in ("relu3_1", "relu4_1", "relu5_1"):
        assert torch.equal(both[layer], targets(coarse)[layer])


def test_losses_that_are_no_sums_share_their_weight(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = SMALL.with_changes(style_loss="emd", style_layers=["relu2_1", "relu3_1"])
    styles = [painting, 1 - painting.flip(2)]

    def parts(style: object, **settings: object) -> dict[str, Tensor]:
        made = Stylization(photo, style, config.with_changes(**settings), encoder=encoder)
        objective = made.objective(0)
        return objective(encoder(resize(photo, (48, 64)), objective.layers)).parts

    single = [parts(style) for style in styles]
    for key in ("style.relu2_1", "style.relu3_1"):
        assert torch.equal(parts(styles, blend=[1, 0])[key], single[0][key])
        own = key.replace("style", "style-of-{}")
        both = parts(styles, blend=[0.25, 0.75])
        for number, share in ((1, 0.25), (2, 0.75)):
            expected = share * single[number - 1][key]
            assert torch.allclose(both[own.format(number)], expected, rtol=1e-5)
    mixed = parts(styles, layers_per_style=["fine", "coarse"])
    assert torch.allclose(mixed["style-of-1.relu2_1"], single[0]["style.relu2_1"], rtol=1e-5)
    assert torch.allclose(mixed["style-of-2.relu3_1"], single[1]["style.relu3_1"], rtol=1e-5)
    assert "style-of-1.relu3_1" not in mixed


def test_a_region_whose_style_gives_only_some_layers(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = replace(SMALL, layers_per_style=("fine", "coarse"))
    made = Stylization(photo, [painting, "waves"], config, encoder=encoder, regions=[*halves()])
    first, second = (made.objective(0).terms[f"style_{k}"][0] for k in (1, 2))
    assert first.weights == {"relu1_1": 0.2, "relu2_1": 0.2}  # type: ignore[attr-defined]
    assert second.layers == ("relu3_1", "relu4_1", "relu5_1")


# --- regions -------------------------------------------------------------------------------------


def halves(height: int = 96, width: int = 128) -> tuple[Tensor, Tensor]:
    left = torch.zeros(1, 1, height, width)
    left[..., : width // 2] = 1
    return left, 1 - left


def third() -> Tensor:
    """A subject at the left, too small for a close-up."""
    left, _ = halves()
    left[..., 44:] = 0
    return left


@pytest.mark.parametrize("tile", [None, 64])
def test_a_full_mask_is_no_mask(
    encoder: Encoder, photo: Tensor, painting: Tensor, tile: int | None
) -> None:
    config = replace(SMALL, size=128, steps=(1,))
    plain = Stylization(photo, painting, config, encoder=encoder)
    full = torch.ones(1, 1, 50, 67)
    masked = Stylization(photo, painting, config, encoder=encoder, regions=[full],
                         style_regions=[torch.ones(1, 1, 30, 30)])  # fmt: skip
    found = []
    for run in (plain, masked):
        image = photo.clone().requires_grad_(True)
        evaluation = differentiate(image, encoder, run.objective(0), tile)
        assert image.grad is not None
        found.append((evaluation.total.detach(), image.grad))
    assert list(masked.objective(0).terms) == ["content", "style", "tv"]
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5)
    assert float((found[0][1] - found[1][1]).norm() / found[0][1].norm()) < 1e-5


def test_regions_weigh_as_much_as_they_are_large(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    left = torch.zeros(1, 1, 96, 128)
    left[..., :32] = 1
    made = Stylization(photo, [painting, "waves"], SMALL, encoder=encoder, regions=[left, "rest"])
    terms = made.objective(0).terms
    assert list(terms) == ["content", "style_1", "style_2", "tv"]
    assert terms["style_1"][1] == pytest.approx(0.25, abs=0.01)
    assert terms["style_2"][1] == pytest.approx(0.75, abs=0.01)


def test_regions_in_tiles(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = replace(SMALL, size=128, steps=(1,))
    made = Stylization(photo, [painting, "waves"], config, encoder=encoder, regions=[*halves()])
    gradients = []
    for tile in (None, 64):
        image = photo.clone().requires_grad_(True)
        differentiate(image, encoder, made.objective(0), tile)
        assert image.grad is not None
        gradients.append(image.grad)
    assert float((gradients[0] - gradients[1]).norm() / gradients[0].norm()) < 1e-4


def test_strengths_of_regions(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """The content weighs 16 times as much at strength 0.2 as at 0.5, position by position."""
    config = replace(
        SMALL, content_layers=("image",), feather=0.0, content_form="mean", subject="off"
    )
    config = replace(config, region_strengths=(0.2, 0.5), subject="off")
    made = Stylization(photo, painting, config, encoder=encoder, regions=[*halves()])
    loss, weight = made.objective(0).terms["content"]
    assert weight == pytest.approx(config.content_weight * 8.5, rel=0.01)
    where = loss.position_weight["image"] * weight / config.content_weight  # type: ignore[attr-defined]
    assert float(where[0, 0, 20, 10]) == pytest.approx(16, rel=0.01)
    assert float(where[0, 0, 20, 60]) == pytest.approx(1, rel=0.01)


def test_a_part_of_a_style(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """Only what lies inside the style's mask is taken: its other half may be anything."""
    left, _ = halves(96, 96)
    config = replace(SMALL, style_layers=("relu1_1", "relu2_1", "relu3_1"), style_scale=(2.0,))
    found = []
    for other in (torch.zeros(1, 3, 96, 48), torch.rand(1, 3, 96, 48)):
        style = torch.cat([painting[..., :48], other], 3)
        run = Stylization(photo, style, config, encoder=encoder, style_regions=[left])
        found.append(targets(run))
    for layer in config.style_layers:
        assert torch.allclose(found[0][layer], found[1][layer], rtol=1e-3, atol=1e-6)


def test_styles_stay_in_their_regions(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """Each half is like its own style, and as unlike the other's as if that had never been."""
    styles = {"painting": painting, "dark": 0.3 * painting.flip(2).transpose(2, 3)}
    config = replace(
        SMALL, size=128, steps=(40,), strength=0.8, style_layers=("relu1_1", "relu2_1")
    )
    made = stylize(photo, [*styles.values()], config, encoder=encoder, regions=[*halves()]).image
    alone = [stylize(photo, x, config, encoder=encoder).image for x in styles.values()]
    windows = {x: (encoder.stride(x), encoder.receptive_field(x)) for x in config.style_layers}

    def distance(image: Tensor, style: Tensor, mask: Tensor) -> float:
        with torch.no_grad():
            target = encoder(style, config.style_layers)
            loss = GramLoss(
                target, normalization="relative", position_weight=inside_masks(mask, windows)
            )
            return float(sum(loss(encoder(image, config.style_layers)).values()))

    for number, mask in enumerate(halves()):
        own, other = [*styles.values()][number], [*styles.values()][1 - number]
        assert distance(made, own, mask) < 0.2 * distance(made, other, mask)
        assert distance(made, other, mask) > 0.7 * distance(alone[number], other, mask)
        assert distance(made, own, mask) < 0.2 * distance(photo, own, mask)


def test_all_of_the_photo_has_a_limit_and_the_subject_a_closer_one(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = replace(SMALL, strength=0.5, protect=0.4)
    made = Stylization(photo, painting, config, encoder=encoder, subject=third()).objective(0)
    assert made.limits == {
        "content": pytest.approx(AROUND_LIMIT * limit_at(0.5)),
        "subject": pytest.approx(0.6 * limit_at(0.5)),
    }
    subject = made.terms["subject"][0]
    assert isinstance(subject, FeatureLoss)
    assert subject.power == SUBJECT_POWER
    for where in subject.position_weight.values():
        assert float(where[..., -2:].max()) < 0.05 < 0.9 < float(where[..., :2].min())


def test_each_content_loss_has_a_limit_in_its_own_measure(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = replace(SMALL, content_loss=("features", "laplacian=2", "self-similarity=0.5"))
    made = Stylization(photo, painting, replace(config, subject="off"), encoder=encoder)
    assert made.objective(0).limits == {
        "content-features": pytest.approx(limit_at(0.5)),
        "content-laplacian": pytest.approx(limit_at(0.5) * LaplacianLoss.reach / 2),
        "content-self-similarity": pytest.approx(
            limit_at(0.5) * CONTENT_LOSSES["self-similarity"].reach * 2
        ),
    }


@pytest.mark.parametrize(
    "changes",
    [{"subject": "off"}, {"protect": 0.0}, {"strength": 1.0}, {"strength_mode": "weight"}],
)
def test_when_nothing_or_less_is_promised(
    encoder: Encoder, photo: Tensor, painting: Tensor, changes: dict[str, Any]
) -> None:
    config = SMALL.with_changes(**changes)
    given = None if "subject" in changes else halves()[0]
    made = Stylization(photo, painting, config, encoder=encoder, subject=given).objective(0)
    if "strength" in changes:
        assert not {"content", "subject"} & set(made.terms)
    else:
        assert ("subject" in made.terms) == ("strength_mode" in changes)
    assert set(made.limits) == (
        set() if {"strength", "strength_mode"} & set(changes) else {"content"}
    )


def test_off_is_a_plain_content_loss(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = replace(SMALL, subject="off", strength_mode="weight")
    made = Stylization(photo, painting, config, encoder=encoder).objective(0)
    loss = made.terms["content"][0]
    assert isinstance(loss, FeatureLoss)
    assert (loss.position_weight, loss.power, made.limits) == ({}, 1.0, {})


def test_detail_is_weighed_less_deeply_under_a_weak_style(
    encoder: Encoder, painting: Tensor
) -> None:
    spread, photo = [], torch.cat([torch.full((1, 3, 48, 32), 0.5), torch.rand(1, 3, 48, 32)], 3)
    for strength in (0.1, 0.5, 0.8):
        run = Stylization(photo, painting, replace(SMALL, strength=strength), encoder=encoder)
        loss = run.objective(0).terms["content"][0]
        assert isinstance(loss, FeatureLoss)
        spread.append(float(loss.position_weight["relu3_1"].std()))
    assert spread[0] < 0.6 * spread[1]
    assert spread[1] == pytest.approx(spread[2])


def test_what_surrounds_a_subject_is_free_as_far_as_the_subject_carries_the_picture(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    small = torch.zeros(1, 1, 96, 128)
    small[..., 40:56, 40:56] = 1  # a 48th of the picture, about half of what frees the rest
    config = replace(SMALL, strength=0.5)
    found = {}
    unsure = 0.75 * third()  # so a finder marks a tower of a city
    masks = {"large": third(), "small": small, "none": None, "unsure": unsure}
    for name, mask in masks.items():
        held = config if mask is not None else replace(config, protect=0.0)
        run = Stylization(photo, painting, held, encoder=encoder, subject=mask)
        found[name] = run.objective(0)
    limits = [made.limits["content"] / limit_at(0.5) for made in found.values()]
    assert limits[0] == pytest.approx(AROUND_LIMIT)
    assert 1.6 < limits[1] < 2.6
    assert limits[2:] == pytest.approx([1, 1])
    rest = [made.terms["content"][0] for made in found.values()]
    assert all(isinstance(loss, FeatureLoss) for loss in rest)
    spread = [loss.position_weight["relu4_2"].std() for loss in rest]  # type: ignore[attr-defined]
    assert spread[0] < spread[1] < spread[2]
    subject = found["large"].terms["subject"][0]
    assert isinstance(subject, FeatureLoss)
    assert all(loss.weights == subject.weights for loss in rest)  # type: ignore[attr-defined]


def test_each_region_has_a_limit_of_its_own(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = replace(SMALL, region_strengths=(0.2, 0.8), feather=0.0)
    run = Stylization(
        photo, painting, config, encoder=encoder, regions=[*halves()], subject=third()
    )
    limits = run.objective(0).limits
    free = 1 + 0.4 * (AROUND_LIMIT - 1)  # at a low strength there is less freedom
    assert limits["content_1"] == pytest.approx(free * limit_at(0.2))
    assert limits["content_2"] == pytest.approx(limit_at(0.8))  # no subject is in it
    assert "subject_1" in limits
    assert "subject_2" not in limits


def test_what_is_kept_is_held_as_the_subject_is(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    made = Stylization(photo, painting, SMALL, encoder=encoder, keep=halves()[0])
    assert "subject" in made.objective(0).limits


def test_a_limit_in_tiles_is_the_same(photo: Tensor, painting: Tensor) -> None:
    config = StylizeConfig(size=128, steps=(4,), precision="exact")
    left, _ = halves()
    whole, tiled = (
        Stylization(photo, painting, replace(config, tile=tile), subject=left)
        for tile in (None, 64)
    )
    for run in (whole, tiled):
        assert [*run][-1] is not None
    assert whole.moved() == tiled.moved()
    assert (whole.picture() - tiled.picture()).abs().mean() < 1e-6


def test_a_close_up_is_held_by_its_forms_and_moves_further(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    full = torch.ones(1, 1, 96, 128)
    config = replace(SMALL, strength=0.5, protect=0.4)
    made = Stylization(photo, painting, config, encoder=encoder, subject=full).objective(0)
    assert made.limits["content"] == made.limits["subject"] == pytest.approx(1.6 * limit_at(0.5))
    assert made.terms["content"][0].layers == ("relu4_2",)
    given = config.with_changes(content_weights=[1.0, 1.0])
    made = Stylization(photo, painting, given, encoder=encoder, subject=full).objective(0)
    assert made.terms["content"][0].layers == ("relu3_1", "relu4_2")


def test_the_style_is_wanted_in_all_of_the_picture_and_in_its_parts(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    run = Stylization(photo, painting, StylizeConfig(size=128, steps=(3, 3)), encoder=encoder)
    assert len(run.levels) == 2
    for level in (0, 1):
        terms = run.objective(level).terms
        assert terms["style-local"][1] == pytest.approx(0.2 * terms["style-gram"][1])
        loss = terms["style-local"][0]
        assert isinstance(loss, LocalLoss)
        height, width = run.levels[level].height, run.levels[level].width
        assert loss.sizes["relu3_1"] == encoder.feature_size("relu3_1", height, width)
