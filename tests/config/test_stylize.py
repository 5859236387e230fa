"""Every setting is checked, survives JSON, and says what is allowed."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.config.groups import LAYER_NAME
from impasto.config.stylize import (
    BEST_LARGEST,
    BEST_STYLE_LAYERS,
    BEST_STYLE_LOSS,
    COARSEST,
    COARSEST_TEXTURE,
    SLACK,
    STEPS,
    STYLE_LOSS,
    Quality,
    StylizeConfig,
    choices,
    mixture,
)
from impasto.errors import ConfigError, UnknownNameError, UsageError

NAMES = [item.name for item in fields(StylizeConfig)]
LAYERS = st.from_regex(LAYER_NAME, fullmatch=True)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=8), st.none()), max_size=4),
    st.sampled_from(["max", "gatys", "adam", "caffe", "relu4_2", "bfloat16"]),
)


@st.composite
def configs(draw: st.DrawFn) -> StylizeConfig:
    """A valid config with everything set to something."""
    number = st.floats(0, 100, exclude_min=True)
    content = draw(st.lists(LAYERS, min_size=1, max_size=4, unique=True))
    style = draw(st.lists(LAYERS, min_size=1, max_size=4, unique=True))
    losses = draw(st.lists(st.sampled_from(["gram", "emd", "my-own"]), min_size=1, unique=True))
    return StylizeConfig(
        size=draw(st.none() | st.integers(16, 10_000)),
        strength=draw(st.floats(0, 1)),
        seed=draw(st.integers(0, 2**63 - 1)),
        flavour=draw(st.none() | st.sampled_from(choices("flavour"))),
        content_layers=tuple(content),
        content_weights=draw(st.none() | st.just(tuple(0.5 for _ in content))),
        style_layers=tuple(style),
        style_weights=draw(st.none() | st.tuples(*[number for _ in style])),
        style_loss=tuple(f"{loss}={draw(number)}" for loss in losses),
        style_form=draw(st.sampled_from(choices("style_form"))),
        content_weight=draw(number),
        style_weight=draw(number),
        tv_weight=draw(st.floats(0, 1)),
        steps=tuple(draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=5))),
        average=draw(st.floats(0, 0.9999)),
    )


@given(configs())
def test_a_config_survives_json(config: StylizeConfig) -> None:
    assert StylizeConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(configs())
def test_changes_are_enough_to_make_it_again(config: StylizeConfig) -> None:
    assert StylizeConfig().with_changes(**config.changes()) == config


@given(st.sampled_from(NAMES), ANYTHING)
def test_any_value_is_taken_or_refused_with_a_reason(name: str, value: Any) -> None:
    refused = None
    try:
        config = StylizeConfig().with_changes(**{name: value})
        text = json.dumps(config.to_dict(), allow_nan=False)
        assert StylizeConfig.from_dict(json.loads(text)) == config
    except UsageError as error:
        refused = error
    assert refused is None or (name.split("_")[0] in refused.message and refused.remedy)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": 15}, "size is 15; use a number from 16 to 16384"),
        ({"size": 64.0}, "size is 64.0; use a whole number"),
        ({"size": True}, "size is True; use a whole number"),
        ({"strength": -0.1}, "strength is -0.1; use a number from 0 to 1"),
        ({"strength": 1.01}, "from 0 to 1"),
        ({"strength": "0.5"}, "strength is '0.5'; use a number"),
        ({"strength": None}, "strength is None"),
        ({"strength": math.nan}, "strength is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"encoder": 19}, "encoder is 19; use a text"),
        ({"content_layers": []}, "content_layers is empty; name at least one layer"),
        ({"content_layers": [4]}, "content_layers is (4,); use a list of names"),
        ({"style_layers": ["relu6_1"]}, "style_layers holds 'relu6_1'; use names such as relu4_2"),
        ({"style_layers": ["relu1_1x"]}, "style_layers holds 'relu1_1x'"),
        ({"style_layers": ["relu1_1", "relu1_1"]}, "style_layers names a layer twice"),
        ({"style_weights": [1.0]}, "style_weights has 1 numbers for 5 layers"),
        (
            {"content_layers": "relu4_2", "content_weights": [-1.0]},
            "content_weights is (-1.0,); use numbers >= 0, not all 0",
        ),
        ({"content_layers": "relu4_2", "content_weights": [0]}, "content_weights is (0.0,)"),
        ({"content_layers": "relu4_2", "content_weights": [math.nan]}, "content_weights is (nan,)"),
        ({"content_layers": "relu4_2", "content_weights": [math.inf]}, "content_weights is (inf,)"),
        ({"content_weights": ["1"]}, "content_weights is ('1',); use a list of numbers"),
        ({"content_weights": [True]}, "content_weights is (True,)"),
        ({"steps": []}, "steps is (); use one whole number from 1"),
        ({"steps": [10, 0]}, "steps is (10, 0)"),
        ({"steps": [1.5]}, "steps is (1.5,); use a list of numbers"),
        ({"ratio": 1.0}, "ratio is 1.0; use a number from 1.05 to 8"),
        ({"learning_rate": 0}, "learning_rate is 0.0; use a number >= 1e-06"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"tv_weight": 10**400}, "tv_weight is inf"),
        ({"average": 1.0}, "average is 1.0; use a number from 0 to 0.9999"),
        ({"style_scale": 0.0}, "style_scale is 0.0; use a number from 0.05 to 10"),
        ({"content_weight": 0, "style_weight": 0}, "content_weight and style_weight are both 0"),
        ({"strength": 1, "style_weight": 0}, "style_weight is 0 at strength 1"),
        ({"style_scale": [1, 20]}, "style_scale is 20.0; use a number from 0.05 to 10"),
        ({"style_scale": []}, "style_scale is empty"),
        ({"blend": [0, 0]}, "blend is (0.0, 0.0); use numbers >= 0, not all 0"),
        ({"blend": [-1, 1]}, "blend is -1.0; use a number >= 0"),
        ({"regions": []}, "regions is empty"),
        ({"keep": 3}, "keep is 3; use a text"),
        ({"layers_per_style": ["fin"]}, "layers_per_style holds 'fin'"),
        ({"region_styles": ["0"]}, "region_styles holds '0'; use numbers from 1"),
        ({"region_colors": ["kep"]}, "region_colors holds 'kep'; use style, keep, match"),
        ({"region_colors": ["keep"], "color": "only"}, "region_colors is given with color only"),
        ({"region_strengths": [1.5]}, "region_strengths is 1.5; use a number from 0 to 1"),
        ({"style_loss": []}, "style_loss is empty; name at least one"),
        (
            {"style_loss": ["gram=0"]},
            "style_loss is gram=0; name at least one",
        ),
        ({"style_loss": ["gram", "gram=2"]}, "style_loss names 'gram' twice"),
        ({"style_loss": ["gram=-1"]}, "style_loss holds 'gram=-1'; give a weight >= 0"),
        ({"style_loss": ["gram=inf"]}, "style_loss holds 'gram=inf'"),
        ({"style_loss": ["gram="]}, "style_loss holds 'gram='; give a weight >= 0, as in gram=0.5"),
        ({"style_loss": 3}, "style_loss is (3,); use a list of names"),
    ],
)
def test_what_is_wrong_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StylizeConfig().with_changes(**settings)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMES if choices(name)])
def test_choices(name: str) -> None:
    for value in choices(name):
        assert StylizeConfig().with_changes(**{name: value}).to_dict()[name] == value
    close = choices(name)[0] + "x"
    with pytest.raises(UnknownNameError) as caught:
        StylizeConfig().with_changes(**{name: close})
    assert f"no {name} is called '{close}'; did you mean '{choices(name)[0]}'?" in str(caught.value)


def test_which_settings_are_choices() -> None:
    assert [name for name in NAMES if choices(name)] == [
        *("strength_mode", "color", "color_match", "wrap"),
        *("flavour", "pooling", "padding", "balance", "content_form", "style_form"),
        *("guidance", "optimizer", "quality", "precision"),
    ]


def test_every_setting_has_a_help_text() -> None:
    assert all(item.metadata["help"] for item in fields(StylizeConfig))


def test_an_unknown_setting_gets_a_proposal() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'strength'"):
        StylizeConfig().with_changes(strenght=1)
    with pytest.raises(UnknownNameError, match="no setting is called 'x'"):
        StylizeConfig.from_dict({"x": 1})


def test_lone_values_and_lists_become_tuples() -> None:
    config = StylizeConfig().with_changes(
        steps=50, style_layers=["relu1_1", "image"], style_weights=[1, 2], content_layers="conv4_2"
    )
    assert config.steps == (50,)
    assert config.style_layers == ("relu1_1", "image")
    assert config.content_layers == ("conv4_2",)
    assert config.style_weights == (1.0, 2.0)
    assert all(type(x) is float for x in config.style_weights or ())


def test_whole_numbers_become_floats_where_floats_are_meant() -> None:
    assert type(StylizeConfig().with_changes(strength=1).strength) is float


def test_changes_holds_only_what_differs() -> None:
    assert StylizeConfig().changes() == {}
    assert StylizeConfig(size=None, steps=(5,)).changes() == {"size": None, "steps": [5]}


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        StylizeConfig().size = 3  # type: ignore[misc]


@given(
    st.integers(16, 16384),
    st.sampled_from([1.19, 1.414, 2.0, 3.0]),
    st.booleans(),
    st.sampled_from(choices("quality")),
)
def test_every_picture_begins_at_the_same_size(
    size: int, ratio: float, texture: bool, quality: Quality
) -> None:
    config = StylizeConfig(ratio=ratio, quality=quality)
    steps, fitted = config.schedule(size, texture=texture)
    wanted = COARSEST_TEXTURE if texture else COARSEST[quality]
    if len(steps) == 1:
        assert size <= wanted * ratio**SLACK * 1.001
    else:
        assert size / fitted ** (len(steps) - 1) == pytest.approx(wanted)
        assert fitted <= ratio ** (1 + SLACK) * 1.001
    assert list(steps) == sorted(steps, reverse=True)
    assert sum(steps) <= config.most_steps


def test_the_coarsest_size_is_a_setting() -> None:
    steps, ratio = StylizeConfig(coarsest=100).schedule(400)
    assert len(steps) == 3
    assert ratio == pytest.approx(2)


def test_no_size_is_a_cliff() -> None:
    """From one size to the next the work grows by little, but where a level more begins."""
    sums = [sum(StylizeConfig().schedule(size)[0]) for size in range(280, 2200, 10)]
    assert all(abs(b - a) <= 60 for a, b in itertools.pairwise(sums))


def test_more_quality_is_more_steps() -> None:
    draft, standard, best = (StylizeConfig(quality=q).schedule(1024)[0] for q in STEPS)  # type: ignore[arg-type]
    assert sum(draft) < sum(standard) < sum(best)
    assert StylizeConfig(quality="best", steps=(3,)).schedule(1024) == ((3,), 2.0)


@pytest.mark.parametrize(
    ("changes", "held"),
    [({}, True), ({"strength_mode": "weight"}, False), ({"optimizer": "lbfgs"}, False),
     ({"content_form": "mean"}, False)],
)  # fmt: skip
def test_where_the_strength_is_a_limit(changes: dict[str, str], held: bool) -> None:
    assert StylizeConfig().with_changes(**changes).holds_limit is held


def test_what_makes_the_style_by_quality() -> None:
    auto = StylizeConfig()
    assert auto.with_style_loss(512).style_loss == STYLE_LOSS
    assert auto.with_style_loss(512, texture=True).style_loss == ("gram",)
    mean = auto.with_changes(style_form="mean")
    assert mean.with_style_loss(512).style_loss == ("gram",)
    best = auto.with_changes(quality="best")
    found = best.with_style_loss(512)
    assert (found.style_loss, found.style_layers) == (BEST_STYLE_LOSS, BEST_STYLE_LAYERS)
    assert best.with_style_loss(BEST_LARGEST + 1).style_loss == STYLE_LOSS
    assert best.with_changes(tile=256).with_style_loss(512).style_loss == STYLE_LOSS
    stone = best.with_style_loss(512, texture=True)
    assert (stone.style_loss, stone.style_layers) == (("gram", "patches=0.5"), BEST_STYLE_LAYERS)
    own = best.with_changes(style_layers=("relu3_1",)).with_style_loss(512)
    assert own.style_layers == ("relu3_1",)
    said = best.with_changes(style_loss="wasserstein")
    assert said.with_style_loss(512) == said
    assert mixture("style_loss", ("auto",)) == {"gram": 1.0, "local": 0.2}
