"""The optimiser over pixels against loops written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto import FeatureLoss, GramLoss, Mini, TotalVariation, optimize
from impasto.encoders import Encoder, Features
from impasto.errors import ConfigError
from impasto.events import Step
from impasto.losses import Loss, Objective
from impasto.optim.state import State

CPU = torch.device("cpu")


class Blur(Encoder):
    """A toy encoder: one layer, a fixed blur of the image; counts how often it is asked."""

    name, layers = "blur", ("relu1_1",)

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        self.kernel = torch.nn.Parameter(kernel.expand(3, 1, 3, 3).clone(), requires_grad=False)
        self.calls = 0

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        return {"relu1_1": F.conv2d(image, self.kernel, groups=3, padding=1)}

    def forward(self, image: Tensor, layers: Iterable[str]) -> Features:
        self.calls += 1
        return super().forward(image, layers)


class Odd(Loss):
    """A loss of one's own: FeatureLoss, spoilt from its n-th evaluation on."""

    layers = ("relu1_1",)

    def __init__(self, target: Features, spoil: str, after: int, count: int = 10**9) -> None:
        self.loss, self.spoil = FeatureLoss(target), spoil
        self.evaluations, self.bad = 0, range(after + 1, after + 1 + count)

    def __call__(self, features: Features) -> dict[str, Tensor]:
        self.evaluations += 1
        value = self.loss(features)["relu1_1"]
        if self.evaluations in self.bad:
            value = value * float("nan") if self.spoil == "nan" else value * 0 + 1
        return {"relu1_1": value}


