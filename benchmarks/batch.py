"""A batch by every way there is: are the pictures the same, and how many items a second?

    python benchmarks/batch.py [--items 200] [--rounds 3] [--size 128] [--workers 2] [--json FILE]

In this process, by local worker processes, by a Dask LocalCluster, by workers that were started by
themselves and found by the scheduler's address; and by those, of which one is killed after a
quarter of the items, and another joins after a half. Each worker has one thread. The ways take
turns; each must end in the bytes of the first one, each item booked once. Prints a table and JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from distributed import LocalCluster

import impasto
from impasto.batch.ledger import Ledger
from impasto.image.io import resize

STYLES = ("waves", "night")
DASK = [sys.executable, "-m", "distributed.cli.dask_worker"]
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main() -> None:
    """Measure, print a table, and JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=128, help="long side of the photos, in pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    a = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = make_photos(folder / "photos", -(-a.items // len(STYLES)), a.size)
        wanted: dict[str, bytes] | None = None
        for number in range(a.rounds):
            for way, run in ways(a.workers).items():
                out = folder / f"{way}-{number}"
                told = run(photos, out)
                pictures = {x.name: x.read_bytes() for x in out.glob("*.png")}
                wanted = wanted or pictures
                check(told, out, pictures, wanted)
                found.setdefault(way, []).append(told.rates())
                print(f"round {number + 1}: {way}: {found[way][-1]}", flush=True)
    report(found, a)


# --- the ways ------------------------------------------------------------------------------------


class Told:
    """What the events of one run said, and when."""

    def __init__(self, photos: Path, out: Path, milestones: dict[int, Callable[[], None]]) -> None:
        self.times: list[float] = []
        self.outputs: list[str] = []
        self.retried = 0
        self.photos, self.out, self.milestones = photos, out, milestones

    def run(self, **options: Any) -> Told:
        """Paint, with an eye on the clock."""
        self.began = time.perf_counter()
        self.result = impasto.stylize_batch(
            self.photos, STYLES, self.out, threads=1, retries=3, on_event=self.note, **options
        )
        self.seconds = time.perf_counter() - self.began
        return self

    def note(self, event: Any) -> None:
        """An item is over."""
        if event.state != "done":
            self.retried += 1
            return
        self.times.append(time.perf_counter() - self.began)
        self.outputs.append(event.output)
        if action := self.milestones.pop(100 * len(self.times) // event.total, None):
            action()

    def rates(self) -> dict[str, float]:
        """Items a second: in all, with the start of workers; and from a tenth to nine tenths."""
        n = len(self.times)
        first, last = n // 10, n - 1 - n // 10
        middle = (last - first) / max(1e-9, self.times[last] - self.times[first])
        return {
            "in all": round(n / self.seconds, 3),
            "under way": round(middle, 3),
            "tried again": self.retried,
        }


def ways(workers: int) -> dict[str, Callable[[Path, Path], Told]]:
    """The ways by name, each a function of the photos and the folder to paint into."""

    def local_cluster(photos: Path, out: Path) -> Told:
        options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(n_workers=workers, **options) as cluster:
            return Told(photos, out, {}).run(scheduler=cluster.scheduler_address)

    def by_address(photos: Path, out: Path, *, chaos: bool = False) -> Told:
        with scheduler(out.parent) as address:
            alive = [start_worker(address) for _ in range(workers)]

            def kill() -> None:
                alive[0].kill()

            def join() -> None:
                alive.append(start_worker(address))

            try:
                milestones = {25: kill, 50: join} if chaos else {}
                return Told(photos, out, milestones).run(scheduler=address)
            finally:
                for process in alive:
                    process.kill()
                    process.wait()

    return {
        "in process": lambda photos, out: Told(photos, out, {}).run(),
        "local workers": lambda photos, out: Told(photos, out, {}).run(workers=workers),
        "Dask LocalCluster": local_cluster,
        "Dask by address": by_address,
        "one killed, one joining": lambda photos, out: by_address(photos, out, chaos=True),
    }


def start_worker(address: str) -> subprocess.Popen[bytes]:
    """A worker as on another machine."""
    command = [*DASK, address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    return subprocess.Popen(command, **QUIET)


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """The address of a scheduler in a process of its own."""
    place = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    command += ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(place)]
    process = subprocess.Popen(command, **QUIET)
    try:
        while not place.exists():
            time.sleep(0.1)
        time.sleep(0.5)  # it is written
        yield str(json.loads(place.read_text())["address"])
    finally:
        process.kill()
        process.wait()
        place.unlink(missing_ok=True)


# --- pictures, checks, the report ----------------------------------------------------------------


def make_photos(folder: Path, count: int, size: int) -> Path:
    """Cuts out of the swatches, each another one."""
    folder.mkdir()
    names = sorted(impasto.SWATCHES)
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        whole = impasto.swatch(names[number % len(names)], size=512)
        y, x = (int(torch.randint(0, 512 - 256, (1,), generator=generator)) for _ in range(2))
        photo = resize(whole[..., y : y + 192, x : x + 256], (size * 3 // 4, size))
        impasto.save_image(folder / f"{number:03}.png", photo.clamp(0, 1))
    return folder


def check(told: Told, out: Path, pictures: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    """Nothing lost, nothing twice, the same pictures; ends the benchmark otherwise."""
    if told.result.failed:
        raise SystemExit(f"{out.name}: {told.result.failed}")
    if sorted(told.outputs) != sorted(set(told.outputs)) or set(told.outputs) != set(pictures):
        raise SystemExit(f"{out.name}: an item was lost, or is there twice")
    with Ledger(out) as ledger:
        if [x.output for x in ledger.entries() if x.state == "done"] != sorted(pictures):
            raise SystemExit(f"{out.name}: the ledger has other items")
    if differing := [x for x in wanted if pictures.get(x) != wanted[x]]:
        raise SystemExit(f"{out.name}: {len(differing)} pictures are others, as {differing[0]}")


def report(found: dict[str, list[dict[str, float]]], a: argparse.Namespace) -> None:
    """A table of medians, and JSON."""
    medians = {
        way: {key: statistics.median(x[key] for x in rates) for key in rates[0]}
        for way, rates in found.items()
    }
    base = medians["in process"]
    print(f"\n{'way':26}{'items/s':>9}{'ratio':>7}{'under way':>11}{'ratio':>7}{'again':>7}")
    for way, rates in medians.items():
        print(
            f"{way:26}{rates['in all']:9.2f}{rates['in all'] / base['in all']:7.2f}"
            f"{rates['under way']:11.2f}{rates['under way'] / base['under way']:7.2f}"
            f"{rates['tried again']:7.0f}"
        )
    print("nothing lost, nothing twice, the same bytes in every way and round")
    told = {
        **{name: value for name, value in vars(a).items() if name != "json"},
        "machine": platform.processor(),
        "cores": os.cpu_count(),
        "rates": found,
    }
    text = json.dumps(told, indent=1)
    print(text) if a.json is None else a.json.write_text(text)


if __name__ == "__main__":
    main()
