"""What is each preset best for? Six pairs, judged by the real VGG-19, with time and memory.

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/presets.py ../shared/images --out FOLDER

Each picture is painted in a process of its own (so the largest resident set is its own) and is left
alone when it is there already: a run that was stopped goes on. Style and content distances are
those of style_gap.py. Seconds are those of the clock; beside them the processor's, divided by the
number of threads, which do not grow when others use the machine. Writes the pictures, a contact
sheet (content, style, one column for each preset) and results.json; prints a table.
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

import torch
from style_gap import PAIRS, contact_sheet
from torch import Tensor

import impasto
from impasto.config.presets import get_preset
from impasto.encoders import get_encoder
from impasto.image.io import load_image
from impasto.machine.devices import choose_dtype, describe_machine, peak_memory
from impasto.metrics.evaluate import Case

# Presets made for other weights of VGG run on these, which are the ones at hand.
WEIGHTS = {"encoder": "vgg19", "flavour": None}
PRESETS = ("default", "gatys2016", "nnst", "crowson", "strotss")


def one(preset: str, content: str, style: str, size: int, out: str) -> None:
    """Paint one picture and print what it took."""
    config = get_preset(preset).with_changes(size=size)
    if config.encoder.startswith("vgg"):
        config = config.with_changes(**WEIGHTS)
    began, busy = time.perf_counter(), time.process_time()
    result = impasto.stylize(content, style, config)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    result.save(out)
    threads = torch.get_num_threads()
    told = {"seconds": seconds, "processor": busy / threads, "threads": threads}
    print(json.dumps({**told, "peak": peak_memory(), "steps": len(result.history)}))


def paint(preset: str, content: str, style: str, size: int, out: Path) -> dict[str, float]:
    """What painting the picture took, now or when it was painted."""
    told = out.with_suffix(".json")
    if not told.exists():
        request = json.dumps([preset, content, style, size, str(out)])
        command = [sys.executable, __file__, "--one", request]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told.write_text(output.splitlines()[-1])
    found: dict[str, float] = json.loads(told.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="?", type=Path, help="folder with content/ and style/")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        one(*json.loads(a.one))
        return
    if a.images is None or a.out is None:
        parser.error("give the folder of pictures and --out")
    judge = get_encoder("vgg19")  # in float32
    a.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, object]] = []
    rows: list[list[Tensor]] = []
    for content_name, style_name in PAIRS:
        files = [a.images / "content" / content_name, a.images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=a.size) for f in (content_file, style_file))
        rows.append([content, style])
        case = Case(content, style, judge)
        for preset in a.presets:
            out = a.out / f"{content_name}-{style_name}-{preset}.png"
            took = paint(preset, content_file, style_file, a.size, out)
            image = load_image(str(out))
            found = case.score(image)
            rows[-1].append(image)
            pair = f"{content_name} x {style_name}"
            results.append({"pair": pair, "preset": preset, **asdict(found), **took})
            print(
                f"{pair:<34} {preset:<10} gap {found.gap:6.3f}  style {found.style:6.3f}  content "
                f"{found.content:6.3f}  {took['seconds']:6.1f} s ({took['processor']:6.1f} s)  "
                f"{took['peak'] / 2**20:5.0f} MiB",
                flush=True,
            )
    contact_sheet(rows).save(a.out / "sheet.png")
    means = {}
    for preset in a.presets:
        own = [r for r in results if r["preset"] == preset]
        keys = ("gap", "style", "content", "seconds", "processor", "peak")
        means[preset] = {k: statistics.mean(float(str(r[k])) for r in own) for k in keys}
        print(f"{preset:<10}", {k: round(v, 3) for k, v in means[preset].items()})
    cpu = torch.device("cpu")
    machine = describe_machine(cpu, choose_dtype("auto", cpu))
    report = {"size": a.size, "machine": machine, "means": means, "results": results}
    (a.out / "results.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
