"""Mini: its features have the inner products of the VGG features that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from impasto.encoders import VGG, Mini, get_encoder
from impasto.encoders.base import pad_and_convolve
from impasto.encoders.mini import ASSET, STAGES, Trunk, isometric, load_mini, tap_of
from impasto.errors import ConfigError, IntegrityError
from impasto.image.io import load_image
from impasto.losses import FeatureLoss, GramLoss

SMALL = ((6, 1), (8, 2), (10, 1), (12, 1), (14, 1))  # stages
LAYERS = ("relu1_1", "conv1_2", "relu2_1", "relu3_1", "conv4_2", "relu5_1")
SHIPPED = Path(str(resources.files("impasto") / "assets" / ASSET))
shipped = pytest.mark.skipif(not SHIPPED.is_file(), reason="mini's weights are not made yet")


def random_tensors(stages: Sequence[Sequence[int]] = STAGES) -> dict[str, Tensor]:
    """A trunk as He et al. initialise, and random heads, as they would be in the file."""
    draw, channels, tensors = torch.Generator().manual_seed(0), 3, {}
    for number, (width, count, *_) in enumerate(stages):
        for place in range(count):
            weight = torch.randn(width, channels, 3, 3, generator=draw)
            name = f"trunk.stages.{number}.{place}"
            tensors[f"{name}.weight"] = weight * (2 / (9 * channels)) ** 0.5
            tensors[f"{name}.bias"] = torch.randn(width, generator=draw) * 0.1
            channels = width
    widths = [stages[0][0], *(width for width, *_ in stages)]
    full = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
    for layer in Mini.layers:
        shape = full[int(layer[4])], widths[tap_of(layer)] + 1
        tensors[f"heads.{layer}"] = torch.randn(shape, generator=draw)
    return tensors


@pytest.fixture(scope="module")
def pair() -> tuple[Mini, Mini]:
    """The same weights: features with the same inner products, and the predictions themselves."""
    tensors = random_tensors()
    return Mini(tensors), Mini(tensors, predict=True)


def pictures() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, 40, 48, generator=draw), torch.rand(1, 3, 40, 48, generator=draw)


@pytest.mark.parametrize("form", ["mean", "gatys", "relative"])
def test_gram_losses_are_those_of_the_predictions(pair: tuple[Mini, Mini], form: str) -> None:
    one, two = pictures()
    small, full = (GramLoss(m(one, LAYERS), normalization=form)(m(two, LAYERS)) for m in pair)
    for layer in LAYERS:
        assert small[layer].item() == pytest.approx(full[layer].item(), rel=1e-3), layer


@pytest.mark.parametrize("form", ["mean", "relative"])
def test_feature_losses_are_those_of_the_predictions(pair: tuple[Mini, Mini], form: str) -> None:
    one, two = pictures()
    small, full = (FeatureLoss(m(one, LAYERS), normalization=form)(m(two, LAYERS)) for m in pair)
    for layer in LAYERS:
        assert small[layer].item() == pytest.approx(full[layer].item(), rel=1e-3), layer


def test_a_sum_over_channels_differs_by_their_number(pair: tuple[Mini, Mini]) -> None:
    """What takes no mean over channels, as gatys' content loss, is smaller by a known factor."""
    one, two = pictures()
    small, full = (FeatureLoss(m(one, LAYERS), normalization="gatys")(m(two, LAYERS)) for m in pair)
    for layer in LAYERS:
        share = pair[0](one, [layer])[layer].shape[1] / pair[1](one, [layer])[layer].shape[1]
        assert small[layer].item() == pytest.approx(share * full[layer].item(), rel=1e-3), layer


def test_cosines_are_those_of_the_predictions(pair: tuple[Mini, Mini]) -> None:
    image, _ = pictures()
    for layer in LAYERS:
        small, full = (
            torch.nn.functional.normalize(m(image, [layer])[layer][0].flatten(1)[:, :50], dim=0)
            for m in pair
        )
        assert torch.allclose(small.T @ small, full.T @ full, atol=1e-4), layer


def test_predictions_are_linear_in_the_taps_and_rectified_where_vgg_is_sparse(
    pair: tuple[Mini, Mini],
) -> None:
    image, _ = pictures()
    tensors, predicting = random_tensors(), pair[1]
    taps = predicting.trunk(image)
    for layer in LAYERS:
        f = taps[tap_of(layer)][0].flatten(1).double()
        f = torch.cat([f, torch.ones(1, f.shape[1]).double()])
        expected = tensors[f"heads.{layer}"].double() @ f
        if layer.startswith("relu5"):
            assert (expected < 0).any()
            expected = expected.clamp_min(0)
        ours = predicting(image, [layer])[layer][0].flatten(1)
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


def test_channels(pair: tuple[Mini, Mini]) -> None:
    image, _ = pictures()
    expected = [(25, 64), (25, 64), (49, 128), (97, 256), (161, 512), (512, 512)]
    found = [tuple(m(image, [layer])[layer].shape[1] for m in pair) for layer in LAYERS]
    assert found == expected


