"""What every encoder must do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders import VGG, Encoder, Features, Mini
from impasto.encoders.base import PADDINGS, check_choice, pad_and_convolve, stage_of
from impasto.errors import ConfigError, ImageTooSmallError, UnknownNameError

STAGES = ((6, 1), (8, 2), (10, 1), (12, 1), (14, 1))  # a smaller mini


class Own(Encoder):
    """The least that an encoder of one's own needs."""

    name, layers = "own", ("relu1_1", "relu2_1")

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        x = self.convolution(image.to(self.dtype)).relu()
        return {"relu1_1": x, "relu2_1": F.max_pool2d(x, 2)}


ENCODERS = {
    "vgg16": lambda: VGG("vgg16"),
    "vgg19": lambda: VGG("vgg19", pooling="average", padding="reflect"),
    "mini": lambda: Mini(stages=STAGES),
    "mini predict": lambda: Mini(stages=STAGES, predict=True, padding="replicate"),
    "own": Own,
}


@pytest.fixture(scope="module", params=list(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ENCODERS[request.param]()


def picture(height: int = 32, width: int = 32, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def deepest(encoder: Encoder) -> str:
    return next(name for name in ("relu5_1", "relu2_1") if name in encoder.layers)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (16, 95)])
def test_shapes(encoder: Encoder, height: int, width: int) -> None:
    features = encoder(picture(height, width, 2), encoder.layers)
    assert tuple(features) == encoder.layers
    for name, feature in features.items():
        step = encoder.stride(name)
        assert feature.shape[0] == 2
        assert feature.shape[2:] == (height // step, width // step)
        assert feature.isfinite().all()


def test_order_and_repetition(encoder: Encoder) -> None:
    features = encoder(picture(), ["relu2_1", "image", "relu1_1", "relu2_1"])
    assert list(features) == ["relu2_1", "image", "relu1_1"]


def test_a_layer_does_not_depend_on_what_else_is_asked_for(encoder: Encoder) -> None:
    together, image = encoder(picture(), encoder.layers), picture()
    for name in ("relu1_1", "relu2_1"):
        assert torch.allclose(encoder(image, [name])[name], together[name], atol=1e-6)


def test_the_image_is_a_layer_and_needs_no_network(encoder: Encoder) -> None:
    image = picture(1, 1)
    assert encoder(image, ["image"])["image"] is image
    assert encoder(image, []) == {}


def test_the_image_is_not_modified(encoder: Encoder) -> None:
    image = picture()
    encoder(image, encoder.layers)
    assert torch.equal(image, picture())


def test_gradients_reach_the_image_and_not_the_weights(encoder: Encoder) -> None:
    image = picture().requires_grad_(True)
    features = encoder(image, [deepest(encoder), "relu1_1"])
    torch.autograd.backward(torch.stack([x.square().mean() for x in features.values()]).sum())
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert (image.grad != 0).any()
    assert all(p.grad is None and not p.requires_grad for p in encoder.parameters())


def test_a_batch_is_its_pictures(encoder: Encoder) -> None:
    images, layers = picture(batch=2), ["relu1_1", deepest(encoder)]
    together = encoder(images, layers)
    for number in range(2):
        alone = encoder(images[number : number + 1], layers)
        for name in layers:
            assert torch.allclose(together[name][number], alone[name][0], rtol=1e-4, atol=1e-5)


def test_channels_last_makes_no_difference(encoder: Encoder) -> None:
    name = deepest(encoder)
    image = picture().contiguous(memory_format=torch.channels_last)
    assert torch.allclose(encoder(image, [name])[name], encoder(picture(), [name])[name], atol=1e-5)


def test_an_unknown_layer_gets_a_proposal(encoder: Encoder) -> None:
    with pytest.raises(UnknownNameError, match=r"is called 'relu21'.*did you mean 'relu2_1'"):
        encoder(picture(), ["relu1_1", "relu21"])


def test_a_picture_that_is_too_small(encoder: Encoder) -> None:
    name = deepest(encoder)
    least = encoder.stride(name)
    assert encoder(picture(least, least), [name])[name].shape[2:] == (1, 1)
    with pytest.raises(ImageTooSmallError, match=f"{name} needs at least {least} pixels"):
        encoder(picture(64, least - 1), ["relu1_1", name])


def test_bfloat16(encoder: Encoder) -> None:
    name = deepest(encoder)
    exact = encoder(picture(), [name])[name]
    try:
        rounded = encoder.to(torch.bfloat16)(picture(), [name, "image"])
        assert encoder.dtype == rounded[name].dtype == torch.bfloat16
        assert rounded["image"].dtype == torch.float32
        assert (rounded[name].float() - exact).norm() < 0.05 * exact.norm()
    finally:
        encoder.to(torch.float32)


def test_strides_and_stages() -> None:
    assert [stage_of(x) for x in ("conv1_2", "relu3_4", "conv5_1")] == [1, 3, 5]
    layers = ["image", *(f"relu{n}_1" for n in range(1, 6))]
    assert [Own().stride(x) for x in layers] == [1, 1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("padding", "mode"),
    [("zero", "constant"), ("reflect", "reflect"), ("replicate", "replicate")],
)
def test_padding(padding: str, mode: str) -> None:
    convolution = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    x = picture(5, 7)
    padded = F.pad(x, (1, 1, 1, 1), mode=mode)
    expected = F.conv2d(padded, convolution.weight, convolution.bias)
    assert torch.allclose(pad_and_convolve(x, convolution, padding), expected, atol=1e-6)


@pytest.mark.parametrize("padding", PADDINGS)
def test_fixed_weights_give_the_same_gradient_and_keep_no_input(padding: str) -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1).double()
    entering = (2, 3, 7, 6) if padding == "zero" else (2, 3, 9, 8)
    found = {}
    for learning in (True, False):
        layer.requires_grad_(learning)
        kept: list[tuple[int, ...]] = []

        def keep(tensor: Tensor, kept: list[tuple[int, ...]] = kept) -> Tensor:
            kept.append(tuple(tensor.shape))
            return tensor

        x = torch.linspace(0, 1, 252, dtype=torch.float64).sin().view(2, 3, 7, 6)
        x.requires_grad_(True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = pad_and_convolve(x, layer, padding)
        assert (entering in kept) == learning
        (slope,) = torch.autograd.grad(y.square().sum(), x)
        found[learning] = (y, slope)
    for ours, torchs in zip(found[False], found[True], strict=True):
        assert torch.allclose(ours, torchs)


def test_reflecting_one_row_repeats_it() -> None:
    convolution = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    x = picture(1, 7)
    expected = pad_and_convolve(x, convolution, "replicate")
    assert torch.equal(pad_and_convolve(x, convolution, "reflect"), expected)


def test_check_choice() -> None:
    assert check_choice("pooling", "max", {"max": 1}) == "max"
    with pytest.raises(ConfigError, match="pooling is 'min'; use one of: max, l2"):
        check_choice("pooling", "min", ["max", "l2"])


# --- pictures that go round ----------------------------------------------------------------------


@pytest.mark.parametrize(("padding", "rows"), [("circular", 3), ("circular-horizontal", 1)])
@pytest.mark.parametrize("make", [Mini, VGG], ids=["mini", "vgg"])
def test_circular_features_are_those_of_copies_side_by_side(
    make: type[Mini] | type[VGG], padding: str, rows: int
) -> None:
    """The middle copy of three (times three) sees copies of itself; so does a circular encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = (Mini(stages=STAGES) if make is Mini else VGG("vgg16")).double()
    plain = plain.with_padding("replicate")
    encoder = plain.with_padding(padding)
    assert (plain.wraps, encoder.wraps) == ((), (2, 3) if rows == 3 else (3,))
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)).double()
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    copies = plain(image.repeat(1, 1, rows, 3), layers)
    ours = encoder(image, layers)
    for layer in layers:
        size = 96 // encoder.stride(layer)
        top = size if rows == 3 else 0
        middle = copies[layer][..., top : top + size, size : 2 * size]
        assert torch.allclose(ours[layer], middle, atol=1e-9), layer


@pytest.mark.parametrize("padding", ["zero", "replicate"])
def test_fixed_weights_under_autocast(padding: str) -> None:
    """As the scripts in training/ use them; the gradient arrives in bfloat16 then."""
    convolution = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    x = torch.rand(1, 3, 6, 8).requires_grad_(True)
    (wanted,) = torch.autograd.grad(pad_and_convolve(x, convolution, padding).square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        y = pad_and_convolve(x, convolution, padding)
    (found,) = torch.autograd.grad(y.float().square().sum(), x)
    assert (found - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("width_invariant", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(4, 5), (2, 3)])
def test_the_gradient_at_the_borders_is_autograds(
    padding: str, size: tuple[int, int], width_invariant: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    convolution = torch.nn.Conv2d(3, 4, 3).double().requires_grad_(False)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    out = pad_and_convolve(ours, convolution, padding, width_invariant)
    slope = torch.rand(out.shape, generator=generator, dtype=torch.float64)
    learning = torch.nn.Conv2d(3, 4, 3).double()
    learning.load_state_dict(convolution.state_dict())
    wanted = pad_and_convolve(theirs, learning, padding)  # weights that learn: torch's own way
    assert torch.allclose(out, wanted)
    (a,) = torch.autograd.grad(out, ours, slope)
    (b,) = torch.autograd.grad(wanted, theirs, slope)
    assert torch.allclose(a, b)


def test_an_encoder_without_a_choice_of_padding() -> None:
    with pytest.raises(ConfigError, match="cannot change its padding to 'circular'"):
        Encoder.with_padding(Mini(stages=STAGES), "circular")
