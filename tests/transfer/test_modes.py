"""Whatever modes of torch a caller has set, the pictures are the same, and the modes stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto import Encoder
from impasto.events import Event
from impasto.image.io import save_image


@contextmanager
def double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def elsewhere() -> Iterator[None]:
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None if before.type == "cpu" else before)


@contextmanager
def all_at_once() -> Iterator[None]:
    with torch.inference_mode(), double(), elsewhere(), torch.autocast("cpu"):
        yield


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": double,
    "meta": elsewhere,
    "with meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu"),
    "all": all_at_once,
}

SETTINGS: dict[str, Any] = {"size": 48, "precision": "float32"}


def modes() -> list[object]:
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
    ]


@pytest.fixture
def calls(
    photo: Tensor, painting: Tensor, encoder: Encoder, tmp_path: Path
) -> dict[str, Callable[[], Tensor]]:
    """Name -> a function that makes a picture."""
    for number in range(4):
        save_image(tmp_path / f"{number}.png", photo.roll(9 * number, 3)[..., :60, :80])
    own: dict[str, Any] = {**SETTINGS, "encoder": encoder}
    small: dict[str, Any] = {"crop": 32, "style_size": 48, "width": 4, "blocks": 1}

    def train() -> Tensor:
        made = impasto.Training(
            painting, tmp_path, steps=2, **small, encoder=encoder, precision="float32"
        )
        for _ in made:
            pass
        weights: list[Tensor] = list(made.network().state_dict().values())
        return max(weights, key=Tensor.numel)

    return {
        "stylize": lambda: impasto.stylize(photo, painting, steps=2, **own).image,
        "lbfgs": lambda: (
            impasto.stylize(
                photo, painting, steps=2, optimizer="lbfgs", style_loss="wasserstein", **own
            ).image
        ),
        "texture": lambda: impasto.texture(painting, steps=2, style_loss="sliced", **own).image,
        "deepdream": lambda: impasto.deepdream(photo, octaves=1, steps=2, **own).image,
        "look": lambda: (
            impasto.look(photo, show="gram", encoder=encoder, precision="float32", cell=48).image
        ),
        "channels": lambda: (
            impasto.look(
                show="channels",
                channels="relu2_1:0-1",
                encoder=encoder,
                precision="float32",
                cell=48,
                steps=2,
            ).image
        ),
        "quick": lambda: impasto.quick(photo, painting, **SETTINGS).image,
        "train": train,
        "swatch": lambda: impasto.swatch("waves", size=32),
    }


NAMES = [
    *("stylize", "lbfgs", "texture", "deepdream", "look", "channels", "quick", "train", "swatch")
]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_in_every_mode(calls: dict[str, Callable[[], Tensor]], name: str) -> None:
    call = calls[name]
    expected = call()
    for mode, enter in MODES.items():
        with enter():
            before = modes()
            found = call()
            assert modes() == before, mode
        assert found.dtype == expected.dtype, mode
        assert found.device.type == "cpu", mode
        assert not found.is_inference(), mode
        assert found.equal(expected), mode


@pytest.mark.parametrize("mode", MODES)
def test_between_two_events_the_callers_modes_hold(
    photo: Tensor, painting: Tensor, encoder: Encoder, mode: str
) -> None:
    with MODES[mode]():
        before, seen = modes(), []

        def on_event(event: Event) -> None:
            seen.append(modes() == before)

        run = impasto.Stylization(
            photo, painting, impasto.StylizeConfig(steps=(2,), **SETTINGS), encoder=encoder
        )
        for event in run:
            on_event(event)
            break
        run.finish(on_event)
        run.explain()
    assert len(seen) > 3
    assert all(seen)


def test_what_was_made_in_inference_mode_can_be_used(photo: Tensor, painting: Tensor) -> None:
    """An encoder, a photo as a tensor or as a picture, and a painting."""
    torch.manual_seed(0)
    stages = ((4, 1),) * 5
    expected = impasto.stylize(
        photo, painting, encoder=impasto.Mini(stages=stages), steps=2, **SETTINGS
    ).image
    with torch.inference_mode():
        torch.manual_seed(0)
        encoder = impasto.Mini(stages=stages)
        content = impasto.read_image(photo * 1)
        style = impasto.Picture(painting * 1)
        own = photo * 1
    for source in (content, own):
        found = impasto.stylize(source, style, encoder=encoder, steps=2, **SETTINGS).image
        assert found.equal(expected)
