"""A picture that was made."""

from __future__ import annotations

from torch import Tensor

import impasto
from impasto import Encoder, StylizeConfig, stylize
from impasto.runs.result import with_places

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
