"""``stylize_batch``: many pictures painted, each once, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.batch.cluster import DaskWorkers
from impasto.batch.ledger import Entry, Ledger
from impasto.batch.local import LocalWorkers
from impasto.batch.manifest import (
    FILES,
    Item,
    full_paths,
    hash_of,
    matrix,
    read_manifest,
    source_bytes,
)
from impasto.batch.report import summary_page
from impasto.batch.work import Executor, InProcess, Outcome, Task, carry_out, failure
from impasto.errors import (
    ConfigError,
    DiskFullError,
    ImpastoError,
    OutputExistsError,
    ResourceError,
)
from impasto.events import Event, ItemDone, pass_on
from impasto.image.files import check_apart, write_bytes
from impasto.image.io import check_writable

SUMMARY, PAGE = "batch.json", "batch.html"


@dataclass(frozen=True)
class BatchResult:
    """What a batch came to: the outputs that are ``done``, those ``skipped`` because they were
    there and unchanged, those that ``failed`` with their errors, and the ``seconds``."""

    folder: Path
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def stylize_batch(
    contents: str | Path | Sequence[str | Path] | None,
    styles: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    manifest: str | Path | None = None,
    engine: str = "quick",
    vary: Mapping[str, Sequence[Any]] | None = None,
    name: str | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    ship: bool = False,
    threads: int | None = None,
    retries: int = 1,
    overwrite: bool = False,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> BatchResult:
    """Paint each of ``contents`` in each of ``styles`` with each combination of the values in
    ``vary`` into ``folder``; or the rows of a ``manifest``.

    Files, folders and patterns are as for :func:`impasto.batch.manifest.matrix`, names too.
    ``settings`` are those of the ``engine``: quick, or optimised. What is there and unchanged is
    skipped; what fails is tried again ``retries`` times and then set aside, and the others go on.
    ``workers`` processes share the work (0: this one alone), or those of the Dask ``scheduler`` at
    an address, to which pictures travel as bytes with ``ship``. ``threads`` are those of each
    worker; the same number gives the same pictures to the bit.

    Writes ``batch.json`` and ``batch.html`` beside the pictures. Raises ConfigError and
    UnknownNameError for what makes no sense, InputError where there is no content,
    OutputExistsError for files that the ledger does not know, DiskFullError when the disk is full.
    """
    folder = Path(folder).expanduser()
    if manifest is not None:
        items = read_manifest(manifest, folder, engine=engine, settings=settings, name=name)
    else:
        items = matrix(
            _texts(contents),
            _texts(styles),
            folder,
            engine=engine,
            settings=settings,
            vary=vary,
            name=name,
        )
    run = make_run(
        items,
        folder,
        workers=workers,
        scheduler=scheduler,
        ship=ship,
        threads=threads,
        retries=retries,
        overwrite=overwrite,
    )
    return run.finish(on_event)


def make_run(
    items: Sequence[Item],
    folder: Path,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    ship: bool = False,
    threads: int | None = None,
    **options: Any,
) -> BatchRun:
    """The run of ``items`` by the executor that is asked for; ``options`` are those of
    :class:`BatchRun`. Raises ConfigError where both workers and a scheduler are given."""
    executor = executor_maker(workers=workers, scheduler=scheduler, ship=ship, threads=threads)
    shipped = ship and scheduler is not None
    return BatchRun(items, folder, executor, ship=shipped, threads=threads, **options)


def executor_maker(
    perform: Callable[[Any], Outcome] = carry_out,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    ship: bool = False,
    threads: int | None = None,
) -> Callable[[], Executor]:
    """What makes the executor that is asked for, once there is something to do; ``perform``, which
    workers can import by name, carries out its tasks. Raises ConfigError where both workers and a
    scheduler are given."""
    if scheduler is not None and workers:
        raise ConfigError("both workers and a scheduler are given", "leave out one of them")
    if scheduler is not None:
        return lambda: DaskWorkers(scheduler, perform, ship=ship)
    if workers:
        return lambda: LocalWorkers(workers, threads, perform)
    return lambda: InProcess(perform)


class BatchRun:
    """One run of :func:`stylize_batch`: iterating yields an ItemDone for each item that is over,
    and each that is tried again. :meth:`close` lets go of the workers; what is done stays done."""

    def __init__(
        self,
        items: Sequence[Item],
        folder: Path,
        executor: Callable[[], Executor] = InProcess,
        *,
        ship: bool = False,
        threads: int | None = None,
        retries: int = 1,
        overwrite: bool = False,
    ) -> None:
        self.items, self.folder, self.make_executor = list(items), folder, executor
        self.ship, self.threads, self.retries = ship, threads, retries
        self.overwrite = overwrite
        self.executor: Executor | None = None
        self.done: list[str] = []
        self.skipped: list[str] = []
        self.failed: dict[str, str] = {}
        self.seconds = 0.0
        for suffix in {item.output.suffix for item in self.items}:
            _check_suffix(suffix)
        inputs = {name for item in self.items for name in (item.content, *item.styles)}
        check_apart({folder / item.output for item in self.items}, inputs)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"{folder} cannot be made: {error}", "choose another") from None
        self.keys: dict[int, str] = {}

    def __iter__(self) -> Iterator[ItemDone]:
        began = time.perf_counter()
        hash_of.cache_clear()
        with Ledger(self.folder) as ledger:
            todo = deque(self._sort_out(ledger))
            for output in self.skipped:
                yield self._event(output, "skipped")
            for output, error in self.failed.items():
                yield self._event(output, "failed", error=error)
            if todo:
                self.executor = self.make_executor()
            try:
                yield from self._work(ledger, todo)
            except BaseException:
                with suppress(ResourceError):  # what ended the batch is told, not this
                    self._end(began)
                raise
            self._end(began)

    def finish(self, on_event: Callable[[Event], None] | None = None) -> BatchResult:
        """Run to the end, pass on each event, and return the result."""
        pass_on(self, on_event)
        return self.result()

    def result(self) -> BatchResult:
        """What was reached."""
        return BatchResult(self.folder, self.done, self.skipped, self.failed, self.seconds)

    def close(self) -> None:
        """Let go of the workers."""
        if self.executor is not None:
            self.executor.close()
            self.executor = None

    # --- steps -----------------------------------------------------------------------------------

    def _sort_out(self, ledger: Ledger) -> list[int]:
        """The numbers of the items that are to be painted. Raises OutputExistsError."""
        todo, unknown = [], []
        for number, item in enumerate(self.items):
            output = self._name(item)
            try:
                key = item.key()
            except ImpastoError as error:  # one that cannot be read does not end the others
                self.failed[output] = str(error)
                ledger.start(output, "unreadable")
                ledger.fail(output, str(error), for_good=True)
                continue
            self.keys[number] = key
            known = ledger.get(output)
            is_there = item.output.is_file()
            if is_there and not self.overwrite and _is_unchanged(item.output, key, known):
                self.skipped.append(output)
                continue
            if is_there and known is None and not self.overwrite:
                unknown.append(output)
            todo.append(number)
        if unknown:
            raise OutputExistsError(
                f"{self.folder / unknown[0]} is there, and not made by a batch "
                f"({len(unknown)} such files)",
                "choose another folder, or allow overwriting",
            )
        return todo

    def _work(self, ledger: Ledger, todo: deque[int]) -> Iterator[ItemDone]:
        """Raises ResourceError where the disk is full, once what was on the way is over."""
        executor = self.executor
        attempts: dict[int, int] = {}
        running, full = 0, ""
        while todo or running:
            assert executor is not None
            while todo and running < executor.slots:
                number = todo.popleft()
                item = self.items[number]
                ledger.start(self._name(item), self.keys[number])
                attempts[number] = attempts.get(number, 0) + 1
                executor.submit(self._task(number, item))
                running += 1
            for task, outcome in executor.wait():
                running -= 1
                item = self.items[task.number]
                output = self._name(item)
                outcome = self._received(item, outcome)
                if not outcome.error:
                    ledger.finish(output, outcome.sha256, outcome.seconds)
                    self.done.append(output)
                    yield self._event(output, "done", seconds=outcome.seconds)
                    continue
                if outcome.full:  # so it would be for all others
                    full = outcome.error
                    todo.clear()
                    continue
                for_good = outcome.again or attempts[task.number] > self.retries
                ledger.fail(output, outcome.error, for_good=for_good)
                if for_good:
                    self.failed[output] = outcome.error
                elif not full:
                    todo.append(task.number)  # after the others: what ails it may have passed
                state = "failed" if for_good else "retried"
                yield self._event(output, state, error=outcome.error, seconds=outcome.seconds)
        if full:
            raise DiskFullError(full, "the same command goes on")

    def _end(self, began: float) -> None:
        self.seconds = time.perf_counter() - began
        self.close()
        self._write_summary()

    def _task(self, number: int, item: Item) -> Task:
        item.output.parent.mkdir(parents=True, exist_ok=True)
        content: str | bytes = item.content
        styles: tuple[str | bytes, ...] = item.styles
        if self.ship:
            content = source_bytes(item.content)
            styles = tuple(source_bytes(style) for style in item.styles)
        elif os.path.exists(item.content):
            content = os.path.abspath(item.content)
            styles = tuple(os.path.abspath(x) if os.path.isfile(x) else x for x in item.styles)
        return Task(
            number=number,
            content=content,
            styles=styles,
            engine=item.engine,
            settings=self._settings(item),
            output=None if self.ship else str(item.output.resolve()),
            suffix=item.output.suffix.lower(),
            threads=self.threads,
            names=tuple(_place(x, item.output.parent) for x in (item.content, *item.styles)),
        )

    def _settings(self, item: Item) -> dict[str, Any]:
        """The settings of an item for a worker. Raises ConfigError where masks would have to
        travel."""
        for name in FILES if self.ship else ():
            given = item.settings.get(name) or ()
            texts = [given] if isinstance(given, str) else given
            if any(os.path.isfile(text) for text in texts):
                raise ConfigError(
                    f"{name} names a file, and ship sends only contents and styles",
                    "use a folder that all machines share",
                )
        return full_paths(item.settings)

    def _received(self, item: Item, outcome: Outcome) -> Outcome:
        """An outcome whose bytes, if it came with some, are on disk."""
        if outcome.data is None:
            return outcome
        try:
            write_bytes(item.output, outcome.data)
        except ImpastoError as error:
            return failure(error)
        return outcome

    def _event(self, output: str, state: str, *, error: str = "", seconds: float = 0.0) -> ItemDone:
        over = len(self.done) + len(self.skipped) + len(self.failed)
        return ItemDone(
            output=output,
            state=state,
            done=over,
            total=len(self.items),
            failed=len(self.failed),
            seconds=round(seconds, 3),
            error=error,
        )

    def _name(self, item: Item) -> str:
        """The output as the ledger names it: relative to the folder, so that this may move."""
        return Path(os.path.relpath(item.output, self.folder)).as_posix()

    def _write_summary(self) -> None:
        told = {
            "total": len(self.items),
            "done": len(self.done),
            "skipped": len(self.skipped),
            "failed": [{"output": k, "error": v} for k, v in self.failed.items()],
            "seconds": round(self.seconds, 2),
            "items": [
                {
                    "output": self._name(item),
                    "content": item.content,
                    "style": list(item.styles),
                    "engine": item.engine,
                    "settings": dict(item.settings),
                }
                for item in self.items
            ],
        }
        data = json.dumps(told, indent=1, default=list).encode()
        write_bytes(self.folder / SUMMARY, data)
        write_bytes(self.folder / PAGE, summary_page(self.items, self.folder, self.failed).encode())


def _check_suffix(suffix: str) -> None:
    """UnknownNameError for a format that is not written."""
    check_writable(Path(f"x{suffix}").resolve())


def _place(source: str, folder: Path) -> str:
    """A picture as seen from ``folder``; the name of a swatch."""
    if not os.path.isfile(os.path.expanduser(source)):
        return source
    return Path(os.path.relpath(os.path.expanduser(source), folder)).as_posix()


def _is_unchanged(path: Path, key: str, known: Entry | None) -> bool:
    """Whether the file is the one that was made for ``key``."""
    if known is None or known.state != "done" or known.key != key:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == known.sha256


def _texts(given: str | Path | Sequence[str | Path] | None) -> list[str]:
    if given is None:
        return []
    return [str(x) for x in ([given] if isinstance(given, str | Path) else given)]
