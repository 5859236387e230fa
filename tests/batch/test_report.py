"""The page shows what is there, says what failed, and believes no name."""

from __future__ import annotations

from pathlib import Path

from impasto.batch.manifest import Item
from impasto.batch.report import summary_page


def test_pictures_and_failures(tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    (tmp_path / "trip" / "a b.png").write_bytes(b"x")
    there = Item("photos/a b.png", ("waves",), tmp_path / "trip" / "a b.png", "quick", {})
    gone = Item("<i>.png", ("waves", "night"), tmp_path / "c.png", "quick", {"strength": 0.5})
    page = summary_page([there, gone], tmp_path, {"c.png": "it is <broken>"})
    assert 'src="trip/a%20b.png"' in page
    assert "it is &lt;broken&gt;" in page
    assert "<i>" not in page
    assert "waves + night, strength 0.5" in page
    assert "1 of them failed" in page
