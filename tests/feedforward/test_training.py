"""Training a network for one style: the loop, its events, its files, and going on after a break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import impasto
from impasto import Encoder, Finished, Trained, Training, Validated, load_image
from impasto.errors import ConfigError, InputError, OutputExistsError, UnknownNameError, UsageError
from impasto.feedforward.network import load_feedforward
from impasto.feedforward.training import checkpoint_in, train
from impasto.image.io import save_image

SMALL: dict[str, Any] = {
    "steps": 7,
    "crop": 48,
    "style_size": 48,
    "width": 4,
    "blocks": 1,
    "validate_every": 3,
    "precision": "float32",
    "device": "cpu",
}


@pytest.fixture
def photos(tmp_path: Path, photo: Tensor) -> Path:
    """Five photos, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        rolled = photo.roll((number, 2 * number), (1, 3))[..., 10 : 70 + number, 20:92]
        save_image(folder / f"{number}.png", rolled)
    (folder / "broken.png").write_bytes(b"broken")
    return folder


Make = Any


@pytest.fixture
def make(photos: Path, encoder: Encoder, painting: Tensor) -> Make:
    def make(folder: Path | None = None, **settings: Any) -> Training:
        where = {k: settings.pop(k) for k in ("resume", "overwrite") if k in settings}
        return Training(painting, photos, folder, encoder=encoder, **where, **{**SMALL, **settings})

    return make


def same(one: Any, other: Any) -> bool:
    """Whether two states hold the same numbers, bit by bit; times apart."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        keys = [key for key in one if key != "seconds"]
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in keys)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def state_of(training: Training) -> dict[str, Any]:
    names = ("step", "history", "validations", "best", "reason")
    return {
        **{name: getattr(training, name) for name in names},
        "model": training.model.state_dict(),
        "average": training.average.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "crops": training.crops.state_dict(),
        "network": training.network().state_dict(),
    }


def test_events(make: Make) -> None:
    training = make()
    events = list(training)
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        *["Trained"] * 3,
        "Validated",
        *["Trained"] * 3,
        "Validated",
        "Trained",
        "Validated",
        "Finished",
    ]
    steps = [event for event in events if isinstance(event, Trained)]
    assert [event.step for event in steps] == list(range(1, 8))
    assert steps[-1].progress == 1
    assert steps[0].total == pytest.approx(sum(steps[0].losses.values()))
    assert set(steps[0].losses) == {"content", "style", "tv"}
    validated = [event for event in events if isinstance(event, Validated)]
    assert validated[0].best
    assert "image" not in validated[0].to_json()
    assert isinstance(events[-1], Finished)
    assert events[-1].image.shape == (1, 3, 2 * 48, 2 * 48)
    assert training.reason == "steps"


def test_it_learns(make: Make) -> None:
    training = make(steps=60, validate_every=10, learning_rate=0.01, average=0.5, strength=0.9)
    totals = [event.losses["style"] for event in training if isinstance(event, Validated)]
    assert totals[-1] < 0.6 * totals[0]


def test_the_global_generator_is_left_alone(make: Make) -> None:
    before = torch.random.get_rng_state()
    one, other = make(steps=2), make(steps=2)
    list(one)
    torch.rand(1)
    list(other)
    torch.random.set_rng_state(before)
    assert same(state_of(one), state_of(other))
    assert not same(state_of(one)["model"], make(seed=1).model.state_dict())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("stop_after", [1, 3, 4, 8])
def test_resumed_it_ends_with_the_same_bits(
    make: Make, tmp_path: Path, encoder: Encoder, stop_after: int
) -> None:
    """Stopped after any event: also between a step and its validation, and after one."""
    whole = make()
    list(whole)
    first = make(tmp_path / "out")
    for number, _ in enumerate(first, start=1):
        if number == stop_after:
            break
    first.save_checkpoint()
    second = make(tmp_path / "out", resume=True)
    assert second.step == first.step > 0
    list(second)
    assert same(state_of(second), state_of(whole))


def test_losses_that_draw_are_resumed_too(make: Make, tmp_path: Path) -> None:
    whole = make(style_loss="sliced", steps=4)
    list(whole)
    first = make(tmp_path / "out", style_loss="sliced", steps=4)
    next(iter(first))
    first.save_checkpoint()
    second = make(tmp_path / "out", style_loss="sliced", steps=4, resume=True)
    list(second)
    assert same(state_of(second), state_of(whole))


def test_a_checkpoint_of_another_training(make: Make, tmp_path: Path, photos: Path) -> None:
    training = make(tmp_path / "out")
    next(iter(training))
    training.save_checkpoint()
    with pytest.raises(ConfigError, match="another config"):
        make(tmp_path / "out", resume=True, crop=32)
    save_image(photos / "more.png", torch.rand(1, 3, 40, 40))
    with pytest.raises(ConfigError, match="another photos"):
        make(tmp_path / "out", resume=True)


def test_files(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    training = make(folder)
    for _ in training:
        pass
    assert training.finish() == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "history.json",
        "model.safetensors",
        "preview.png",
        "previews",
    ]
    assert len(list((folder / "previews").iterdir())) == 3
    assert load_image(folder / "preview.png").shape == (1, 3, 96, 96)
    network = load_feedforward(folder)
    assert same(network.state_dict(), training.network().state_dict())
    assert network.about["steps"] == "7"
    assert network.about["licence"] == "unknown"
    history = json.loads((folder / "history.json").read_text())
    assert len(history["history"]) == 7
    assert history["photos"] == {
        "folder": "photos",
        "learned from": 3,
        "held out": 2,
        "skipped": 1,
    }
    assert str(tmp_path) not in (folder / "history.json").read_text()
    assert "impasto quick PHOTO --model out" in (folder / "README.md").read_text()


def test_the_checkpoint_goes_last(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = make(tmp_path / "out", steps=1)
    list(training)
    training.save_checkpoint()
    monkeypatch.setattr("impasto.feedforward.training.save_feedforward", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.finish()
    assert checkpoint_in(tmp_path / "out").exists()


def test_the_best_network_is_kept(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And after so many validations that are no better it stops."""
    training = make(steps=50, validate_every=1, patience=3)
    totals, weights = iter([5.0, 3.0, 4.0, 3.5, 3.0, 9.0]), []
    evaluate = training._evaluate

    def rising(model: Any, photo: Tensor) -> Any:
        found = evaluate(model, photo)
        if model is training.average:
            found = type(found)(found.total, {"style": current[0]}, found.parts)
        return found

    current = [torch.tensor(0.0)]
    validate = training._validate

    def validate_with_next() -> Validated:
        current[0] = torch.tensor(next(totals))
        weights.append({k: v.clone() for k, v in training.average.state_dict().items()})
        found: Validated = validate()
        return found

    monkeypatch.setattr(training, "_evaluate", rising)
    monkeypatch.setattr(training, "_validate", validate_with_next)
    events = list(training)
    assert training.reason == "patience"
    assert [event.best for event in events if isinstance(event, Validated)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert same(training.network().state_dict(), weights[1])
    assert training.metadata()["ended"] == "the validation loss improved no more"


def test_stopped_it_is_the_network_as_it_is(make: Make, tmp_path: Path) -> None:
    training = make(tmp_path / "out")
    for event in training:
        if isinstance(event, Trained) and event.step == 5:
            break
    training.save()
    now = training.average.state_dict()
    assert same(load_feedforward(tmp_path / "out").state_dict(), now)
    assert not same(now, training.best)
    assert training.metadata()["ended"] == "it was stopped"


def test_the_clock_can_end_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _ticking()
    monkeypatch.setattr("impasto.feedforward.training.time.perf_counter", lambda: next(clock))
    training = make(steps=None, minutes=1, validate_every=100)
    steps = [event for event in training if isinstance(event, Trained)]
    assert training.reason == "minutes"
    assert steps[-1].progress == 1
    assert steps[-1].seconds >= 60
    assert len(steps) < 30


def _ticking() -> Iterator[float]:
    """Three seconds later each time one looks."""
    now = 1000.0
    while True:
        now += 3
        yield now


def test_several_losses_have_a_term_each(make: Make) -> None:
    event = next(iter(make(style_loss=["gram", "histogram=0.5"])))
    assert set(event.losses) == {"content", "style-gram", "style-histogram", "tv"}


def test_a_loss_that_is_no_number_ends_it(make: Make) -> None:
    training = make(steps=100)
    with torch.no_grad():
        training.model.last.bias.fill_(torch.nan)
    with pytest.raises(ConfigError, match="lower --learning-rate"):
        list(training)
    assert training.step == 9


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"minutes": 0}, "minutes is 0"),
        ({"crop": 8}, "crop is 8"),
        ({"style_weight": 0}, "style_weight is 0"),
        ({"style_loss": "grim"}, "grim"),
        ({"content_layers": "relu9_9"}, "relu9_9"),
        ({"width": 2}, "width is 2"),
    ],
)
def test_bad_settings(make: Make, settings: dict[str, Any], told: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=told):
        make(**settings)


