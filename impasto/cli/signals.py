"""Ctrl-C, SIGTERM and SIGHUP: noted when they come, obeyed between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Received:
    """Which signal has come, if any: ``interrupted`` by Ctrl-C, or ``ended_by`` one that is
    named."""

    interrupted: bool = False
    ended_by: str = ""

    def __bool__(self) -> bool:
        return self.interrupted or bool(self.ended_by)


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

    def on_end(number: int, frame: FrameType | None) -> None:
        received.ended_by = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {signal.SIGINT: on_interrupt, signal.SIGTERM: on_end}
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup ignores it
        handlers[hang_up] = on_end
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
