"""What is ordered, and the command that makes the same."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

import pytest
from starlette.testclient import TestClient

from impasto.config.dream import DreamConfig
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.texts import parse
from impasto.errors import ConfigError, ImpastoError
from impasto.studio.recipe import LEFT_OUT, WORDS, Recipe, describe_presets, describe_settings
from impasto.studio.service import Studio
from impasto.studio.store import Store
from tests.studio.in_process import picture, upload

PHOTO = "0" * 32


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"encoder": "/etc/passwd"}, "it may be mini"),
        ({"encoder": "vgg19"}, "it may be mini"),
        ({"init": "/etc/passwd"}, "it may be auto or"),
        ({"subject": "../mask.png"}, "it may be auto or off"),
        ({"keep": "mask.png"}, "a mask that was uploaded"),
        ({"regions": ["auto", "/dev/zero"]}, "it may be auto"),
        ({"style_regions": "/dev/zero"}, "it may be all"),
        ({"strength": 2}, "from 0 to 1"),
        ({"strength": [[1]]}, "strength"),
        ({"size": {"a": 1}}, "size"),
        ({"nonsense": 1}, "no setting"),
    ],
)
def test_settings_name_no_files_and_keep_their_ranges(settings: Any, said: str) -> None:
    with pytest.raises(ImpastoError, match=said):
        Recipe("paint", PHOTO, ("waves",), settings).config()


def test_presets_that_need_other_weights_are_refused() -> None:
    assert {"default", "oil", "sketch", "mosaic"} <= {x["name"] for x in describe_presets()}
    with pytest.raises(ConfigError, match="does not ship"):
        Recipe("paint", PHOTO, ("waves",), preset="gatys2016").config()


def test_every_setting_is_described_but_those_that_name_files() -> None:
    kinds = {
        "paint": StylizeConfig,
        "texture": StylizeConfig,
        "dream": DreamConfig,
        "quick": QuickConfig,
    }
    for kind, config in kinds.items():
        told = [one for group in describe_settings(kind) for one in group["settings"]]
        hidden = set(WORDS) - {"init", "subject"} | {*LEFT_OUT.get(kind, ())}
        assert {one["name"] for one in told} == {x.name for x in fields(config)} - hidden
        assert all(one["help"] for one in told)
    strength = next(one for one in told if one["name"] == "strength")
    assert (strength["type"], strength["least"], strength["most"]) == ("number", 0, 1)


def test_a_recipe_survives_json() -> None:
    recipe = Recipe("paint", PHOTO, ("waves",), {"size": 64}, {"subject": (PHOTO,)})
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_command_says_the_same(client: TestClient, studio: Studio) -> None:
    store: Store = studio.store
    photo, mask = upload(client), upload(client, picture(seed=3), "mask")
    settings = {"strength": 0.7, "size": None, "steps": [3, 2], "color": "keep"}
    recipe = Recipe("paint", photo, ("waves",), settings, {"subject": (mask,)}, preset="oil")
    words = shlex.split(recipe.command(store, 2))
    assert words[:6] == ["impasto", "stylize", "Cat.png", "waves", "--preset", "oil"]
    flags = dict(zip(words[6::2], words[7::2], strict=True))
    assert flags.pop("-o") == "Cat-waves.png"
    assert flags.pop("--threads") == "2"
    assert flags.pop("--subject") == "Cat-2.png"
    names = {name.removeprefix("--").replace("-", "_"): text for name, text in flags.items()}
    given = {name: parse(name, text) for name, text in names.items()}
    assert StylizeConfig().with_changes(**given) == StylizeConfig().with_changes(**settings)
    assert set(recipe.files(store)) == {"Cat.png", "Cat-2.png"}
    assert "torch.set_num_threads(2)" in recipe.python(store, 2)


def test_pictures_must_be_there(store: Store) -> None:
    with pytest.raises(ImpastoError, match="there is no picture"):
        Recipe("paint", PHOTO, ("waves",)).check(store)
