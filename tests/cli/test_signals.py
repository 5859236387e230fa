"""Signals are noted, and the handlers of before come back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from impasto.cli.signals import deferred_signals


def test_one_ctrl_c_is_noted_and_two_are_obeyed() -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with deferred_signals(said.append) as received:
        assert not received
        os.kill(os.getpid(), signal.SIGINT)
        assert received
        assert received.interrupted
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_is_noted() -> None:
    with deferred_signals(lambda text: None) as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received.ended_by == "SIGTERM"


def test_other_threads_take_no_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with deferred_signals(lambda text: None) as received:
            seen.append(bool(received))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
