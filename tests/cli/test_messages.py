"""Lines for the user."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import impasto
from impasto.cli.messages import log_shown, message, print_table


def test_a_message_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    message("done")
    message("nobody asked", quiet=True)
    assert capsys.readouterr() == ("", "impasto: done\n")


def test_nobody_need_read_it() -> None:
    """Neither a closed pipe nor no stderr at all changes what the process ends with."""
    code = "from impasto.cli.messages import message; message('one'); message('two')"
    environment = {**os.environ, "PYTHONPATH": str(Path(impasto.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize(("quiet", "told"), [(False, "impasto: it takes long\n"), (True, "")])
def test_the_log_is_shown(capsys: pytest.CaptureFixture[str], quiet: bool, told: str) -> None:
    log = logging.getLogger("impasto.arbitrary.backends")
    with log_shown(quiet=quiet):
        log.info("it takes long")
    log.info("nobody asked")
    assert capsys.readouterr().err == told


def test_a_table_takes_texts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "gap"), [("[red]", "1.000"), ("cat", "12.000")], numbers=("gap",))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["name      gap", "[red]   1.000", "cat    12.000"]
