"""What is built: a wheel and an sdist that work anywhere, and the page that an index shows."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://example.org/impasto"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The module that fills in the metadata; skips where hatchling is not installed."""
    pytest.importorskip("hatchling")
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def test_no_link_of_an_index_page_leads_nowhere(hook: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [x for x in links(readme) if not x.startswith(("http", "#"))]
    assert len(local) > 10
    bare = hook.with_links(readme, "")
    assert [x for x in links(bare) if not x.startswith(("http", "#"))] == []
    assert "![" not in bare
    assert "Commands" in bare
    whole = links(hook.with_links(readme, REPOSITORY))
    assert len(whole) == len(links(readme))
    assert all(x.startswith(("http", "#")) for x in whole)
    assert f"{REPOSITORY}/raw/main/docs/hero.webp" in whole


def test_addresses_are_told_only_where_there_are_any(hook: ModuleType) -> None:
    for repository, names in (("", []), (REPOSITORY, ["Changelog", "Documentation"])):
        metadata: dict[str, dict[str, str]] = {}
        hook.IndexPage(str(ROOT), {"repository": repository}).update(metadata)
        urls = metadata.get("urls", {})
        assert set(names) <= set(urls)
        assert all(url.startswith(REPOSITORY) for url in urls.values())
        assert metadata["readme"]["content-type"] == "text/markdown"


@pytest.mark.slow
def test_wheel_and_sdist(hook: ModuleType, tmp_path: Path) -> None:
    """The wheel holds the package and nothing else; of the sdist the same wheel can be built."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        [about] = [name for name in names if name.endswith("/METADATA")]
        metadata = file.read(about).decode()
    assert {name.split("/")[0] for name in names} == {"impasto", about.split("/")[0]}
    assert "impasto/assets/mini.safetensors" in names
    assert "impasto/assets/swatches/waves.webp" in names
    assert "impasto/cli/demo.py" in names
    assert "Requires-Python: <3.15,>=3.10" in metadata
    assert wheel.stat().st_size < 20 * 2**20
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = (path for path in tmp_path.iterdir() if path.is_dir())
    again = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "b")]
    subprocess.run(again, cwd=source, check=True, capture_output=True)
    [other] = (tmp_path / "b").glob("*.whl")
    with zipfile.ZipFile(other) as file:
        assert set(file.namelist()) == names
