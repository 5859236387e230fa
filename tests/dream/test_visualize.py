"""What an encoder sees, against what it should see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto.config.dream import LookConfig
from impasto.dream.visualize import Look, attribute, before_relu, channels_of
from impasto.encoders import VGG, Encoder, get_encoder
from impasto.encoders.mini import load_mini
from impasto.errors import ConfigError, UnknownNameError, UsageError
from impasto.events import Finished, LevelDone, LevelStarted, Step
from impasto.losses.gram import gram
from tests.dream.test_deepdream import Odd, tiny

LAYERS = ("relu1_1", "relu2_1")


def run(look: Look) -> Look:
    for _ in look:
        pass
    return look


def test_features_are_the_strongest_channels(photo: Tensor) -> None:
    config = LookConfig(layers=LAYERS, count=8, size=64, cell=32, precision="float32")
    look = run(Look(photo, config))
    features = load_mini(padding="replicate", predict=True)(look.pixels, LAYERS)
    for row, layer in zip(look.rows, LAYERS, strict=True):
        strength = features[layer][0].square().mean((1, 2))
        expected = [f"{layer}:{c}" for c in strength.argsort(descending=True)[:8].tolist()]
        assert [cell.label for cell in row] == expected
        assert all(cell.image is not None for cell in row)
    assert look.picture().shape == (1, 3, look.height, look.width)


def test_gram_matrices_are_sorted_heat(photo: Tensor) -> None:
    config = LookConfig(show="gram", layers=LAYERS, size=64, cell=64, precision="float32")
    look = run(Look(photo, config))
    features = load_mini(padding="replicate", predict=True)(look.pixels, LAYERS)
    image = look.rows[0][0].image
    assert image is not None
    assert image.shape == (1, 3, 64, 64)
    light = image.mean(1)[0].diagonal()
    matrix = gram(features["relu1_1"])[0].diagonal().sort(descending=True).values
    assert light[0] > light[-1]
    assert (light[:-1] >= light[1:] - 1e-4).all()
    assert matrix[0] > matrix[-1]


def test_reconstructions_come_back_from_shallow_layers_and_not_in_place_from_style() -> None:
    picture = impasto.swatch("mosaic", size=64)
    config = LookConfig(show="reconstructions", layers=LAYERS, size=64, cell=64, steps=60)
    look = Look(picture, config)
    events = list(look)
    kinds = [type(event) for event in events]
    assert kinds == [LevelStarted, *[Step] * 60, LevelDone] * 4 + [Finished]
    [content, style] = look.rows
    assert [cell.label for cell in content] == ["picture", "content relu1_1", "content relu2_1"]
    assert [cell.label for cell in style] == ["", "style relu1_1", "style to relu2_1"]
    images = [cell.image for cell in (*content[1:], *style[1:])]
    assert all(image is not None for image in images)
    errors = [float((image - picture).square().mean()) for image in images if image is not None]
    assert errors[0] < 0.02
    assert errors[1] < 0.03
    assert errors[2] > 2 * errors[0]
    assert [entry["level"] for entry in look.history] == [n for n in range(4) for _ in range(60)]


def test_attribution_finds_where_the_style_is_wrong() -> None:
    """A picture in the right style but for a patch in its middle: there it must light up."""
    encoder = get_encoder("mini")
    style = impasto.swatch("waves", size=192)
    picture = style[..., :128, :128].clone()
    picture[..., 40:88, 40:88] = impasto.swatch("pointillism", size=128)[..., :48, :48]
    target = encoder(style, ["relu1_1", "relu2_1", "relu3_1"])
    maps = attribute(picture, encoder, target)
    assert all(share.shape == (128, 128) for share in maps.values())
    assert all(0 <= share.min() <= share.max() <= 1 for share in maps.values())
    both = torch.stack(list(maps.values())).sum(0)
    assert both[48:80, 48:80].mean() > 1.2 * both[:, :24].mean()
    itself = attribute(style, encoder, target)
    assert both[48:80, 48:80].mean() > 1.2 * sum(share.mean() for share in itself.values())


def test_where_needs_and_shows_a_style(photo: Tensor) -> None:
    with pytest.raises(UsageError, match="no style to compare"):
        impasto.look(photo, show="where")
    look = run(Look(photo, LookConfig(show="where", layers=LAYERS, size=64), style="waves"))
    assert [cell.label for cell in look.rows[0]] == ["picture", "style", "all layers", *LAYERS]
    assert look.result().metadata["style"]["swatch"] == "waves"


def test_channels_are_excited_more_than_by_noise() -> None:
    config = LookConfig(
        show="channels", channels=("relu2_1:3-12",), cell=48, steps=25, precision="float32"
    )
    look = run(Look(None, config))
    assert [len(row) for row in look.rows] == [8, 2]
    assert len(look.levels) == 2  # eight at a time
    images = torch.cat([cell.image for row in look.rows for cell in row if cell.image is not None])
    assert len(images) == 10
    encoder = load_mini(padding="replicate", predict=True)
    with torch.no_grad():
        response = encoder(images, ["conv2_1"])["conv2_1"].mean((2, 3))  # (picture, channel)
    own = response[torch.arange(10), torch.arange(3, 13)]
    others = response[:, 3:13]
    best = others.argmax(0)  # which picture excites each channel most
    assert (best == torch.arange(10)).sum() >= 8
    assert (own > others.mean(0)).all()
    assert images.min() >= 0
    assert images.max() <= 1


def test_a_seed_is_a_sheet() -> None:
    settings: dict[str, Any] = {"channels": "relu1_1:0-1", "cell": 32, "steps": 3}
    one, two, other = (impasto.look(**settings, seed=seed).image for seed in (1, 1, 2))
    assert one.equal(two)
    assert not one.equal(other)


def test_what_cannot_be_looked_at(photo: Tensor) -> None:
    with pytest.raises(UsageError, match="there is no picture to show the gram of; give one"):
        impasto.look(show="gram")
    with pytest.raises(UnknownNameError, match="relu6_1"):
        impasto.look(photo, layers="relu6_1")
    with pytest.raises(UnknownNameError, match="relu6_1"):
        impasto.look(channels="relu6_1")
    with pytest.raises(ConfigError, match="has no channel 64; its channels are 0 to 63"):
        impasto.look(channels="relu1_1:60-64")


def test_other_encoders(photo: Tensor) -> None:
    assert channels_of(VGG("vgg16"), "relu3_2") == 256
    assert before_relu(VGG("vgg16"), "relu3_2") == "conv3_2"
    assert before_relu(Odd(), "edges") == "edges"
    encoders: list[tuple[Encoder, str]] = [(Odd(), "edges"), (tiny(), "relu2_1")]
    for encoder, layer in encoders:
        sheet = impasto.look(photo, encoder=encoder, layers=layer, count=2, cell=16).image
        assert sheet.std() > 0.05


def test_the_subject_is_shown_with_the_detail() -> None:
    """What a stylization holds most: found in a photo of somebody."""
    data = pytest.importorskip("skimage.data")
    made = Look(data.astronaut(), LookConfig(show="subject", size=128, cell=64))
    assert [type(event).__name__ for event in made] == ["Finished"]
    assert [cell.label for cell in made.rows[0]] == ["picture", "subject", "detail"]
    found = made.rows[0][1].image
    assert found is not None
    light = found.mean(1)[0]
    assert float(light[30:50, 45:65].mean()) > float(light[:20, 80:100].mean()) + 0.2
