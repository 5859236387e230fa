from __future__ import annotations

import copy
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import impasto
from impasto.config.stylize import StylizeConfig
from impasto.errors import IntegrityError, ResourceError, UsageError
from impasto.events import Step
from impasto.runs import checkpoint
from impasto.runs.checkpoint import (
    checkpoint_path,
    load_checkpoint,
    lock_path,
    remove_checkpoint,
    save_checkpoint,
)
from impasto.transfer.stylization import Stylization


def state() -> dict[str, Any]:
    return {
        "fingerprint": {"size": [2, 3], "encoder": ["mini", ""]},
        "history": [{"step": 1, "losses": {"style": 0.1}}],
        "state": {"image": torch.arange(6.0), "index": 3, "nothing": None},
    }


def test_it_lies_beside_the_output() -> None:
    assert checkpoint_path(Path("a/b.jpg")) == Path("a/.b.jpg.checkpoint")


def test_a_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    path = tmp_path / "c"
    saved = state()
    saved["state"]["image"] = torch.rand(100, generator=torch.Generator().manual_seed(0))
    save_checkpoint(path, saved)
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert torch.equal(loaded["state"].pop("image"), saved["state"].pop("image"))
    assert loaded == saved


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "c") is None


def test_a_failed_write_leaves_the_old_one_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, state())
    before = path.read_bytes()

    def full_disk(what: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(ResourceError, match="No space left on device"):
        save_checkpoint(path, state())
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["c"]


def test_it_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted(name: str, function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            calls.append(name)
            function(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", noted("fsync", fsync))
    monkeypatch.setattr(os, "replace", noted("replace", replace))
    save_checkpoint(tmp_path / "c", state())
    assert calls[:2] == ["fsync", "replace"]


@pytest.mark.parametrize("where", ["nowhere/c", "file/c"])
def test_a_place_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / where, state())


class Evil:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must never be printed",)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04", pickle.dumps({"a": 1}), pickle.dumps(Evil())],
    ids=["empty", "text", "zip", "pickle", "evil"],
)
def test_another_file_is_refused(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="is not a checkpoint of impasto"):
        load_checkpoint(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("other", [torch.zeros(3), [1], {"model": torch.zeros(3)}])
def test_other_things_of_torch_are_refused(tmp_path: Path, other: object) -> None:
    torch.save(other, tmp_path / "c")
    with pytest.raises(IntegrityError, match="is not a checkpoint of impasto"):
        load_checkpoint(tmp_path / "c")


@pytest.mark.filterwarnings("default")
def test_damage_is_an_integrity_error(tmp_path: Path) -> None:
    path, rng = tmp_path / "c", random.Random(0)
    save_checkpoint(path, state())
    whole = path.read_bytes()
    for number in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        path.write_bytes(data[: rng.randrange(len(data))] if number % 3 == 0 else data)
        if path.read_bytes() != whole:  # two changes may undo each other
            with pytest.raises(IntegrityError):
                load_checkpoint(path)


@pytest.mark.parametrize("place", [0, 20, 70, 110, 200, 500, -200, -1])
def test_one_changed_byte_is_enough(tmp_path: Path, place: int) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, state())
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="is not a checkpoint of impasto"):
        load_checkpoint(path)


def test_half_of_it_and_more_than_it_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, state())
    data = path.read_bytes()
    for other in (data[: len(data) // 2], data[:-1], data + b"\0"):
        path.write_bytes(other)
        with pytest.raises(IntegrityError, match="checksum"):
            load_checkpoint(path)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("__version__", "0.0.1"), ("FORMAT", 99)):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, name, value)
            save_checkpoint(tmp_path / "c", state())
        with pytest.raises(IntegrityError, match=f"this is impasto {impasto.__version__}"):
            load_checkpoint(tmp_path / "c")


def test_only_what_is_ours_is_replaced_or_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("mine", "link", "dangling"):
        with pytest.raises(UsageError, match="which is another file"):
            save_checkpoint(tmp_path / name, state())
        remove_checkpoint(tmp_path / name)
        assert os.path.lexists(tmp_path / name)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "nothing").exists()
    save_checkpoint(tmp_path / "c", state())
    save_checkpoint(tmp_path / "c", state())
    remove_checkpoint(tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_names_fit() -> None:
    for length in (1, 200, 243, 244, 255):
        for make in (checkpoint_path, lock_path):
            names = {make(Path("a") / (end * length)).name for end in "xy"}
            assert len(names) == 2
            assert all(len(name) <= 255 for name in names)
    assert len(os.fsencode(checkpoint_path(Path("é" * 127)).name)) <= 255


BAD_FIELDS: dict[str, Any] = {
    "level": [-1, 7, 2**70, True, "0", None],
    "tile": ["x", 0, -3, 1.5],
    "seconds": [float("nan"), -1.0, "x", None],
    "history": [{}, [1], [{"step": 0}], None],
    "attachments": [[], None],
    "_limits": [None, 3],
    "state": [{}, None, [1]],
    "state.values": [torch.zeros(1, 3, 4, 4), torch.zeros(3), None, "x"],
    "state.average": [torch.zeros(1), None],
    "state.index": [-1, "x", None],
    "state.name": ["sgd", None],
    "state.learning_rate": ["x", None],
    "state.multipliers": [{"a": "x"}, None],
    "state.optimizer": [{"exp_avg": 3}, [1]],
}


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_every_field_is_validated(
    tmp_path: Path, photo: torch.Tensor, painting: torch.Tensor, encoder: Any, field: str
) -> None:
    """In a checkpoint that is whole, but was not written by a run."""
    path = tmp_path / "c"
    settings = StylizeConfig(size=48, steps=(2, 2), precision="float32")

    def run(**where: Any) -> Stylization:
        return Stylization(photo, painting, settings, encoder=encoder, checkpoint=path, **where)

    first = run()
    for event in first:
        if isinstance(event, Step):
            break
    first.save_checkpoint()
    whole = load_checkpoint(path)
    assert run(resume=True).history
    *outer, name = field.split(".")
    for value in BAD_FIELDS[field]:
        other = copy.deepcopy(whole)
        assert other is not None
        target = other["state"] if outer else other
        target[name] = value
        save_checkpoint(path, other)
        with pytest.raises(IntegrityError, match="is not a checkpoint of impasto"):
            run(resume=True)
        del target[name]
        save_checkpoint(path, other)
        with pytest.raises(IntegrityError):
            run(resume=True)
