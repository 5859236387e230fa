"""One item, painted: what a worker does, wherever it runs."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from impasto.arbitrary.api import quick
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig
from impasto.config.video import ENGINES
from impasto.encoders import Encoder, get_encoder
from impasto.errors import DiskFullError, ImpastoError, InputError, UsageError, WeightsError
from impasto.image.files import write_bytes
from impasto.image.io import encode_image
from impasto.image.swatches import SWATCHES
from impasto.machine.devices import threads
from impasto.objective.style_cache import StyleCache
from impasto.runs.result import Result, with_places
from impasto.transfer.stylization import Stylization


@dataclass(frozen=True)
class Task:
    """An item on its way to a worker.

    ``content`` and ``styles`` are paths and swatches, or the content of files where workers do not
    share the folder; ``output`` is the file to write, or None to return its bytes as ``suffix``.
    ``names`` are content and styles as the metadata call them: swatches, or paths relative to the
    picture, so that ``impasto replay`` finds them.
    """

    number: int
    content: str | bytes
    styles: tuple[str | bytes, ...]
    engine: str
    settings: Mapping[str, Any]
    output: str | None
    suffix: str
    threads: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a task: the ``sha256`` of the file and perhaps its ``data``; or an ``error``,
    which comes ``again`` however often one tries, or because the disk is ``full``."""

    sha256: str = ""
    seconds: float = 0.0
    data: bytes | None = field(default=None, repr=False)
    error: str = ""
    again: bool = False
    full: bool = False


class Executor(Protocol):
    """Who carries out tasks: items of a batch, shots of a clip. ``slots`` is how many are worth
    having on the way at once."""

    @property
    def slots(self) -> int: ...

    def submit(self, task: Any) -> None:
        """Begin a task, or line it up."""

    def wait(self) -> list[tuple[Any, Outcome]]:
        """Wait until at least one task is over; those that are. A worker that died is an outcome
        with an error."""

    def close(self) -> None:
        """Let go of the workers."""


class InProcess:
    """Tasks one after the other, here."""

    slots = 1

    def __init__(self, perform: Callable[[Any], Outcome] | None = None) -> None:
        self.perform = perform or carry_out
        self.tasks: list[Any] = []

    def submit(self, task: Any) -> None:
        """Line it up."""
        self.tasks.append(task)

    def wait(self) -> list[tuple[Any, Outcome]]:
        """Carry out the next one."""
        task = self.tasks.pop(0)
        return [(task, self.perform(task))]

    def close(self) -> None:
        """Nothing."""


def carry_out(task: Task) -> Outcome:
    """Paint a task and write or return its file; never raises but for Ctrl-C."""
    began = time.perf_counter()
    try:
        with threads(task.threads):
            data = _paint(task)
        if task.output is not None:
            write_bytes(task.output, data)
        return Outcome(
            sha256=hashlib.sha256(data).hexdigest(),
            seconds=time.perf_counter() - began,
            data=data if task.output is None else None,
        )
    except Exception as error:  # of any kind: one item must not end the others
        return replace(failure(error), seconds=time.perf_counter() - began)


def failure(error: Exception) -> Outcome:
    """The outcome of a task that raised."""
    if not isinstance(error, ImpastoError):
        return Outcome(error=f"{type(error).__name__}: {error}")
    again = isinstance(error, InputError | UsageError | WeightsError)
    return Outcome(error=str(error), again=again, full=isinstance(error, DiskFullError))


def _paint(task: Task) -> bytes:
    config = ENGINES[task.engine]().with_changes(**task.settings)
    styles = list(task.styles)
    result: Result
    if isinstance(config, QuickConfig):
        result = quick(task.content, styles, config)
    else:
        encoder, seen = _encoder(config)
        run = Stylization(task.content, styles, config, encoder=encoder, style_cache=seen)
        result = run.finish()
    metadata = _with_names(result.metadata, task)
    for changing in ("seconds", "machine"):  # the same item is the same file, wherever it is made
        metadata.pop(changing, None)
    return encode_image(
        result.image,
        task.suffix,
        alpha=result.alpha if task.suffix not in (".jpg", ".jpeg") else None,
        metadata=metadata,
        exif=result.exif,
    )


def _with_names(metadata: dict[str, Any], task: Task) -> dict[str, Any]:
    """Metadata in which pictures are called the same wherever they were read."""

    def named(told: dict[str, Any], name: str) -> dict[str, Any]:
        rest = {key: value for key, value in told.items() if key not in ("path", "swatch")}
        return {"swatch" if name in SWATCHES else "path": name, **rest}

    folder = Path(task.output or ".").parent
    metadata = with_places(metadata, lambda place: Path(os.path.relpath(place, folder)).as_posix())
    if not task.names:
        return metadata
    content, *styles = task.names
    told = metadata["style"]
    if isinstance(told, list):
        told = [named(one, name) for one, name in zip(told, styles, strict=True)]
    else:
        told = named(told, styles[0])
    return {**metadata, "content": named(metadata["content"], content), "style": told}


def _encoder(config: StylizeConfig) -> tuple[Encoder, StyleCache]:
    return _read_encoder(config.encoder, config.flavour, config.pooling, config.padding)


@lru_cache(maxsize=2)
def _read_encoder(
    name: str, flavour: Any, pooling: Any, padding: Any
) -> tuple[Encoder, StyleCache]:
    """An encoder, read once in each worker, and what it has seen in styles."""
    encoder = get_encoder(name, flavour=flavour, pooling=pooling, padding=padding)
    return encoder, StyleCache()
