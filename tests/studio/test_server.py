"""Addresses, ports, folders."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from filelock import FileLock

from impasto.errors import ConfigError, UsageError
from impasto.studio.server import Address, serve

TOKEN = "x" * 16


def test_others_need_a_token() -> None:
    with pytest.raises(ConfigError, match="there is no token"):
        Address("0.0.0.0")
    with pytest.raises(ConfigError, match="at least 16"):
        Address("0.0.0.0", token="short")
    assert "*" in Address("0.0.0.0", token=TOKEN).hosts
    assert "*" not in Address("192.168.1.5", token=TOKEN).hosts
    assert set(Address().hosts) == {"127.0.0.1", "localhost", "::1"}


def test_one_studio_has_a_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / "studio.lock"), pytest.raises(UsageError, match="another studio"):
        serve(Address(), tmp_path)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            serve(Address(port=taken.getsockname()[1]), tmp_path)
