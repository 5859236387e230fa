"""A tiny encoder in a file, a small photo, and the command line as a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.cli import main
from impasto.encoders.mini import Mini
from impasto.image.io import save_image

STAGES = ((4, 1), (6, 1), (8, 1), (8, 1), (8, 1))

Stylize = Callable[..., int]


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a very small mini, random but always the same."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    mini = Mini(stages=STAGES)
    tensors = {f"trunk.{name}": tensor for name, tensor in mini.trunk.state_dict().items()}
    tensors |= mini._random(STAGES)
    torch.random.set_rng_state(state)
    save_file(tensors, path, metadata={"stages": json.dumps(STAGES)})
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Tensor) -> Path:
    """The current folder, with ``cat.png`` and ``art.png`` in it."""
    monkeypatch.chdir(tmp_path)
    save_image("cat.png", photo)
    save_image("art.png", photo.flip(1))
    return tmp_path


@pytest.fixture
def photos(folder: Path, photo: Tensor) -> Path:
    """Four photos in the folder ``photos``."""
    (folder / "photos").mkdir()
    for number in range(4):
        save_image(folder / "photos" / f"{number}.png", photo.roll(9 * number, 3)[..., :60, :80])
    return folder / "photos"


@pytest.fixture
def small(encoder_file: Path) -> list[str]:
    """Flags that make a run take no time."""
    flags = f"--encoder {encoder_file} --size 64 --steps 4,3 --threads 1 --precision float32"
    return flags.split()


@pytest.fixture
def replay(folder: Path, encoder_file: Path) -> Stylize:
    """Run ``impasto replay`` with the encoder, which lies elsewhere; returns the exit code."""
    return lambda *words: main(["replay", *words, "--encoder", str(encoder_file)])


@pytest.fixture
def stylize(folder: Path, small: list[str]) -> Stylize:
    """Run ``impasto stylize cat.png art.png -o out.png`` with more flags; returns the exit code."""

    def run(*flags: str, output: str = "out.png") -> int:
        return main(["stylize", "cat.png", "art.png", "-o", output, *small, *flags])

    return run
