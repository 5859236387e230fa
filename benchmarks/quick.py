"""One forward pass: how fast, in how much memory, and how near to the style?

    python benchmarks/quick.py speed --out quick-speed.json
    IMPASTO_WEIGHTS=../shared/weights python benchmarks/quick.py pairs ../shared/images --out FOLDER

``speed``: in each precision, the seconds of the pass itself (from tensors to a tensor: the style
encoded, the transport found, the content encoded and painted; networks loaded; from coarse to fine,
as by default), the same without the style, whose moments are known
from before, both with ``quality="draft"``, the first from two files to a third (style included),
and the pass of a network of MicroAST's size (see microast.py) beside it. At 512x512 all take turns
in one process, round by round; at 3840x2160 each has a process of its own. Reported are the best
and the median, and for large pictures the largest resident set of the process.

``pairs``: twelve pairs of content and style at 512 pixels, judged by the real VGG-19 as in
style_gap.py: the share of the style gap that is closed and the content distance; in the
``--quality`` that is given. Writes the pictures, a contact sheet (content, style, quick) and
results.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import style_gap
import torch
from microast import MicroAST
from torch import Tensor

import impasto
from impasto.arbitrary import api
from impasto.arbitrary.fused import FusedQuick
from impasto.arbitrary.inference import measure, transfer_style
from impasto.arbitrary.network import load_quick
from impasto.arbitrary.upsampler import load_upsampler
from impasto.config.quick import QuickConfig
from impasto.encoders import get_encoder
from impasto.image.io import load_image, resize, save_image, size_to_fit
from impasto.machine.devices import describe_machine, keep_freed_memory, peak_memory
from impasto.metrics.evaluate import Case

PRECISIONS = ["float32", "bfloat16"]
LARGE_RUNS = 1
WHATS = ("network", "style known", "draft", "draft, style known", "end to end", "microast")
DRAFT_STYLE = 256  # pixels: half of 512
PAIRS = [
    *style_gap.PAIRS,
    ("flowers", "flames"),
    ("house", "brushstrokes"),
    ("hoovertowernight", "scene_de_rue"),
    ("modern", "woman_with_hat_matisse"),
    ("reichstag", "market_impasto"),
    ("yosemite", "sketch"),
]


def passes(precision: str, content: Tensor, style: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed in one precision: the pass of ``quick``, and that of the network beside it."""
    dtype = getattr(torch, precision)
    network = FusedQuick(load_quick().to(memory_format=torch.channels_last), dtype)
    coarsest = QuickConfig().coarsest
    upsampler = load_upsampler()
    small = resize(style, size_to_fit(*style.shape[-2:], DRAFT_STYLE))
    found = cache(lambda one: measure(network, one))

    def painted(**more: Any) -> Tensor:
        return transfer_style(network, content, [style], coarsest=coarsest, **more)

    def drafted(**more: Any) -> Tensor:
        given = {"coarsest": coarsest, "upsampler": upsampler}
        return transfer_style(network, content, [small], **given, **more)

    return {
        "network": painted,
        "style known": lambda: painted(statistics_of=found),
        "draft": drafted,
        "draft, style known": lambda: drafted(statistics_of=found),
        "microast": microast_pass(dtype, content, style),
    }


def microast_pass(dtype: torch.dtype, content: Tensor, style: Tensor) -> Callable[[], object]:
    network = MicroAST().to(dtype, memory_format=torch.channels_last)
    both = [x.to(memory_format=torch.channels_last) for x in (content, style)]
    return lambda: network(*both)


def end_to_end(precision: str, folder: Path, size: int | None) -> Callable[[], object]:
    """From two files to a third."""
    files = [str(folder / f"{each}.png") for each in ("content", "style")]

    def run() -> object:
        api.KNOWN.clear()  # or the style would be read once only
        result = impasto.quick(*files, size=size, precision=precision)
        return result.save(folder / "out.png")

    return run


