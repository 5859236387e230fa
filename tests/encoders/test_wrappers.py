"""Encoders around encoders: all of a picture is seen, and sums do not depend on their order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import impasto
from impasto import GramLoss
from impasto.encoders import VGG, Encoder, Mini
from impasto.encoders.wrappers import STEPS, PadToStride, QuantizedFeatures
from impasto.errors import ConfigError, ImageTooSmallError
from impasto.machine.devices import choose_dtype
from impasto.optim.tiling import Tiling

LAYERS = ("relu1_1", "relu2_1", "relu5_1")


@pytest.fixture(params=["vgg16", "mini"])
def inner(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return Mini(padding="replicate") if request.param == "mini" else VGG("vgg16")


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


# --- PadToStride ---------------------------------------------------------------------------------


def test_features_are_the_encoders_own_where_the_stride_divides_the_picture(inner: Encoder) -> None:
    found, own = (e(picture(32, 48), inner.layers) for e in (PadToStride(inner), inner))
    assert all(torch.equal(found[layer], own[layer]) for layer in inner.layers)


@pytest.mark.parametrize("size", [(33, 47), (16, 31), (40, 17)])
def test_every_begun_position_has_features(inner: Encoder, size: tuple[int, int]) -> None:
    encoder = PadToStride(inner)
    found = encoder(picture(*size), inner.layers)
    for layer, features in found.items():
        stride = inner.stride(layer)
        expected = (-(-size[0] // stride), -(-size[1] // stride))
        assert tuple(features.shape[-2:]) == expected == encoder.feature_size(layer, *size)


def test_the_last_row_counts_as_the_first_does() -> None:
    """The plain encoder hardly sees it; the padded one does as it sees the first."""
    torch.manual_seed(0)
    inner = Mini(padding="replicate").double()
    image = picture(47, 48).double()

    def change(encoder: Encoder, row: int) -> float:
        before, after = (
            encoder(x, "relu4_1")["relu4_1"] for x in (image, image.index_fill(2, rows(row), 0.0))
        )
        return float((after - before).square().sum())

    assert change(inner, 46) < 0.1 * change(inner, 0)
    padded = PadToStride(inner)
    assert 0.3 < change(padded, 46) / change(padded, 0) < 10


def rows(row: int) -> Tensor:
    return torch.tensor([row])


def test_it_is_as_large_as_its_layers_allow() -> None:
    """A picture too small for the fifth stage is read by the others."""
    encoder = PadToStride(Mini())
    assert encoder(picture(9, 9), "relu4_1")["relu4_1"].shape[-2:] == (2, 2)
    with pytest.raises(ImageTooSmallError, match="relu5_1"):
        encoder(picture(9, 9), "relu5_1")


def test_it_tells_what_the_encoder_tells() -> None:
    inner = Mini().to(torch.bfloat16)
    encoder = PadToStride(inner)
    assert (encoder.name, encoder.sha256, encoder.layers) == ("mini", "", inner.layers)
    assert encoder.dtype == torch.bfloat16
    assert encoder.receptive_field("relu3_1") == inner.receptive_field("relu3_1")
    assert encoder.with_padding("circular").wraps == (2, 3)
    assert encoder.wraps == ()


@pytest.mark.parametrize("layers", [["relu1_1", "relu3_1", "relu5_1"], ["relu2_1"]])
def test_tiles_see_the_same_border(layers: list[str]) -> None:
    """Also where the layers alone would have them cut at odd places."""
    encoder, image = PadToStride(Mini().double()), picture(75, 109).double()
    whole = encoder(image, layers)
    for tile, features in Tiling(encoder, layers, 48).features(image):
        windows = tile.windows({layer: encoder.stride(layer) for layer in layers})
        for layer in layers:
            rows, columns = windows[layer]
            torch.testing.assert_close(features[layer], whole[layer][..., rows, columns])


# --- QuantizedFeatures ----------------------------------------------------------------------------


def small() -> Mini:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Mini(stages=((4, 2), (5, 2), (6, 2), (6, 3), (6, 3, 1)), padding="replicate")


def test_features_are_multiples_of_a_small_step() -> None:
    inner, image = small(), picture(48, 64)
    rounded, plain = QuantizedFeatures(inner)(image, LAYERS), inner(image, LAYERS)
    for layer in LAYERS:
        assert rounded[layer].dtype == torch.float64
        size = float(plain[layer].square().mean().sqrt())
        difference = (rounded[layer] - plain[layer]).abs().max()
        assert 0 < difference < 8 * size / STEPS
        step = float(rounded[layer].abs()[rounded[layer] != 0].min())
        power = 2.0 ** round(torch.tensor(size).log2().item() - 14)
        assert torch.equal(rounded[layer] / power, (rounded[layer] / power).round())
        assert step >= power


def test_products_add_up_alike_in_any_order() -> None:
    f = QuantizedFeatures(small())(picture(48, 64), "relu2_1")["relu2_1"]
    whole = GramLoss.add_up(f, None)
    for cut in (1, 7, 20):
        assert torch.equal(
            GramLoss.add_up(f[..., :cut], None) + GramLoss.add_up(f[..., cut:], None), whole
        )
    assert torch.equal(GramLoss.add_up(f.flip(-1, -2), None), whole)


def test_the_gradient_is_that_of_no_rounding() -> None:
    inner, slopes = small(), torch.rand(1, 7, 12, 16, dtype=torch.float64)
    found = []
    for encoder in (QuantizedFeatures(inner), inner):
        image = picture(48, 64).requires_grad_(True)
        features = encoder(image, "relu3_1")["relu3_1"]
        (gradient,) = torch.autograd.grad(features, image, slopes.to(features))
        found.append(gradient)
    assert found[0].dtype == torch.float32
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_it_is_its_inner_encoder_otherwise() -> None:
    inner = PadToStride(small())
    exact = QuantizedFeatures(inner)
    assert exact.exact
    assert not inner.exact
    assert (exact.name, exact.layers, exact.sha256) == (inner.name, inner.layers, inner.sha256)
    assert (exact.step, exact.wraps) == (inner.step, ())
    assert exact.with_padding("circular").wraps == (2, 3)
    for layer in LAYERS:
        assert exact.receptive_field(layer) == inner.receptive_field(layer)
        assert exact.stride(layer) == inner.stride(layer)
        assert exact.feature_size(layer, 33, 47) == inner.feature_size(layer, 33, 47)
    image = picture(48, 64)
    assert exact(image, "image")["image"] is image


def test_runs_are_exact_only_if_asked_for() -> None:
    for precision, exact in (("exact", True), ("float32", False)):
        config = impasto.StylizeConfig(precision=precision, tile=64)  # type: ignore[arg-type]
        run = impasto.Stylization(picture(48, 64), "waves", config)
        assert run.encoder.exact == exact
        assert run.dtype == torch.float32


def test_a_device_without_float64_says_so() -> None:
    with pytest.raises(ConfigError, match=r"'exact', and mps has no float64; use device cpu"):
        choose_dtype("exact", torch.device("mps"))
