"""One step of an optimiser: a tensor is moved against its gradient.

Each has ``zero_grad``, ``step``, and a ``state`` of moments by tensor, as torch's optimisers do.
L-BFGS is torch's own (:class:`impasto.optim.state.State` makes it).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

TINY = 1e-20  # no gradient at all


class Adam:
    """Moves ``tensor`` against ``tensor.grad``, in steps of about ``learning_rate`` (Kingma & Ba
    2015, algorithm 1).

    The step is torch's functional one: ``torch.optim.Adam`` brings the compiler along, which takes
    a second to load, a tenth of the time of a picture. And the pyramid carries the moments in
    ``state[tensor]`` from one size to the next.
    """

    # Crowson's; Adam's usual 0.999 remembers a level longer than it lasts.
    def __init__(
        self, tensor: Tensor, learning_rate: float, betas: tuple[float, float] = (0.9, 0.99)
    ) -> None:
        self.tensor, self.learning_rate, self.betas = tensor, learning_rate, betas
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step."""
        assert self.tensor.grad is not None
        if self.tensor not in self.state:
            self.state[self.tensor] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(self.tensor, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(self.tensor, requires_grad=False),
            }
        moments = self.state[self.tensor]
        adam(
            [self.tensor],
            [self.tensor.grad],
            [moments["exp_avg"]],
            [moments["exp_avg_sq"]],
            [],
            [moments["step"]],
            foreach=False,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """The moments; empty before the first step."""
        return dict(self.state.get(self.tensor, {}))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        if saved:
            device = self.tensor.device
            moments = {name: x.to(device) for name, x in saved.items() if name != "step"}
            self.state[self.tensor] = {**moments, "step": saved["step"]}


class NormalizedGradientDescent:
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
