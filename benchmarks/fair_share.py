"""What a run takes beside other programs, against its fair share of the cores.

    python benchmarks/fair_share.py [--rounds 3]

The same small stylization, with two threads, alone and beside one and two processes that do nothing
but compute, with each way in which OpenMP's threads may wait, taking turns. Its fair share beside n
others, on two cores, is two of n + 2 threads: (n + 2) / 2 times what it takes alone. JSON last.
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
from pathlib import Path

import impasto

WAYS = {"libgomp's own": "300000", "before (100,000)": "100000", "impasto's": ""}
"""How long threads spin while they wait -> GOMP_SPINCOUNT; nothing leaves it to impasto."""


def main() -> None:
    """Measure, print a table, and JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found: dict[str, dict[int, list[float]]] = {way: {} for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        impasto.save_image(Path(folder, "photo.png"), impasto.swatch("waves", size=256))
        for others in (0, 1, 2):
            busy = [
                subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)
            ]
            try:
                time.sleep(3 if others else 0)  # until the load shows
                for _ in range(rounds):
                    for way, count in WAYS.items():
                        found[way].setdefault(others, []).append(seconds(Path(folder), count))
            finally:
                for process in busy:
                    process.kill()
                    process.wait()
    print(
        f"{'waiting':18}{'alone':>8}{'beside 1':>10}{'beside 2':>10}{'  times its fair share':>24}"
    )
    for way, times in found.items():
        medians = [statistics.median(times[others]) for others in (0, 1, 2)]
        alone = statistics.median(found["impasto's"][0])
        shares = [medians[n] / (alone * (n + 2) / 2) for n in (1, 2)]
        print(
            f"{way:18}{medians[0]:8.1f}{medians[1]:10.1f}{medians[2]:10.1f}"
            f"{shares[0]:14.2f}{shares[1]:10.2f}"
        )
    print(json.dumps({"machine": platform.processor(), "cores": os.cpu_count(), "seconds": found}))


def seconds(folder: Path, spin: str) -> float:
    """One run of the command line, from its start to its end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))}
    if spin:
        environment["GOMP_SPINCOUNT"] = spin
    command = [
        sys.executable,
        "-m",
        "impasto",
        "stylize",
        folder / "photo.png",
        "night",
        "--size",
        "256",
    ]
    command += ["--size", "256", "--steps", "20,10", "--threads", "2", "-q", "--overwrite"]
    command += ["-o", folder / "out.png"]
    began = time.perf_counter()
    subprocess.run([str(x) for x in command], env=environment, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
