"""Pictures of strangers: whatever their metadata say, ``info`` and ``replay`` end in one line, and
open nothing but what lies with the picture."""

from __future__ import annotations

import builtins
import copy
import hashlib
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from impasto.cli import main
from impasto.cli.replay import read_recipe
from impasto.config.stylize import StylizeConfig
from impasto.image.io import save_image
from tests.cli.conftest import Stylize

PACKAGE = Path(__file__).parents[2] / "impasto"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, text: str) -> Path:
    """A small PNG with any text under our key, as only a stranger would write it."""
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("impasto", text, zip=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, pnginfo=texts)
    return path


@pytest.fixture
def metadata(folder: Path, small: list[str]) -> dict[str, Any]:
    """What a picture tells that was made of what lies here, with mini."""
    config = StylizeConfig(size=64, steps=(1,), precision="float32").to_dict()
    return {
        "impasto": "0.1.0",
        "method": "optimisation of pixels (Gatys et al. 2016)",
        "config": config,
        "content": {"path": "cat.png", "sha256": sha256(folder / "cat.png")},
        "style": {"path": "art.png", "sha256": sha256(folder / "art.png")},
        "encoder": {"name": "mini", "sha256": "0" * 64},
        "size": [48, 64],
        "machine": {"threads": 1, "device": "cpu", "dtype": "float32"},
        "steps": 1,
        "finished": True,
        "seconds": 0.1,
    }


