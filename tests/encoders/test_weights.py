"""Weights of VGG: which file is found, what it is taken for, what is said if there is none."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.config.stylize import StylizeConfig
from impasto.encoders import download as downloads
from impasto.encoders import weights as module
from impasto.encoders.contents import CHANNELS, FEATURE_INDEX, FIRST_FILTERS
from impasto.encoders.vgg import INPUTS
from impasto.encoders.weights import (
    CONVOLUTIONS,
    FLAVOURS,
    WEIGHTS,
    cache_folder,
    convert,
    download,
    find_weights,
    is_offline,
    load_weights,
    read_weights,
    search_path,
    verify,
)
from impasto.errors import (
    ConfigError,
    IntegrityError,
    OutputExistsError,
    UnknownNameError,
    WeightsNotFoundError,
)


@pytest.fixture(autouse=True)
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels a stage, so that files are small."""
    for stage in CHANNELS:
        monkeypatch.setitem(CHANNELS, stage, 2)


def fake(architecture: str = "vgg19", flavour: str | None = "caffe") -> dict[str, Tensor]:
    """A thin network, with the first filter of a known one or of none."""
    generator = torch.Generator().manual_seed(7)
    tensors, channels = {}, 3
    for conv, index in FEATURE_INDEX[architecture].items():
        width = CHANNELS[int(conv[4])]
        tensors[f"features.{index}.weight"] = torch.randn(
            width, channels, 3, 3, generator=generator
        )
        tensors[f"features.{index}.bias"] = torch.randn(width, generator=generator)
        channels = width
    if flavour:
        known, scale = ("caffe", 0.02) if flavour == "normalised" else (flavour, 1.0)
        first = torch.tensor(FIRST_FILTERS[architecture, known]).view(3, 3)
        tensors["features.0.weight"][0, 0] = first * scale
    return tensors


def put(path: Path, tensors: dict[str, Tensor], **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(folder))
    return folder


def test_the_table_is_sound() -> None:
    for name, spec in WEIGHTS.items():
        assert name == spec.name
        assert spec.architecture in CONVOLUTIONS
        assert spec.flavour in FLAVOURS
        assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", spec.sha256)
        assert not spec.url or spec.url.startswith("https://")
        assert spec.sha256[:8] in spec.filename
        assert spec.licence
        assert spec.source
    names = [name for spec in WEIGHTS.values() for name in spec.accepted_names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)


def test_flavours_are_those_that_the_encoder_and_the_config_know() -> None:
    assert set(FLAVOURS) == set(INPUTS)
    for flavour in FLAVOURS:
        assert StylizeConfig(flavour=flavour).flavour == flavour  # type: ignore[arg-type]  # str


