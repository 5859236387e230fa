"""The engines hold what they are told to hold; masks go with the flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import VideoConfig
from impasto.image.io import save_image
from impasto.video.carry import Carried
from impasto.video.paint import MaskTracker, OptimisedPainter, TemporalLoss, make_painter

OFF: dict[str, Any] = {"subject": "off"}


def foreseen(photo: Tensor, share: float) -> Carried:
    flow = torch.zeros(1, 2, *photo.shape[-2:])
    return Carried(torch.full_like(photo, 0.5), torch.full_like(photo[:, :1], share), flow)


def test_quick_keeps_what_is_trusted(shot: Callable[..., Tensor], painting: Tensor) -> None:
    painter = make_painter([painting], QuickConfig(**OFF), VideoConfig())
    photo = shot(0)
    assert torch.equal(painter.paint(photo, foreseen(photo, 1.0), {}), torch.full_like(photo, 0.5))
    fresh = painter.paint(photo, None, {})
    assert torch.equal(painter.paint(photo, foreseen(photo, 0.0), {}), fresh)
    loose = make_painter([painting], QuickConfig(**OFF), VideoConfig(steadiness=0.0))
    assert torch.equal(loose.paint(photo, foreseen(photo, 1.0), {}), fresh)


def test_optimised_stays_near_where_it_is_held(
    shot: Callable[..., Tensor], painting: Tensor
) -> None:
    photo = shot(0)
    distances = []
    for weight in (0.0, 1000.0):
        video = VideoConfig(engine="optimised", temporal_weight=weight, frame_steps=4)
        painter = make_painter([painting], StylizeConfig(**OFF, size=64), video)
        found = painter.paint(photo, foreseen(photo, 1.0), {})
        distances.append(float((found - 0.5).square().mean()))
    assert distances[1] < distances[0] / 4


def test_optimised_looks_at_the_style_once(shot: Callable[..., Tensor], painting: Tensor) -> None:
    video = VideoConfig(engine="optimised", frame_steps=2)
    config = StylizeConfig(**OFF, size=64, steps=(2,))
    painter = make_painter([painting], config, video)
    assert isinstance(painter, OptimisedPainter)
    for number in range(3):
        photo = shot(number)
        painter.paint(photo, foreseen(photo, 1.0) if number else None, {})
    assert (painter.seen.missed, painter.seen.found) == (2, 4)  # for each of the two losses


def test_temporal_loss_is_a_mean_over_the_trusted(photo: Tensor) -> None:
    trust = torch.zeros_like(photo[:, :1])
    trust[..., :48, :] = 1
    loss = TemporalLoss(photo, trust)
    assert float(loss({"image": photo})["image"]) == 0
    assert float(loss({"image": photo + 0.1})["image"]) == pytest.approx(0.01 / 2, rel=1e-4)
    small = torch.nn.functional.interpolate(photo + 0.1, (48, 64), mode="area")
    assert float(loss({"image": small})["image"]) == pytest.approx(0.01 / 2, rel=0.1)


def test_masks_go_with_the_flow(shot: Callable[..., Tensor], tmp_path: Path) -> None:
    mask = torch.zeros(1, 3, 48, 64)
    mask[..., 20:30] = 1
    path = str(save_image(tmp_path / "mask.png", mask))
    tracker = MaskTracker(QuickConfig(keep=path, **OFF))
    first = tracker.at(shot(0), None)["keep"]
    assert float(first[..., 20:30].min()) == 1
    flow = torch.tensor([-3.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    moved = tracker.at(shot(3), Carried(shot(3), shot(3)[:, :1], flow))["keep"]
    assert float(moved[..., 23:33].min()) == 1
    assert float(moved[..., :22].max()) == 0
    assert float(tracker.at(shot(0), None)["keep"][..., 20].min()) == 1  # after a cut, as given


def test_a_found_subject_is_steady(shot: Callable[..., Tensor]) -> None:
    tracker = MaskTracker(QuickConfig())
    photo = shot(0)
    tracker.at(photo, None)
    tracker.subject = torch.full((1, 1, 48, 64), 0.7)
    held = tracker.at(photo, foreseen(photo, 1.0))["subject"]
    assert float((held - 0.7).abs().max()) < 1e-3
