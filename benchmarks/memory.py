"""Is a run's peak memory what was foreseen?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/memory.py --out memory.json

Each run is a process of its own: one level, three steps, on a noise picture and a style of the same
size, and the process's largest resident set at the end, beside the prediction that it made before
its first step.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

import impasto
from impasto.machine.devices import choose_dtype, describe_machine, keep_freed_memory, peak_memory

GRID = [
    # encoder, precision, width, height, tile
    ("mini", "auto", 512, 384, None),
    ("mini", "auto", 512, 512, None),
    ("mini", "float32", 512, 512, None),
    ("mini", "auto", 1024, 768, None),
    ("mini", "float32", 1024, 768, None),
    ("mini", "auto", 2048, 1536, None),
    ("mini", "auto", 2048, 1536, 768),
    ("vgg19", "auto", 512, 512, None),
    ("vgg19", "float32", 512, 512, None),
    ("vgg19", "auto", 1024, 768, None),
    ("vgg19", "auto", 2048, 1536, 512),
    ("mini", "auto", 3840, 2160, None),
    ("mini", "auto", 3840, 2160, 2048),
    ("vgg19", "auto", 3840, 2160, 1024),
    ("vgg19", "auto", 3840, 2160, 768),
    ("mini", "auto", 7680, 4320, 1024),
]


def one(encoder: str, precision: str, width: int, height: int, tile: int | None) -> None:
    """Run as the command line would; print what was foreseen and what was taken."""
    keep_freed_memory()
    draw = torch.Generator().manual_seed(0)
    content = torch.rand(1, 3, height, width, generator=draw)
    style = torch.rand(1, 3, min(height, 1024), min(width, 1024), generator=draw)
    config = impasto.StylizeConfig(
        encoder=encoder,
        precision=precision,
        size=None,
        steps=(3,),
        tile=tile,  # type: ignore[arg-type]
    )
    run = impasto.Stylization(content, style, config)
    demand = run.demand
    for _ in run:
        pass
    run.result()
    print(json.dumps({"foreseen": demand.total, "peak": peak_memory(), "parts": asdict(demand)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=int, nargs="*", help="rows of the grid, counted from 0")
    parser.add_argument("--one", help="internal: one row, as JSON")
    a = parser.parse_args()
    if a.one:
        one(*json.loads(a.one))
        return
    rows = []
    print("encoder precision      size   tile   foreseen      taken  ratio")
    for number, row in enumerate(GRID):
        if a.only is not None and number not in a.only:
            continue
        command = [sys.executable, __file__, "--one", json.dumps(row)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        encoder, precision, width, height, tile = row
        ratio = found["foreseen"] / found["peak"]
        print(
            f"{encoder:7} {precision:9} {width:4}x{height:<5} {tile or '-':>4} "
            f"{found['foreseen'] / 2**20:6.0f} MiB {found['peak'] / 2**20:6.0f} MiB  {ratio:5.2f}",
            flush=True,
        )
        keys = ("encoder", "precision", "width", "height", "tile")
        rows.append({**dict(zip(keys, row, strict=True)), **found, "ratio": ratio})
    best = choose_dtype("auto", torch.device("cpu"))
    report = {"machine": describe_machine(torch.device("cpu"), best), "rows": rows}
    if a.out:
        a.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
