"""Adam for one tensor (Kingma & Ba 2015, algorithm 1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-8


class Adam:
    """Moves ``tensor`` against ``tensor.grad``, in steps of about ``learning_rate``.

    The numbers are those of ``torch.optim.Adam``. Ours because loading torch's takes a second (it
    brings the compiler along), a tenth of the time of a picture, and because the pyramid carries
    the moments from one size to the next: ``state[tensor]`` holds them, as torch's would.
    """

    def __init__(
        self, tensor: Tensor, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.tensor, self.learning_rate, self.betas = tensor, learning_rate, betas
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step."""
        gradient = self.tensor.grad
        assert gradient is not None
        if self.tensor not in self.state:
            self.state[self.tensor] = _no_moments(self.tensor)
        moments = self.state[self.tensor]
        moments["step"] += 1
        count = int(moments["step"])
        first, second = moments["exp_avg"], moments["exp_avg_sq"]
        first.lerp_(gradient, 1 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        # Both begin at zero, and would be too small at first.
        correction = tuple(1 - beta**count for beta in self.betas)
        root = second.sqrt().div_(correction[1] ** 0.5).add_(EPSILON)
        self.tensor.addcdiv_(first, root, value=-self.learning_rate / correction[0])

    def state_dict(self) -> dict[str, Any]:
        """The moments; empty before the first step."""
        return dict(self.state.get(self.tensor, {}))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        if saved:
            device = self.tensor.device
            moments = {name: x.to(device) for name, x in saved.items() if name != "step"}
            self.state[self.tensor] = {**moments, "step": saved["step"]}


def _no_moments(tensor: Tensor) -> dict[str, Tensor]:
    return {
        "step": torch.tensor(0.0),
        "exp_avg": torch.zeros_like(tensor, requires_grad=False),
        "exp_avg_sq": torch.zeros_like(tensor, requires_grad=False),
    }
