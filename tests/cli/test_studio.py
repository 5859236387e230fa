"""``impasto studio`` from the command line."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from impasto.cli import main


def test_others_need_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi")
    assert main(["studio", "--host", "0.0.0.0", "--folder", str(tmp_path)]) == 2
    assert "IMPASTO_STUDIO_TOKEN" in capsys.readouterr().err


def test_without_the_extra_it_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "impasto.studio.server":
            raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["studio"]) == 2
    assert 'pip install "impasto[studio]"' in capsys.readouterr().err