def test_isometric_leaves_wide_matrices_alone() -> None:
    wide = torch.randn(4, 9)
    assert isometric(wide) is wide
    tall = torch.randn(64, 25, generator=torch.Generator().manual_seed(0))
    factor = isometric(tall)
    assert factor.shape == (25, 25)
    assert torch.allclose(factor.T @ factor * 64 / 25, tall.T @ tall, rtol=1e-4, atol=1e-4)


def test_layers_are_those_of_vgg19() -> None:
    assert Mini.layers == VGG("vgg19").layers


@pytest.mark.parametrize(
    ("layers", "count"),
    [(["relu1_1"], 1), (["conv1_2"], 2), (["relu3_1"], 6), (["relu1_1", "relu5_4"], 12)],
)
def test_the_trunk_stops_at_the_deepest_tap(
    pair: tuple[Mini, Mini], layers: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolve = Mock(side_effect=pad_and_convolve)
    monkeypatch.setattr("impasto.encoders.mini.pad_and_convolve", convolve)
    pair[0](pictures()[0], layers)
    assert convolve.call_count == count


def test_taps_of_the_trunk() -> None:
    taps = Trunk()(pictures()[0])
    assert [tuple(t.shape[1:]) for t in taps] == [
        *[(24, 40, 48), (24, 40, 48), (48, 20, 24), (96, 10, 12), (160, 5, 6), (224, 2, 3)]
    ]


def test_a_convolution_may_come_before_the_pooling_of_its_stage() -> None:
    usual, with_early = ((*SMALL[:4], last) for last in ((14, 2), (14, 2, 1)))
    tensors, image = random_tensors(usual), pictures()[0]
    late, early = Mini(tensors, stages=usual), Mini(tensors, stages=with_early)
    tap = late.trunk(image)[4]
    stage = early.trunk.stages[4]
    assert isinstance(stage, torch.nn.ModuleList)
    pooled = torch.nn.functional.avg_pool2d(stage[0](tap).relu(), 2)
    assert torch.equal(early.trunk(image)[5], stage[1](pooled).relu())
    assert torch.equal(early.trunk(image)[4], tap)
    assert late.receptive_field("relu5_1") - early.receptive_field("relu5_1") == 8
    assert early.trunk(image)[5].shape == late.trunk(image)[5].shape


def test_padding() -> None:
    flat = torch.full((1, 3, 32, 32), 0.3)
    tensors = random_tensors(SMALL)
    for padding, even in (("zero", False), ("reflect", True), ("replicate", True)):
        feature = Mini(tensors, stages=SMALL, padding=padding)(flat, ["relu4_1"])["relu4_1"]
        spread = (feature.amax((2, 3)) - feature.amin((2, 3))).max()
        assert (spread < 1e-4 * feature.abs().max()) == even
    with pytest.raises(ConfigError, match="padding is 'wrap'"):
        Mini(tensors, stages=SMALL, padding="wrap")


# --- files ---------------------------------------------------------------------------------------


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    import hashlib
    import json

    from safetensors.torch import save_file

    path, tensors = tmp_path / "own.safetensors", random_tensors(SMALL)
    save_file(tensors, path, metadata={"stages": json.dumps(SMALL)})
    encoder, image = load_mini(path), pictures()[0]
    expected = Mini(tensors, stages=SMALL)(image, LAYERS)
    assert all(torch.equal(encoder(image, LAYERS)[x], expected[x]) for x in LAYERS)
    assert encoder.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("damage", ["text", "cut", "no stages", "no heads", "odd stages"])
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    from safetensors.torch import save_file

    path, tensors = tmp_path / "own.safetensors", random_tensors(SMALL)
    metadata = {"stages": str([list(stage) for stage in SMALL])}
    if damage == "no heads":
        del tensors["heads.relu4_1"]
    if damage == "no stages":
        metadata = {}
    if damage == "odd stages":
        metadata = {"stages": "5"}
    save_file(tensors, path, metadata=metadata)
    if damage == "text":
        path.write_text("hello")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="does not hold mini's weights"):
        load_mini(path)


@shipped
def test_what_ships_is_small_and_has_a_card() -> None:
    assert SHIPPED.stat().st_size < 8_000_000
    encoder = load_mini()
    assert len(encoder.sha256) == 64
    features = encoder(pictures()[0], encoder.layers)
    assert all(x.isfinite().all() for x in features.values())
    card = SHIPPED.with_suffix(".md")
    assert len(card.read_text(encoding="utf-8")) > 200


@shipped
@pytest.mark.weights
@pytest.mark.shared
def test_what_ships_predicts_vgg19(shared: Path, vgg19_weights: Path) -> None:
    """Of the variance of VGG-19's features around their means, more than half is explained."""
    from safetensors.torch import load_file

    predicting, vgg = Mini(load_file(SHIPPED), predict=True), get_encoder("vgg19")
    layers = [f"relu{n}_1" for n in range(1, 5)]
    photos = sorted((shared / "images" / "content").iterdir())[:3]
    truth, guess = [], []
    for path in photos:
        image = load_image(path, size=(96, 96))
        truth.append(vgg(image, layers))
        guess.append(predicting(image, layers))
    for layer in layers:
        t = torch.cat([x[layer] for x in truth])
        g = torch.cat([x[layer] for x in guess])
        unexplained = (t - g).square().sum() / (t - t.mean((0, 2, 3), keepdim=True)).square().sum()
        assert 1 - unexplained > 0.5, layer