def picture(seed: int, size: int = 12, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def toy(size: int = 12) -> tuple[Blur, Objective]:
    """A quadratic problem whose optimum is the picture 9 itself."""
    encoder = Blur()
    target = {"relu1_1": encoder.encode(picture(9, size), [])["relu1_1"]}
    return encoder, Objective(content=(FeatureLoss(target), 1.0))


def real() -> tuple[Encoder, Objective]:
    """A small network with content, style and smoothness, as in the README's first hour."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Mini(stages=((6, 1), (8, 1), (10, 1), (12, 1), (14, 1)))
    content, style = picture(0, 32), picture(1, 40)
    return encoder, Objective(
        content=(FeatureLoss(encoder(content, ["relu2_1"]), normalization="relative"), 0.1),
        style=(GramLoss(encoder(style, ["relu1_1", "relu3_1"]), normalization="relative"), 1.0),
        smooth=(TotalVariation(), 0.1),
    )


# --- Adam ----------------------------------------------------------------------------------------


def adam_by_hand(
    image: Tensor, encoder: Encoder, objective: Objective, steps: int, rate: float
) -> list[Tensor]:
    """Kingma & Ba 2015, algorithm 1, with betas 0.9 and 0.99, clamped to [0, 1] at each step."""
    x = image.clone().double()
    m, v, images = torch.zeros_like(x), torch.zeros_like(x), []
    for t in range(1, steps + 1):
        leaf = x.float().requires_grad_(True)
        (g,) = torch.autograd.grad(objective(encoder(leaf, objective.layers)).total, leaf)
        m = 0.9 * m + 0.1 * g.double()
        v = 0.99 * v + 0.01 * g.double() ** 2
        x = x - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.99**t)).sqrt() + 1e-8)
        x = x.clamp(0, 1)
        images.append(x.float())
    return images


def test_adam_by_hand() -> None:
    encoder, objective = toy()
    expected = adam_by_hand(picture(0), encoder, objective, 12, 0.05)
    steps = list(optimize(picture(0), encoder, objective, steps=12, learning_rate=0.05))
    for step, image in zip(steps, expected, strict=True):
        assert (step.image - image).abs().max() < 2e-6


def test_the_iterate_average_by_hand() -> None:
    """An exponential mean without its bias to zero, which the first image would otherwise have."""
    encoder, objective = toy()
    iterates = [s.image for s in optimize(picture(0), encoder, objective, steps=8)]
    averaged = [s.image for s in optimize(picture(0), encoder, objective, steps=8, average=0.8)]
    assert torch.allclose(averaged[0], iterates[0], atol=1e-6)
    for n in range(1, 9):
        shares = torch.tensor([0.8 ** (n - 1 - k) for k in range(n)])
        mean = torch.einsum("k,kbchw->bchw", shares / shares.sum(), torch.stack(iterates[:n]))
        assert torch.allclose(averaged[n - 1], mean, atol=1e-6)


def test_adam_stays_in_range() -> None:
    encoder, objective = toy()
    state = State(picture(0), learning_rate=0.5)
    for _ in optimize(state.image, encoder, objective, steps=5, state=state):
        assert 0 <= state.image.min() <= state.image.max() <= 1
    assert (state.image == 0).any()  # it did hit the walls


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_pictures_are_in_range(optimizer: str, average: float) -> None:
    encoder, objective = toy()
    for step in optimize(
        picture(0), encoder, objective, steps=5, optimizer=optimizer, average=average,
        learning_rate=0.5,
    ):  # fmt: skip
        assert 0 <= step.image.min() <= step.image.max() <= 1
        assert step.image.shape == (1, 3, 12, 12)
        assert not step.image.requires_grad


# --- L-BFGS --------------------------------------------------------------------------------------


def test_lbfgs_solves_a_quadratic_and_adam_does_not() -> None:
    encoder, objective = toy()
    totals = {}
    for name in ("adam", "lbfgs"):
        steps = list(optimize(picture(0), encoder, objective, steps=40, optimizer=name))
        totals[name] = steps[-1].total
    assert totals["lbfgs"] < 0.05 * totals["adam"]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_unit_of_the_loss_does_not_matter_to_lbfgs(scale: float) -> None:
    encoder, plain = toy()
    scaled = Objective(content=(plain.terms["content"][0], scale))
    first, last = (
        list(optimize(picture(0), encoder, o, steps=10, optimizer="lbfgs")) for o in (plain, scaled)
    )
    assert not any(step.note for step in last)
    assert last[-1].total / scale == pytest.approx(first[-1].total, rel=0.05)


def test_lbfgs_goes_down_at_every_step() -> None:
    encoder, objective = real()
    totals = [
        s.total for s in optimize(picture(0, 32), encoder, objective, steps=15, optimizer="lbfgs")
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.5 * totals[0]


def test_lbfgs_evaluates_about_once_an_iteration() -> None:
    """The point where a line search ends is where the next begins: it is not evaluated twice."""
    encoder, objective = toy()
    calls = []
    for _ in optimize(picture(0), encoder, objective, steps=20, optimizer="lbfgs"):
        calls.append(encoder.calls)
    assert calls[-1] - calls[0] <= 1.3 * 19


def test_what_lbfgs_reports_belongs_to_its_image() -> None:
    encoder, objective = toy()
    state = State(picture(0), "lbfgs")
    for step in optimize(state.image, encoder, objective, steps=6, state=state):
        now = objective(encoder(state.image.detach(), objective.layers)).total
        assert step.total == pytest.approx(now.item(), rel=1e-4)


@pytest.mark.parametrize(("spoil", "reason"), [("nan", "met a NaN"), ("flat", "stalled")])
@pytest.mark.parametrize("after", [0, 3])
def test_lbfgs_gives_way_to_adam(spoil: str, reason: str, after: int) -> None:
    encoder, objective = toy()
    target = {"relu1_1": encoder.encode(picture(9), [])["relu1_1"]}
    odd = Odd(target, spoil, after, count=30)  # more than one line search may ask
    steps = list(
        optimize(
            picture(0), encoder, Objective(odd=(odd, 1.0)), steps=90, optimizer="lbfgs",
            learning_rate=0.01,
        )
    )  # fmt: skip
    notes = [step.note for step in steps if step.note]
    assert notes == [f"L-BFGS {reason}; going on with Adam"]
    assert len(steps) == 90
    if spoil == "flat":
        assert steps[-1].image.isfinite().all()
        assert steps[-1].total < 0.1 * objective(encoder(picture(0), objective.layers)).total


def test_a_nan_does_not_spoil_the_picture_that_adam_takes_over() -> None:
    """One bad line search, and Adam goes on from where L-BFGS stood before it."""
    encoder, _ = toy()
    target = {"relu1_1": encoder.encode(picture(9), [])["relu1_1"]}

    class NanGradient(Odd):
        def __call__(self, features: Features) -> dict[str, Tensor]:
            value = super().__call__(features)
            if state.name == "adam":
                value = self.loss(features)
            return value

    state = State(picture(0), "lbfgs", 0.01)
    objective = Objective(odd=(NanGradient(target, "nan", 4), 1.0))
    steps = list(optimize(state.image, encoder, objective, steps=60, state=state))
    assert sum(bool(step.note) for step in steps) == 1
    assert all(step.image.isfinite().all() for step in steps)
    assert steps[-1].total < 0.1 * steps[0].total


# --- what is reported, what is left alone --------------------------------------------------------


def test_steps_tell_all() -> None:
    encoder, objective = real()
    steps = list(optimize(picture(0, 32), encoder, objective, steps=3, level=2))
    assert [(s.index, s.steps, s.level) for s in steps] == [(1, 3, 2), (2, 3, 2), (3, 3, 2)]
    for step in steps:
        assert isinstance(step, Step)
        assert set(step.losses) == {"content", "style", "smooth"}
        assert sum(step.losses.values()) == pytest.approx(step.total, rel=1e-5)
        assert sum(step.parts.values()) == pytest.approx(step.total, rel=1e-5)
        assert "style.relu3_1" in step.parts
        assert step.seconds > 0
        assert step.note == ""


def test_the_given_image_is_not_modified() -> None:
    encoder, objective = toy()
    image = picture(0)
    for name in ("adam", "lbfgs"):
        list(optimize(image, encoder, objective, steps=3, optimizer=name))
        assert torch.equal(image, picture(0))
        assert not image.requires_grad


def test_pictures_handed_out_do_not_change_later() -> None:
    encoder, objective = toy()
    images, copies = [], []
    for step in optimize(picture(0), encoder, objective, steps=4, average=0.5):
        images.append(step.image)
        copies.append(step.image.clone())
    assert all(torch.equal(x, y) for x, y in zip(images, copies, strict=True))


def test_it_can_be_left_at_any_time() -> None:
    encoder, objective = toy()
    for step in optimize(picture(0), encoder, objective, steps=10**9):
        if step.index == 3:
            break
    assert encoder.calls == 3
    assert torch.is_grad_enabled()


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    encoder, objective = toy()
    steps = optimize(picture(0), encoder, objective, steps=5)
    assert encoder.calls == 0
    next(steps)
    assert encoder.calls == 1


def test_no_gradients_are_switched_off_between_steps() -> None:
    encoder, objective = toy()
    for _ in optimize(picture(0), encoder, objective, steps=2):
        assert torch.is_grad_enabled()


def test_batches() -> None:
    encoder, _ = toy()
    batch = torch.cat([picture(0), picture(1)])
    target = {"relu1_1": encoder.encode(picture(9).expand(2, -1, -1, -1), [])["relu1_1"]}
    both = Objective(content=(FeatureLoss(target, normalization="gatys"), 1.0))
    *_, together = optimize(batch, encoder, both, steps=4)
    alone_objective = Objective(
        content=(FeatureLoss({"relu1_1": target["relu1_1"][:1]}, normalization="gatys"), 1.0)
    )
    *_, alone = optimize(picture(1), encoder, alone_objective, steps=4)
    assert torch.allclose(together.image[1:], alone.image, atol=1e-5)


def test_the_real_thing_gets_better() -> None:
    encoder, objective = real()
    for name in ("adam", "lbfgs"):
        steps = list(optimize(picture(0, 32), encoder, objective, steps=25, optimizer=name))
        assert steps[-1].total < 0.6 * steps[0].total


def test_an_optimizer_that_is_not_there() -> None:
    encoder, objective = toy()
    with pytest.raises(ConfigError, match="optimizer is 'sgd'; use adam or lbfgs"):
        next(optimize(picture(0), encoder, objective, optimizer="sgd"))


# --- what stands between the picture and the numbers ---------------------------------------------


def test_steepest_descent_by_hand() -> None:
    """Each picture of a batch moves by the learning rate in the mean, whatever its gradient."""
    encoder = Blur()
    target = {"relu1_1": encoder.encode(picture(9, batch=2), [])["relu1_1"]}
    objective = Objective(content=(FeatureLoss(target), 1.0))
    start = picture(0, batch=2) * 0.5 + 0.25
    state = State(start, "steepest", 0.01)
    [step] = optimize(start, encoder, objective, steps=1, state=state)
    leaf = start.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(objective(encoder(leaf, objective.layers)).total, leaf)
    expected = start - 0.01 * g / g.abs().mean((1, 2, 3), keepdim=True)
    assert torch.allclose(step.image, expected, atol=1e-6)
    assert (step.image - start).abs().mean((1, 2, 3)).tolist() == pytest.approx([0.01, 0.01])


def test_a_transform_is_seen_through_and_a_filter_followed() -> None:
    encoder, objective = toy()
    steps: list[int] = []

    def shift(image: Tensor, step: int) -> Tensor:
        steps.append(step)
        return image.roll(step + 1, 3)

    def blur(gradient: Tensor) -> Tensor:
        return F.avg_pool2d(gradient, 3, 1, 1)

    start = picture(0) * 0.5 + 0.25
    state = State(start, "steepest", 0.01)
    options = {"state": state, "transform": shift, "gradient_filter": blur}
    first, _ = optimize(start, encoder, objective, steps=2, **options)  # type: ignore[arg-type]
    assert steps == [0, 1]
    leaf = start.roll(1, 3).requires_grad_(True)
    (g,) = torch.autograd.grad(objective(encoder(leaf, objective.layers)).total, leaf)
    g = blur(g.roll(-1, 3))
    assert torch.allclose(first.image, start - 0.01 * g / g.abs().mean(), atol=1e-6)


def test_lbfgs_takes_neither() -> None:
    encoder, objective = toy()
    with pytest.raises(ConfigError, match="L-BFGS cannot follow an objective that changes"):
        next(
            optimize(picture(0), encoder, objective, optimizer="lbfgs", gradient_filter=lambda x: x)
        )