@pytest.fixture
def secrets(tmp_path_factory: pytest.TempPathFactory, photo: Tensor) -> Path:
    """A folder of somebody else's, with a picture and a text in it."""
    folder = tmp_path_factory.mktemp("secrets")
    save_image(folder / "private.png", photo.flip(3))
    (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    return folder


@pytest.fixture
def opened(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path under ``secrets`` that is opened, by whichever door."""
    found: list[str] = []

    def watched(door: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *words: Any, **options: Any) -> Any:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.fsdecode(path))
                if real.startswith(os.path.realpath(secrets)):
                    found.append(real)
            return door(path, *words, **options)

        return call

    for place, name in ((builtins, "open"), (io, "open"), (os, "open"), (torch, "load")):
        monkeypatch.setattr(place, name, watched(getattr(place, name)))
    return found


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("role", ["content", "style", "init", "keep", "regions", "subject"])
def test_no_file_elsewhere_is_opened(
    role: str,
    hashed: bool,
    metadata: dict[str, Any],
    secrets: Path,
    opened: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not even with the right hash: the stranger would learn that the file is there."""
    place = secrets / "private.png"
    told: dict[str, Any] = {"path": str(place)}
    if hashed:
        told["sha256"] = sha256(place)
        opened.clear()
    metadata[role] = [told] if role == "regions" else told
    if role in ("init", "keep", "subject"):
        metadata["config"][role] = str(place)
    elif role == "regions":
        metadata["config"][role] = [str(place), "rest"]
    write(Path("odd.png"), json.dumps(metadata))
    assert main(["replay", "odd.png", "-o", "again.png"]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["info", "odd.png", "--command"]) == 0
    assert opened == []
    assert not Path("again.png").exists()


@pytest.mark.parametrize("role", ["keep", "regions", "style_regions", "subject", "init", "encoder"])
def test_settings_alone_name_no_file(
    role: str, metadata: dict[str, Any], secrets: Path, opened: list[str]
) -> None:
    """A setting without its entry, which would hold the hash; also where it lies here."""
    several = role in ("regions", "style_regions")
    for place in (secrets / "private.png", secrets / "key.pem", Path("art.png").absolute()):
        metadata["config"][role] = [str(place)] if several else str(place)
        write(Path("odd.png"), json.dumps(metadata))
        assert main(["replay", "odd.png", "-o", "again.png"]) in (2, 3)
    assert opened == []


@pytest.mark.parametrize("name", ["../{}/private.png", "link.png", "~/private.png", "link/key.pem"])
def test_no_way_out_of_the_folder(
    name: str, metadata: dict[str, Any], folder: Path, secrets: Path, opened: list[str]
) -> None:
    """Neither by dots, nor by a link that came with the picture, nor by the home."""
    (folder / "link.png").symlink_to(secrets / "private.png")
    (folder / "link").symlink_to(secrets)
    path = os.path.relpath(secrets, folder) + "/private.png" if name.startswith("..") else name
    wanted = secrets / ("key.pem" if name.endswith("pem") else "private.png")
    metadata["content"] = {"path": path, "sha256": sha256(wanted)}
    opened.clear()
    write(Path("odd.png"), json.dumps(metadata))
    assert main(["replay", "odd.png", "-o", "again.png"]) == 3
    assert opened == []


def test_hidden_files_are_not_for_strangers(metadata: dict[str, Any], folder: Path) -> None:
    (folder / ".ssh").mkdir()
    (folder / "art.png").rename(folder / ".ssh" / "art.png")
    metadata["style"]["path"] = ".ssh/art.png"
    write(Path("odd.png"), json.dumps(metadata))
    assert main(["replay", "odd.png", "-o", "again.png"]) == 3


def test_nothing_is_downloaded(
    metadata: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
) -> None:
    monkeypatch.delenv("IMPASTO_OFFLINE", raising=False)
    metadata["config"]["encoder"] = "vgg19"
    write(Path("odd.png"), json.dumps(metadata))
    assert main(["replay", "odd.png", "-o", "again.png"]) == 3
    assert "replay downloads nothing" in capsys.readouterr().err
    assert "IMPASTO_OFFLINE" not in os.environ


@pytest.mark.parametrize("threads", [100_000, 2**70, -1, 0, True, "4", 1.5, [1], {"n": 1}])
def test_threads_are_a_number_of_threads(
    threads: Any, metadata: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    metadata["machine"]["threads"] = threads
    write(Path("odd.png"), json.dumps(metadata))
    for words in (["replay", "odd.png", "-o", "again.png"], ["info", "odd.png", "--command"]):
        assert main(words) == 3
        [line] = capsys.readouterr().err.splitlines()
        assert "odd.png" in line


def test_as_many_threads_as_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["-o", "out.png", "--size", "32", "--threads", "100000"]
    assert main(["quick", "cat.png", "waves", *flags]) == 2
    assert "threads is 100000" in capsys.readouterr().err


def test_a_picture_gets_no_more_memory_than_there_is(metadata: dict[str, Any]) -> None:
    for told, least, most in ((1e9, 0.1, 1e5), (0.25, 0.1, 0.25)):
        metadata["config"]["max_memory"] = told
        write(Path("odd.png"), json.dumps(metadata))
        found = read_recipe(Path("odd.png")).config.max_memory
        assert found is not None
        assert least <= found <= most


@pytest.mark.parametrize(
    "text",
    [
        '{"config": {"size": NaN}}',
        '{"seconds": 1e999}',
        '{"seed": ' + str(2**70) + "}",
        '{"a": ' * 40 + "1" + "}" * 40,
        "[" * 50_000,
        '{"n": ' + "9" * 5000 + "}",
        '["a"]',
        '{"a": "' + "x" * 70_000 + '"}',
    ],
)
def test_what_impasto_cannot_have_written_is_not_read(
    text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("odd.png"), text)
    for words in (["info", "odd.png"], ["info", "odd.png", "--json"]):
        assert main(words) == 3
        assert "holds no impasto parameters" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a\0b.png", "\ud800.png", "x" * 5000, "", 7, ["a"], "a/" * 2500])
def test_places_that_are_none(
    place: Any, metadata: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    metadata["content"]["path"] = place
    write(Path("odd.png"), json.dumps(metadata))
    assert main(["replay", "odd.png", "-o", "again.png"]) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert "content" in line
    assert len(line) < 6000
    for flag in ("--json", "--command", "--toml"):
        assert main(["info", "odd.png", flag]) in (0, 3)


def test_no_control_character_reaches_the_terminal(
    metadata: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "\x1b]0;owned\x07\x9b2J\u202e\r"
    metadata |= {"impasto": odd, "method": odd, odd: odd, "command": odd}
    metadata["content"]["path"] = metadata["style"]["path"] = odd
    metadata["config"]["init"] = odd
    (folder / f"{odd}.png").write_bytes(write(Path("odd.png"), json.dumps(metadata)).read_bytes())
    for name in ("odd.png", f"{odd}.png"):
        for words in (["info"], ["info", "--toml"], ["info", "--json"], ["info", "--command"]):
            main([*words, name])
        main(["replay", name, "-o", "again.png"])
    main(["stylize", odd, odd, "-o", f"{odd}.png"])
    main(["quick", f"{odd}.png", "waves", "-o", f"{odd}/x.png"])
    told = capsys.readouterr()
    assert not {c for c in told.out + told.err if not c.isprintable() and c != "\n"}


def test_a_command_guards_its_names(
    metadata: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a shell would read it, every name stands where it cannot be taken for a flag."""
    import subprocess

    metadata["content"]["path"], metadata["style"] = "-o", {"swatch": "--overwrite"}
    metadata["config"]["init"] = "--debug"
    metadata["config"]["keep"] = "x"
    metadata["keep"] = {"path": "-k\x1b'$(touch pwned).png"}
    write(Path("-odd.png"), json.dumps(metadata))
    assert main(["info", "--command", "--", "-odd.png"]) == 0
    line = capsys.readouterr().out.strip()
    shell = ["bash", "-c", f"printf '%s\\0' {line}"]
    words = subprocess.run(shell, capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert words[-3:] == ["--", "./-o", "--overwrite"]
    assert "./-odd.png" in words
    assert "--init=--debug" in words
    assert "./-k\x1b'$(touch pwned).png" in words
    assert not Path("pwned").exists()


# --- mutants -------------------------------------------------------------------------------------

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 2**70, 10**400, -(2**70)),
    *(0.5, -0.0, 1e308, 1e-308, float("nan"), float("inf"), 100_000),
    *("", "a", "auto", "rest", "off", "none", "mini", "vgg16", "cuda:99999999999999999999", "mps"),
    *("\0", "a\0b", "\ud800", "\udcff", "x" * 5000, "../" * 1500, "~", "~root", "-", "--", "-o"),
    *("/dev/zero", "/dev/stdin", "/proc/self/mem", "/etc/passwd", ".", "..", "/", "\x1b[2J", "\n"),
    *([], {}, [[]], [{}], [None], {"path": None}, {"path": 1}, {"word": "x"}, {"swatch": []}),
    *({"swatch": "../waves"}, [1] * 5000, ["x"] * 3000, {"sha256": 5}, [True], ["9" * 5000]),
]


def mutated(metadata: dict[str, Any], secrets: Path, rng: random.Random) -> str:
    """The metadata with one to three places changed, as text."""
    metadata = copy.deepcopy(metadata)
    own = [str(secrets / "private.png"), str(secrets / "key.pem"), str(secrets)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        place: Any = metadata
        while True:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inside = place[key]
            if not (isinstance(inside, dict | list) and inside and rng.random() < 0.8):
                break
            place = inside
        value = rng.choice([*ODD, *own, {"path": own[0]}, {"path": own[0], "sha256": "0" * 64}])
        action = rng.random()
        if action < 0.1 and isinstance(place, dict):
            del place[key]
        elif action < 0.2 and isinstance(place, dict):
            place[rng.choice(["keep", "regions", "init", "command", "guide", "model"])] = value
        elif action < 0.9:
            place[key] = value
        else:
            place[key] = [inside] * rng.choice([0, 2, 300])
        if not metadata:
            break
    text = json.dumps(metadata)
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", "\0", "}", '"', "\ud800", "NaN"]) + text[at + 1 :]
    return text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    "count", [60, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_mutants_of_metadata(
    count: int,
    metadata: dict[str, Any],
    secrets: Path,
    opened: list[str],
    replay: Stylize,
    encoder_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 0, 2 or 3, in one line each, and nothing of anybody else's is opened."""
    monkeypatch.setattr("impasto.transfer.prepare.get_encoder", _tiny(encoder_file))
    rng = random.Random(count)
    codes: dict[int, int] = {}
    for number in range(count):
        text = mutated(metadata, secrets, rng)
        write(Path("odd.png"), text)
        for words in (
            ["info", "odd.png"],
            ["info", "odd.png", rng.choice(["--json", "--command", "--toml"])],
            ["replay", "odd.png", "-o", "again.png", "--overwrite", "-q"],
        ):
            code = main(words)
            told = capsys.readouterr()
            assert code in (0, 2, 3), (number, words, told.err, text[:2000])
            errors = [line for line in told.err.splitlines() if "error:" in line]
            assert len(errors) == (code != 0), told.err
            if code == 0 and "--json" in words:
                json.loads(told.out, parse_constant=pytest.fail)
            assert not {c for c in told.out + told.err if not c.isprintable() and c != "\n"}
            codes[code] = codes.get(code, 0) + 1
        assert opened == [], (number, text[:2000])
    assert min(codes.values()) > 0
    assert set(codes) >= {0, 3}


def _tiny(path: Path) -> Callable[..., Any]:
    from impasto.encoders import get_encoder

    def get(name: Any = "mini", **options: Any) -> Any:
        return get_encoder(path if name == "mini" else name, **options)

    return get