def test_search_path(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    assert search_path() == [cache_folder()]
    assert own_home in cache_folder().parents
    monkeypatch.setenv("IMPASTO_WEIGHTS", os.pathsep.join(["/one", "", "~/two", " "]))
    assert search_path() == [Path("/one"), Path.home() / "two", cache_folder()]


@pytest.mark.parametrize(
    ("value", "offline"), [("", False), ("0", False), ("no", False), ("1", True), ("yes", True)]
)
def test_is_offline(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("IMPASTO_OFFLINE", value)
    assert is_offline() is offline
    assert is_offline(True)
    assert not is_offline(False)


@pytest.mark.parametrize(
    "name", ["vgg19-caffe.safetensors", "VGG19-Caffe.PT", "vgg19-caffe.pth", "VGG19-d01eb7cb.pth"]
)
def test_files_are_found_by_name_in_any_case(folder: Path, name: str) -> None:
    (folder / name).touch()
    assert find_weights(WEIGHTS["vgg19-caffe"]) == folder / name
    assert find_weights(WEIGHTS["vgg16-caffe"]) is None


def test_the_first_place_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPASTO_WEIGHTS", os.pathsep.join([f"{tmp_path}/a", f"{tmp_path}/b"]))
    in_cache = put(cache_folder() / "vgg19-caffe.safetensors", fake())
    assert find_weights(WEIGHTS["vgg19-caffe"]) == in_cache
    in_b = put(tmp_path / "b" / "vgg19-caffe.pt", fake())
    assert find_weights(WEIGHTS["vgg19-caffe"]) == in_b
    (tmp_path / "a" / "vgg19-caffe.safetensors").mkdir(parents=True)  # a folder is no file
    assert find_weights(WEIGHTS["vgg19-caffe"]) == in_b


def test_load_weights(folder: Path) -> None:
    path = put(folder / "vgg19-caffe.safetensors", fake())
    loaded = load_weights("vgg19")
    assert (loaded.architecture, loaded.flavour, loaded.path) == ("vgg19", "caffe", path)
    assert loaded.sha256 == downloads.sha256_of(path)
    assert (loaded.evidence, loaded.spec) == ("first filter", None)
    assert list(loaded.tensors) == [
        f"{conv}.{kind}" for conv in CONVOLUTIONS["vgg19"] for kind in ("weight", "bias")
    ]
    for name, tensor in zip(loaded.tensors, fake().values(), strict=True):
        assert torch.equal(loaded.tensors[name], tensor)


def test_half_precision_is_promoted(folder: Path) -> None:
    put(folder / "vgg19-caffe.pt", {key: value.half() for key, value in fake().items()})
    assert {tensor.dtype for tensor in load_weights().tensors.values()} == {torch.float32}


def test_flavours_are_preferred_in_the_order_of_the_table(folder: Path) -> None:
    for flavour in reversed(FLAVOURS):
        put(folder / f"vgg19-{flavour}.safetensors", fake(flavour=flavour))
        assert load_weights("vgg19").flavour == flavour
    for flavour in FLAVOURS:
        assert load_weights("vgg19", flavour=flavour).flavour == flavour


def test_a_file_on_the_search_path_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        put(tmp_path / "mine.bin", fake("vgg16"), architecture="vgg16"),
        put(tmp_path / "other.bin", fake("vgg19", "torchvision"), architecture="vgg19"),
    ]
    put(cache_folder() / "vgg19-caffe.safetensors", fake())
    monkeypatch.setenv("IMPASTO_WEIGHTS", os.pathsep.join(map(str, files)))
    assert load_weights("vgg19", flavour="torchvision").path == files[1]
    assert load_weights("vgg19").path == files[1]
    assert load_weights("vgg19", flavour="caffe").path.parent == cache_folder()


def test_a_broken_file_that_was_named_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.pth").write_bytes(b"junk")
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path / "mine.pth"))
    with pytest.raises(IntegrityError, match="neither a safetensors nor"):
        load_weights()


def test_metadata_tell_the_flavour(tmp_path: Path) -> None:
    path = put(tmp_path / "a", fake(flavour=None), flavour="torchvision")
    loaded = read_weights(path)
    assert (loaded.architecture, loaded.flavour, loaded.evidence) == (
        *("vgg19", "torchvision"),
        "metadata",
    )


def test_without_evidence_the_request_or_the_name_tells_the_flavour(tmp_path: Path) -> None:
    named = put(tmp_path / "vgg16-torchvision.safetensors", fake("vgg16", None))
    loaded = read_weights(named, architecture="vgg16")
    assert (loaded.flavour, loaded.evidence) == ("torchvision", "file name")
    assert read_weights(named, architecture="vgg16", flavour="caffe").evidence == "request"
    path = put(tmp_path / "a", fake(flavour=None), flavour="sepia")
    with pytest.raises(IntegrityError, match="--flavour with one of: caffe, torchvision, norm"):
        read_weights(path, architecture="vgg19")


def test_another_flavour_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a", fake(), flavour="torchvision")
    assert read_weights(path).flavour == "caffe"  # numbers go before words
    with pytest.raises(IntegrityError, match=r"holds caffe weights .* not torchvision"):
        load_weights("vgg19", path=path, flavour="torchvision")


def test_a_published_file_that_was_changed_is_refused(folder: Path) -> None:
    path = folder / "vgg19-dcbb9e9d.pth"
    torch.save(fake(flavour="torchvision"), path)
    with pytest.raises(IntegrityError, match="published is dcbb9e9dad569fff"):
        load_weights("vgg19", flavour="torchvision")


def test_the_checksum_tells_a_known_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder / "any.bin", fake(flavour=None))
    spec = dataclasses.replace(WEIGHTS["vgg19-caffe"], sha256=downloads.sha256_of(path)[:8])
    monkeypatch.setitem(WEIGHTS, spec.name, spec)
    loaded = read_weights(path, architecture="vgg19")
    assert (loaded.spec, loaded.flavour, loaded.evidence) == (spec, "caffe", "checksum")


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="does not exist"):
        load_weights(path=tmp_path / "none")
    with pytest.raises(WeightsNotFoundError, match="is not a file"):
        load_weights(path=tmp_path)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vgg19'"):
        load_weights("vgg18")
    with pytest.raises(UnknownNameError, match="did you mean 'normalised'"):
        load_weights(flavour="normalized")
    with pytest.raises(UnknownNameError, match="did you mean 'vgg19-caffe'"):
        download("vgg19-cafe")


