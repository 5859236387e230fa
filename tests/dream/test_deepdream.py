"""Dreams: what is promised of them, measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import impasto
from impasto import Mini
from impasto.dream.deepdream import Dream, deepdream, with_colors_of, zoom_rotate
from impasto.dream.encoder import default_layers
from impasto.encoders import Encoder, Features, get_encoder
from impasto.errors import ConfigError, ImageTooSmallError, UnknownNameError
from impasto.events import Finished, LevelDone, LevelStarted, Step
from impasto.image.io import save_image

FAST: dict[str, Any] = {"size": 64, "octaves": 2, "steps": 6, "precision": "float32", "jitter": 8}


def tiny() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Mini(stages=((6, 1), (8, 1), (10, 1), (12, 1), (14, 1)))


def excitement(image: Tensor, encoder: Encoder) -> float:
    layers = [selection.layer for selection in default_layers(encoder)]
    size = (48, 64)
    return sum(
        float(f.square().mean()) for f in encoder(impasto.resize(image, size), layers).values()
    )


def test_events_and_result(photo: Tensor) -> None:
    run = Dream(photo, impasto.DreamConfig(**FAST), encoder=tiny())
    events = list(run)
    kinds = [type(event) for event in events]
    one = [LevelStarted, *[Step] * 6, LevelDone]
    assert kinds == [*one, *one, Finished]
    result = run.result()
    assert result.image.shape == (1, 3, 48, 64)
    assert result.metadata["finished"] is True
    assert result.metadata["command"] == "dream"
    assert len(result.history) == 12


def test_the_objective_rises_in_every_octave() -> None:
    """With the real mini on a picture with something to see in it; smoothed over five steps."""
    picture = impasto.swatch("nouveau", size=160)
    run = Dream(picture, impasto.DreamConfig(size=160, octaves=3, steps=16, jitter=16))
    values: dict[int, list[float]] = {}
    for event in run:
        if isinstance(event, Step):
            values.setdefault(event.level, []).append(-event.total)
    assert len(values) == 3
    for octave in values.values():
        smooth = torch.tensor(octave).unfold(0, 5, 1).mean(1)
        assert (smooth.diff() > 0).all()
        assert octave[-1] > octave[0] + 0.1


def test_same_seed_same_picture(photo: Tensor) -> None:
    encoder = tiny()
    one, two, other = (
        deepdream(photo, encoder=encoder, **FAST, seed=seed).image for seed in (1, 1, 2)
    )
    assert one.equal(two)
    assert not one.equal(other)


def test_it_excites_the_encoder_and_keeps_the_photo_in_sight(photo: Tensor) -> None:
    encoder = get_encoder("mini", padding="replicate")
    image = deepdream(photo, encoder=encoder, **FAST).image
    before = impasto.resize(photo, (48, 64))
    assert excitement(image, encoder) > 1.5 * excitement(before, encoder)
    assert (
        F.cosine_similarity(
            (image - image.mean()).flatten(), (before - before.mean()).flatten(), dim=0
        )
        > 0.7
    )


def test_guided_dreams_come_closer_to_the_guide() -> None:
    """Mean cosine of each position with its best match in the guide, judged at a layer."""
    encoder = get_encoder("mini")
    photo, guide = impasto.swatch("waves", size=128), impasto.swatch("mosaic", size=128)
    settings: dict[str, Any] = {"size": 128, "octaves": 2, "steps": 10, "layers": ["relu3_1"]}

    def similarity(image: Tensor) -> float:
        ours, theirs = (
            F.normalize(encoder(x, ["relu3_1"])["relu3_1"][0].flatten(1).T.float(), dim=1)
            for x in (image, guide)
        )
        return float((ours @ theirs.T).amax(1).mean())

    free = similarity(deepdream(photo, **settings).image)
    guided = similarity(deepdream(photo, guide=guide, **settings).image)
    assert guided > free + 0.01


def test_single_channels_by_name() -> None:
    """A named channel grows more than the others do; mini gives VGG's channels for that."""
    photo = impasto.swatch("nouveau", size=96)
    run = Dream(photo, impasto.DreamConfig(size=96, octaves=1, steps=8, layers=("relu3_1:5",)))
    for _ in run:
        pass
    before, after = (
        run.encoder(x.to(run.device), ["relu3_1"])["relu3_1"].float().square().mean((0, 2, 3))
        for x in (impasto.resize(photo, (run.height, run.width)), run.picture())
    )
    assert len(before) == 256
    growth = after / before
    assert growth[5] > 1.4 * growth.median()
    assert (growth > growth[5]).float().mean() < 0.1


def test_original_colors(photo: Tensor) -> None:
    image = deepdream(photo, encoder=tiny(), **FAST, colors="original").image
    plain = deepdream(photo, encoder=tiny(), **FAST).image
    small = impasto.resize(photo, (48, 64))
    assert image.equal(with_colors_of(plain, small))
    grey = torch.full((1, 3, 4, 4), 0.5)
    tint = torch.tensor([0.6, 0.5, 0.4])[None, :, None, None].expand(1, 3, 4, 4)
    mixed = with_colors_of(grey, tint)
    weights = torch.tensor([0.299, 0.587, 0.114])
    assert (mixed[0, :, 0, 0] * weights).sum().item() == pytest.approx(0.5, abs=1e-5)
    assert torch.allclose(mixed[:, 0] - mixed[:, 2], tint[:, 0] - tint[:, 2], atol=2e-3)


