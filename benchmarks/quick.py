"""One forward pass: how fast, in how much memory, and how near to the style?

    python benchmarks/quick.py speed --out quick-speed.json
    IMPASTO_WEIGHTS=../shared/weights python benchmarks/quick.py pairs ../shared/images --out FOLDER

``speed``: the seconds of the pass itself (without reading and writing files; the network loaded,
the style measured anew each time), the median of some runs, and the process's largest resident set,
each size in a process of its own.

``pairs``: twelve pairs of content and style at 512 pixels, judged by the real VGG-19 as in
style_gap.py: the share of the style gap that is closed and the content distance. Writes the
pictures, a contact sheet (content, style, quick) and results.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import style_gap
import torch

import impasto
from impasto.devices import choose_dtype, describe_machine, peak_memory
from impasto.encoders import get_encoder
from impasto.images import load_image
from impasto.metrics import score

# height, width, precision, runs
SIZES = [
    (512, 512, "auto", 9),
    (512, 512, "float32", 9),
    (1080, 1920, "auto", 3),
    (2160, 3840, "auto", 3),
    (2160, 3840, "float32", 1),
]
PAIRS = [
    *style_gap.PAIRS,
    ("flowers", "flames"),
    ("house", "brushstrokes"),
    ("hoovertowernight", "scene_de_rue"),
    ("modern", "woman_with_hat_matisse"),
    ("reichstag", "market_impasto"),
    ("yosemite", "sketch"),
]


def one(height: int, width: int, precision: str, runs: int) -> None:
    """Run and print the seconds of each pass and the peak of memory."""
    draw = torch.Generator().manual_seed(0)
    content = torch.rand(1, 3, height, width, generator=draw)
    style = impasto.swatch("waves", size=min(1024, max(height, width)))
    seconds = []
    for number in range(runs + 1):
        began = time.perf_counter()
        impasto.quick(content, style, size=None, precision=precision)
        if number > 0 or runs == 1:  # the first one loads the network
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds, "peak": peak_memory()}))


def speed(out: Path | None) -> None:
    rows = []
    print("     size  precision   seconds  megapixels/s  memory")
    for row in SIZES:
        command = [sys.executable, __file__, "one", json.dumps(row)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        height, width, precision, _ = row
        median = statistics.median(found["seconds"])
        pace = height * width / 1e6 / median
        print(
            f"{width:>4}x{height:<4}  {precision:<9} {median:9.3f} {pace:13.2f}  "
            f"{found['peak'] / 2**20:4.0f} MiB",
            flush=True,
        )
        rows.append({"size": [height, width], "precision": precision, "median": median} | found)
    if out:
        cpu = torch.device("cpu")
        machine = describe_machine(cpu, choose_dtype("auto", cpu))
        out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))


def pairs(images: Path, out: Path, size: int) -> None:
    judge = get_encoder("vgg19")  # in float32
    out.mkdir(parents=True, exist_ok=True)
    rows, results = [], []
    for content_name, style_name in PAIRS:
        files = [images / "content" / content_name, images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=size) for f in (content_file, style_file))
        result = impasto.quick(content_file, style_file, size=size)
        result.save(out / f"{content_name}-{style_name}.png")
        found, before = (score(x, content, style, judge) for x in (result.image, content))
        rows.append([content, style, result.image])
        results.append(
            {"pair": f"{content_name} x {style_name}", "untouched": asdict(before)} | asdict(found)
        )
        print(
            f"{content_name:>16} x {style_name:<24} style {before.style:6.3f} -> {found.style:6.3f}"
            f"  gap {found.gap:6.3f}  content {found.content:6.3f}",
            flush=True,
        )
    means = {k: sum(r[k] for r in results) / len(results) for k in ("gap", "content")}
    print({k: round(v, 3) for k, v in means.items()})
    style_gap.contact_sheet(rows).save(out / "sheet.png")
    report = {"size": size, "means": means, "results": results}
    (out / "results.json").write_text(json.dumps(report, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["speed", "pairs", "one"])
    parser.add_argument("images", nargs="?", help="folder with content/ and style/")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=512)
    a = parser.parse_args()
    if a.command == "one":
        one(*json.loads(a.images))
    elif a.command == "speed":
        speed(a.out)
    elif a.images and a.out:
        pairs(Path(a.images), a.out, a.size)
    else:
        parser.error("pairs needs the folder of pictures and --out")


if __name__ == "__main__":
    main()
