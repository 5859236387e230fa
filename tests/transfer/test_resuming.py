"""Stopping a run at any time, and going on with it: checkpoints."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto import (
    Encoder,
    Finished,
    LevelDone,
    Step,
    Stylization,
    StylizeConfig,
    resize,
    stylize,
)
from impasto.errors import ConfigError

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


@pytest.fixture
def square(photo: Tensor) -> Tensor:
    """At 64 x 64 this has two levels."""
    return photo[..., 16:112]


def levels(steps: tuple[int, ...] = (4, 3)) -> StylizeConfig:
    return replace(SMALL, size=64, steps=steps)


def test_there_is_a_result_at_any_time(encoder: Encoder, square: Tensor, painting: Tensor) -> None:
    made = Stylization(square, painting, levels(), encoder=encoder)
    assert torch.equal(made.result().image, resize(square, (64, 64)))
    for event in made:
        result = made.result()
        assert result.image.shape == (1, 3, 64, 64)
        assert result.metadata["finished"] == isinstance(event, Finished)
        json.dumps(result.metadata)
    assert torch.equal(made.result().image, event.image)  # type: ignore[attr-defined]


def test_a_run_that_was_left_goes_on(encoder: Encoder, square: Tensor, painting: Tensor) -> None:
    expected = stylize(square, painting, levels(), encoder=encoder)
    made = Stylization(square, painting, levels(), encoder=encoder)
    for event in made:
        if isinstance(event, Step) and (event.level, event.index) == (0, 2):
            break
    assert len(made.result().history) == 2
    for _ in made:
        pass
    assert torch.equal(made.result().image, expected.image)
    assert made.result().history == expected.history


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_resuming_anywhere_ends_in_the_same_bits(
    encoder: Encoder, square: Tensor, painting: Tensor, tmp_path: Path, optimizer: str
) -> None:
    config = levels((3, 2)).with_changes(optimizer=optimizer)
    whole = Stylization(square, painting, config, encoder=encoder)
    count = len(list(whole))
    expected = whole.result()
    for stop in range(1, count + 1):
        path = tmp_path / f"{stop}"
        before = Stylization(square, painting, config, encoder=encoder, checkpoint=path)
        before.attachments["frames"] = [1, "two", torch.ones(2)]
        for number, _ in enumerate(before, start=1):
            if number == stop:
                before.save_checkpoint()
                break
        after = Stylization(square, painting, config, encoder=encoder, checkpoint=path, resume=True)
        if path.exists():
            assert after.attachments["frames"][:2] == [1, "two"]
            assert len(after.history) == len(before.history)
            assert torch.equal(after.picture(), before.picture())
        for _ in after:
            pass
        result = after.result()
        assert torch.equal(result.image, expected.image), stop
        assert result.history == expected.history, stop
        assert result.metadata["finished"]


def test_checkpoints_are_written_now_and_then(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once a second at most, by a clock that makes each look half a second."""
    clock = iter(range(10**6))
    monkeypatch.setattr("impasto.runs.base.time.perf_counter", lambda: next(clock) / 2)
    config = replace(SMALL, steps=(12,))
    made = Stylization(photo, painting, config, encoder=encoder, checkpoint=tmp_path / "c")
    indices = []
    for event in made:
        if (tmp_path / "c").exists():
            assert isinstance(event, Step | LevelDone)
            indices.append(event.index if isinstance(event, Step) else 13)
            (tmp_path / "c").unlink()
    assert indices
    assert indices[0] <= 4
    assert len(indices) < 6  # writing took half a second, and may take 3 % of the time


