"""The optimiser over pixels: image <- image - step, until the numbers are small.

The engine knows nothing of style. It asks an encoder for the features that an objective reads, and
moves the image against the gradient of the total, with Adam (Kingma & Ba 2015) or L-BFGS (Liu &
Nocedal 1989, with a strong Wolfe line search; what Gatys et al. 2016 used).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from impasto import tiles
from impasto.adam import Adam
from impasto.encoders.base import Encoder
from impasto.errors import ConfigError
from impasto.events import Step
from impasto.losses.base import Evaluation, Objective
from impasto.periodic import Axes
from impasto.pyramid import Level, grow

Differentiate = Callable[[Tensor], Evaluation]
"""Evaluates the objective at an image and leaves the gradient in ``image.grad``."""

OPTIMIZERS = ("adam", "lbfgs")
BETAS = (0.9, 0.99)  # Crowson's; Adam's usual 0.999 remembers a level longer than it lasts


class State:
    """Everything that a run's next step depends on: the image, its average, the optimiser.

    Make one to look inside a run, to save it (:meth:`state_dict`, :meth:`load_state_dict`) or to
    carry it to a larger size (:meth:`grow`); :func:`optimize` makes its own where none is given.
    """

    def __init__(self, image: Tensor, optimizer: str = "adam", learning_rate: float = 0.03) -> None:
        if optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is '{optimizer}'", f"use {' or '.join(OPTIMIZERS)}")
        self.image = image.detach().clone(memory_format=torch.contiguous_format).float()
        self.image.requires_grad_(True)
        self.average = torch.zeros_like(self.image, requires_grad=False)
        self.average_weight = 0.0
        self.index = 0
        self.name = optimizer
        self.learning_rate = learning_rate
        self.scale = 0.0  # of the loss, for L-BFGS; set at its first step
        self.known: _Point | None = None  # where L-BFGS stands
        self.optimizer = self._make_optimizer()

    def use_adam(self, image: Tensor) -> None:
        """Go on from ``image`` with a fresh Adam."""
        with torch.no_grad():
            self.image.copy_(image.clamp(0, 1))
        self.known = None
        self.name = "adam"
        self.optimizer = self._make_optimizer()

    def picture(self) -> Tensor:
        """The iterate average (the image itself where none is kept), clamped to [0, 1]."""
        if self.average_weight == 0:
            return self.image.detach().clamp(0, 1)
        return (self.average / self.average_weight).clamp(0, 1)

    def grow(self, level: Level, axes: Axes = ()) -> State:
        """The state for the next level: the picture and Adam's moments at its size.

        The gradient with respect to one pixel shrinks with the number of pixels when losses are
        means over the picture; Adam's moments are rescaled accordingly. Borders along ``axes``
        meet.
        """
        larger = State(
            grow(self.picture(), level, axes=axes).clamp(0, 1), self.name, self.learning_rate
        )
        moments = self.optimizer.state.get(self.image, {})
        if self.name == "adam" and moments:
            share = self.image[0, 0].numel() / larger.image[0, 0].numel()
            larger.optimizer.state[larger.image] = {
                "step": moments["step"].clone(),
                "exp_avg": grow(moments["exp_avg"], level, axes=axes) * share,
                "exp_avg_sq": share**2
                * grow(moments["exp_avg_sq"], level, positive=True, axes=axes),
            }
        return larger

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors, numbers and texts."""
        return {
            "image": self.image.detach(),
            "average": self.average,
            "average_weight": self.average_weight,
            "index": self.index,
            "name": self.name,
            "learning_rate": self.learning_rate,
            "scale": self.scale,
            "optimizer": self.optimizer.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, saved: dict[str, Any], device: torch.device) -> State:
        """The opposite of :meth:`state_dict`; shares no memory with what was saved."""
        saved = copy.deepcopy(saved)
        state = cls(saved["image"].to(device), saved["name"], saved["learning_rate"])
        state.average = saved["average"].to(device)
        state.average_weight = saved["average_weight"]
        state.index = saved["index"]
        state.scale = saved["scale"]
        state.optimizer.load_state_dict(saved["optimizer"])
        return state

    def _make_optimizer(self) -> Any:
        if self.name == "adam":
            return Adam(self.image, self.learning_rate, BETAS)
        # One iteration a call. The tolerances are off: with losses as small as means over a
        # picture, torch's defaults stop at once ("changing less than tolX").
        return torch.optim.LBFGS(
            [self.image],
            lr=1.0,
            max_iter=1,
            max_eval=25,
            history_size=20,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )


def optimize(
    image: Tensor,
    encoder: Encoder,
    objective: Objective,
    *,
    steps: int = 300,
    optimizer: str = "adam",
    learning_rate: float = 0.03,
    average: float = 0.0,
    state: State | None = None,
    level: int = 0,
    tile: int | None = None,
) -> Iterator[Step]:
    """Change ``image`` until ``objective`` is small; yields a :class:`Step` after each step.

    ``image`` is ``(N, 3, H, W)`` in [0, 1] and is not modified: read ``step.image``. Adam keeps the
    iterate in [0, 1] at each step; L-BFGS, whose curvature estimate that would spoil, only in the
    pictures it hands out. ``average`` in [0, 1) is the decay of an iterate average that takes the
    iterate's place in ``step.image`` (Adam only; 0: none). ``state`` continues an earlier run, up
    to ``steps`` steps in all, and takes the place of ``image``, ``optimizer`` and
    ``learning_rate``. ``tile`` computes in tiles of that many pixels a side: the same result in
    less memory and more time (see :mod:`impasto.tiles`).

    An L-BFGS that stalls or meets a NaN gives way to Adam, and ``step.note`` says so. Stop at any
    time: just leave the loop.

    >>> from impasto import Mini, Objective, GramLoss
    >>> encoder, style = Mini(), torch.rand(1, 3, 32, 32)
    >>> objective = Objective(style=(GramLoss(encoder(style, ["relu2_1"])), 1.0))
    >>> [step.index for step in optimize(torch.rand(1, 3, 32, 32), encoder, objective, steps=2)]
    [1, 2]
    """
    if state is None:
        state = State(image, optimizer, learning_rate)

    def differentiate(x: Tensor) -> Evaluation:
        return tiles.differentiate(x, encoder, objective, tile)

    while state.index < steps:
        began = time.perf_counter()
        note = ""
        if state.name == "lbfgs":
            evaluation, note = _lbfgs_step(state, differentiate)
        else:
            # L-BFGS, which learns curvature from one step to the next, keeps to the first draw.
            objective.begin(state.index)
            evaluation = _adam_step(state, differentiate, average)
        state.index += 1
        yield Step(
            index=state.index,
            steps=steps,
            total=evaluation.total.item(),
            losses={name: value.item() for name, value in evaluation.terms.items()},
            parts={name: value.item() for name, value in evaluation.parts.items()},
            image=state.picture(),
            level=level,
            seconds=time.perf_counter() - began,
            note=note,
        )


def _adam_step(state: State, differentiate: Differentiate, average: float) -> Evaluation:
    state.optimizer.zero_grad()
    evaluation = differentiate(state.image)
    state.optimizer.step()
    with torch.no_grad():
        state.image.clamp_(0, 1)
        if average:
            state.average.mul_(average).add_(state.image, alpha=1 - average)
            state.average_weight = average * state.average_weight + (1 - average)
    return _detached(evaluation)


def _lbfgs_step(state: State, differentiate: Differentiate) -> tuple[Evaluation, str]:
    """One iteration with its line search; on a stall or a NaN, one step of Adam instead."""
    before = state.image.detach().clone()
    closure = _Closure(state, differentiate)
    state.optimizer.step(closure)
    best = closure.best
    assert best is not None
    finite = math.isfinite(best.evaluation.total.item()) and bool(state.image.isfinite().all())
    if finite and not torch.equal(before, state.image):
        state.known = best
        return best.evaluation, ""
    reason = "stalled" if finite else "met a NaN"
    state.use_adam(before.nan_to_num(0.5))
    return _adam_step(state, differentiate, 0.0), f"L-BFGS {reason}; going on with Adam"


class _Point(NamedTuple):
    """What is known of the objective at one image."""

    image: Tensor
    evaluation: Evaluation
    gradient: Tensor


class _Closure:
    """What L-BFGS calls to have the loss and its gradient at the current image.

    The loss is scaled so that the first gradient is 1 at most, whatever units the loss is in. The
    line search ends where it has evaluated already, and the next iteration asks for that point
    again: it is remembered, which saves nearly half of all evaluations.
    """

    def __init__(self, state: State, differentiate: Differentiate) -> None:
        self.state, self.differentiate = state, differentiate
        self.best = state.known

    def __call__(self) -> Tensor:
        image = self.state.image
        if self.best is not None and torch.equal(self.best.image, image):
            image.grad = self.best.gradient.clone()
            return self.best.evaluation.total * self.state.scale
        image.grad = None
        evaluation = self.differentiate(image)
        assert image.grad is not None
        if self.state.scale == 0:
            size = float(image.grad.abs().max())
            self.state.scale = 1 / size if size > 0 and math.isfinite(size) else 1.0
        image.grad.mul_(self.state.scale)
        point = _Point(image.detach().clone(), _detached(evaluation), image.grad.clone())
        if self.best is None or not point.evaluation.total >= self.best.evaluation.total:
            self.best = point
        return point.evaluation.total * self.state.scale


def _detached(evaluation: Evaluation) -> Evaluation:
    return Evaluation(
        evaluation.total.detach(),
        {name: value.detach() for name, value in evaluation.terms.items()},
        {name: value.detach() for name, value in evaluation.parts.items()},
    )
