"""What a run aims at: weights, the size of the style, masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Picture, Stylization, StylizeConfig, stylize
from impasto.config import MIXTURES
from impasto.errors import ConfigError
from impasto.losses import CONTENT_LOSSES, STYLE_LOSSES, SampledLoss, StatisticLoss
from impasto.objectives import FORCE, whole_only

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


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


def test_the_scale_of_the_style(encoder: Encoder, photo: Tensor) -> None:
    style = torch.rand(1, 3, 100, 50)
    sizes = {}
    for scale in (0.05, 0.5, 1.0, 1.5, 10.0):
        made = Stylization(photo, style, replace(SMALL, style_scale=scale), encoder=encoder)
        sizes[scale] = [tuple(made.targets.style_at(level).shape[-2:]) for level in made.levels]
    assert sizes[0.5] == [(32, 16)]
    assert sizes[1.0] == [(64, 32)]
    assert sizes[1.5] == [(96, 48)]
    assert sizes[10.0] == [(100, 50)]  # never enlarged
    assert sizes[0.05] == [(32, 16)]  # never too small for the deepest layer


def test_a_long_style_is_not_shrunk_to_nothing(encoder: Encoder, photo: Tensor) -> None:
    """At 64 pixels this panorama would be 6 high, too small for relu5_1."""
    result = stylize(photo, torch.rand(1, 3, 40, 400), SMALL, encoder=encoder, steps=(1,))
    assert result.image.shape == (1, 3, 48, 64)


def test_masks_are_never_negative(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """Bicubic overshoots at a hard edge; a negative weight would repel."""
    hard = torch.cat([photo, (torch.rand(1, 1, 96, 128) > 0.5).float()], 1)
    style = torch.cat([painting, (torch.rand(1, 1, 96, 96) > 0.5).float()], 1)
    made = Stylization(hard, style, replace(SMALL, size=100), encoder=encoder)
    for level in made.levels:
        for mask in (made.targets.content_alpha_at(level), made.targets.style_alpha_at(level)):
            assert mask is not None
            assert 0 <= mask.min() <= mask.max() <= 1


def test_transparent_parts_do_not_count(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    """A style of which the wrong half is cut away is the right half."""
    style = torch.cat([painting, 1 - painting], 3)
    alpha = torch.ones(1, 1, 96, 192)
    alpha[..., 96:] = 0
    cut = Picture(style, alpha)
    config = replace(SMALL, size=96, style_layers=("image",), style_scale=2.0)
    masked = Stylization(photo, cut, config, encoder=encoder).objective(-1).terms["style"][0]
    half = replace(config, style_scale=1.0)
    plain = Stylization(photo, painting, half, encoder=encoder).objective(-1).terms["style"][0]
    assert torch.allclose(masked.target["image"], plain.target["image"], atol=1e-4)  # type: ignore[attr-defined]


def test_every_loss_has_a_name_and_a_force() -> None:
    assert FORCE.keys() == STYLE_LOSSES.keys() | CONTENT_LOSSES.keys()
    assert {"content_loss": tuple(CONTENT_LOSSES), "style_loss": tuple(STYLE_LOSSES)} == MIXTURES


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
    assert terms["style-histogram"][1] == pytest.approx(0.5 * 0.3 * FORCE["histogram"])
    assert terms["content-laplacian"][1] == pytest.approx(2 * 0.7 * FORCE["laplacian"])
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
    names = list(STYLE_LOSSES if kind == "style_loss" else CONTENT_LOSSES)
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
    assert whole_only(SMALL) == ""
    config = SMALL.with_changes(style_loss=["gram", "emd"], content_loss="self-similarity")
    assert whole_only(config) == "emd, self-similarity"
    assert whole_only(SMALL.with_changes(style_loss=["gram", "emd=0"])) == ""
    for name, loss in STYLE_LOSSES.items():
        tiled = whole_only(SMALL.with_changes(style_loss=name)) == ""
        assert tiled == issubclass(loss, StatisticLoss) != issubclass(loss, SampledLoss)


def test_tiles_are_refused(encoder: Encoder, photo: Tensor) -> None:
    config = SMALL.with_changes(style_loss="patches", tile=64, size=100)
    with pytest.raises(ConfigError, match="patches cannot be computed in tiles, and tile is 64"):
        Stylization(photo, "waves", config, encoder=encoder)
