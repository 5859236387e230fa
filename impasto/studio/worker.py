"""The process that paints: it takes jobs from the store, one after the other, until it is stopped.

Between two steps of a painting it makes the instant jobs that have come meanwhile, so that nobody
waits for a preview. Whatever happens to this process happens to one job.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing import connection, parent_process
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError, ResourceError
from impasto.image.swatches import SWATCHES
from impasto.studio.recipe import INSTANT, REST, Recipe, can_write_mp4, result_path
from impasto.studio.store import (
    CANCELLED,
    DISK_FULL,
    DONE,
    FAILED,
    PAUSED,
    QUEUED,
    STOPPED,
    Job,
    Store,
)

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.dream.deepdream import Dream
    from impasto.runs.result import Result
    from impasto.transfer.stylization import Stylization

BEAT = 2.0
PREVIEW_PAUSE = 0.5
"""Seconds between two previews of a painting, at least; they take no more than a tenth of the
time."""
PREVIEW_SHARE = 0.1
PREVIEW_SIZE = 1024
FRAMES, FRAME_SIZE = 40, 384
POINTS = 400
"""Of the curve of losses, at most."""
_FOLDERS = re.compile(r"[^'\" ]*/(?:pictures|jobs)/[0-9a-f]{32}/")
# Where the store lies is nobody's business.
HELD = 6
"""Pictures that stay decoded for previews, the last ones used."""
WARM = 0.25
"""Seconds that an idle worker sleeps where nobody wakes it."""


@dataclass(frozen=True)
class Signals:
    """Between the service and its worker: ``wake`` says that there may be work, ``stop`` that the
    service ends, ``ready`` that the worker can paint."""

    wake: ProcessEvent
    stop: ProcessEvent
    ready: ProcessEvent


def work(folder: Path, signals: Signals, lease: str, threads: int | None) -> None:
    """Take jobs until ``signals.stop``; the body of the worker process."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):  # the service tells when to stop
        signal.signal(number, signal.SIG_IGN)
    os.environ["IMPASTO_OFFLINE"] = "1"
    import torch

    from impasto.machine.devices import keep_freed_memory

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    store = Store(folder)
    _watch_parent()
    threading.Thread(target=_beat, args=(store, lease), daemon=True).start()
    worker = Worker(store, signals, lease)
    if not store.waiting():
        worker.warm_up()
    signals.ready.set()
    while not signals.stop.is_set():
        signals.wake.clear()
        try:
            job = store.claim(lease)
        except sqlite3.OperationalError:  # the disk is full: there will be room again
            time.sleep(1)
            continue
        if job is None:
            signals.wake.wait(WARM)
        else:
            worker.run(job)
    store.close()


