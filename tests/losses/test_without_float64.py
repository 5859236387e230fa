"""Losses on a device that has no float64, as Apple's GPUs: a stand-in refuses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Objective, State, optimize
from impasto.arbitrary.transport import Moments, optimal_map
from impasto.encoders.base import Features
from impasto.encoders.wrappers import EncoderWrapper
from impasto.image.color import match_colors
from impasto.losses import STYLE_LOSSES, FeatureLoss, HistogramLoss, Loss, SlicedLoss
from impasto.machine.devices import has_float64
from tests.losses.test_base import LOSSES, features


class Elsewhere(Tensor):
    """A tensor on a device of its own: what is computed of it stays there, and may not be float64;
    ``cpu()`` takes it away."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """As torch does, but for both rules."""
        found = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        moved = func is Tensor.cpu or (func is Tensor.to and "cpu" in map(str, args[1:]))
        for part in found if isinstance(found, tuple | list) else [found]:
            if isinstance(part, Elsewhere) and part.dtype == torch.float64 and not moved:
                raise TypeError("Cannot convert to float64: this device has none")
        return found.as_subclass(Tensor) if moved else found


class Away(EncoderWrapper):
    """An encoder whose features lie on that device."""

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        """As the encoder's own, but there."""
        return there(self.inner.encode(image, layers))


def there(found: Features) -> Features:
    return {name: x.as_subclass(Elsewhere) for name, x in found.items()}


@pytest.fixture(autouse=True)
def no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.losses.sliced.has_float64", lambda device: False)


def test_the_stand_in_refuses_and_lets_go() -> None:
    x = torch.ones(2).as_subclass(Elsewhere)
    for call in (Tensor.double, lambda x: x.to(torch.float64), lambda x: x.sum(dtype=torch.double)):
        with pytest.raises(TypeError, match="has none"):
            call(x)
    assert type(x.cpu().double()) is Tensor
    assert type((x + 1).exp()) is Elsewhere
    assert not has_float64(torch.device("mps"))
    assert has_float64(torch.device("cpu"))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_its_gradient(name: str) -> None:
    def run(change: Callable[[Features], Features]) -> tuple[dict[str, Tensor], list[Tensor]]:
        loss = LOSSES[name](change(features(0)))
        ours = {key: x.requires_grad_() for key, x in features(1).items()}
        values = loss(change(ours))
        torch.stack([value.float() for value in values.values()]).sum().backward()  # type: ignore[no-untyped-call]
        return values, [x.grad for x in ours.values() if x.grad is not None]

    (values, slopes), (expected, wanted) = run(there), run(lambda found: found)
    for key, value in values.items():
        assert float(value.detach()) == pytest.approx(float(expected[key].detach()), rel=1e-4)
    for slope, own in zip(slopes, wanted, strict=True):
        assert torch.allclose(slope.as_subclass(Tensor), own, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [HistogramLoss, SlicedLoss, FeatureLoss])
def test_under_masks(kind: Callable[..., Loss]) -> None:
    masks = {name: torch.rand(1, 1, *x.shape[-2:]) for name, x in features(0).items()}

    def run(change: Callable[[Features], Features]) -> dict[str, Tensor]:
        loss = kind(change(features(0)), position_weight=change(masks))
        return loss(change(features(1)))

    expected = run(lambda found: found)
    for name, value in run(there).items():
        assert float(value) == pytest.approx(float(expected[name]), rel=1e-4)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_a_run(name: str, encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    layers = ["relu1_1", "relu3_1"]
    encoder = Away(encoder)
    target = encoder(painting[..., :64, :64], layers)
    assert all(isinstance(x, Elsewhere) for x in target.values())
    objective = Objective(style=(STYLE_LOSSES[name](target), 1.0))  # type: ignore[call-arg]
    image = photo[..., :48, :48]
    for optimizer in ("adam", "lbfgs"):
        state = State(image, optimizer)
        totals = [step.total for step in optimize(image, encoder, objective, steps=3, state=state)]
        assert totals[-1] < totals[0]


@pytest.mark.parametrize("method", ["covariance", "histogram"])
def test_colors(method: str, photo: Tensor, painting: Tensor) -> None:
    ours, other = photo.as_subclass(Elsewhere), painting.as_subclass(Elsewhere)
    found = match_colors(ours, other, method=method)
    assert found.as_subclass(Tensor).allclose(match_colors(photo, painting, method=method))


def test_moments_of_quick() -> None:
    x = torch.rand(1, 4, 100)
    parts = x.mean(2), x @ x.mT / 100
    source = Moments(*(part.as_subclass(Elsewhere) for part in parts))
    target = Moments(*((2 * part).as_subclass(Elsewhere) for part in parts))
    assert isinstance(optimal_map(source, target).matrix, Tensor)
