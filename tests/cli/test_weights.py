"""``impasto weights``: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from impasto.cli import main
from impasto.encoders import weights as module
from impasto.encoders.weights import WEIGHTS, cache_folder
from tests.encoders.test_weights import fake, put, thin

__all__ = ["thin"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path with a small file of caffe weights in it."""
    save(tmp_path / "weights" / "vgg19-caffe.safetensors")
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def save(path: Path) -> Path:
    return put(path, fake())


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(WEIGHTS)]] == list(WEIGHTS)
    assert lines[1].rstrip().endswith(str(folder / "vgg19-caffe.safetensors"))
    assert lines[-2:] == [
        f"looked for in {folder}",
        f"looked for in {cache_folder()} (does not exist)",
    ]


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["search_path"] == [str(folder), str(cache_folder())]
    paths = {row["name"]: row["path"] for row in told["weights"]}
    assert paths["vgg19-caffe"] == str(folder / "vgg19-caffe.safetensors")
    assert paths["vgg16-caffe"] is None


def test_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert "vgg19-caffe: ok, vgg19 caffe (so says its first filter)" in capsys.readouterr().out
    (folder / "vgg16-caffe.pth").write_bytes(b"junk")
    assert main(["weights", "verify"]) == 4
    out, err = capsys.readouterr()
    assert "vgg16-caffe: failed" in out
    assert "1 of 2 failed: vgg16-caffe" in err
    assert main(["weights", "verify", "--json"]) == 4
    told = json.loads(capsys.readouterr().out)["files"]
    assert [file["ok"] for file in told] == [True, False]


def test_verify_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify", str(folder / "none.pth")]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "does not exist" in err


def test_verify_without_any(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert "no weights were found" in capsys.readouterr().err


def test_verify_finds_files_of_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(save(tmp_path / "mine.bin")))
    assert main(["weights", "verify"]) == 0
    assert "mine.bin: ok" in capsys.readouterr().out


def test_convert(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "convert", str(folder / "vgg19-caffe.safetensors"), str(tmp_path)]
    assert main([*words, "--half"]) == 0
    path = tmp_path / "vgg19-caffe.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    assert main(words) == 2
    assert main([*words, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flavour"] == "caffe"
    assert main([*words, "--flavour", "torchvision"]) == 4


def test_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "vgg19-caffe.safetensors")

    def download(name: str, *, sha256: str | None, on_progress: object) -> Path:
        assert (name, sha256) == ("vgg19-gatys", "0123abcd")
        assert callable(on_progress)
        on_progress(5, 10)
        return path

    monkeypatch.setattr(module, "download", download)
    assert main(["weights", "download", "vgg19-gatys", "--sha256", "0123abcd"]) == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_download_offline_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "download", "vgg16-caffe"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "vgg16-00b39a1b.pth" in err
