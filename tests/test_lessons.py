"""The lessons: notebooks whose exercises check themselves. make lessons executes them all."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXECUTE = """
import sys, jupytext, nbclient
notebook = jupytext.read(sys.argv[1])
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
jupytext.write(notebook, sys.argv[2])
"""
LESSONS = sorted((ROOT / "docs" / "lessons").glob("0*.py"))


def test_there_are_eight() -> None:
    assert [path.name[:3] for path in LESSONS] == [f"0{n}_" for n in range(1, 9)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_has_its_parts(path: Path) -> None:
    """The idea with a formula, a line of impasto, exercises with asserts; no path of its own."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert text.startswith(f"# %% [markdown]\n# # {path.name[1]}. ")
    assert re.search(r"^# \$\$.+\$\$$", text, re.MULTILINE)
    assert "# ```py\n" in text
    answers = text.partition("# ## Exercises\n")[2]
    asserts = [node for node in ast.walk(ast.parse(answers)) if isinstance(node, ast.Assert)]
    numbers = re.findall(r"^# (\d)\. ", answers, re.MULTILINE)
    assert len(asserts) >= len(numbers) >= 2
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_as_a_notebook(path: Path, tmp_path: Path) -> None:
    """Executed by a kernel, offline, within two minutes; pictures are shown in it."""
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    written = tmp_path / "lesson.ipynb"
    process = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(path), str(written)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MINUTES": "0.3", "IMPASTO_OFFLINE": "1"},
    )
    assert process.returncode == 0, process.stderr[-3000:]
    notebook = written.read_text("utf-8")
    assert "all right\\n" in notebook
    assert '"image/png"' in notebook
