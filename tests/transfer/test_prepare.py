"""What is read, checked and planned before the first step."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import impasto
from impasto import (
    Encoder,
    Stylization,
    StylizeConfig,
)
from impasto.config.stylize import STYLE_LOSS
from impasto.errors import ConfigError, UnknownNameError
from impasto.transfer.prepare import for_content, for_texture, prepare
from tests.transfer.test_stylization import SMALL, run


def test_a_starting_point_that_is_none(encoder: Encoder, photo: Tensor) -> None:
    with pytest.raises(
        ConfigError,
        match=r"init is 'nowhere'.*use auto, content, recolored, noise, style, quick or",
    ):
        run(photo, "waves", encoder, init="nowhere")


def test_precision(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    exact = run(photo, painting, deepcopy(encoder))
    rounded = run(photo, painting, deepcopy(encoder), precision="bfloat16")
    assert rounded.metadata["machine"]["dtype"] == "bfloat16"
    assert rounded.image.dtype == torch.float32
    assert (rounded.image - exact.image).abs().mean() < 0.05
    lbfgs = Stylization(
        photo,
        painting,
        replace(SMALL, optimizer="lbfgs", precision="auto"),
        encoder=deepcopy(encoder),
    )
    assert lbfgs.dtype == torch.float32


def test_dreams_of_layers_that_are_not_there() -> None:
    photo = impasto.swatch("nouveau", size=64)
    with pytest.raises(ConfigError, match="no layer with channels and a weight"):
        impasto.stylize(photo, "waves", dream="4_3")
    with pytest.raises(UnknownNameError, match="relu9_1"):
        impasto.stylize(photo, "waves", size=64, dream="relu9_1=0.5")


def test_what_is_left_to_be_found_is_said() -> None:
    assert for_content(StylizeConfig()).init == "recolored"
    assert for_content(StylizeConfig(color="keep")).init == "content"
    assert for_content(StylizeConfig(strength_mode="weight")).init == "content"
    assert for_texture(StylizeConfig()).init == "style"
    for settings in ({"color": "keep"}, {"size": None}, {"init": "quick"}):
        with pytest.raises(ConfigError, match="a texture has no content"):
            for_texture(StylizeConfig(**settings))


def test_what_a_run_works_with(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    found = prepare(photo, painting, SMALL, encoder=encoder)
    assert (found.height, found.width) == (48, 64)
    assert [(level.height, level.width) for level in found.levels] == [(48, 64)]
    assert found.config.style_loss == STYLE_LOSS
    assert set(found.sources) == {"content", "style", "subject"}
    assert found.tile is None
    only = prepare(photo, painting, replace(SMALL, color="only"), encoder=encoder)
    assert only.levels == []