def test_closer_is_a_crop_enlarged() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 49), indexing="ij")
    image = torch.stack([0.5 + 0.3 * x, 0.5 + 0.3 * y, x * 0 + 0.4])[None]
    seen = zoom_rotate(image, 2.0)
    middle = seen[0, 0, 16, 8:41]
    assert torch.allclose(middle, 0.5 + 0.15 * x[16, 8:41], atol=2e-3)
    assert torch.allclose(zoom_rotate(image, 1.0), image, atol=1e-5)
    turned = zoom_rotate(image, 1.0, 45.0)
    assert turned[0, 0, 16, 24] == pytest.approx(0.5, abs=1e-3)
    assert turned[0, 1, 16, 28] != pytest.approx(float(image[0, 1, 16, 28]), abs=1e-2)


def test_frames_of_a_zoom_follow_each_other(photo: Tensor) -> None:
    """No jumps: what is new in a frame is far less than what there is in it."""
    settings: dict[str, Any] = {**FAST, "steps": 3, "frames": 5, "frame_steps": 1, "zoom": 1.05}
    result = deepdream(photo, encoder=tiny(), **settings)
    frames = [frame.float() / 255 for frame in result.frames]
    assert len(frames) == 5
    assert frames[-1].shape == (1, 3, 48, 64)
    assert (frames[-1] - result.image).abs().max() < 1 / 255
    inside = (..., slice(6, -6), slice(8, -8))
    for before, after in itertools.pairwise(frames):
        moved = zoom_rotate(before, 1.05)
        assert (after - moved)[inside].std() < 0.5 * after.std()
        assert abs(float(after.mean() - before.mean())) < 0.05
        assert after.std() < 1.6 * photo.std()


@pytest.mark.parametrize("stop", [4, 9, 20])
def test_resumed_runs_end_in_the_same_picture(photo: Tensor, tmp_path: Path, stop: int) -> None:
    config = impasto.DreamConfig(**{**FAST, "frames": 3, "frame_steps": 2, "zoom": 1.1})
    whole = Dream(photo, config, encoder=tiny())
    for _ in whole:
        pass
    place = tmp_path / "state"
    first = Dream(photo, config, encoder=tiny(), checkpoint=place)
    for count, _ in enumerate(first):
        if count == stop:
            break
    first.save_checkpoint()
    second = Dream(photo, config, encoder=tiny(), checkpoint=place, resume=True)
    assert second.level > 0 or second.state is not None
    for _ in second:
        pass
    assert second.picture().equal(whole.picture())
    assert len(second.frames) == 3
    assert all(a.equal(b) for a, b in zip(second.frames, whole.frames, strict=True))
    other = impasto.DreamConfig(**{**FAST, "seed": 9})
    with pytest.raises(ConfigError, match="was made by a run with another config"):
        Dream(photo, other, encoder=tiny(), checkpoint=place, resume=True)


class Odd(Encoder):
    """An encoder of one's own, with names of its own."""

    name, layers = "odd", ("edges",)

    def encode(self, image: Tensor, layers: Sequence[str]) -> Features:
        return {"edges": image[..., 1:, :] - image[..., :-1, :]}

    def stride(self, layer: str) -> int:
        return 1


def test_an_encoder_of_ones_own(photo: Tensor) -> None:
    result = deepdream(photo, encoder=Odd(), **FAST)
    assert result.metadata["layers"] == ["edges"]
    small = impasto.resize(photo, (48, 64))
    assert (result.image.diff(dim=2)).square().mean() > small.diff(dim=2).square().mean()


def test_tiles_make_the_same_dream(photo: Tensor) -> None:
    settings: dict[str, Any] = {
        **FAST,
        "steps": 2,
        "size": 128,
        "octaves": 1,
        "layers": ["relu3_1"],
    }
    whole = deepdream(photo, encoder=tiny(), **settings).image
    tiled = deepdream(photo, encoder=tiny(), **settings, tile=64).image
    assert (whole - tiled).abs().mean() < 1e-3


def test_what_cannot_be_dreamt(photo: Tensor) -> None:
    with pytest.raises(UnknownNameError, match="relu9_9"):
        deepdream(photo, encoder=tiny(), **FAST, layers="relu9_9")
    with pytest.raises(ConfigError, match="relu3_1 has no channel 9999"):
        deepdream(photo, encoder=tiny(), **FAST, layers="relu3_1:9999")
    with pytest.raises(ImageTooSmallError):
        deepdream(torch.rand(1, 3, 16, 8), encoder=tiny(), **{**FAST, "size": 16})


def test_saved_with_what_made_it(photo: Tensor, tmp_path: Path) -> None:
    save_image(tmp_path / "cat.png", photo)
    save_image(tmp_path / "dog.png", photo.flip(3))
    result = deepdream(tmp_path / "cat.png", guide=tmp_path / "dog.png", encoder=tiny(), **FAST)
    told = impasto.read_metadata(result.save(tmp_path / "out.png"))
    assert told["content"]["path"] == "cat.png"
    assert told["guide"]["path"] == "dog.png"
    assert told["config"]["octaves"] == 2
