"""A picture that was made."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import impasto
from impasto import Encoder, StylizeConfig, stylize
from impasto.errors import UnknownNameError, UsageError
from impasto.image.io import to_pil
from impasto.runs.result import Result, with_places

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_a_notebook_shows_a_png(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    data = stylize(photo, painting, SMALL, encoder=encoder, steps=(1,))._repr_png_()
    assert impasto.read_image(data).size == (48, 64)


def test_places_of_all_inputs_are_changed() -> None:
    told = {
        "content": {"path": "/a/cat.png"},
        "style": [{"path": "/a/b/art.png"}, {"swatch": "waves"}],
        "regions": [{"path": "/a/sky.png"}, {"word": "rest"}],
        "config": {"keep": {"path": "/a/c"}},
        "size": [1, 2],
    }
    changed = with_places(told, lambda place: place.removeprefix("/a/"))
    assert changed["content"] == {"path": "cat.png"}
    assert changed["style"] == [{"path": "b/art.png"}, {"swatch": "waves"}]
    assert changed["regions"] == [{"path": "sky.png"}, {"word": "rest"}]
    assert (changed["config"], changed["size"]) == (told["config"], told["size"])
    assert told["content"] == {"path": "/a/cat.png"}


def test_pil_in_and_out(encoder: Encoder, photo: Tensor) -> None:
    picture = to_pil(photo)
    result = stylize(picture, picture, SMALL, encoder=encoder, steps=(1,))
    assert result.pil().size == (64, 48)
    assert result.pil().mode == "RGB"
    transparent = Result(result.image, torch.zeros(1, 1, 48, 64))
    assert transparent.pil().mode == "RGBA"
    assert stylize(result.pil(), picture, SMALL, encoder=encoder, steps=(1,)).image.shape[-1] == 64


def test_saved_into_memory(tmp_path: Path) -> None:
    """Any open file takes the picture; of its inputs the names go with it, not their folders."""
    told = {"content": {"path": "/home/me/cat.png"}, "seed": 3}
    result = Result(torch.rand(1, 3, 8, 9), metadata=told)
    for format, kind in ((None, "PNG"), ("jpg", "JPEG"), (".webp", "WEBP"), ("TIFF", "TIFF")):
        buffer = io.BytesIO()
        assert result.save(buffer, format=format) is None
        with Image.open(io.BytesIO(buffer.getvalue())) as image:
            assert image.format == kind
        (tmp_path / "a").write_bytes(buffer.getvalue())
        assert impasto.read_metadata(tmp_path / "a")["content"] == {"path": "cat.png"}
    with open(tmp_path / "b.png", "wb") as file:
        result.save(file, depth=16)
    assert impasto.read_image(tmp_path / "b.png").depth == 16
    sizes = []
    for quality in (10, 95):
        result.save(buffer := io.BytesIO(), format="jpg", quality=quality)
        sizes.append(len(buffer.getvalue()))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("path", [None, 3, ["a.png"], torch.zeros(1)])
def test_what_is_no_place_for_a_picture(path: object) -> None:
    result = Result(torch.rand(1, 3, 8, 9))
    with pytest.raises(UsageError, match="is no place for a picture"):
        result.save(path)  # type: ignore[call-overload]
    with pytest.raises(UnknownNameError):
        result.save(io.BytesIO(), format="bmp")
    with pytest.raises(UsageError, match="its suffix names the format"):
        result.save(os.devnull, format="png")


def test_it_is_shown_in_a_line() -> None:
    result = Result(torch.rand(1, 3, 8, 9), torch.ones(1, 1, 8, 9), metadata={"a": "x" * 5000})
    assert repr(result) == "<Result 8x9, with alpha, 0 steps>"