def pictures(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Content and style; what they show does not matter."""
    content = resize(impasto.swatch("night", size=512), (height, width)).clamp(0, 1)
    return content, impasto.swatch("waves", size=384)


def seconds_of(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def small(rounds: int) -> list[dict[str, Any]]:
    """512x512, both precisions by turns in one process, so that a disturbance hits them alike."""
    content, style = pictures(512, 512)
    with tempfile.TemporaryDirectory() as folder:
        save_image(f"{folder}/content.png", content)
        save_image(f"{folder}/style.png", style)
        runs = {
            precision: passes(precision, content, style)
            | {"end to end": end_to_end(precision, Path(folder), 512)}
            for precision in PRECISIONS
        }
        for each in runs.values():
            for run in each.values():
                run()  # loads
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for precision, each in runs.items():
                for what, run in each.items():
                    times.setdefault((precision, what), []).append(seconds_of(run))
    return [
        {"size": [512, 512], "precision": precision}
        | {what: summary(times[precision, what]) for what in runs[precision]}
        for precision in PRECISIONS
    ]


def large(precision: str, what: str) -> dict[str, Any]:
    """2160x3840, in a process of its own: its peak is the largest resident set there."""
    content, style = pictures(2160, 3840)
    if what == "microast":
        run = microast_pass(getattr(torch, precision), content, style)
    elif what in ("network", "draft"):
        run = passes(precision, content, style)[what]
    else:
        folder = tempfile.TemporaryDirectory()
        save_image(f"{folder.name}/content.png", content)
        save_image(f"{folder.name}/style.png", style)
        run = end_to_end(precision, Path(folder.name), None)
    times = [seconds_of(run) for _ in range(LARGE_RUNS)]
    return summary(times) | {"peak": peak()}


def peak() -> int:
    """The largest resident set of this program, in bytes.

    Not getrusage's, which on Linux counts the parent's when it is larger.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return peak_memory()
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def summary(times: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(times), "best": min(times), "seconds": times}


def speed(out: Path | None, rounds: int) -> None:
    rows = small(rounds)
    print("best and median, seconds; of large pictures the largest resident set")
    for row in rows:
        tell(row)
    later = [{"size": [2160, 3840], "precision": precision} for precision in PRECISIONS]
    for what in ("network", "draft", "microast", "end to end"):
        for precision, row in zip(PRECISIONS, later, strict=True):
            command = [sys.executable, __file__, "large", json.dumps([precision, what])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:  # out of memory, most likely: MicroAST knows no tiles
                row[what] = {"failed": done.stderr.strip().splitlines()[-1:]}
            else:
                row[what] = json.loads(done.stdout.splitlines()[-1])
            tell(row)
            if out:  # after each, lest a long run is lost
                machine = describe_machine(torch.device("cpu"), torch.float32)
                document = {"machine": machine, "rows": rows + later}
                out.write_text(json.dumps(document, indent=1))


def tell(row: dict[str, Any]) -> None:
    cells = []
    for what in WHATS:
        if found := row.get(what):
            peak = f" {found['peak'] / 2**30:4.2f} GiB" if "peak" in found else ""
            times = f"{found['best']:.3f} ({found['median']:.3f})" if "best" in found else "failed"
            cells.append(f"{what} {times}{peak}")
    height, width = row["size"]
    print(f"{width}x{height} {row['precision']}: {', '.join(cells)}", flush=True)


def pairs(images: Path, out: Path, size: int, quality: str) -> None:
    judge = get_encoder("vgg19")  # in float32
    out.mkdir(parents=True, exist_ok=True)
    rows, results = [], []
    for content_name, style_name in PAIRS:
        files = [images / "content" / content_name, images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=size) for f in (content_file, style_file))
        result = impasto.quick(content_file, style_file, size=size, quality=quality)
        result.save(out / f"{content_name}-{style_name}.png")
        case = Case(content, style, judge)
        found, before = (case.score(x) for x in (result.image, content))
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
    parser.add_argument("command", choices=["speed", "pairs", "large"])
    parser.add_argument("images", nargs="?", help="folder with content/ and style/")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quality", default="standard")
    a = parser.parse_args()
    keep_freed_memory()  # as the command line does
    if a.command == "large":
        print(json.dumps(large(*json.loads(a.images))))
    elif a.command == "speed":
        speed(a.out, a.rounds)
    elif a.images and a.out:
        pairs(Path(a.images), a.out, a.size, a.quality)
    else:
        parser.error("pairs needs the folder of pictures and --out")


if __name__ == "__main__":
    main()
