"""How far a run is: a live line on a terminal, now and then a plain one elsewhere, or nothing.

The only importer of rich. Everything goes to stderr.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from impasto.events import Event, LevelDone, LevelStarted, Step, Trained, Validated

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    from impasto.optim.pyramid import Level

PAUSE = 10.0  # seconds between plain lines


class Progress(Protocol):
    """What a run is told of."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *_: object) -> None: ...

    def on_event(self, event: Event) -> None:
        """Show where the run is now."""

    def say(self, text: str) -> None:
        """One line for the user."""


@contextmanager
def log_shown(*, quiet: bool = False) -> Iterator[None]:
    """What the package logs inside the block (what takes long and has no steps), line by line."""
    if quiet or sys.stderr is None:
        yield
        return
    log, handler = logging.getLogger("impasto"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("impasto: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def make_progress(levels: Sequence[Level], *, quiet: bool = False) -> Progress:
    """What suits this process's stderr."""
    if quiet or sys.stderr is None:
        return Silence()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(levels)
    return PlainProgress(levels)


class Clock:
    """Speed, and time left over all levels, from the steps seen so far.

    A step's cost is taken to be proportional to its pixels. The first step, which warms up, tells
    of the time left only until there is another.

    >>> from impasto.optim.pyramid import Level
    >>> clock = Clock([Level(10, 10, 4), Level(20, 20, 4)], now=0.0)
    >>> clock.tick(0, 1, 5.0), clock.tick(0, 2, 6.0)
    (95.0, 18.0)
    """

    def __init__(self, levels: Sequence[Level], now: float | None = None) -> None:
        self.costs = [level.height * level.width for level in levels]
        totals = [level.steps * cost for level, cost in zip(levels, self.costs, strict=True)]
        self.before = [sum(totals[:number]) for number in range(len(totals))]
        self.total = sum(totals)
        self.per_second = 0.0
        self._last = time.perf_counter() if now is None else now
        self._first: tuple[int, float] | None = None
        self._pace: tuple[int, float] | None = None  # level, seconds for a step

    def tick(self, level: int, index: int, now: float | None = None) -> float:
        """Note that step ``index`` (from 1) of ``level`` is done; returns the seconds left."""
        now = time.perf_counter() if now is None else now
        seconds = max(now - self._last, 1e-9)
        self._last = now
        if self._pace is not None and self._pace[0] == level and index > 2:
            seconds += 0.9 * (self._pace[1] - seconds)
        self._pace = level, seconds
        self.per_second = 1 / seconds
        done = self.before[level] + self.costs[level] * index
        if self._first is None:  # a resumed run begins in the middle
            self._first = done, now
            return (self.total - done) * seconds / self.costs[level]
        return (self.total - done) * (now - self._first[1]) / (done - self._first[0])


class Silence:
    """Tells nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class PlainProgress:
    """Plain lines, for logs: at each level's beginning and end, and every ten seconds."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.clock = Clock(levels)
        self.levels = levels
        self.told = time.perf_counter()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """A line where there is something new to tell."""
        if isinstance(event, LevelStarted):
            self.say(f"{_level(event)}: {event.steps} steps")
        elif isinstance(event, Step):
            left = self.clock.tick(event.level, event.index)
            if event.note:
                self.say(event.note)
            if time.perf_counter() - self.told >= PAUSE:
                self.say(
                    f"level {event.level + 1}/{len(self.levels)}: step {event.index}/{event.steps},"
                    f" loss {losses_text(event.total, event.losses)},"
                    f" {speed_text(self.clock.per_second)}, {time_text(left)} left"
                )
        elif isinstance(event, LevelDone):
            self.say(f"level {event.level + 1}/{event.levels} done in {event.seconds:.1f} s")

    def say(self, text: str) -> None:
        """One line for the user."""
        self.told = time.perf_counter()
        print(f"impasto: {text}", file=sys.stderr, flush=True)


class LiveProgress:
    """One line and a bar that change in place."""

    def __init__(self, levels: Sequence[Level]) -> None:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        self.clock = Clock(levels)
        self.steps = sum(level.steps for level in levels)
        self.before = [sum(level.steps for level in levels[:k]) for k in range(len(levels))]
        self.bar = ProgressBar(total=self.steps, width=30)
        self.head, self.tail, self.terms = Text(""), Text(""), Text("", style="dim")
        self.console, self.live = live_lines(self.head, self.bar, self.tail, self.terms)

    def __enter__(self) -> Progress:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def on_event(self, event: Event) -> None:
        """Change what is shown."""
        if isinstance(event, LevelStarted):
            self.head.plain = _level(event)
        elif isinstance(event, Step):
            left = self.clock.tick(event.level, event.index)
            self.bar.update(self.before[event.level] + event.index)
            self.tail.plain = (
                f"step {event.index}/{event.steps}  {speed_text(self.clock.per_second)}"
                f"  {time_text(left)} left"
            )
            self.terms.plain = f"loss {losses_text(event.total, event.losses)}"
            if event.note:
                self.say(event.note)

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.console.print(f"impasto: {text}", markup=False, soft_wrap=True)


def live_lines(head: Text, bar: ProgressBar, tail: Text, terms: Text) -> tuple[Console, Live]:
    """A console on stderr, and two lines on it that change in place."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    console = Console(file=sys.stderr, highlight=False)
    line = Table.grid(padding=(0, 1))
    line.add_row(head, bar, tail)
    screen = Table.grid()
    screen.add_row(line)
    screen.add_row(terms)
    return console, Live(screen, console=console, refresh_per_second=8, transient=True)


def make_training_progress(*, quiet: bool = False) -> Progress:
    """The same for a training, which has no levels."""
    if quiet or sys.stderr is None:
        return Silence()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return LiveTraining()
    return PlainTraining()


class PlainTraining:
    """Plain lines, for logs: at each validation, and every ten seconds."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.told = time.perf_counter()

    def __enter__(self) -> PlainTraining:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """A line where there is something new to tell."""
        if isinstance(event, Validated):
            self.say(validation_text(event))
        elif isinstance(event, Trained):
            left = self.pace.tick(event)
            if time.perf_counter() - self.told >= PAUSE:
                self.say(
                    f"step {event.step}, {event.progress:.0%}: loss"
                    f" {losses_text(event.total, event.losses)},"
                    f" {speed_text(self.pace.per_second)}, {time_text(left)} left"
                )

    def say(self, text: str) -> None:
        """One line for the user."""
        self.told = time.perf_counter()
        print(f"impasto: {text}", file=sys.stderr, flush=True)


class LiveTraining:
    """One line and a bar that change in place; a line stays for each validation."""

    def __init__(self) -> None:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        self.pace = Pace()
        self.bar = ProgressBar(total=1.0, width=30)
        self.head, self.tail, self.terms = Text("training"), Text(""), Text("", style="dim")
        self.console, self.live = live_lines(self.head, self.bar, self.tail, self.terms)

    def __enter__(self) -> LiveTraining:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def on_event(self, event: Event) -> None:
        """Change what is shown."""
        if isinstance(event, Validated):
            self.say(validation_text(event))
        elif isinstance(event, Trained):
            left = self.pace.tick(event)
            self.bar.update(event.progress)
            self.tail.plain = (
                f"step {event.step}  {speed_text(self.pace.per_second)}  {time_text(left)} left"
            )
            self.terms.plain = f"loss {losses_text(event.total, event.losses)}"

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.console.print(f"impasto: {text}", markup=False, soft_wrap=True)


class Pace:
    """Speed, and time left, of a training; both as it has been going lately.

    >>> pace = Pace()
    >>> pace.tick(Trained(1, 0.01, 1.0, {}, 2.0)), pace.tick(Trained(2, 0.02, 1.0, {}, 4.0))
    (198.0, 196.0)
    """

    def __init__(self) -> None:
        self.per_second = 0.0
        self._last: float | None = None

    def tick(self, event: Trained) -> float:
        """Note a step; returns the seconds left."""
        if self._last is not None:  # a resumed training begins in the middle
            seconds = max(event.seconds - self._last, 1e-9)
            before = self.per_second or 1 / seconds
            self.per_second = 0.95 * before + 0.05 / seconds
        self._last = event.seconds
        return event.seconds * (1 - event.progress) / max(event.progress, 1e-9)


def validation_text(event: Validated) -> str:
    """A validation for people.

    >>> import torch
    >>> validation_text(Validated(500, 0.25, {"style": 0.2}, True, torch.zeros(0)))
    'validation at step 500: loss 0.25 (style 0.2), the best so far'
    """
    best = ", the best so far" if event.best else ""
    told = losses_text(event.total, event.losses)
    return f"validation at step {event.step}: loss {told}{best}"


def losses_text(total: float, losses: Mapping[str, float]) -> str:
    """Losses for people.

    >>> losses_text(2.5, {"content": 0.5, "style": 2.0})
    '2.5 (content 0.5, style 2)'
    """
    return f"{total:.4g} ({', '.join(f'{name} {value:.3g}' for name, value in losses.items())})"


def speed_text(per_second: float) -> str:
    """Steps in a second, or seconds for a step.

    >>> speed_text(12.34), speed_text(0.25)
    ('12.3 it/s', '4.0 s/it')
    """
    return f"{per_second:.1f} it/s" if per_second >= 1 else f"{1 / max(per_second, 1e-6):.1f} s/it"


def time_text(seconds: float) -> str:
    """A duration for people.

    >>> time_text(8.2), time_text(75), time_text(4000)
    ('8 s', '1:15', '1:06:40')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return (
        f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    )


def _level(event: LevelStarted) -> str:
    return f"level {event.level + 1}/{event.levels} ({event.height}x{event.width})"
