"""What may be given as a picture, and which one is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import Encoder, Stylization, StylizeConfig, save_image, stylize, swatch
from impasto.errors import InputError, UnknownNameError
from impasto.image.swatches import SIDE, SWATCHES

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_a_swatch_is_what_its_file_would_be(
    encoder: Encoder, photo: Tensor, tmp_path: Path
) -> None:
    (tmp_path / "m.webp").write_bytes(SWATCHES["mosaic"].read_bytes())
    made = Stylization(photo, "mosaic", SMALL, encoder=encoder)
    same = Stylization(photo, tmp_path / "m.webp", SMALL, encoder=encoder)
    assert torch.equal(made.targets.styles[0].pixels, swatch("mosaic", size=SIDE))
    assert torch.equal(made.result().image, same.result().image)
    told = made.metadata()["style"]
    assert told == {"swatch": "mosaic", "sha256": same.metadata()["style"]["sha256"]}


def test_a_file_comes_before_a_swatch_of_its_name(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_image("waves.png", painting)
    Path("waves.png").rename("waves")
    made = Stylization(photo, "waves", SMALL, encoder=encoder)
    assert made.targets.styles[0].size == (96, 96)
    assert made.metadata()["style"]["path"] == str(tmp_path / "waves")


def test_names_that_are_nothing(encoder: Encoder, photo: Tensor) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'waves'"):
        stylize(photo, "wavs", SMALL, encoder=encoder)
    with pytest.raises(InputError):
        stylize(photo, "wavs.png", SMALL, encoder=encoder)
    with pytest.raises(InputError):
        stylize("nothing.png", "waves", SMALL, encoder=encoder)
    with pytest.raises(UnknownNameError, match="no layer of small is called 'relu1_3'"):
        stylize(photo, "waves", SMALL, encoder=encoder, style_layers=["relu1_3"])
    with pytest.raises(UnknownNameError, match="did you mean 'strength'"):
        stylize(photo, "waves", SMALL, encoder=encoder, strenght=0.3)  # type: ignore[call-arg]
