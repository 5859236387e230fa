"""What a package index shows: the README, and the project's addresses.

Links that lead to files of the repository lead nowhere on an index page. Where pyproject.toml says
where the repository is published (``repository`` of this hook), they become whole; where it says
nothing, they become plain text, and pictures are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class IndexPage(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling, before it builds."""
        repository = str(self.config.get("repository", "")).rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": with_links(text, repository),
        }
        if repository:
            metadata["urls"] = {
                "Homepage": repository,
                "Documentation": f"{repository}/blob/main/docs/quickstart.md",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }


def with_links(text: str, repository: str) -> str:
    """The README with links that work anywhere."""

    def change(match: re.Match[str]) -> str:
        is_picture, shown, target = match.groups()
        if repository:
            kind = "raw" if is_picture else "blob"
            return f"{is_picture}[{shown}]({repository}/{kind}/main/{target})"
        return "" if is_picture else shown

    changed = LINK.sub(change, text)
    return changed if repository else re.sub(r"\n{3,}", "\n\n", changed)
