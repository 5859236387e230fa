"""The documentation site: its links are followed; it builds without a warning (make docs)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    """A script of the docs as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top-of-a">A</h1><a href="b.html#here">good</a><a href="#top-of-a">good</a>'
        '<a href="https://example.org/">a reader may follow it</a><img src="there.png">'
    )
    (tmp_path / "b.html").write_text('<p id="here">B</p>')
    (tmp_path / "there.png").write_bytes(b"")
    check = script("check_links").check
    assert check(tmp_path) == (4, [])
    (tmp_path / "c.html").write_text(
        '<a href="b.html#gone"></a><a href="gone.html"></a><img src="gone.png">'
        '<script src="https://example.org/code.js"></script>'
    )
    assert check(tmp_path) == (
        8,
        [
            "c.html links to b.html#gone",
            "c.html links to gone.html",
            "c.html links to gone.png",
            "c.html needs a network: https://example.org/code.js",
        ],
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every public name is in the index of objects, which the search reads; a quote leads to its
    line; formulas need no script."""
    pytest.importorskip("sphinx")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("-c", "docs", "-d", str(tmp_path / "doctrees"), ".", str(tmp_path / "site")),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    count, wrong = script("check_links").check(tmp_path / "site")
    assert wrong == []
    assert count > 10_000
    page = (tmp_path / "site" / "docs" / "how-it-works.html").read_text("utf-8")
    assert 'href="../source/impasto/losses/gram.html#line-' in page
    assert page.count("<math") > 50
    search = (tmp_path / "site" / "searchindex.js").read_text("utf-8")
    assert all(word in search for word in ("gram", "strength", "gatys2016"))
