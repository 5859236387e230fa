"""What starts fast stays fast: nobody waits for torch to read a help text."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest


def loaded(*arguments: str, fails: bool = False) -> set[str]:
    """Top-level names of everything that ``python *arguments`` imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert bool(run.returncode) is fails, run.stderr[-2000:]
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_import_loads_nothing_optional() -> None:
    names = loaded("-c", "import impasto")
    assert "impasto" in names
    assert not names & {"av", "cv2", "matplotlib", "rich", "scipy", "skimage", "tomlkit", "typer"}


def test_every_public_name_loads_nothing_optional() -> None:
    names = loaded("-c", "from impasto import *")
    assert "torch" in names
    assert not names & {"av", "cv2", "matplotlib", "rich", "scipy", "skimage", "typer"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in ("stylize", "quick", "train")), ["--version"]],
)
def test_help_needs_no_torch(arguments: list[str]) -> None:
    names = loaded("-m", "impasto", *arguments)
    assert "typer" in names
    assert not names & {"av", "matplotlib", "numpy", "scipy", "skimage", "torch"}


def test_swatches_and_info_need_no_torch(tmp_path: Path) -> None:
    made = str(tmp_path / "waves.png")
    assert "torch" not in loaded("-m", "impasto", "swatches")
    assert "torch" not in loaded("-m", "impasto", "swatches", "waves", "-o", made)
    assert "torch" not in loaded("-m", "impasto", "info", made, fails=True)


def test_painting_loads_no_compiler() -> None:
    """torch.optim brings it along, and it takes a second to load."""
    code = (
        "import impasto, sys; photo = impasto.swatch('waves', size=32); "
        "impasto.stylize(photo, 'mosaic', size=32, steps=1); print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def seconds(*arguments: str) -> float:
    """The best of five starts."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.slow
def test_import_costs_little_beyond_torch() -> None:
    assert seconds("-c", "from impasto import *") - seconds("-c", "import torch") < 0.2


@pytest.mark.slow
def test_help_comes_at_once() -> None:
    assert seconds("-m", "impasto", "--help") < 0.15
