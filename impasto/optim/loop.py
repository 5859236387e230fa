"""The optimiser over pixels: image <- image - step, until the numbers are small.

The engine knows nothing of style. It asks an encoder for the features that an objective reads, and
moves the image against the gradient of the total, with Adam (Kingma & Ba 2015), L-BFGS (Liu &
Nocedal 1989, with a strong Wolfe line search; what Gatys et al. 2016 used) or steepest descent in
steps of one size (what dreams are made with; Mordvintsev et al. 2015).

Three functions of yours may stand between the picture and the numbers: what the optimiser moves
need not be pixels (a :class:`Parametrization`), what the encoder sees need not be the picture as it
is (``transform``), and the gradient need not be followed as it is (``gradient_filter``). Dreams and
feature visualisation (:mod:`impasto.dream`) use all three.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import ConfigError
from impasto.events import Step
from impasto.losses.base import Evaluation, Objective
from impasto.machine.devices import in_own_modes
from impasto.optim import tiling
from impasto.optim.state import Point, State

Differentiate = Callable[[Tensor], Evaluation]
"""Evaluates the objective at a state's values and leaves the gradient in their ``grad``."""

Transform = Callable[[Tensor, int], Tensor]
"""A picture ``(N, 3, H, W)`` and the number of the step -> what the encoder sees at that step. It
is differentiated; what is random in it depends on the number, so that a run can be repeated."""

GradientFilter = Callable[[Tensor], Tensor]
"""A gradient ``(N, C, H, W)`` -> the one to follow."""


@in_own_modes
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
    transform: Transform | None = None,
    gradient_filter: GradientFilter | None = None,
) -> Iterator[Step]:
    """Change ``image`` until ``objective`` is small; yields a :class:`Step` after each step.

    ``image`` is ``(N, 3, H, W)`` in [0, 1] and is not modified: read ``step.image``. Adam keeps the
    iterate in [0, 1] at each step; L-BFGS, whose curvature estimate that would spoil, only in the
    pictures it hands out. ``average`` in [0, 1) is the decay of an iterate average that takes the
    iterate's place in ``step.image`` (Adam only; 0: none). ``state`` continues an earlier run, up
    to ``steps`` steps in all, and takes the place of ``image``, ``optimizer`` and
    ``learning_rate``. ``tile`` computes in tiles of that many pixels a side: the same result in
    less memory and more time (see :mod:`impasto.optim.tiling`).

    ``optimizer`` "steepest" divides the gradient of each picture by its mean magnitude, so that
    ``learning_rate`` is by how much the mean pixel changes at each step. ``transform`` and
    ``gradient_filter`` are described above; L-BFGS, which compares gradients of different steps,
    takes neither (ConfigError).

    Terms with a limit (:meth:`Objective.with_limits`) find their weights on the way; with L-BFGS,
    which compares the objective at different steps, they keep those that they have.

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
    objective.multipliers = state.multipliers
    if state.name == "lbfgs" and (transform or gradient_filter):
        raise ConfigError(
            "L-BFGS cannot follow an objective that changes from step to step",
            "use adam or steepest with a transform or a gradient filter",
        )

    def differentiate(values: Tensor) -> Evaluation:
        picture = state.image
        seen = picture if transform is None else transform(picture, state.index)
        if seen is values:
            evaluation = tiling.differentiate(values, encoder, objective, tile)
        else:  # the chain rule, so that tiles need not know how the picture came about
            leaf = seen.detach().requires_grad_(True)
            evaluation = tiling.differentiate(leaf, encoder, objective, tile)
            torch.autograd.backward(seen, leaf.grad)
        if gradient_filter is not None:
            assert values.grad is not None
            values.grad.copy_(gradient_filter(values.grad))
        return evaluation

    while state.index < steps:
        began = time.perf_counter()
        note = ""
        if state.name == "lbfgs":
            evaluation, note = _lbfgs_step(state, differentiate)
        else:
            # L-BFGS, which learns curvature from one step to the next, keeps to the first draw.
            objective.on_step_start(state.index)
            evaluation = _gradient_step(state, differentiate, average)
            objective.ascend(evaluation)
        state.index += 1
        yield Step(
            index=state.index,
            steps=steps,
            total=evaluation.total.item(),
            losses={name: value.item() for name, value in evaluation.terms.items()},
            parts={name: value.item() for name, value in evaluation.parts.items()},
            distances={name: value.item() for name, value in evaluation.distances.items()},
            image=state.picture(),
            level=level,
            seconds=time.perf_counter() - began,
            note=note,
        )


def _gradient_step(state: State, differentiate: Differentiate, average: float) -> Evaluation:
    """One step of Adam, or of steepest descent."""
    state.optimizer.zero_grad()
    evaluation = differentiate(state.values)
    state.optimizer.step()
    state.clamp()
    if average:
        with torch.no_grad():
            state.average.mul_(average).add_(state.values, alpha=1 - average)
            state.average_weight = average * state.average_weight + (1 - average)
    return _detached(evaluation)


def _lbfgs_step(state: State, differentiate: Differentiate) -> tuple[Evaluation, str]:
    """One iteration with its line search; on a stall or a NaN, one step of Adam instead."""
    before = state.values.detach().clone()
    closure = _Closure(state, differentiate)
    state.optimizer.step(closure)
    best = closure.best
    assert best is not None
    finite = math.isfinite(best.evaluation.total.item()) and bool(state.values.isfinite().all())
    if finite and not torch.equal(before, state.values):
        state.known = best
        return best.evaluation, ""
    reason = "stalled" if finite else "met a NaN"
    state.use_adam(before.nan_to_num(0.5))
    return _gradient_step(state, differentiate, 0.0), f"L-BFGS {reason}; going on with Adam"


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
        values = self.state.values
        if self.best is not None and torch.equal(self.best.values, values):
            values.grad = self.best.gradient.clone()
            return self.best.evaluation.total * self.state.scale
        values.grad = None
        evaluation = self.differentiate(values)
        assert values.grad is not None
        if self.state.scale == 0:
            size = float(values.grad.abs().max())
            self.state.scale = 1 / size if size > 0 and math.isfinite(size) else 1.0
        values.grad.mul_(self.state.scale)
        point = Point(values.detach().clone(), _detached(evaluation), values.grad.clone())
        if self.best is None or not point.evaluation.total >= self.best.evaluation.total:
            self.best = point
        return point.evaluation.total * self.state.scale


def _detached(evaluation: Evaluation) -> Evaluation:
    return Evaluation(
        evaluation.total.detach(),
        {name: value.detach() for name, value in evaluation.terms.items()},
        {name: value.detach() for name, value in evaluation.parts.items()},
        evaluation.distances,
    )