def test_nothing_found_says_what_to_put_where(folder: Path) -> None:
    with pytest.raises(WeightsNotFoundError) as caught:
        load_weights("vgg16", offline=True)
    for part in (
        *("vgg16-caffe.safetensors", "vgg16-00b39a1b.pth", "vgg16-torchvision.pt"),
        *(str(folder), str(cache_folder()), WEIGHTS["vgg16-caffe"].url, "--encoder mini"),
    ):
        assert part in str(caught.value)
    assert "vgg19" not in str(caught.value)
    assert caught.value.exit_code == 4
    with pytest.raises(WeightsNotFoundError, match="no download of them can be checked"):
        load_weights("vgg19", flavour="normalised", offline=False)
    with pytest.raises(WeightsNotFoundError, match="none are known"):
        load_weights("vgg16", flavour="normalised")
    with pytest.raises(WeightsNotFoundError, match="while offline"):
        download("vgg19-caffe")


def test_load_weights_downloads_the_preferred_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(url: str, target: Path, **options: object) -> Path:
        asked.append((url, options["sha256"]))
        return put(target.with_name("x"), fake("vgg16"))

    monkeypatch.setattr(module, "fetch", fetch)
    assert load_weights("vgg16", offline=False).flavour == "caffe"
    assert asked == [(WEIGHTS["vgg16-caffe"].url, ["00b39a1b"])]


def test_download_examines_what_has_no_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, target: Path, *, check: object, **options: object) -> Path:
        assert callable(check)
        put(target, fake())
        check(target)
        target.write_bytes(b"<html>")
        with pytest.raises(IntegrityError):
            check(target)
        return target

    monkeypatch.setattr(module, "fetch", fetch)
    assert download("vgg19-gatys", offline=False) == cache_folder() / "vgg_conv.pth"
    with pytest.raises(WeightsNotFoundError, match="from anywhere"):
        download("vgg19-normalised", offline=False)
    with pytest.raises(ConfigError, match="8 to 64 hexadecimal"):
        download("vgg19-gatys", sha256="xyz", offline=False)


def test_convert(tmp_path: Path, folder: Path) -> None:
    source = put(tmp_path / "a.bin", fake("vgg19", "normalised"), note="n")
    path = convert(source, folder, half=True)
    assert path == folder / "vgg19-normalised.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        assert file.get_tensor("conv1_1.weight").dtype is torch.float16
    assert metadata["original_sha256"] == downloads.sha256_of(source)
    assert (metadata["note"], metadata["original"]) == ("n", "a.bin")
    assert {"architecture", "flavour", "input", "licence", "source"} <= set(metadata)
    assert verify("vgg19-normalised").path == path
    whole = convert(source, tmp_path / "whole.safetensors")
    for name, tensor in read_weights(whole).tensors.items():
        assert torch.equal(tensor, read_weights(source).tensors[name])
    with pytest.raises(OutputExistsError):
        convert(source, folder)
    convert(source, folder, overwrite=True)


def test_convert_refuses_what_half_cannot_hold(tmp_path: Path) -> None:
    tensors = fake()
    tensors["features.0.bias"][0] = 1e6
    source = put(tmp_path / "a", tensors)
    with pytest.raises(ConfigError, match="half"):
        convert(source, tmp_path / "b", half=True)
    assert not (tmp_path / "b").exists()


def test_verify(folder: Path) -> None:
    path = put(folder / "vgg19-caffe.safetensors", fake())
    assert verify("vgg19-caffe").path == path
    assert verify(path.rename(folder / "vgg19-caffe.pt")).architecture == "vgg19"
    with pytest.raises(WeightsNotFoundError, match="vgg16-caffe"):
        verify("vgg16-caffe")


def test_a_file_under_another_networks_name_is_refused(folder: Path) -> None:
    put(folder / "vgg16-caffe.safetensors", fake("vgg19"))
    with pytest.raises(IntegrityError, match="of vgg19, not of vgg16"):
        load_weights("vgg16")


@pytest.mark.weights
def test_the_real_file(vgg19_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(vgg19_weights))
    loaded = load_weights("vgg19")
    assert (loaded.path, loaded.architecture, loaded.flavour) == (vgg19_weights, "vgg19", "caffe")
    assert loaded.evidence == "first filter"
    assert loaded.metadata["flavour"] == "caffe"
    assert len(loaded.tensors) == 2 * len(CONVOLUTIONS["vgg19"])
    assert {tensor.dtype for tensor in loaded.tensors.values()} == {torch.float32}
