"""One version, wherever one asks."""

from __future__ import annotations

import importlib.metadata

import impasto
from impasto.config.version import __version__


def test_version_is_that_of_the_installed_package() -> None:
    assert impasto.__version__ == __version__ == importlib.metadata.version("impasto")
