"""Draft, then finish: does starting from quick's picture save time?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/draft_then_finish.py ../shared/images

The default run starts from the photo and takes so and so many steps at 128, 256 and 512 pixels.
Each candidate starts from quick's draft, with fewer steps. Both are judged by the real VGG-19 as in
style_gap.py; the runs of one pair follow each other, and seconds are those of the whole call, the
draft included. A candidate has arrived where neither its style nor its content distance is larger,
in the mean over the pairs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from style_gap import PAIRS

import impasto
from impasto.encoders import get_encoder
from impasto.image.io import load_image
from impasto.machine.devices import choose_dtype, describe_machine, keep_freed_memory
from impasto.metrics.evaluate import Case

CANDIDATES: dict[str, dict[str, Any]] = {
    "photo, standard": {},
    "photo, 60 + 44": {"steps": (60, 44)},
    "photo, 100 + 60 + 15": {"steps": (100, 60, 15)},
    "draft, 60 + 44": {"init": "quick", "steps": (60, 44)},
    "draft, 60 + 44, strength 0.55": {"init": "quick", "steps": (60, 44), "strength": 0.55},
    "draft, 40 + 40, strength 0.55": {"init": "quick", "strength": 0.55},
    "draft, 20 + 15 (--quality draft)": {"quality": "draft"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with content/ and style/")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    a = parser.parse_args()
    keep_freed_memory()  # as the command line does
    judge, encoder = get_encoder("vgg19"), get_encoder("mini")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in CANDIDATES}
    impasto.quick(impasto.swatch("waves", size=64), "night", size=64)  # load it once
    for content_name, style_name in PAIRS[: a.pairs]:
        files = [a.images / "content" / content_name, a.images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=a.size) for f in (content_file, style_file))
        case = Case(content, style, judge)
        for name, settings in CANDIDATES.items():
            began, busy = time.perf_counter(), time.process_time()
            result = impasto.stylize(
                content_file, style_file, encoder=encoder, size=a.size, **settings
            )
            seconds, busy = time.perf_counter() - began, time.process_time() - busy
            found = case.score(result.image)
            rows[name].append(
                {"style": found.style, "content": found.content, "seconds": seconds}
                | {"processor": busy / torch.get_num_threads()}
            )
    means = {
        name: {key: statistics.mean(row[key] for row in own) for key in own[0]}
        for name, own in rows.items()
    }
    base = means["photo, standard"]
    print(f"{'':38} style  content  seconds  (processor)  faster by")
    for name, mean in means.items():
        arrived = all(mean[key] <= base[key] for key in ("style", "content"))
        print(
            f"{name:<36} {mean['style']:7.3f} {mean['content']:8.3f} {mean['seconds']:8.2f} "
            f"{mean['processor']:12.2f} {base['processor'] / mean['processor']:10.2f}"
            + ("  arrived" if arrived else "")
        )
    if a.out:
        cpu = torch.device("cpu")
        machine = describe_machine(cpu, choose_dtype("auto", cpu))
        report = {"size": a.size, "machine": machine, "means": means, "rows": rows}
        a.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
