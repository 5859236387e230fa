"""How far a run is: a bar on a terminal, now and then a line elsewhere, or nothing; on stderr.

The bar, the clock and the time left are rich's. A step counts as many pixels as its level has.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from impasto.cli.messages import message
from impasto.events import Event, LevelDone, LevelStarted, Step, Trained, Validated

if TYPE_CHECKING:
    from impasto.optim.pyramid import Level

PAUSE = 10.0  # seconds between lines where there is no terminal
REFRESH = 0.125  # seconds between two states of the bar
MEMORY = 600.0  # seconds of the run from which the time left is estimated: its last ten minutes


class Progress(Protocol):
    """What a run is followed by. Nothing here raises: a picture is worth more than its bar."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *_: object) -> None: ...

    def on_event(self, event: Event) -> None:
        """Show where the run is now."""

    def message(self, text: str) -> None:
        """One line for the user."""


def make_progress(levels: Sequence[Level] = (), *, quiet: bool = False) -> Progress:
    """The progress that suits this process's stderr; without ``levels`` that of a training."""
    if quiet or sys.stderr is None:
        return NullProgress()
    with suppress(Exception):
        return RunProgress(levels, live=sys.stderr.isatty() and os.environ.get("TERM") != "dumb")
    return NullProgress()


@contextmanager
def counter(
    name: str, text: Callable[[int], str] = str, *, quiet: bool = False
) -> Iterator[Callable[[int, int | None], None]]:
    """Shows how many of how many are done: yields what takes both numbers; ``text`` writes them.

    A bar on a terminal, a line every ten seconds elsewhere.
    """
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    live = not quiet and sys.stderr is not None and sys.stderr.isatty()
    console, told = Console(file=sys.stderr), time.monotonic()
    with RichProgress(console=console, disable=not live, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None) -> None:
            nonlocal told
            bar.update(task, completed=done, total=total)
            if not live and time.monotonic() - told >= PAUSE:
                told = time.monotonic()
                of = "" if total is None else f" of {text(total)}"
                message(f"{name}: {text(done)}{of}", quiet=quiet)

        yield show


class NullProgress:
    """Shows nothing."""

    def __enter__(self) -> NullProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""


class RunProgress:
    """A bar that changes in place where it is ``live``, else a line every ten seconds."""

    def __init__(self, levels: Sequence[Level], *, live: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        class LossColumn(ProgressColumn):
            def render(self, task: Task) -> Text:
                """As much of the losses as the terminal is wide."""
                return Text(task.fields["loss"], "dim", no_wrap=True, overflow="ellipsis")

        self.live = live
        self.pixels = [level.height * level.width for level in levels]
        work = [level.steps * pixels for level, pixels in zip(levels, self.pixels, strict=True)]
        self.before = list(accumulate(work, initial=0))
        self.time_left = TimeRemainingColumn()
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[step]}"),
            self.time_left,
            LossColumn(),
            console=Console(file=sys.stderr, highlight=False),
            auto_refresh=False,
            disable=not live,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=MEMORY,
        )
        task = self.bar.add_task("", total=self.before[-1] or 1.0, step="", loss="")
        self.task = self.bar.tasks[task]
        self.told = self.drawn = time.monotonic()

    def __enter__(self) -> RunProgress:
        with suppress(Exception):
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.bar.stop()

    def on_event(self, event: Event) -> None:
        """Move the bar, or write a line where it is time for one; never raises."""
        with suppress(Exception):
            self._show(event)

    def message(self, text: str) -> None:
        """One line for the user, above the bar; never raises."""
        self.told = time.monotonic()
        if not self.live:
            message(text)
            return
        with suppress(Exception):
            self.bar.console.print(f"impasto: {text}", markup=False, soft_wrap=True)

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
                event.total,
                event.losses,
                completed=self.before[event.level] + event.index * self.pixels[event.level],
            )
        elif isinstance(event, LevelDone) and not self.live:
            self.message(f"level {event.level + 1}/{event.levels} done in {event.seconds:.1f} s")
        elif isinstance(event, Trained):
            self.task.description = "training"
            self._move(f"step {event.step}", event.total, event.losses, completed=event.progress)
        elif isinstance(event, Validated):
            self.message(validation_text(event))

    def _move(
        self, step: str, total: float, losses: Mapping[str, float], *, completed: float
    ) -> None:
        loss, now = f"loss {losses_text(total, losses)}", time.monotonic()
        self.bar.update(self.task.id, completed=completed, step=step, loss=loss)
        if self.live and now - self.drawn >= REFRESH:
            self.drawn = now
            self.bar.refresh()
        elif not self.live and now - self.told >= PAUSE:
            share, left = self.task.percentage, self.time_left.render(self.task)
            self.message(f"{self.task.description}: {step}, {share:.0f} %, {loss}, {left} left")


def validation_text(event: Validated) -> str:
    """A validation for people.

    >>> import torch
    >>> validation_text(Validated(500, 0.25, {"style": 0.2}, True, torch.zeros(0)))
    'validation at step 500: loss 0.25 (style 0.2), the best so far'
    """
    best = ", the best so far" if event.best else ""
    return f"validation at step {event.step}: loss {losses_text(event.total, event.losses)}{best}"


def losses_text(total: float, losses: Mapping[str, float]) -> str:
    """Losses for people.

    >>> losses_text(2.5, {"content": 0.5, "style": 2.0})
    '2.5 (content 0.5, style 2)'
    """
    return f"{total:.4g} ({', '.join(f'{name} {value:.3g}' for name, value in losses.items())})"