@dataclass
class Worker:
    """Makes jobs of a store."""

    store: Store
    signals: Signals
    lease: str
    pictures: dict[str, Any] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Load the networks before somebody waits for them."""
        from impasto.arbitrary.api import quick
        from impasto.image.swatches import swatch
        from impasto.objective.finder import find_subject

        quick(swatch("waves", size=64), "waves", size=64)
        find_subject(swatch("waves", size=64))

    def run(self, job: Job) -> None:
        """Make one job, and leave it in the state that it came to."""
        folder = self.store.job_folder(job.id)
        try:
            folder.mkdir(exist_ok=True)
            recipe = Recipe.from_json(job.recipe)
            if job.kind in INSTANT:
                self._instant(job, recipe, folder)
            else:
                self._paint(job, recipe, folder)
        except (ResourceError, OSError, sqlite3.OperationalError) as error:
            self._end(job, PAUSED if is_disk_full(error) else FAILED, problem=told_of(error))
        except ImpastoError as error:
            self._end(job, FAILED, problem=told_of(error))
        except MemoryError as error:
            self._end(job, FAILED, problem=told_of(error))
        except Exception as error:  # a fault of ours must not end the service
            traceback.print_exc()
            self._end(job, FAILED, problem=told_of(error))

    # --- instant ---------------------------------------------------------------------------------

    def _instant(self, job: Job, recipe: Recipe, folder: Path) -> None:
        import torch

        began = time.perf_counter()
        if job.kind == "quick":
            told = self._quick(job, recipe, folder)
        elif job.kind == "plan":
            run = self._run_of(recipe, None, resume=False)
            told = plan_of(run)
        else:
            from impasto.image.io import resize, save_image
            from impasto.objective.finder import find_subject

            photo = self._photo(recipe)
            mask = resize(find_subject(photo.pixels), photo.size).clamp(0, 1)
            save_image(folder / "preview.png", mask.expand(1, 3, -1, -1))
            told = {"height": photo.size[0], "width": photo.size[1]}
        told["threads"] = torch.get_num_threads()
        told["seconds"] = round(time.perf_counter() - began, 3)
        self._end(job, DONE, progress={**told, "fraction": 1.0})

    def _quick(self, job: Job, recipe: Recipe, folder: Path) -> dict[str, Any]:
        from impasto.arbitrary.api import quick
        from impasto.image.io import save_image

        content: Any = self._photo(recipe) if recipe.screen else self._path(recipe.content)
        masks = self._masks(recipe)
        styles: list[Any] = self._styles(recipe)
        if not job.kept:
            styles = [self._picture(style) for style in styles]
        result = quick(content, styles, recipe.config(), **masks)
        if job.kept:
            self._keep(result, recipe, folder)
        save_image(folder / "preview.jpg", result.image, quality=92)
        height, width = result.image.shape[-2:]
        return {"height": height, "width": width, "preview": 1}

    # --- a painting ------------------------------------------------------------------------------

    def _paint(self, job: Job, recipe: Recipe, folder: Path) -> None:
        from impasto.events import Finished, Step

        run = self._run_of(recipe, folder / "checkpoint", resume=True)
        steps = sum(level.steps for level in run.levels)
        chosen = {1 + round((steps - 1) * (k / (FRAMES - 1)) ** 1.7) for k in range(FRAMES)}
        told: dict[str, Any] = {**plan_of(run), "preview": job.progress.get("preview", 0)}
        shown, pause = 0.0, 0.0
        stopped = False
        wanted = self.store.tell(job.id, self.lease, {**told, **_reached(run)})
        for event in run:
            if isinstance(event, Step):
                if len(run.history) in chosen:
                    _take_frame(run)
                if time.perf_counter() - shown >= pause:
                    began = time.perf_counter()
                    self._show(run.picture(), folder, fast=True)
                    told["preview"] += 1
                    shown = time.perf_counter()
                    pause = max(PREVIEW_PAUSE, (shown - began) / PREVIEW_SHARE)
                told.update(_reached(run))
                wanted = self.store.tell(job.id, self.lease, told)
                self._interlude()
            if self.signals.stop.is_set() or (wanted and not isinstance(event, Finished)):
                stopped = not run.done
                break
        if stopped and wanted == "cancel":
            (folder / "checkpoint").unlink(missing_ok=True)
            self._end(job, CANCELLED)
            return
        if stopped and wanted != "stop":
            run.save_checkpoint()
            self._end(job, PAUSED if wanted == "pause" else QUEUED, progress=told)
            return
        result = run.result()
        self._keep(result, recipe, folder)
        self._show(result.image, folder)
        self._animate(run, folder)
        told.update(_reached(run), preview=told["preview"] + 1, left=0.0)
        if not stopped:
            told["fraction"] = 1.0
        self._end(job, STOPPED if stopped else DONE, progress=told)
        (folder / "checkpoint").unlink(missing_ok=True)

    def _interlude(self) -> None:
        """Instant jobs that have come, between two steps."""
        if not self.signals.wake.is_set():
            return
        self.signals.wake.clear()
        while (job := self.store.claim(self.lease, instant_only=True)) is not None:
            self.run(job)

    def _run_of(
        self, recipe: Recipe, checkpoint: Path | None, *, resume: bool
    ) -> Stylization | Dream:
        from impasto.dream.deepdream import Dream
        from impasto.transfer.stylization import Stylization

        config = recipe.config()
        where: dict[str, Any] = {"checkpoint": checkpoint, "resume": resume}
        if recipe.kind == "dream":
            return Dream(self._path(recipe.content), config, **where)
        if recipe.start:
            config = config.with_changes(init=str(result_path(self.store, recipe.start)))
        masks = {name: str(path) for name, path in self._masks(recipe).items() if name != "regions"}
        if regions := self._masks(recipe).get("regions"):
            masks["regions"] = regions
        config = config.with_changes(**masks)
        return Stylization(
            self._path(recipe.content) if recipe.content else None,
            self._styles(recipe),
            config,
            **where,
        )

    def _keep(self, result: Result, recipe: Recipe, folder: Path) -> None:
        """Write the picture in each format; its metadata name its inputs as the command does."""
        from impasto.image.io import save_image

        names = {str(path): name for name, path in recipe.files(self.store).items()}
        metadata = _renamed(result.metadata, names)
        for suffix, depth in ((".tif", 16), (".jpg", 8), (".png", 8)):
            save_image(
                folder / f"picture{suffix}",
                result.image,
                alpha=result.alpha,
                depth=depth,
                metadata=metadata,
                exif=result.exif,
            )

    def _show(self, image: Tensor, folder: Path, *, fast: bool = False) -> None:
        from impasto.image.files import write_bytes
        from impasto.image.io import encode_image, resize, size_to_fit

        height, width = image.shape[-2:]
        small = size_to_fit(height, width, min(PREVIEW_SIZE, max(height, width)))
        data = encode_image(resize(image, small), ".jpg", quality=85 if fast else 92)
        write_bytes(folder / "preview.jpg", data)

    def _animate(self, run: Stylization | Dream, folder: Path) -> None:
        from impasto.outputs.animation import write_animation

        frames = run.attachments.get("frames", {})
        for suffix in (".gif", ".mp4") if can_write_mp4() else (".gif",):
            pictures = (frames[step].float() / 255 for step in sorted(frames))
            if frames:
                write_animation(folder / f"evolution{suffix}", pictures, fps=10)

    # --- pictures --------------------------------------------------------------------------------

    def _path(self, identifier: str) -> str:
        return str(self.store.picture_path(self.store.picture(identifier)))

    def _styles(self, recipe: Recipe) -> list[str]:
        return [one if one in SWATCHES else self._path(one) for one in recipe.styles]

    def _masks(self, recipe: Recipe) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for role, ids in recipe.masks.items():
            paths = [one if one == REST else self._path(one) for one in ids]
            found[role] = tuple(paths) if role == "regions" else paths[0]
        return found

    def _photo(self, recipe: Recipe) -> Any:
        """The photo's copy at screen size."""
        return self._picture(str(self.store.screen_path(recipe.content)))

    def _picture(self, source: str) -> Any:
        """A picture, by its path or the name of a swatch, read once for many previews."""
        from impasto.image.inputs import read_picture

        self.pictures[source] = self.pictures.pop(source, None) or read_picture(source)
        for oldest in list(self.pictures)[:-HELD]:
            del self.pictures[oldest]
        return self.pictures[source]

    def _end(self, job: Job, state: str, **told: Any) -> None:
        while True:
            try:
                return self.store.end(job.id, self.lease, state, **told)
            except sqlite3.OperationalError:  # the disk is full: there will be room again
                time.sleep(1)