def test_a_fast_run_writes_no_checkpoint(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    made = Stylization(photo, painting, replace(SMALL, steps=(1,)), encoder=encoder,
                       checkpoint=tmp_path / "c")  # fmt: skip
    assert len(list(made)) == 4
    made = Stylization(photo, painting, SMALL, encoder=encoder, checkpoint=tmp_path / "d",
                       resume=True)  # fmt: skip
    made.save_checkpoint()  # nothing to save yet
    assert not (tmp_path / "d").exists()
    assert made.state is None


@pytest.fixture
def stopped(encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path) -> Path:
    made = Stylization(photo, painting, SMALL, encoder=encoder, checkpoint=tmp_path / "c")
    for event in made:
        if isinstance(event, Step):
            break
    made.save_checkpoint()
    return tmp_path / "c"


@pytest.mark.parametrize("what", ["config", "content", "style", "encoder"])
def test_a_checkpoint_of_another_run(
    encoder: Encoder, photo: Tensor, painting: Tensor, stopped: Path, what: str
) -> None:
    content, style, config = photo, painting, SMALL
    if what == "config":
        config = replace(config, strength=0.6)
    if what == "content":
        content = photo.flip(3)
    if what == "style":
        style = painting.flip(3)
    if what == "encoder":
        encoder = deepcopy(encoder)
        encoder.sha256 = "0" * 64
    with pytest.raises(ConfigError, match=f"was made by a run with another .*{what}"):
        Stylization(content, style, config, encoder=encoder, checkpoint=stopped, resume=True)


def test_other_styles_and_masks_are_another_run(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    half = torch.zeros(1, 1, 96, 128)
    half[..., :64] = 1
    styles, path = [painting, "waves"], tmp_path / "c"
    made = Stylization(
        photo, styles, SMALL, encoder=encoder, regions=[half, "rest"], checkpoint=path
    )
    for event in made:
        if isinstance(event, Step):
            break
    made.save_checkpoint()

    def resumed(styles: list[Any], **masks: Any) -> Stylization:
        return Stylization(
            photo, styles, SMALL, encoder=encoder, checkpoint=path, resume=True, **masks
        )

    assert resumed(styles, regions=[half, "rest"]).state is not None
    with pytest.raises(ConfigError, match="was made by a run with another masks"):
        resumed(styles, regions=[half.flip(3), "rest"])
    with pytest.raises(ConfigError, match="was made by a run with another style"):
        resumed(styles[::-1], regions=[half, "rest"])
    with pytest.raises(ConfigError, match="was made by a run with another masks"):
        resumed(styles, keep=half)


def test_one_style_in_a_list_is_that_style(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    config = replace(SMALL, steps=(2,))
    lone, listed = (stylize(photo, x, config, encoder=encoder) for x in (painting, [painting]))
    assert torch.equal(lone.image, listed.image)
    assert lone.metadata["style"] == listed.metadata["style"]
    both = stylize(photo, [painting, "waves"], config, encoder=encoder).metadata["style"]
    assert [set(told) for told in both] == [{"sha256"}, {"swatch", "sha256"}]


def test_other_transparency_is_another_picture(
    encoder: Encoder, photo: Tensor, painting: Tensor, stopped: Path
) -> None:
    cut = torch.cat([photo, torch.full((1, 1, 96, 128), 0.5)], 1)
    with pytest.raises(ConfigError, match="was made by a run with another content"):
        Stylization(cut, painting, SMALL, encoder=encoder, checkpoint=stopped, resume=True)


def test_another_number_of_threads(
    encoder: Encoder,
    photo: Tensor,
    painting: Tensor,
    stopped: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from impasto.machine import devices

    monkeypatch.setattr(devices, "most_threads", lambda: 64)
    with (
        devices.threads(torch.get_num_threads() + 1),
        pytest.raises(ConfigError, match="another number of threads; repeat that run's command"),
    ):
        Stylization(photo, painting, SMALL, encoder=encoder, checkpoint=stopped, resume=True)


def test_without_resume_a_checkpoint_is_left_alone(
    encoder: Encoder, photo: Tensor, painting: Tensor, stopped: Path
) -> None:
    made = Stylization(photo, painting.flip(2), SMALL, encoder=encoder, checkpoint=stopped)
    assert made.state is None
