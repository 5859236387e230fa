"""What all tests share: a home of their own, two threads, small pictures, what may be absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before torch loads OpenMP: threads that spin while they wait make tests several times slower on a
# machine that has something else to do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hypothesis
import pytest
import torch
from torch import Tensor

if TYPE_CHECKING:
    from impasto import Encoder

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _own_home(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "IMPASTO_OFFLINE": "1",
    }


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported; this also covers the doctests, which know no fixtures."""
    home = tempfile.TemporaryDirectory(prefix="impasto-tests-")
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("IMPASTO_")]:
        del os.environ[name]
    os.environ.update(_own_home(Path(home.name)))
    torch.set_num_threads(2)
    # No deadline: a busy machine is no reason to fail.
    hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
    hypothesis.settings.register_profile("thorough", deadline=None, max_examples=200)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for each test, so that no cache or config passes from one to the next."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.delenv("IMPASTO_WEIGHTS", raising=False)
    for name, value in _own_home(home).items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def photo() -> Tensor:
    """A smooth colourful picture ``(1, 3, 96, 128)``: a sky, a hill, a sun."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 128), indexing="ij")
    hill = torch.sigmoid(30 * (y - 0.65 - 0.12 * torch.sin(5 * x)))
    sun = torch.exp(-((x - 0.75) ** 2 + (y - 0.25) ** 2) / 0.012)
    sky = torch.stack([0.35 + 0.3 * y, 0.55 + 0.25 * y, 0.95 - 0.2 * y])
    land = torch.stack([0.2 + 0.3 * x, 0.55 - 0.2 * y, 0.15 + 0.1 * x])
    glow = torch.tensor([1.0, 0.85, 0.3])[:, None, None]
    image = sky * (1 - hill) + land * hill
    return (image * (1 - sun) + glow * sun).clamp(0, 1)[None]


@pytest.fixture
def painting() -> Tensor:
    """Strong curved stripes in four colours ``(1, 3, 96, 96)``."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    phase = 40 * (x + 0.15 * torch.sin(9 * y)) + 8 * y
    colors = torch.tensor([[0.1, 0.15, 0.5], [0.9, 0.75, 0.2], [0.2, 0.5, 0.6], [0.8, 0.3, 0.15]])
    weights = torch.stack([torch.cos(phase + 1.5708 * k) for k in range(4)]).mul(4).softmax(0)
    return torch.einsum("khw,kc->chw", weights, colors).clamp(0, 1)[None]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many KiB, or gives it that size; skips for who is not root."""
    folder = tmp_path / "disk"

    def make(size: int) -> Path:
        options = f"remount,size={size}k" if folder.exists() else f"size={size}k"
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a disk can be mounted by root only")
        return folder

    yield make
    if folder.exists():
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


@pytest.fixture
def shared() -> Path:
    """The folder of pictures and weights beside the checkout; skips in one that stands alone."""
    if not SHARED.is_dir():
        pytest.skip("there is no ../shared beside this checkout")
    return SHARED


@pytest.fixture
def vgg19_weights(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of VGG-19 weights, on the search path; skips where it is absent."""
    path = SHARED / "weights" / "vgg19-caffe.safetensors"
    if not path.is_file():
        pytest.skip("there are no VGG-19 weights in ../shared/weights")
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(path.parent))
    return path


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """Mini's form at a twentieth of its size, with random weights. To change it, copy it."""
    from impasto import Mini

    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Mini(stages=((8, 1), (10, 1), (12, 1), (14, 1), (16, 1)), name="small")
    for parameter in encoder.trunk.parameters():
        parameter.mul_(2.0)  # about He's initialisation: the deepest layer is not lost in its bias
    return encoder
