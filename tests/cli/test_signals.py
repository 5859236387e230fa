"""Signals are noted, and the handlers of before come back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from impasto.cli.stopping import stopping


def test_one_ctrl_c_is_noted_and_two_are_obeyed() -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with stopping(said.append) as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGINT)
        assert stop
        assert stop.interrupted
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_is_noted() -> None:
    with stopping(lambda text: None) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.terminated


def test_other_threads_take_no_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stopping(lambda text: None) as stop:
            seen.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
