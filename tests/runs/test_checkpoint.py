from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.errors import IntegrityError, ResourceError
from impasto.runs.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint


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
    import os

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
def test_damage_is_an_integrity_error_or_harmless(tmp_path: Path) -> None:
    """Torch raises a dozen kinds of errors for damaged files; one comes out of here."""
    path, rng = tmp_path / "c", random.Random(0)
    sources = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(state(), buffer, _use_new_zipfile_serialization=zipped)
        sources.append(buffer.getvalue())
    refused = 0
    for number in range(300):
        data = bytearray(sources[number % 2])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.4 else data)
        try:
            load_checkpoint(path)
        except IntegrityError:
            refused += 1
    assert refused > 100
