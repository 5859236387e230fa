"""The recipe in one pass: what it takes, what it returns, what it says of itself."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import impasto
from impasto import read_metadata, save_image
from impasto.arbitrary import api
from impasto.arbitrary.api import quick, style_at
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import measure
from impasto.arbitrary.network import Quick, Statistics
from impasto.config.quick import LARGEST
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.events import Event, Finished, LevelStarted
from impasto.feedforward.network import FeedForward, save_feedforward
from impasto.image.color import match_colors, srgb_to_oklab
from impasto.machine.devices import threads
from impasto.metrics.evaluate import style_distance


@pytest.fixture(scope="module")
def network() -> Quick:
    """Mini and a decoder that has learned nothing: the colours move, and no more."""
    return Quick()


def run(content: Any, style: Any, network: Quick, **settings: Any) -> impasto.Result:
    return impasto.quick(
        content, style, model=network, **{"size": 64, "precision": "float32", **settings}
    )


def chroma(image: Tensor) -> Tensor:
    return srgb_to_oklab(image)[:, 1:]


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((96, 128), 64, (48, 64)),
        ((41, 37), None, (41, 37)),
        ((20, 24), 50, (42, 50)),
        ((41, 37), "auto", (41, 37)),
        ((2, 2 * LARGEST), "auto", (1, LARGEST)),
        ((2, 2 * LARGEST), None, (2, 2 * LARGEST)),
    ],
)
def test_the_size_is_exact(
    network: Quick, shape: tuple[int, int], size: int | str | None, expected: tuple[int, int]
) -> None:
    content = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    result = run(content, "waves", network, size=size)
    assert result.image.shape == (1, 3, *expected)
    assert 0 <= result.image.min() <= result.image.max() <= 1
    assert result.metadata["size"] == list(expected)


def test_same_request_same_picture(network: Quick, photo: Tensor) -> None:
    first, second = (run(photo, "waves", network).image for _ in range(2))
    assert torch.equal(first, second)


def test_a_style_is_read_once(photo: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[torch.Size] = []

    def counting(network: FusedQuick, style: Tensor, *rest: Any) -> Statistics:
        read.append(style.shape)
        return measure(network, style, *rest)

    monkeypatch.setattr(api, "measure", counting)
    monkeypatch.setattr(api, "KNOWN", OrderedDict())
    style = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(5))

    def painted(style: Tensor, **settings: Any) -> Tensor:
        settings = {"size": 64, "precision": "float32", **settings}
        return impasto.quick(photo, style, **settings).image

    first = painted(style)
    assert torch.equal(painted(style.clone()), first)
    painted(style, strength=0.5)
    assert len(read) == 1
    painted(style, size=32)  # which makes the style smaller, too
    painted(1 - style)
    assert [tuple(shape[-2:]) for shape in read] == [(48, 64), (24, 32), (48, 64)]
    for number in range(api.REMEMBERED):
        painted(style * number / 100)
    assert len(api.KNOWN) == api.REMEMBERED
    painted(style)
    assert len(read) == 3 + api.REMEMBERED + 1
    with threads(1 if torch.get_num_threads() > 1 else 2):  # which rounds in another way
        painted(style)
    assert len(read) == 3 + api.REMEMBERED + 2


def test_strength_0_is_the_content(network: Quick, photo: Tensor) -> None:
    result = run(photo, "waves", network, strength=0, size=None)
    assert torch.equal(result.image, photo)


def test_weights_mix(network: Quick, photo: Tensor, painting: Tensor) -> None:
    alone = run(photo, painting, network)
    mixed = run(photo, ["waves", painting], network, blend=[0, 2])
    assert torch.equal(alone.image, mixed.image)
    assert mixed.metadata["style"][0]["swatch"] == "waves"
    assert mixed.metadata["config"]["blend"] == [0, 2]
    assert set(alone.metadata["style"]) == {"sha256"}


# --- colours and regions -------------------------------------------------------------------------


def test_kept_colours_are_the_contents(network: Quick, photo: Tensor) -> None:
    plain = run(photo, "waves", network, size=None).image
    kept = run(photo, "waves", network, size=None, color="keep").image
    away, near = ((chroma(x) - chroma(photo)).abs().mean() for x in (plain, kept))
    assert near < 0.2 * away
    assert away > 0.01


def test_matched_colours_have_the_contents_mean(network: Quick, photo: Tensor) -> None:
    plain, matched = (run(photo, "waves", network, color=x).image for x in ("style", "match"))
    mean = photo.mean((2, 3))
    assert (matched.mean((2, 3)) - mean).norm() < 0.3 * (plain.mean((2, 3)) - mean).norm()


def test_only_colours(network: Quick, photo: Tensor) -> None:
    style = impasto.swatch("waves", size=48)
    result = run(photo, style, network, size=None, color="only")
    assert torch.equal(result.image, match_colors(photo, style))
    assert "colours matched" in result.metadata["method"]


def test_a_region_of_all_is_the_picture(network: Quick, photo: Tensor) -> None:
    plain = run(photo, "waves", network).image
    region = run(photo, "waves", network, regions=[torch.ones(1, 1, *photo.shape[-2:])]).image
    assert torch.allclose(plain, region, atol=1e-4)


def test_regions_have_their_styles(network: Quick, photo: Tensor) -> None:
    """With the moments of their own: a half is painted as if it were the picture."""
    left = torch.zeros(1, 1, *photo.shape[-2:])
    left[..., : photo.shape[-1] // 2] = 1
    settings: dict[str, Any] = {"size": None, "feather": 0}
    styles = {name: impasto.swatch(name, size=64) for name in ("waves", "night")}
    found = run(photo, [*styles.values()], network, regions=[left, "rest"], **settings)
    assert [x.get("word") for x in found.metadata["regions"]] == [None, "rest"]
    for part, style in ((left > 0, "waves"), (left == 0, "night")):
        columns = part[0, 0, 0]
        alone = run(photo[..., columns], styles[style], network, size=None).image
        [against] = [styles[name] for name in styles if name != style]
        other = run(photo, against, network, size=None).image
        own = found.image[..., columns]
        away = (own - other[..., columns]).abs().mean()
        assert (own.mean((2, 3)) - alone.mean((2, 3))).abs().max() < 0.02
        assert (own - alone).abs().mean() < 0.2 * away
    swapped = run(
        photo,
        [styles["night"], styles["waves"]],
        network,
        regions=[left, "rest"],
        region_styles=["2", "1"],
        **settings,
    )
    assert torch.equal(swapped.image, found.image)


def test_what_is_kept_and_what_has_no_strength_stays(network: Quick, photo: Tensor) -> None:
    mask = torch.zeros(1, 1, *photo.shape[-2:])
    mask[..., 10:20, 10:30] = 1
    settings: dict[str, Any] = {"size": None, "feather": 0, "coarsest": 64}
    kept = run(photo, "waves", network, keep=mask, **settings)
    still = run(
        photo, "waves", network, regions=[mask, "rest"], region_strengths=[0, 1], **settings
    )
    for image in (kept.image, still.image):
        inside = mask.bool().expand_as(photo)
        assert torch.allclose(image[inside], photo[inside], atol=1e-6)
        assert (image - photo)[~inside].abs().mean() > 0.02
    assert set(kept.metadata["keep"]) == {"sha256"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"regions": "auto"}, "regions is auto"),
        ({"region_styles": "1"}, "region_styles is given without regions"),
        ({"regions": ["rest"], "region_styles": "one"}, "region_styles holds 'one'"),
        ({"regions": ["rest"], "region_strengths": [1, 0]}, "2 entries for 1 regions"),
        ({"keep": torch.ones(1, 1, 5, 50)}, "keep"),
    ],
)
def test_bad_regions(network: Quick, photo: Tensor, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(photo, "waves", network, **settings)


def test_alpha_depth_and_metadata_go_into_the_file(
    network: Quick, photo: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alpha = torch.ones(1, 1, *photo.shape[-2:])
    alpha[..., :40] = 0
    (tmp_path / "in").mkdir()
    save_image("in/cat.png", photo, alpha=alpha)
    result = run("in/cat.png", ["in/cat.png", "waves"], network)
    assert result.alpha is not None
    assert result.alpha.shape[-2:] == result.image.shape[-2:]
    metadata = read_metadata(result.save(tmp_path / "out.png"))
    assert metadata["command"] == "quick"
    assert metadata["content"]["path"] == "in/cat.png"
    assert metadata["style"][0]["path"] == "in/cat.png"
    assert metadata["config"]["strength"] == 1.0
    assert str(tmp_path) not in str(metadata)


# --- networks of one style -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own() -> FeedForward:
    return FeedForward((4, 6, 8), 1, name="mine").eval()


def test_a_model_of_one_style(own: FeedForward, photo: Tensor, tmp_path: Path) -> None:
    alpha = torch.ones(1, 1, *photo.shape[-2:])
    alpha[..., :40] = 0
    save_image(tmp_path / "cat.png", photo, alpha=alpha)
    save_feedforward(own, tmp_path / "mine.safetensors", style="mine")
    settings: dict[str, Any] = {"size": 64, "precision": "float32"}
    result = impasto.quick(
        tmp_path / "cat.png", model=tmp_path / "mine.safetensors", tile=64, **settings
    )
    assert result.image.shape == (1, 3, 48, 64)
    assert result.alpha is not None
    told = read_metadata(result.save(tmp_path / "out.png"))
    assert told["model"]["path"] == "mine.safetensors"
    assert told["model"]["style"] == "mine"
    assert len(told["model"]["sha256"]) == 64
    assert "style" not in told
    loaded = impasto.quick(tmp_path / "cat.png", model=own, **settings)
    assert torch.equal(loaded.image, result.image)
    assert "path" not in loaded.metadata["model"]


def test_strength_of_a_model_mixes_with_the_photo(own: FeedForward, photo: Tensor) -> None:
    settings: dict[str, Any] = {"model": own, "size": None, "precision": "float32"}
    full, half = (impasto.quick(photo, strength=x, **settings).image for x in (1.0, 0.5))
    assert torch.equal(impasto.quick(photo, strength=0, **settings).image, photo)
    assert torch.allclose(half, (full + photo) / 2, atol=1e-6)


def test_a_model_of_one_style_takes_no_style(own: FeedForward, photo: Tensor) -> None:
    with pytest.raises(ConfigError, match="a model of the style 'mine'"):
        impasto.quick(photo, "waves", model=own)
    with pytest.raises(ConfigError, match="blend, style_scale has no meaning"):
        impasto.quick(photo, model=own, blend=[1], style_scale=2)
    with pytest.raises(ConfigError, match="quality has no meaning"):
        impasto.quick(photo, model=own, quality="draft")
    with pytest.raises(ConfigError, match="there is no style"):
        impasto.quick(photo)
    with pytest.raises(ConfigError, match="color is 'match'"):
        impasto.quick(photo, model=own, color="match")
    with pytest.raises(ConfigError, match="regions has no meaning"):
        impasto.quick(photo, model=own, regions=[torch.ones(1, 1, *photo.shape[-2:])])


def test_a_model_keeps_colours_and_what_is_masked(own: FeedForward, photo: Tensor) -> None:
    mask = torch.zeros(1, 1, *photo.shape[-2:])
    mask[..., :20] = 1
    settings: dict[str, Any] = {"model": own, "size": None, "precision": "float32", "feather": 0}
    plain = impasto.quick(photo, **settings).image
    kept = impasto.quick(photo, color="keep", keep=mask, **settings).image
    assert torch.allclose(kept[..., :20], photo[..., :20], atol=1e-6)
    away, near = ((chroma(x) - chroma(photo)).abs().mean() for x in (plain, kept))
    assert near < 0.5 * away


def test_style_is_never_enlarged() -> None:
    assert style_at(torch.rand(1, 3, 40, 60), 512).shape == (1, 3, 40, 60)
    assert style_at(torch.rand(1, 3, 40, 60), 30).shape == (1, 3, 20, 30)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strength": 1.5}, "strength is 1.5"),
        ({"size": 4}, "size is 4"),
        ({"blend": [1]}, "1 numbers for 2 styles"),
        ({"blend": [0, 0]}, "not all 0"),
        ({"blend": [float("nan"), 1]}, "blend is"),
        ({"tile": 3}, "tile is 3"),
    ],
)
def test_bad_settings(network: Quick, photo: Tensor, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(photo, ["waves", "night"], network, **settings)


def test_bad_pictures(network: Quick, photo: Tensor) -> None:
    with pytest.raises(ConfigError, match="no style"):
        run(photo, [], network)
    with pytest.raises(UnknownNameError, match="did you mean 'waves'"):
        run(photo, "wavse", network)
    with pytest.raises(InputError):
        run("nowhere.png", "waves", network)


# --- the weights that ship -----------------------------------------------------------------------


def test_shipped_style_falls_with_strength() -> None:
    """As mini sees it. (From 0.75 to 1 it may rise a little: it does for this pair.)"""
    photo = impasto.swatch("night", size=128)
    judge = impasto.get_encoder("mini")
    style = impasto.swatch("waves", size=128)

    def distance(strength: float) -> float:
        image = impasto.quick(photo, style, strength=strength, size=128, precision="float32").image
        layers = style_distance(image, style, judge)
        return sum(layers.values()) / len(layers)

    distances = [distance(s) for s in (0.0, 0.25, 0.5, 0.75)]
    assert distances == sorted(distances, reverse=True)
    assert distance(1.0) < 0.35 * distances[0]


def test_a_draft_is_another_picture_of_the_same_size(photo: Tensor, network: Quick) -> None:
    def painted(**settings: Any) -> impasto.Result:
        return impasto.quick(photo, "waves", size=101, precision="float32", **settings)

    standard, draft = painted(), painted(quality="draft")
    assert draft.image.shape == standard.image.shape
    assert not torch.equal(draft.image, standard.image)
    assert "enlarger" not in standard.metadata
    assert len(draft.metadata["enlarger"]["sha256"]) == 64
    tiled = painted(quality="draft", tile=64).image
    assert (tiled - draft.image).abs().max() < 1e-3
    with pytest.raises(ConfigError, match="quality is draft"):
        run(photo, "waves", network, quality="draft")


def test_a_stylization_can_begin_with_a_draft(photo: Tensor) -> None:
    settings: dict[str, Any] = {"size": 64, "steps": (1,), "precision": "float32", "average": 0.0}
    drafted = impasto.stylize(photo, "waves", init="quick", learning_rate=1e-6, **settings)
    alone = impasto.quick(photo, "waves", size=64, precision="float32", subject="off")
    assert (drafted.image - alone.image).abs().max() < 0.01
    assert drafted.metadata["config"]["init"] == "quick"


def test_the_subject_is_given_back_a_share_of_the_photo(network: Quick) -> None:
    photo = impasto.swatch("night", size=64)
    mask = torch.zeros(1, 3, 64, 64)
    mask[..., :32] = 1
    off, auto = (run(photo, "waves", network, subject=x).image for x in ("off", "auto"))
    given = run(photo, "waves", network, subject=mask, protect=0.9)
    left, right = slice(0, 30), slice(34, 64)
    assert torch.equal(given.image[..., right], off[..., right])
    near, far = (float((x - off)[..., left].abs().mean()) for x in (given.image, auto))
    assert near > far
    wanted = match_colors(photo, off)
    assert torch.allclose(
        given.image[..., left], torch.lerp(off, wanted, 0.9)[..., left], atol=1e-5
    )
    assert "sha256" in given.metadata["subject"]


def test_events_of_one_pass(photo: Tensor) -> None:
    events: list[Event] = []
    result = quick(photo, "waves", size=np.int32(64), on_event=events.append)
    assert [type(event).__name__ for event in events] == ["LevelStarted", "Finished"]
    first, last = events
    assert isinstance(first, LevelStarted)
    assert isinstance(last, Finished)
    assert (first.height, first.width) == (48, 64)
    assert last.image.equal(result.image)
