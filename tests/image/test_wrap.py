"""What goes round: against the same picture laid out three by three."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.image.io import resize
from impasto.image.wrap import add_to_window, on_grid, resized, window


def picture(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("axes", [(3,), (2, 3)])
def test_a_window_beyond_the_border_is_one_of_the_copies(axes: tuple[int, ...]) -> None:
    image = picture(8, 10)
    copies = image.repeat(1, 1, 3 if 2 in axes else 1, 3)
    top = -5 if 2 in axes else 2
    shift = 8 if 2 in axes else 0
    wanted = copies[..., top + shift : 7 + shift, 10 - 6 : 10 + 13]
    assert window(image, (top, 7, -6, 13), axes).equal(wanted)


@pytest.mark.parametrize("bounds", [(1, 5, 2, 6), (-3, 9, -4, 12), (0, 8, -13, 14)])
def test_adding_is_the_transpose_of_looking(bounds: tuple[int, int, int, int]) -> None:
    image, axes = picture(8, 10).requires_grad_(), (2, 3)
    seen = window(image, bounds, axes)
    values = torch.rand_like(seen)
    (wanted,) = torch.autograd.grad(seen, image, values)
    ours = torch.zeros_like(image)
    add_to_window(ours, bounds, axes, values)
    assert torch.allclose(ours, wanted)


@pytest.mark.parametrize("size", [(32, 48), (8, 12), (20, 50), (17, 25), (16, 60)])
@pytest.mark.parametrize("axes", [(3,), (2, 3)])
def test_resized_as_the_middle_of_the_copies(size: tuple[int, int], axes: tuple[int, ...]) -> None:
    image = picture(16, 24)
    rows = 3 if 2 in axes else 1
    larger = resize(image.repeat(1, 1, rows, 3), (size[0] * rows, size[1] * 3))
    top = size[0] if 2 in axes else 0
    wanted = larger[..., top : top + size[0], size[1] : 2 * size[1]]
    assert torch.allclose(resized(image, size, axes, resize), wanted, atol=1e-9)


def test_without_axes_it_is_the_plain_resize() -> None:
    image = picture(16, 24)
    assert resized(image, (9, 13), (), resize).equal(resize(image, (9, 13)))


def test_on_grid() -> None:
    assert on_grid(500, 250, (2, 3)) == (496, 256)
    assert on_grid(500, 250, (3,)) == (500, 256)
    assert on_grid(3, 5, ()) == (3, 5)
    assert on_grid(3, 5, (2, 3)) == (16, 16)
