"""Everything that a run's next step depends on: the image, its average, the optimiser."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.image.wrap import Axes
from impasto.losses.base import Evaluation
from impasto.optim.pyramid import Level, grow
from impasto.optim.steps import Adam, NormalizedGradientDescent

OPTIMIZERS = ("adam", "lbfgs", "steepest")


class Parametrization(Protocol):
    """A way to write down pictures: what the optimiser moves in the place of pixels."""

    def values(self, image: Tensor) -> Tensor:
        """The numbers that stand for ``image`` ``(N, 3, H, W)``, as many and in the same shape."""

    def image(self, values: Tensor) -> Tensor:
        """The picture in [0, 1] that the numbers stand for; differentiable."""


class Point(NamedTuple):
    """What is known of the objective at one image."""

    values: Tensor
    evaluation: Evaluation
    gradient: Tensor


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
        self.known: Point | None = None  # where L-BFGS stands
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
        """The opposite of :meth:`state_dict`; shares no memory with what was saved.

        Raises ValueError, or what torch raises, where that is no state.
        """
        _check(saved)
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
            return Adam(self.values, self.learning_rate)
        if self.name == "steepest":
            return NormalizedGradientDescent(self.values, self.learning_rate)
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


def _check(saved: dict[str, Any]) -> None:
    """ValueError where a field of a state that was saved has another type or shape."""
    values, average = saved["values"], saved["average"]
    multipliers, own = saved["multipliers"], saved["optimizer"]
    moments = [own[x] for x in ("exp_avg", "exp_avg_sq")] if own and saved["name"] == "adam" else []
    numbers = [saved[name] for name in ("average_weight", "learning_rate", "scale")]
    fits = (
        isinstance(values, Tensor)
        and isinstance(average, Tensor)
        and values.dtype == average.dtype == torch.float32
        and values.ndim == 4
        and values.shape == average.shape
        and all(isinstance(number, int | float) for number in numbers)
        and isinstance(saved["index"], int)
        and saved["index"] >= 0
        and saved["name"] in OPTIMIZERS
        and isinstance(multipliers, dict)
        and all(isinstance(value, float) for value in multipliers.values())
        and all(moment.shape == values.shape for moment in moments)
    )
    if not fits:
        raise ValueError("the state of the optimiser is not what it must be")
