"""A run's state is saved, loaded and carried to a larger size."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch

from impasto import FeatureLoss, optimize
from impasto.encoders.base import IMAGE
from impasto.losses import Objective
from impasto.optim.pyramid import Level
from impasto.optim.state import State
from tests.optim.test_loop import CPU, Odd, picture, real, toy


def saved_and_loaded(state: State) -> State:
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    return State.from_state_dict(torch.load(buffer, weights_only=True), CPU)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_goes_on_after_every_step_as_if_nothing_had_been(optimizer: str) -> None:
    encoder, objective = real()
    options: dict[str, Any] = {"steps": 7, "average": 0.9}
    whole = list(optimize(picture(0, 32), encoder, objective, optimizer=optimizer, **options))
    for stop in range(7):
        state = State(picture(0, 32), optimizer)
        for step in optimize(state.image, encoder, objective, **options, state=state):
            if stop == 0 or step.index == stop:
                break
        if stop == 0:
            state = State(picture(0, 32), optimizer)
        state = saved_and_loaded(state)
        rest = list(optimize(state.image, encoder, objective, **options, state=state))
        assert [s.index for s in rest] == list(range(stop + 1, 8))
        for ours, theirs in zip(rest, whole[stop:], strict=True):
            assert torch.equal(ours.image, theirs.image), (stop, ours.index)
            assert ours.total == theirs.total, (stop, ours.index)


def test_a_run_goes_on_after_adam_took_over() -> None:
    encoder, _ = toy()
    target = {"relu1_1": encoder.encode(picture(9), [])["relu1_1"]}
    objective = Objective(odd=(Odd(target, "flat", 0, count=1), 1.0))
    state = State(picture(0), "lbfgs")
    steps = optimize(state.image, encoder, objective, steps=8, average=0.9, state=state)
    assert next(steps).note
    copy = saved_and_loaded(state)
    assert copy.name == "adam"
    rest = list(optimize(copy.image, encoder, objective, steps=8, average=0.9, state=copy))
    for ours, theirs in zip(rest, steps, strict=True):
        assert torch.equal(ours.image, theirs.image)


def test_a_loaded_state_shares_nothing_with_what_was_saved() -> None:
    encoder, objective = toy()
    state = State(picture(0))
    for _ in optimize(state.image, encoder, objective, steps=2, average=0.9, state=state):
        pass
    copy = State.from_state_dict(state.state_dict(), CPU)
    before = state.picture()
    for _ in optimize(copy.image, encoder, objective, steps=5, average=0.9, state=copy):
        pass
    assert torch.equal(state.picture(), before)
    assert state.optimizer.state[state.image]["step"] == 2


@pytest.mark.parametrize("size", [(24, 24), (19, 31), (12, 12)])
def test_growing(size: tuple[int, int]) -> None:
    encoder, objective = toy()
    state = State(picture(0), learning_rate=0.07)
    for _ in optimize(state.image, encoder, objective, steps=4, average=0.9, state=state):
        pass
    larger = state.grow(Level(*size, steps=5))
    assert larger.image.shape == (1, 3, *size)
    assert 0 <= larger.image.min() <= larger.image.max() <= 1
    assert larger.image.requires_grad
    assert (larger.index, larger.average_weight, larger.learning_rate) == (0, 0.0, 0.07)
    moments = larger.optimizer.state[larger.image]
    assert moments["exp_avg"].shape == moments["exp_avg_sq"].shape == (1, 3, *size)
    assert moments["exp_avg_sq"].min() >= 0
    assert moments["step"] == 4
    if size == (12, 12):
        assert torch.allclose(larger.image, state.picture())
    share = 144 / (size[0] * size[1])
    before = state.optimizer.state[state.image]
    ratio = moments["exp_avg_sq"].mean() / before["exp_avg_sq"].mean()
    assert ratio.item() == pytest.approx(share**2, rel=0.1)
    assert state.image.shape == (1, 3, 12, 12)
    big_encoder, big = toy(24)
    if size == (24, 24):
        *_, last = optimize(larger.image, big_encoder, big, steps=20, state=larger)
        assert last.index == 20
        assert last.image.isfinite().all()


def test_growing_with_lbfgs_begins_anew() -> None:
    encoder, objective = toy()
    state = State(picture(0), "lbfgs")
    for _ in optimize(state.image, encoder, objective, steps=3, state=state):
        pass
    larger = state.grow(Level(24, 24, 5))
    assert larger.name == "lbfgs"
    assert (larger.scale, larger.known) == (0.0, None)
    assert not larger.optimizer.state


def test_the_picture_of_a_fresh_state_is_the_image() -> None:
    image = picture(0) * 3 - 1
    assert torch.equal(State(image).picture(), image.clamp(0, 1))


def test_a_limit_finds_its_weight_and_a_resumed_run_goes_on_with_it() -> None:
    """The distance to a grey picture is held to the limit, while another term pulls away."""
    target, away = torch.full((1, 3, 8, 8), 0.5), torch.ones(1, 3, 8, 8)
    objective = Objective(
        content=(FeatureLoss({IMAGE: target}, normalization="relative"), 0.1),
        style=(FeatureLoss({IMAGE: away}, normalization="relative"), 1.0),
    ).with_limits({"content": 0.04})
    encoder, _ = real()
    state = State(target, learning_rate=0.01)
    *_, last = optimize(target, encoder, objective, steps=200, state=state)
    assert last.distances["content"] == pytest.approx(0.04, rel=0.15)
    assert state.multipliers["content"] == pytest.approx(math.log(10), rel=0.2)
    half = State(target, learning_rate=0.01)
    for _ in optimize(target, encoder, objective, steps=100, state=half):
        pass
    *_, resumed = optimize(target, encoder, objective, steps=200, state=saved_and_loaded(half))
    assert torch.equal(resumed.image, last.image)
    assert resumed.distances == last.distances
