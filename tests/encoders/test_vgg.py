"""VGG against a second implementation, written from the papers' tables with plain functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders import VGG, get_encoder
from impasto.encoders.base import pad_and_convolve
from impasto.encoders.vgg import INPUTS, POOLINGS, load_vgg
from impasto.errors import ConfigError, ImageTooSmallError, UnknownNameError, WeightsError

# Simonyan & Zisserman 2015, table 1, columns D and E.
TABLE: dict[str, list[int | str]] = {
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4],
}
POOL: dict[str, Callable[[Tensor], Tensor]] = {  # the factors are Crowson's
    "max": lambda x: F.max_pool2d(x, 2),
    "average": lambda x: 2.0 * F.avg_pool2d(x, 2),
    "l2": lambda x: 0.78 * F.lp_pool2d(x, 2, 2),
}
PAD = {"zero": "constant", "reflect": "reflect", "replicate": "replicate"}


def normalise(image: Tensor, flavour: str) -> Tensor:
    r, g, b = image.unbind(1)
    if flavour == "torchvision":
        return torch.stack([(r - 0.485) / 0.229, (g - 0.456) / 0.224, (b - 0.406) / 0.225], 1)
    return torch.stack([255 * b - 103.939, 255 * g - 116.779, 255 * r - 123.68], 1)


def reference(
    image: Tensor,
    architecture: str,
    weights: dict[str, Tensor],
    *,
    flavour: str = "caffe",
    pooling: str = "max",
    padding: str = "zero",
) -> dict[str, Tensor]:
    """Every layer by name, shallow first."""
    x, found = normalise(image, flavour), {}
    stage, number = 1, 0
    for entry in TABLE[architecture]:
        if entry == "M":
            x, stage, number = POOL[pooling](x), stage + 1, 0
            continue
        number += 1
        weight = weights[f"conv{stage}_{number}.weight"].to(x.dtype)
        bias = weights[f"conv{stage}_{number}.bias"].to(x.dtype)
        x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=PAD[padding]), weight, bias)
        found[f"conv{stage}_{number}"] = x
        x = torch.maximum(x, torch.zeros(()).to(x))
        found[f"relu{stage}_{number}"] = x
    return found


def random_weights(architecture: str) -> dict[str, Tensor]:
    """As He et al. 2015 initialise, so that deep layers are neither tiny nor huge."""
    draw, weights, channels = torch.Generator().manual_seed(0), {}, 3
    stage, number = 1, 0
    for entry in TABLE[architecture]:
        if isinstance(entry, str):
            stage, number = stage + 1, 0
            continue
        number += 1
        name = f"conv{stage}_{number}"
        weight = torch.randn(entry, channels, 3, 3, generator=draw) * (2 / (9 * channels)) ** 0.5
        weights[f"{name}.weight"] = weight
        weights[f"{name}.bias"] = torch.randn(entry, generator=draw) * 0.1
        channels = entry
    return weights


def picture(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> bool:
    if ours.shape != theirs.shape:
        return False
    return float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, Tensor]]:
    return {architecture: random_weights(architecture) for architecture in TABLE}


@pytest.fixture(scope="module")
def vgg(weights: dict[str, dict[str, Tensor]]) -> VGG:
    return VGG("vgg19", weights["vgg19"])


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", TABLE)
def test_all_layers_equal_the_reference(
    weights: dict[str, dict[str, Tensor]], architecture: str
) -> None:
    image, own = picture(37, 34), weights[architecture]
    all_pairs, three = itertools.product(POOL, PAD), zip(POOL, PAD, strict=True)
    for number, (pooling, padding) in enumerate(all_pairs if architecture == "vgg16" else three):
        flavour = list(INPUTS)[number % 3]
        encoder = VGG(architecture, own, flavour=flavour, pooling=pooling, padding=padding)
        ours = encoder(image, encoder.layers)
        theirs = reference(
            image, architecture, own, flavour=flavour, pooling=pooling, padding=padding
        )
        assert list(ours) == list(theirs)
        for name in theirs:
            assert close(ours[name], theirs[name]), (flavour, pooling, padding, name)


@pytest.mark.parametrize("flavour", INPUTS)
def test_flavours_of_input(flavour: str, weights: dict[str, dict[str, Tensor]]) -> None:
    image, own = picture(6, 5), weights["vgg16"]
    ours = VGG("vgg16", own, flavour=flavour)(image, ["conv1_1"])["conv1_1"]
    x = F.pad(normalise(image, flavour), (1, 1, 1, 1))
    assert close(ours, F.conv2d(x, own["conv1_1.weight"], own["conv1_1.bias"]), 1e-6)


@pytest.mark.weights
def test_the_real_weights_in_double_precision(
    vgg19_weights: Path, photo: Tensor, painting: Tensor
) -> None:
    """File, order of keys, BGR and means: read and done anew, convolved in float64."""
    from safetensors.torch import load_file

    raw = load_file(vgg19_weights)
    places = [i for i, x in enumerate(_with_relus(TABLE["vgg19"])) if isinstance(x, int)]
    convolutions = [
        f"conv{stage}_{n}" for stage, count in enumerate((2, 2, 4, 4, 4), 1)
        for n in range(1, count + 1)
    ]  # fmt: skip
    named = {
        f"{name}.{kind}": raw[f"features.{place}.{kind}"].double()
        for name, place in zip(convolutions, places, strict=True)
        for kind in ("weight", "bias")
    }
    encoder = get_encoder("vgg19")
    relus = [name for name in encoder.layers if name.startswith("relu")]
    for image in (photo[..., :45, :52], painting[..., 20:68, :33]):
        ours, theirs = encoder(image, relus), reference(image.double(), "vgg19", named)
        for name in relus:
            difference = (ours[name].double() - theirs[name]).norm() / theirs[name].norm()
            assert difference < 1e-4, name


def _with_relus(table: list[int | str]) -> list[int | str]:
    """As the usual ports count: convolution, ReLU, ..., pooling."""
    return [y for x in table for y in ([x] if x == "M" else [x, "R"])]


def test_bfloat16_rounds_the_weights_but_not_the_means(
    weights: dict[str, dict[str, Tensor]],
) -> None:
    """In bfloat16, 103.939 is 104; pictures near the mean would lose what they hold."""
    encoder = VGG("vgg16", weights["vgg16"]).to(torch.bfloat16)
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1) / 255
    ours = encoder(mean.expand(1, 3, 8, 8), ["conv1_1"])["conv1_1"]
    assert ours.dtype == torch.bfloat16
    bias = weights["vgg16"]["conv1_1.bias"].bfloat16()
    assert torch.allclose(ours, bias.view(1, -1, 1, 1).expand_as(ours), atol=1e-3)


# --- what is computed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "count"),
    [(["conv1_1"], 1), (["relu1_1", "relu2_1"], 3), (["relu4_2", "relu1_1"], 10), (["image"], 0)],
)
def test_nothing_deeper_than_needed_is_computed(
    vgg: VGG, layers: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolve = Mock(side_effect=pad_and_convolve)
    monkeypatch.setattr("impasto.encoders.vgg.pad_and_convolve", convolve)
    vgg(picture(16, 16), layers)
    assert convolve.call_count == count


def test_conv_is_before_the_relu_even_if_both_are_asked_for(vgg: VGG) -> None:
    both = vgg(picture(8, 8), ["relu2_2", "conv2_2"])
    assert list(both) == ["relu2_2", "conv2_2"]
    assert both["conv2_2"].min() < 0
    assert torch.equal(both["relu2_2"], both["conv2_2"].clamp_min(0))
    assert torch.equal(vgg(picture(8, 8), ["conv2_2"])["conv2_2"], both["conv2_2"])


def test_all_layers_are_named(vgg: VGG) -> None:
    assert len(vgg.layers) == 32
    assert vgg.layers[:5] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "conv2_1")
    assert vgg.layers[-1] == "relu5_4"
    assert len(VGG("vgg16").layers) == 26


@pytest.mark.parametrize("padding", PAD)
def test_the_smallest_picture(weights: dict[str, dict[str, Tensor]], padding: str) -> None:
    """At one position reflection has nothing to reflect."""
    encoder = VGG("vgg16", weights["vgg16"], padding=padding)
    assert encoder(picture(16, 17), ["relu5_3"])["relu5_3"].shape == (1, 512, 1, 1)
    with pytest.raises(ImageTooSmallError, match="15x64; relu5_3 needs at least 16 pixels"):
        encoder(picture(15, 64), ["relu5_3"])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_are_finite_on_a_black_picture(
    weights: dict[str, dict[str, Tensor]], pooling: str
) -> None:
    """The l2 norm of four zeros has no gradient of its own."""
    image = torch.zeros(1, 3, 16, 16, requires_grad=True)
    torch.autograd.backward(
        VGG("vgg16", weights["vgg16"], pooling=pooling)(image, ["relu4_1"])["relu4_1"].sum()
    )
    assert image.grad is not None
    assert image.grad.isfinite().all()


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("architecture", "vgg16, vgg19"),
        ("flavour", "caffe, torchvision, normalised"),
        ("pooling", "max, average, l2"),
        ("padding", "zero, reflect, replicate"),
    ],
)
def test_options_that_are_not_there(option: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} is 'no'; use one of: {allowed}"):
        VGG(**{option: "no"})  # type: ignore[arg-type]


def test_vgg16_has_no_fourth_convolution(weights: dict[str, dict[str, Tensor]]) -> None:
    with pytest.raises(UnknownNameError, match=r"no layer of vgg16 is called 'relu4_4'.*did you"):
        VGG("vgg16", weights["vgg16"])(picture(16, 16), ["relu4_4"])


def test_incomplete_weights(weights: dict[str, dict[str, Tensor]]) -> None:
    with pytest.raises(WeightsError, match=r"the weights lack conv3_4.weight and 5 more"):
        VGG("vgg19", weights["vgg16"])


def test_surplus_tensors_do_not_disturb(weights: dict[str, dict[str, Tensor]]) -> None:
    VGG("vgg16", {**weights["vgg16"], "fc6.weight": torch.zeros(2)})


@pytest.mark.weights
def test_load_vgg_passes_everything_on(vgg19_weights: Path) -> None:
    encoder = load_vgg("vgg19", path=str(vgg19_weights), pooling="l2", padding="reflect")
    assert (encoder.name, encoder.flavour) == ("vgg19", "caffe")
    assert (encoder.pooling, encoder.padding) == ("l2", "reflect")
    assert len(encoder.sha256) == 64
