"""Folders that may not be searched: what lies in them is not there, or is refused by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import impasto
from impasto.image.io import load_image

# Root may look everywhere, unless it gives that up.
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
FORGO = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override"]
FLAGS = ["--size", "32", "--threads", "1", "--quiet"]

CODE = """
import json, sys
from impasto.cli import main
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]))
"""


def run(commands: list[list[str]], where: Path, **environment: str) -> tuple[list[int], list[str]]:
    """The exit codes of commands that one process runs without the rights of root; and stderr."""
    if sys.platform == "win32" or (AS_ROOT and not shutil.which("setpriv")):
        pytest.skip("there is no way to give up the rights of root here")
    before = ["setpriv", *FORGO] if AS_ROOT else []
    words = [*before, sys.executable, "-c", CODE, json.dumps(commands)]
    path = str(Path(impasto.__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(words, cwd=where, env=variables, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr.splitlines()


@pytest.fixture
def locked(folder: Path) -> Path:
    """A folder with a photo in it that may be neither read nor searched, and one of which only the
    names may be read."""
    for name, mode in (("locked", 0o000), ("names", 0o600)):
        (folder / name).mkdir()
        (folder / name / "a.png").write_bytes((folder / "cat.png").read_bytes())
        (folder / name).chmod(mode)
    return folder


def test_inputs_and_outputs_are_refused_by_name(locked: Path) -> None:
    quick = ["quick", "cat.png", "art.png", "-o", "out.png", *FLAGS]
    stylize = ["stylize", *quick[1:], "--steps", "1"]
    cases = [
        (["quick", "locked/a.png", "waves", "-o", "out.png", *FLAGS], 3, "'locked/a.png' may not"),
        (["quick", "names/a.png", "waves", "-o", "out.png", *FLAGS], 3, "'names/a.png' may not"),
        (["quick", "cat.png", "locked/a.png", "-o", "out.png", *FLAGS], 3, "'locked/a.png' may"),
        ([*quick, "--keep", "locked/a.png"], 3, "'locked/a.png' may not be read"),
        ([*quick, "-o", "locked/o.png"], 2, "'locked/o.png' cannot be written"),
        ([*quick[:2], "--model", "locked/model", "-o", "o.png", *FLAGS], 3, "locked/model"),
        ([*stylize, "-o", "names/o.png"], 2, "'names/o.png' cannot be written"),
        ([*stylize, "--config", "locked/mine.toml"], 2, "locked/mine.toml"),
        ([*stylize, "--encoder", "locked/e.safetensors"], 2, "locked/e.safetensors"),
        (["train", "waves", "--images", "names", "-o", "model", "-q"], 3, "'names"),
        (["train", "waves", "--images", ".", "-o", "locked/model", "-q"], 3, "locked/model"),
        (["evaluate", "cat.png", "art.png", "locked", "-q"], 3, "locked"),
        (["info", "locked/a.png"], 3, "'locked/a.png' may not be read"),
        (["weights", "convert", "locked/w.pth", "w.safetensors"], 4, "locked/w.pth"),
        (["swatches", "waves", "-o", "locked/in/w.png"], 3, "locked/in"),
        (["quick", "~nobody of that name/a.png", "waves", *FLAGS], 3, "~nobody"),
    ]
    codes, told = run([words for words, _, _ in cases], locked)
    assert codes == [code for _, code, _ in cases]
    assert len(told) == len(cases)
    for line, (_, _, text) in zip(told, cases, strict=True):
        assert text in line


def test_home_and_weights_that_may_not_be_searched_are_as_good_as_none(locked: Path) -> None:
    home = str(locked / "locked")
    commands = [
        ["stylize", "cat.png", "waves", "-o", "out.png", "--steps", "1", *FLAGS],
        ["weights", "list"],
        ["stylize", "cat.png", "waves", "-o", "o.png", "--encoder", "vgg19", *FLAGS],
    ]
    codes, _ = run(commands, locked, HOME=home, XDG_CACHE_HOME="", IMPASTO_WEIGHTS=home + "/w")
    assert codes == [0, 0, 4]
    assert load_image(locked / "out.png").shape == (1, 3, 24, 32)


def test_the_current_folder_is_closed_or_gone(locked: Path) -> None:
    photo, out = str(locked / "cat.png"), str(locked / "out.png")
    code = f"import os; os.chmod('.', 0); {CODE}"
    inner = locked / "inner"
    inner.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.CODE", code)
        codes, told = run([["quick", photo, "waves", "-o", out, *FLAGS]], inner)
        assert codes == [0]
        assert load_image(out).shape == (1, 3, 24, 32)
        inner.chmod(0o700)
        patch.setattr(f"{__name__}.CODE", f"import os; os.rmdir(os.getcwd()); {CODE}")
        codes, told = run([["quick", photo, "waves", "-o", out, *FLAGS]], inner)
    assert codes == [3]
    assert told == [
        "impasto: error: the current folder is gone; change to one that is there",
    ]