def test_outputs_that_cannot_be(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        make(tmp_path / "file")
    with pytest.raises(UsageError, match="make the folder first"):
        make(tmp_path / "no" / "folder")
    done = tmp_path / "done"
    training = make(done, steps=1)
    list(training)
    training.finish()
    for resume in (False, True):  # there is no checkpoint any more
        with pytest.raises(OutputExistsError, match="holds a network already"):
            make(done, resume=resume)
    (done / "previews" / "mine.png").write_bytes(b"mine")
    again = make(done, overwrite=True, steps=4)
    list(again)
    kept = sorted(path.name for path in (done / "previews").iterdir())
    assert kept == ["mine.png", "step-000003.png", "step-000004.png"]
    with pytest.raises(UsageError, match="give it a folder"):
        make().save()


def test_no_photos(tmp_path: Path, encoder: Encoder) -> None:
    with pytest.raises(InputError, match="holds 0 pictures"):
        Training("waves", tmp_path, encoder=encoder)


def test_train_does_it_all(photos: Path, tmp_path: Path) -> None:
    """With the encoder that ships."""
    settings = {**SMALL, "steps": 1, "crop": 32}
    network = train("waves", photos, tmp_path / "out", **settings)
    assert network.name == "waves"
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[0] == "README.md"
    assert "swatch waves" in (tmp_path / "out" / "README.md").read_text()
    assert not checkpoint_in(tmp_path / "out").exists()
    painted = impasto.quick(impasto.swatch("night", size=40), model=network, size=40)
    assert painted.image.shape == (1, 3, 40, 40)
