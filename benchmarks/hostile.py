"""Does any picture, however broken, make the command line do anything but answer properly?

Each file of a folder is the content of a small ``impasto stylize``, or ``quick``, run through
``main()`` in worker processes that are killed after ten seconds. Allowed are: a picture (exit code
0), and a refusal with exit code 3 and one line on stderr. Whatever else happens is listed, and
makes the exit status 1: another code, a traceback, a crash, a timeout, a file left behind::

    python benchmarks/hostile.py [FOLDER] [--command quick] [--json FILE] [--encoder FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

TIMEOUT = 10.0
WORKERS = 2
DONE, REFUSED = 0, 3


class Outcome(NamedTuple):
    """What became of one file: its exit code (None: timeout, crash), and what it said."""

    name: str
    code: int | None
    seconds: float
    lines: list[str]
    left: list[str]

    def fault(self) -> str:
        """What is not as it should be; empty where all is."""
        if self.left:
            return f"left {', '.join(self.left)}"
        if self.code not in (DONE, REFUSED):
            return f"exit {self.code}: {' | '.join(self.lines)[:200]}"
        if len(self.lines) != (self.code == REFUSED):
            return f"exit {self.code} with {len(self.lines)} lines: {' | '.join(self.lines)[:200]}"
        return ""


class Worker:
    """A process that runs one command after another; another one takes its place when it dies."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder, self.command = folder, command
        self.log = folder / "stderr.txt"
        self.out = folder / "out"
        self.out.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=serve, args=(theirs, str(self.log)), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.recv()  # it has imported torch

    def send(self, path: Path) -> None:
        self.path, self.began = path, time.perf_counter()
        self.log.write_bytes(b"")
        target = self.out / "out.png"
        name, *flags = self.command
        self.pipe.send([name, str(path), "waves", "-o", str(target), "-q", *flags])

    def poll(self) -> Outcome | None:
        """The outcome, if there is one by now."""
        seconds = time.perf_counter() - self.began
        code: int | None = None
        try:
            if self.pipe.poll():
                code = self.pipe.recv()
            elif self.process.is_alive() and seconds < TIMEOUT:
                return None
        except EOFError:
            pass
        lines = self.log.read_text("utf-8", "replace").splitlines()
        if code is None:
            self.process.kill()
            self.process.join()
            lines.append("timeout" if seconds >= TIMEOUT else f"died: {self.process.exitcode}")
            self.start()
        wanted = {"out.png"} if code == DONE else set()
        left = {entry.name for entry in self.out.iterdir()}
        for name in left:
            (self.out / name).unlink()
        return Outcome(self.path.name, code, seconds, lines, sorted(left ^ wanted))


def serve(pipe: Connection, log: str) -> None:
    """Run commands; all that is written to file descriptor 2, by whomever, goes to the log."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from impasto import transfer  # noqa: F401  so that no file waits for torch
    from impasto.cli import main

    pipe.send("ready")
    while True:
        try:
            pipe.send(main(pipe.recv()))
        except EOFError:
            return


def outcomes(files: list[Path], scratch: Path, command: list[str]) -> Iterator[Outcome]:
    """What becomes of each file."""
    workers = [Worker(scratch / str(number), command) for number in range(WORKERS)]
    waiting = files[::-1]
    busy: list[Worker] = []
    while waiting or busy:
        for worker in workers:
            if worker not in busy and waiting:
                worker.send(waiting.pop())
                busy.append(worker)
        for worker in list(busy):
            if (outcome := worker.poll()) is not None:
                busy.remove(worker)
                yield outcome
        time.sleep(0.002)
    for worker in workers:
        worker.process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    standard = HERE.parents[1] / "shared" / "images" / "hostile"
    parser.add_argument("folder", type=Path, nargs="?", default=standard)
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--command", choices=("stylize", "quick"), default="stylize")
    parser.add_argument("--encoder", default="mini", help="as of impasto stylize")
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    command = [options.command, "--size", "64", "--threads", "1"]
    if options.command == "stylize":
        command += ["--steps", "1", "--precision", "float32", "--encoder", options.encoder]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="impasto-hostile-") as scratch:
        results = list(outcomes(files, Path(scratch), command))
    faults = [(each.name, fault) for each in results if (fault := each.fault())]
    summary: dict[str, Any] = {
        "files": len(results),
        "painted": sum(each.code == DONE for each in results),
        "refused": sum(each.code == REFUSED for each in results),
        "slowest": max((round(each.seconds, 2), each.name) for each in results),
        "seconds": round(time.perf_counter() - began, 1),
        "faults": faults,
    }
    for key, value in summary.items():
        print(f"{key:8} {value if key != 'faults' else len(faults)}")
    for name, fault in faults:
        print(f"  {name}: {fault}")
    if options.json is not None:
        options.json.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return 1 if faults or not results else 0


if __name__ == "__main__":
    raise SystemExit(main())
