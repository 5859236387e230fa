"""What the encoder sees: never quite the same, and the same again for the same step."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.dream.transform import Jitter, RandomTransform


def picture() -> Tensor:
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def test_jitter_is_a_shift() -> None:
    image = picture()
    shifts = set()
    for step in range(20):
        seen = Jitter(3, seed=1)(image, step)
        assert seen.shape == image.shape
        middle = seen[..., 3:-3, 3:-3]
        matches = [
            (dy, dx)
            for dy in range(-3, 4)
            for dx in range(-3, 4)
            if middle.equal(image[..., 3 + dy : 21 + dy, 3 + dx : 29 + dx])
        ]
        assert len(matches) == 1
        shifts.add(matches[0])
    assert len(shifts) > 10


def test_seed_and_step_say_how_far() -> None:
    image = picture()
    for kind in (Jitter(5, seed=3), RandomTransform(seed=3)):
        assert kind(image, 7).equal(kind(image, 7))
        assert not kind(image, 7).equal(kind(image, 8))
    assert not Jitter(5, seed=3)(image, 7).equal(Jitter(5, seed=4)(image, 7))
    assert Jitter(5, seed=2**63 - 1)(image, 10**6).shape == image.shape


def test_none_and_too_much() -> None:
    image = picture()
    assert Jitter(0)(image, 0) is image
    assert Jitter(1000)(image, 0).shape == image.shape


def test_robust_without_anything_is_the_picture() -> None:
    image = picture()
    still = RandomTransform(pixels=0, degrees=0, zoom=0)(image, 0)
    assert torch.allclose(still, image, atol=1e-4)


def test_robust_shifts_turns_and_grows_within_its_limits() -> None:
    """A bright spot in the middle stays near it, and as bright in sum but for the growth."""
    y, x = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(61.0) - 30, indexing="ij")
    spot = torch.exp(-((x + 8) ** 2 + y**2) / 8).expand(1, 3, 41, 61)
    places = []
    for step in range(30):
        seen = RandomTransform(pixels=0, degrees=30, zoom=0)(spot, step)[0, 0]
        weights = seen / seen.sum()
        places.append((float((weights * x).sum()), float((weights * y).sum())))
    for right, down in places:
        assert abs((right**2 + down**2) ** 0.5 - 8) < 0.2  # on a circle: no shearing
    assert max(abs(down) for _, down in places) < 8 * 0.5 + 0.2  # the sine of 30 degrees
    assert max(abs(down) for _, down in places) > 1


def test_gradients_come_back() -> None:
    for kind in (Jitter(4), RandomTransform()):
        image = picture().requires_grad_(True)
        torch.autograd.backward(kind(image, 3).sum())
        assert image.grad is not None
        assert (image.grad > 0).float().mean() > 0.7  # some pixels have moved out of sight
