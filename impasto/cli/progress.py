"""How far a run is: a bar on a terminal, now and then a line elsewhere, or nothing; on stderr.

The bar, the clock and the time left are rich's. A step counts as many pixels as its level has.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from impasto.cli.messages import give_up, message, printable
from impasto.events import Event, LevelDone, LevelStarted, Step, Trained, Validated

if TYPE_CHECKING:
    from impasto.optim.pyramid import Level

PAUSE = 10.0  # seconds between lines where there is no terminal
REFRESH = 0.125  # seconds between two states of the bar
MEMORY = 600.0  # seconds of the run from which the time left is estimated: its last ten minutes


def make_progress(levels: Sequence[Level] = (), *, quiet: bool = False) -> Progress:
    """The progress that suits this process's stderr; without ``levels`` that of a training."""
    shown = not quiet and sys.stderr is not None
    live = False
    with suppress(Exception):
        live = shown and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Progress(levels, live=live, shown=shown)


class Progress:
    """A bar that changes in place where it is ``live``, else a line every ten seconds; nothing
    where it is not ``shown``. Nothing here raises: a picture is worth more than its bar."""

    def __init__(self, levels: Sequence[Level] = (), *, live: bool, shown: bool = True) -> None:
        self.live, self.shown = live, shown
        self.pixels = [level.height * level.width for level in levels]
        work = [level.steps * pixels for level, pixels in zip(levels, self.pixels, strict=True)]
        self.before = list(accumulate(work, initial=0))
        self.time_left = TimeRemainingColumn()
        self.bar = rich.progress.Progress(
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[place]}"),
            self.time_left,
            _LossColumn(),
            console=_console(),
            auto_refresh=False,
            disable=not live,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=MEMORY,
        )
        task = self.bar.add_task("", total=self.before[-1] or 1.0, place="", loss="")
        self.task = self.bar.tasks[task]
        self.told = self.drawn = time.monotonic()

    def __enter__(self) -> Progress:
        with suppress(Exception):
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.bar.stop()

    def on_event(self, event: Event) -> None:
        """Move the bar, or write a line where it is time for one."""
        with suppress(Exception):
            self._show(event)

    def on_count(
        self, name: str, done: int, total: int | None, text: Callable[[int], str] = str
    ) -> None:
        """The same for something that is counted; ``text`` writes the numbers."""
        self.task.description, self.task.total = name, total
        with suppress(Exception):
            self._move(text(done) if total is None else f"{text(done)} of {text(total)}", done)

    def message(self, text: str) -> None:
        """One line for the user, above the bar."""
        self.told = time.monotonic()
        if not self.live:
            message(text, quiet=not self.shown)
            return
        with suppress(Exception):
            self.bar.console.print(f"impasto: {printable(text)}", markup=False, soft_wrap=True)

    def _show(self, event: Event) -> None:
        if isinstance(event, LevelStarted):
            size = f"({event.height}x{event.width})"
            self.task.description = f"level {event.level + 1}/{event.levels} {size}"
            if not self.live:
                self.message(f"{self.task.description}: {event.steps} steps")
        elif isinstance(event, Step):
            if event.note:
                self.message(event.note)
            self._move(
                f"step {event.index}/{event.steps}",
                self.before[event.level] + event.index * self.pixels[event.level],
                losses_text(event.total, event.losses),
            )
        elif isinstance(event, LevelDone) and not self.live:
            self.message(f"level {event.level + 1}/{event.levels} done in {event.seconds:.1f} s")
        elif isinstance(event, Trained):
            self.task.description = "training"
            losses = losses_text(event.total, event.losses)
            self._move(f"step {event.step}", event.progress, losses)
        elif isinstance(event, Validated):
            found = f"loss {losses_text(event.total, event.losses)}"
            best = ", the best so far" if event.best else ""
            self.message(f"validation at step {event.step}: {found}{best}")

    def _move(self, place: str, completed: float, losses: str = "") -> None:
        now, loss = time.monotonic(), f"loss {losses}" if losses else ""
        self.bar.update(self.task.id, completed=completed, place=place, loss=loss)
        if self.live and now - self.drawn >= REFRESH:
            self.drawn = now
            self.bar.refresh()
        elif not self.live and now - self.told >= PAUSE:
            parts = [place, loss]
            if self.task.total is not None:
                left = self.time_left.render(self.task)
                parts = [place, f"{self.task.percentage:.0f} %", loss, f"{left} left"]
            told = ", ".join(part for part in parts if part)
            self.message(f"{self.task.description}: {told}")


def _console() -> _Console:
    try:
        return _Console(file=sys.stderr, highlight=False)
    except ValueError:  # COLUMNS is "²", which rich takes for a number
        return _Console(file=sys.stderr, highlight=False, width=80, height=25)


class _LossColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """As much of the losses as the terminal is wide."""
        return Text(task.fields["loss"], "dim", no_wrap=True, overflow="ellipsis")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads any more; rich would end the process, and the picture with it."""
        give_up(sys.stderr)


def losses_text(total: float, losses: Mapping[str, float]) -> str:
    """Losses for people.

    >>> losses_text(2.5, {"content": 0.5, "style": 2.0})
    '2.5 (content 0.5, style 2)'
    """
    return f"{total:.4g} ({', '.join(f'{name} {value:.3g}' for name, value in losses.items())})"
