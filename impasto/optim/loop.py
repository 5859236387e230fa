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

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import ConfigError
from impasto.events import Step
from impasto.image.wrap import Axes
from impasto.losses.base import Evaluation, Objective
from impasto.optim import tiling as tiles
from impasto.optim.adam import Adam
from impasto.optim.pyramid import Level, grow

Differentiate = Callable[[Tensor], Evaluation]
"""Evaluates the objective at a state's values and leaves the gradient in their ``grad``."""

Transform = Callable[[Tensor, int], Tensor]
"""A picture ``(N, 3, H, W)`` and the number of the step -> what the encoder sees at that step. It
is differentiated; what is random in it depends on the number, so that a run can be repeated."""

GradientFilter = Callable[[Tensor], Tensor]
"""A gradient ``(N, C, H, W)`` -> the one to follow."""

OPTIMIZERS = ("adam", "lbfgs", "steepest")
TINY = 1e-20  # no gradient at all
BETAS = (0.9, 0.99)  # Crowson's; Adam's usual 0.999 remembers a level longer than it lasts


class Parametrization(Protocol):
    """A way to write down pictures: what the optimiser moves in the place of pixels."""

    def values(self, image: Tensor) -> Tensor:
        """The numbers that stand for ``image`` ``(N, 3, H, W)``, as many and in the same shape."""

    def image(self, values: Tensor) -> Tensor:
        """The picture in [0, 1] that the numbers stand for; differentiable."""


class State:
    """Everything that a run's next step depends on: the image, its average, the optimiser.

    Make one to look inside a run, to save it (:meth:`state_dict`, :meth:`from_state_dict`) or to
    carry it to a larger size (:meth:`grow`); :func:`optimize` makes its own where none is given.

    ``values`` is what the optimiser moves: the pixels, or the numbers of a ``parametrization``.
    """

    def __init__(
        self,
        image: Tensor,
        optimizer: str = "adam",
        learning_rate: float = 0.03,
        parametrization: Parametrization | None = None,
    ) -> None:
        if optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer is '{optimizer}'", f"use {' or '.join(OPTIMIZERS)}")
        self.parametrization = parametrization
        values = image.detach() if parametrization is None else parametrization.values(image)
        self.values = values.detach().clone(memory_format=torch.contiguous_format).float()
        self.values.requires_grad_(True)
        self.average = torch.zeros_like(self.values, requires_grad=False)
        self.average_weight = 0.0
        self.index = 0
        self.multipliers: dict[str, float] = {}  # of terms with a limit, as logarithms
        self.name = optimizer
        self.learning_rate = learning_rate
        self.scale = 0.0  # of the loss, for L-BFGS; set at its first step
        self.known: _Point | None = None  # where L-BFGS stands
        self.optimizer = self._make_optimizer()

    @property
    def image(self) -> Tensor:
        """The picture that :attr:`values` stand for: themselves, where they are pixels."""
        return self._image_of(self.values)

    def use_adam(self, values: Tensor) -> None:
        """Go on from ``values`` with a fresh Adam."""
        with torch.no_grad():
            self.values.copy_(values)
            self.clamp()
        self.known = None
        self.name = "adam"
        self.optimizer = self._make_optimizer()

    def picture(self) -> Tensor:
        """The iterate average (the image itself where none is kept), clamped to [0, 1]."""
        with torch.no_grad():
            if self.average_weight == 0:
                return self.image.detach().clamp(0, 1)
            return self._image_of(self.average / self.average_weight).clamp(0, 1)

    def clamp(self) -> None:
        """Bring pixels back to [0, 1]; a parametrization stays there by itself."""
        if self.parametrization is None:
            with torch.no_grad():
                self.values.clamp_(0, 1)

    def grow(self, level: Level, axes: Axes = ()) -> State:
        """The state for the next level: the picture and Adam's moments at its size.

        The gradient with respect to one pixel shrinks with the number of pixels when losses are
        means over the picture; Adam's moments are rescaled accordingly. Those of other numbers than
        pixels have no larger size, and begin anew. Borders along ``axes`` meet.
        """
        picture = grow(self.picture(), level, axes=axes).clamp(0, 1)
        larger = State(picture, self.name, self.learning_rate, self.parametrization)
        larger.multipliers = dict(self.multipliers)
        moments = self.optimizer.state.get(self.values, {})
        if self.name == "adam" and self.parametrization is None and moments:
            share = self.values[0, 0].numel() / larger.values[0, 0].numel()
            larger.optimizer.state[larger.values] = {
                "step": moments["step"].clone(),
                "exp_avg": grow(moments["exp_avg"], level, axes=axes) * share,
                "exp_avg_sq": share**2
                * grow(moments["exp_avg_sq"], level, positive=True, axes=axes),
            }
        return larger

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors, numbers and texts."""
        return {
            "values": self.values.detach(),
            "average": self.average,
            "average_weight": self.average_weight,
            "index": self.index,
            "multipliers": dict(self.multipliers),
            "name": self.name,
            "learning_rate": self.learning_rate,
            "scale": self.scale,
            "optimizer": self.optimizer.state_dict(),
        }

    @classmethod
    def from_state_dict(
        cls,
        saved: dict[str, Any],
        device: torch.device,
        parametrization: Parametrization | None = None,
    ) -> State:
        """The opposite of :meth:`state_dict`; shares no memory with what was saved."""
        saved = copy.deepcopy(saved)
        state = cls(saved["values"].to(device), saved["name"], saved["learning_rate"])
        state.parametrization = parametrization
        state.average = saved["average"].to(device)
        state.average_weight = saved["average_weight"]
        state.index = saved["index"]
        state.multipliers = saved["multipliers"]
        state.scale = saved["scale"]
        state.optimizer.load_state_dict(saved["optimizer"])
        return state

    def _image_of(self, values: Tensor) -> Tensor:
        return values if self.parametrization is None else self.parametrization.image(values)

    def _make_optimizer(self) -> Any:
        if self.name == "adam":
            return Adam(self.values, self.learning_rate, BETAS)
        if self.name == "steepest":
            return Steepest(self.values, self.learning_rate)
        # One iteration a call. The tolerances are off: with losses as small as means over a
        # picture, torch's defaults stop at once ("changing less than tolX").
        return torch.optim.LBFGS(
            [self.values],
            lr=1.0,
            max_iter=1,
            max_eval=25,
            history_size=20,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )


class Steepest:
    """Moves ``tensor`` ``(N, C, H, W)`` against ``tensor.grad``, by ``learning_rate`` in the mean.

    The gradient of each picture of the batch is divided by its mean magnitude (Mordvintsev et al.
    2015), so the step is as large where the network is hardly excited as where it is very much.
    """

    def __init__(self, tensor: Tensor, learning_rate: float) -> None:
        self.tensor, self.learning_rate = tensor, learning_rate
        self.state: dict[Tensor, dict[str, Tensor]] = {}  # it remembers nothing

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step."""
        gradient = self.tensor.grad
        assert gradient is not None
        size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(TINY)
        self.tensor.addcdiv_(gradient, size, value=-self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Nothing."""


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
            evaluation = tiles.differentiate(values, encoder, objective, tile)
        else:  # the chain rule, so that tiles need not know how the picture came about
            leaf = seen.detach().requires_grad_(True)
            evaluation = tiles.differentiate(leaf, encoder, objective, tile)
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
            objective.begin(state.index)
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


class _Point(NamedTuple):
    """What is known of the objective at one image."""

    values: Tensor
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
        point = _Point(values.detach().clone(), _detached(evaluation), values.grad.clone())
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
