"""Motion that is known is found; what cannot be trusted is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.video.flow import agreement, compose, motion, resize_flow, warp


def test_a_shift_is_found(photo: Tensor, shot: Callable[..., Tensor]) -> None:
    now, before = shot(3, 96, 128), shot(0, 96, 128)
    found = motion(now, before)
    inner = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    expected = torch.tensor([-3.0, 0.0]).view(1, 2, 1, 1)
    assert float((found.flow - expected)[inner].abs().mean()) < 0.2
    assert float(found.trust[inner].mean()) > 0.8
    carried = warp(before, found.flow)
    assert float((carried - now)[inner].abs().mean()) < 0.02


def test_what_was_not_there_is_not_trusted(shot: Callable[..., Tensor]) -> None:
    before = shot(0, 96, 128)
    now = before.clone()
    now[..., 30:60, 40:80] = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    trust = motion(now, before).trust
    assert float(trust[..., 34:56, 44:76].mean()) < 0.3
    assert float(trust[..., :, 100:].mean()) > 0.8


def test_warp_by_nothing_is_the_picture(photo: Tensor) -> None:
    flow = torch.zeros(1, 2, *photo.shape[-2:])
    assert torch.allclose(warp(photo, flow), photo, atol=1e-5)


def test_compose_adds_shifts() -> None:
    one, two = (torch.full((1, 2, 8, 8), x) for x in (1.0, 2.0))
    assert torch.equal(compose(one, two), torch.full((1, 2, 8, 8), 3.0))


def test_a_flow_grows_with_its_picture() -> None:
    flow = torch.tensor([2.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    larger = resize_flow(flow, (16, 24))
    assert larger[0, :, 3, 3].tolist() == [6.0, 8.0]


def test_agreement_is_full_for_equal_frames(photo: Tensor) -> None:
    assert float(agreement(photo, photo).min()) == pytest.approx(1)
    assert float(agreement(photo, F.pad(photo, (0, 0, 5, 0))[..., :96, :]).min()) < 0.5
