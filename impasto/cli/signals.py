"""Ctrl-C, SIGTERM and SIGHUP: noted when they come, obeyed between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Received:
    """Which signal has come, if any: ``interrupted`` by Ctrl-C, ``terminated`` by SIGTERM or by
    SIGHUP, which is then ``hung_up``."""

    def __init__(self) -> None:
        self.interrupted = False
        self.terminated = False
        self.hung_up = False

    def __bool__(self) -> bool:
        return self.interrupted or self.terminated


@contextmanager
def deferred_signals(message: Callable[[str], None]) -> Iterator[Received]:
    """Within the block signals only set the :class:`Received` that is yielded, to be looked at.

    A second Ctrl-C raises KeyboardInterrupt on the spot. Outside of the main thread, where Python
    takes no signals, nothing is changed.
    """
    received = Received()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if received.interrupted:
            raise KeyboardInterrupt
        received.interrupted = True
        message("stopping after this step; Ctrl-C once more stops at once")

    def on_terminate(number: int, frame: FrameType | None) -> None:
        received.terminated = True
        received.hung_up = number != signal.SIGTERM

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, on_interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_terminate),
    }
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup ignores it
        before[hang_up] = signal.signal(hang_up, on_terminate)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
