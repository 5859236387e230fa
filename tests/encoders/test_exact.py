"""Features whose sums are the same in any order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import impasto
from impasto import GramLoss, Mini
from impasto.devices import choose_dtype
from impasto.encoders.exact import STEPS, Exact
from impasto.encoders.mirrored import Mirrored
from impasto.errors import ConfigError

LAYERS = ("relu1_1", "relu2_1", "relu5_1")


def picture() -> Tensor:
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def small() -> Mini:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Mini(stages=((4, 2), (5, 2), (6, 2), (6, 3), (6, 3, 1)), padding="replicate")


def test_features_are_multiples_of_a_small_step() -> None:
    inner, image = small(), picture()
    rounded, plain = Exact(inner)(image, LAYERS), inner(image, LAYERS)
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
    f = Exact(small())(picture(), "relu2_1")["relu2_1"]
    whole = GramLoss.add_up(f, None)
    for cut in (1, 7, 20):
        assert torch.equal(
            GramLoss.add_up(f[..., :cut], None) + GramLoss.add_up(f[..., cut:], None), whole
        )
    assert torch.equal(GramLoss.add_up(f.flip(-1, -2), None), whole)


def test_the_gradient_is_that_of_no_rounding() -> None:
    inner, slopes = small(), torch.rand(1, 7, 12, 16, dtype=torch.float64)
    found = []
    for encoder in (Exact(inner), inner):
        image = picture().requires_grad_(True)
        features = encoder(image, "relu3_1")["relu3_1"]
        (gradient,) = torch.autograd.grad(features, image, slopes.to(features))
        found.append(gradient)
    assert found[0].dtype == torch.float32
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_it_is_its_inner_encoder_otherwise() -> None:
    inner = Mirrored(small())
    exact = Exact(inner)
    assert exact.exact
    assert not inner.exact
    assert (exact.name, exact.layers, exact.sha256) == (inner.name, inner.layers, inner.sha256)
    assert (exact.step, exact.wraps) == (inner.step, ())
    assert exact.with_padding("circular").wraps == (2, 3)
    for layer in LAYERS:
        assert exact.reach(layer) == inner.reach(layer)
        assert exact.stride(layer) == inner.stride(layer)
        assert exact.grid(layer, 33, 47) == inner.grid(layer, 33, 47)
    image = picture()
    assert exact(image, "image")["image"] is image


def test_runs_are_exact_only_if_asked_for() -> None:
    for precision, exact in (("exact", True), ("float32", False)):
        config = impasto.StylizeConfig(precision=precision, tile=64)  # type: ignore[arg-type]
        run = impasto.Stylization(picture(), "waves", config)
        assert run.encoder.exact == exact
        assert run.dtype == torch.float32


def test_a_device_without_float64_says_so() -> None:
    with pytest.raises(ConfigError, match=r"'exact', and mps has no float64; use device cpu"):
        choose_dtype("exact", torch.device("mps"))
