"""The plan of memory: monotone, bounded, and refused where nothing fits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import impasto
from impasto import Mini, Stylization, StylizeConfig
from impasto.encoders import Encoder, Features
from impasto.errors import ConfigError, ResourceError
from impasto.optim.memory import (
    GAPS,
    GAPS_OF_TILES,
    GIB,
    available,
    choose_tile,
    estimate,
    footprint,
    rss_bytes,
)

CONTENT, STYLE = ("relu3_1", "relu4_2"), ("relu1_1", "relu5_1")
CPU = torch.device("cpu")


class Blind(Encoder):
    """An encoder that does not say how far it sees."""

    name, layers = "blind", ("relu1_1",)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        return {"relu1_1": image.sigmoid()}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Mini(stages=((8, 2), (16, 2), (16, 2), (16, 3), (16, 3)))


def test_what_is_kept_is_counted_once() -> None:
    """A toy: one sigmoid keeps its result, which is also the feature: 3 floats a pixel."""
    found = footprint(Blind(), ["relu1_1"], ["relu1_1"])
    assert found.targets == 12
    assert found.kept == 12 + 12


def test_half_the_precision_takes_half(encoder: Encoder) -> None:
    full = footprint(encoder, CONTENT, STYLE)
    half = footprint(Mini(stages=((8, 2),) * 5).bfloat16(), CONTENT, STYLE)
    same = footprint(Mini(stages=((8, 2),) * 5), CONTENT, STYLE)
    assert half.kept == pytest.approx(same.kept / 2, rel=0.01)
    assert full.kept > same.kept


def test_demand_grows_with_the_picture_and_with_what_is_computed_at_once(encoder: Encoder) -> None:
    found = footprint(encoder, CONTENT, STYLE)
    small = estimate(found, 10**6, 10**6, "adam", 0)
    large = estimate(found, 4 * 10**6, 4 * 10**6, "adam", 0)
    tiled = estimate(found, 4 * 10**6, 10**5, "adam", 0)
    newton = estimate(found, 10**6, 10**6, "lbfgs", 0)
    assert small.total < large.total
    assert tiled.total < large.total
    assert tiled.step == pytest.approx(large.step / 40 * GAPS_OF_TILES / GAPS, rel=0.01)
    assert newton.pictures > 4 * small.pictures


def test_tiles_come_where_memory_is_short(encoder: Encoder) -> None:
    size = (2000, 3000)
    tile, whole = choose_tile(encoder, CONTENT, STYLE, size, "adam", 100 * GIB)
    assert tile is None
    tile, demand = choose_tile(encoder, CONTENT, STYLE, size, "adam", whole.total - 1)
    assert tile is not None
    assert demand.total < whole.total
    less, fewer = choose_tile(encoder, CONTENT, STYLE, size, "adam", demand.total - 1)
    assert less is not None
    assert less < tile
    assert fewer.total < demand.total


def test_what_cannot_fit_is_refused_with_advice(encoder: Encoder) -> None:
    with pytest.raises(
        ResourceError, match=r"3000x2000 pixels need .* GiB, .* smaller --size"
    ) as e:
        choose_tile(encoder, CONTENT, STYLE, (2000, 3000), "lbfgs", GIB // 8)
    assert "--optimizer adam" in str(e.value)
    assert e.value.exit_code == 6


def test_an_encoder_that_cannot_be_tiled_is_not(encoder: Encoder) -> None:
    layers = ["relu1_1"]
    assert choose_tile(Blind(), layers, layers, (64, 64), "adam", 100 * GIB)[0] is None
    with pytest.raises(ResourceError):
        choose_tile(Blind(), layers, layers, (20000, 20000), "adam", GIB)
    with pytest.raises(ConfigError, match="'blind' does not say how far"):
        choose_tile(Blind(), layers, layers, (200, 200), "adam", 100 * GIB, tile=64)


def test_losses_that_must_see_the_whole_picture_get_no_tiles(encoder: Encoder) -> None:
    size, names = (2000, 3000), "patches, emd"
    at_most = choose_tile(encoder, CONTENT, STYLE, size, "adam", 100 * GIB)[1].total - 1
    assert choose_tile(encoder, CONTENT, STYLE, size, "adam", at_most)[0] is not None
    with pytest.raises(ResourceError, match=r"losses that work in tiles \(not patches, emd\)"):
        choose_tile(encoder, CONTENT, STYLE, size, "adam", at_most, non_tileable=names)
    with pytest.raises(ConfigError, match="patches, emd cannot be computed in tiles, and tile is"):
        choose_tile(encoder, CONTENT, STYLE, size, "adam", at_most, tile=64, non_tileable=names)
    small = choose_tile(
        encoder, CONTENT, STYLE, (60, 60), "adam", 100 * GIB, tile=64, non_tileable=names
    )
    assert small[0] == 64  # the picture is no larger than that


def test_a_run_keeps_to_the_limit(encoder: Encoder) -> None:
    photo = torch.rand(1, 3, 400, 600)
    config = StylizeConfig(size=600, steps=(1,), precision="float32")
    whole = Stylization(photo, "waves", config, encoder=encoder)
    assert whole.tile is None
    assert whole.demand.base > rss_bytes() / 2
    # More than tiles save is fixed; so ask for tiles outright, and see that they are used.
    plain = impasto.stylize(photo, "waves", config, encoder=encoder)
    tiled = impasto.stylize(photo, "waves", config, encoder=encoder, tile=256)
    assert tiled.metadata["tile"] == 256
    assert not torch.equal(tiled.image, plain.image)
    assert (tiled.image - plain.image).abs().mean() < 1e-4
    with pytest.raises(ResourceError, match="--size"):
        Stylization(photo, "waves", config.with_changes(max_memory=0.1), encoder=encoder)


def test_there_is_memory() -> None:
    assert 0 < rss_bytes() < 64 * GIB
    assert available(CPU) > 0
