"""Tiles against the whole picture: the same features, sums, losses and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import impasto
from impasto import FeatureLoss, GramLoss, MeanStdLoss, Mini, TotalVariation
from impasto.encoders import VGG, Encoder, Features
from impasto.encoders.wrappers import QuantizedFeatures
from impasto.errors import ConfigError
from impasto.losses import Loss, Objective, StatisticLoss, WassersteinLoss
from impasto.objective.guidance import layer_masks
from impasto.optim.tiling import Tiling, differentiate, encode, measure, spans

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)).double()


def small(kind: str, padding: str = "zero") -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "mini":
            stages = ((4, 2), (5, 2), (6, 2), (6, 3), (6, 3, 1))
            return Mini(stages=stages, padding=padding).double()
        return VGG("vgg16", padding=padding).double()


class Plain(Encoder):
    """An encoder that does not say how far it sees."""

    name, layers = "plain", ("relu1_1",)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        return {"relu1_1": image.cumsum(-1)}


class Largest(Loss):
    """A loss that is no sum over positions."""

    layers = ("relu1_1",)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        return {"relu1_1": features["relu1_1"].max()}


@pytest.mark.parametrize("size", [16, 40, 64])
@pytest.mark.parametrize(("height", "width"), [(96, 128), (75, 117), (16, 130)])
def test_tiles_cover_the_picture_once(height: int, width: int, size: int) -> None:
    covered = torch.zeros(height, width)
    for tile in Tiling(small("mini"), ["relu5_1"], size).of(height, width):
        top, bottom, left, right = tile.inner
        covered[top:bottom, left:right] += 1
        assert top % 16 == left % 16 == 0
        y, yy, x, xx = tile.outer
        assert y <= top < bottom <= yy <= height
        assert x <= left < right <= xx <= width
    assert (covered == 1).all()


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("kind", ["mini", "vgg"])
def test_features_from_tiles_are_those_of_the_whole(kind: str, padding: str) -> None:
    """Odd sizes: the poolings drop the last row and column."""
    encoder, image = small(kind, padding), picture(91, 135)
    layers = [*LAYERS, "conv2_2", "image"]
    whole, tiled = encoder(image, layers), encode(encoder, image, layers, 48)
    assert list(tiled) == layers
    for name in layers:
        assert torch.allclose(tiled[name], whole[name], rtol=1e-10, atol=1e-12), name


@pytest.mark.parametrize("kind", ["mini", "vgg"])
@pytest.mark.parametrize("layer", ["relu1_1", "conv2_2", "relu3_1", "relu4_2", "relu5_1", "image"])
def test_a_position_sees_as_far_as_it_says_and_no_further(kind: str, layer: str) -> None:
    encoder = small(kind)
    image = picture(16 * 15, 16 * 15).requires_grad_(True)
    middle = 120 // encoder.stride(layer)
    torch.autograd.backward(encoder(image, layer)[layer][0, :, middle, middle].sum())
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    first = middle * encoder.stride(layer)
    assert int(rows[0]) == first - encoder.receptive_field(layer)
    assert int(rows[-1]) == first + encoder.stride(layer) - 1 + encoder.receptive_field(layer)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cls", [GramLoss, MeanStdLoss, WassersteinLoss])
def test_the_sums_of_a_style(cls: type[StatisticLoss], masked: bool) -> None:
    encoder, image = small("mini"), picture(70, 101)
    sizes = {name: encoder.feature_size(name, 70, 101) for name in LAYERS}
    masks = layer_masks(picture(70, 101, 1)[:, :1], sizes) if masked else None
    whole = cls(encoder(image, LAYERS), target_weight=masks)
    tiled = cls.from_target_sums(measure(cls, encoder, image, LAYERS, masks, size=32))
    assert whole.layers == tiled.layers
    for name in LAYERS:
        assert torch.allclose(whole.target[name], tiled.target[name], rtol=1e-8)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("style", [GramLoss, MeanStdLoss, WassersteinLoss])
def test_loss_and_gradient(style: type[StatisticLoss], masked: bool) -> None:
    encoder, content, painting = small("mini", "replicate"), picture(91, 135), picture(60, 70, 1)
    sizes = {name: encoder.feature_size(name, 91, 135) for name in [*LAYERS, "relu4_2"]}
    masks = layer_masks(picture(91, 135, 2)[:, :1], sizes) if masked else None
    objective = Objective(
        content=(FeatureLoss(encoder(content, ["relu4_2"]), position_weight=masks), 0.3),
        pixels=(FeatureLoss({"image": content}), 0.1),
        style=(style(encoder(painting, LAYERS), position_weight=masks), 2.0),
        off=(GramLoss(encoder(painting, ["relu5_1"])), 0.0),
        tv=(TotalVariation(), 0.7),
    )
    image = picture(91, 135, 3)
    results = []
    for size in (None, 4096, 48):
        x = image.clone().requires_grad_(True)
        evaluation = differentiate(x, encoder, objective, size)
        assert x.grad is not None
        results.append((evaluation, x.grad))
    (whole, gradient), (large, same), (tiled, close) = results
    assert torch.equal(gradient, same)
    assert torch.equal(whole.total, large.total)
    assert whole.parts.keys() == tiled.parts.keys()
    for name, value in whole.parts.items():
        assert tiled.parts[name].item() == pytest.approx(value.item(), rel=1e-8)
    assert torch.allclose(close, gradient, rtol=1e-6, atol=1e-12)


def test_pixels_alone_need_no_encoder() -> None:
    image = picture(40, 40).requires_grad_(True)
    differentiate(image, Plain(), Objective(tv=(TotalVariation(), 1.0)), 16)
    assert image.grad is not None
    assert image.grad.abs().max() > 0


def test_what_cannot_be_tiled_says_so() -> None:
    image = picture(40, 40).requires_grad_(True)
    with pytest.raises(ConfigError, match=r"'odd' cannot be computed in tiles.*AdditiveLoss"):
        differentiate(image, small("mini"), Objective(odd=(Largest(), 1.0)), 16)
    gram = GramLoss(Plain()(picture(8, 8), "relu1_1"))
    with pytest.raises(ConfigError, match=r"'plain' does not say how far.*receptive_field"):
        differentiate(image, Plain(), Objective(style=(gram, 1.0)), 16)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_run_in_tiles_paints_the_same_picture(alpha: bool) -> None:
    """Twenty small steps: Adam's usual ones double any rounding difference each time.

    A pixel whose gradient is as small as the rounding may go either way, by some steps of 0.003.
    """
    photo = impasto.swatch("night", size=200)[..., :150, :]
    if alpha:
        photo = torch.cat([photo, picture(150, 200)[:, :1].float()], 1)
    config = impasto.StylizeConfig(size=200, steps=(20,), precision="float32", learning_rate=0.003)
    whole = impasto.stylize(photo, "waves", config)
    tiled = impasto.stylize(photo, "waves", config, tile=104)
    difference = (whole.image - tiled.image).abs()
    assert difference.max() < 1e-2
    assert difference.flatten().kthvalue(int(0.999 * difference.numel())).values < 1e-3
    assert difference.mean() < 3e-5
    assert (whole.image - photo[:, :3]).abs().mean() > 0.01


@pytest.mark.parametrize("padding", ["zero", "replicate"])
def test_exact_tiles_know_all_of_their_gradient(padding: str) -> None:
    """Those of the second pass read all positions that see their pixels, and no two add up."""
    encoder = QuantizedFeatures(small("mini", padding))
    tiling = Tiling(encoder, LAYERS, 48)
    for tile, wide in tiling.for_gradients(91, 135):
        top, bottom, left, right = tile.inner
        assert wide.inner == tile.outer
        assert wide.inside(wide).sum() >= tile.inside(wide).sum() == (bottom - top) * (right - left)
    assert [(t, t) for t in Tiling(encoder.inner, LAYERS, 48).of(91, 135)] == (
        Tiling(encoder.inner, LAYERS, 48).for_gradients(91, 135)
    )
    objective = Objective(
        content=(FeatureLoss(encoder(picture(91, 135), ["relu4_2"])), 0.3),
        style=(GramLoss(encoder(picture(60, 70, 1), LAYERS)), 2.0),
    )
    image = picture(91, 135, 3)
    whole, tiled = (image.clone().requires_grad_() for _ in range(2))
    differentiate(whole, encoder, objective)
    differentiate(tiled, encoder, objective, 48)
    assert whole.grad is not None
    assert tiled.grad is not None
    assert torch.allclose(whole.grad, tiled.grad, rtol=1e-8, atol=1e-14)


def test_exact_tiles_give_the_same_picture_to_the_bit() -> None:
    """With Adam's usual steps, which without would end 0.02 apart in some pixel.

    Where a processor's convolutions round by the position, a few pixels may differ.
    """
    photo = impasto.swatch("night", size=320)[..., :250, :]
    config = impasto.StylizeConfig(size=320, steps=(8,), precision="exact")
    whole = impasto.stylize(photo, "waves", config)
    tiled = impasto.stylize(photo, "waves", config, tile=160)
    difference = (whole.image - tiled.image).abs()
    assert (difference > 1e-3).float().mean() < 1e-4
    assert difference.mean() < 1e-6


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("encoder", ["mini", "vgg19"])
def test_twenty_steps_at_1024_pixels_are_the_same_in_tiles(
    encoder: str, request: pytest.FixtureRequest
) -> None:
    """Seen to be equal on AMD processors with avx512."""
    if encoder == "vgg19":
        request.getfixturevalue("vgg19_weights")
    photo = impasto.swatch("night", size=1024)[..., :768, :]
    config = impasto.StylizeConfig(size=1024, steps=(20,), precision="exact", encoder=encoder)
    whole = impasto.stylize(photo, "waves", config)
    tiled = impasto.stylize(photo, "waves", config, tile=512)
    assert (whole.image - tiled.image).abs().max() < 1e-3


@pytest.mark.parametrize("padding", ["circular", "circular-horizontal"])
@pytest.mark.parametrize("size", [32, 48])
def test_tiles_of_a_picture_that_goes_round(padding: str, size: int) -> None:
    encoder, image, painting = small("mini", padding), picture(96, 128), picture(60, 70, 1)
    tv = TotalVariation(encoder.wraps)
    objective = Objective(
        content=(FeatureLoss(encoder(picture(96, 128, 2), ["relu4_2"])), 0.5),
        style=(GramLoss(encoder.with_padding("zero")(painting, LAYERS)), 1.0),
        tv=(tv, 0.1),
    )
    whole, tiled = (image.clone().requires_grad_() for _ in range(2))
    a = differentiate(whole, encoder, objective)
    b = differentiate(tiled, encoder, objective, size)
    assert torch.allclose(a.total, b.total, rtol=1e-10)
    assert whole.grad is not None
    assert tiled.grad is not None
    assert torch.allclose(whole.grad, tiled.grad, rtol=1e-8, atol=1e-14)
    features = encode(encoder, image, LAYERS, size)
    for name, wanted in encoder(image, LAYERS).items():
        assert torch.allclose(features[name], wanted, rtol=1e-10), name


@pytest.mark.parametrize(("length", "tile"), [(65, 64), (1000, 64), (129, 128), (64, 64)])
def test_spans_cover_all(length: int, tile: int) -> None:
    found = spans(length, tile, 4)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(start % 4 == 0 and 0 < end - start <= tile + 4 for start, end in found)