def _renamed(told: Any, names: Mapping[str, str]) -> Any:
    """Metadata in which each path is replaced by its name."""
    if isinstance(told, Mapping):
        return {key: _renamed(value, names) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_renamed(value, names) for value in told]
    return names.get(told, told) if isinstance(told, str) else told


def plan_of(run: Stylization | Dream) -> dict[str, Any]:
    """What a painting takes: size, steps, memory in bytes, tiles."""
    import torch

    return {
        "height": run.height,
        "width": run.width,
        "threads": torch.get_num_threads(),
        "levels": len(run.levels),
        "steps": sum(level.steps for level in run.levels),
        "memory": run.demand.total,
        "tile": run.tile,
    }


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room to write."""
    text = str(error).lower()
    return any(word in text for word in ("no space", "disk is full", "free some space", "disk i/o"))


def told_of(error: BaseException) -> dict[str, str]:
    """An error for people: what happened and what to do."""
    if is_disk_full(error):
        return DISK_FULL
    if isinstance(error, ImpastoError):
        kind, message, remedy = type(error).__name__, _FOLDERS.sub("", error.message), error.remedy
    elif isinstance(error, MemoryError) or "memory" in str(error).lower():
        kind, message, remedy = "ResourceError", "memory ran out", "choose a smaller size"
    else:
        kind, message = type(error).__name__, f"a fault in impasto: {error}"
        remedy = "try again, and report it"
    return {"type": kind, "message": message, "remedy": remedy}


def _reached(run: Stylization | Dream) -> dict[str, Any]:
    """How far a painting is: step, share of the work, seconds, those left, losses."""
    work = [level.steps * level.height * level.width for level in run.levels]
    within = len(run.history) - sum(level.steps for level in run.levels[: run.level])
    done = sum(work[: run.level])
    if run.levels:
        level = run.levels[run.level]
        done += within * level.height * level.width
    fraction = done / sum(work) if work else 1.0
    every = max(1, len(run.history) // POINTS + 1)
    return {
        "step": len(run.history),
        "level": run.level,
        "fraction": round(fraction, 4),
        "seconds": round(run.seconds, 2),
        "left": round(run.seconds * (1 - fraction) / fraction, 1) if fraction else None,
        "losses": [float(f"{x['total']:.4g}") for x in run.history[::every]],
    }


def _take_frame(run: Stylization | Dream) -> None:
    import torch

    from impasto.image.io import resize, size_to_fit

    size = size_to_fit(run.height, run.width, min(FRAME_SIZE, max(run.height, run.width)))
    frame = resize(run.picture(), size).mul(255).round().to(torch.uint8)
    run.attachments.setdefault("frames", {})[len(run.history)] = frame


def _beat(store: Store, lease: str) -> None:
    while True:
        with contextlib.suppress(sqlite3.OperationalError):
            store.beat(lease)
        time.sleep(BEAT)


def _watch_parent() -> None:
    """End with the service, however it ends: another one would take the same jobs."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def new_lease() -> str:
    """A name for a worker that no other has had."""
    return secrets.token_hex(8)
