"""How much of the style gap does the default run close, beside the same recipe on VGG-19?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/style_gap.py ../shared/images --out FOLDER

Six pairs of content and style. The judge is the real VGG-19: the mean over relu1_1 to relu5_1 of
|G - G_style|² / |G_style|², relative to that of the untouched content (the gap), and the content
distance |F - F_content|² / |F_content|² at relu4_2. Writes the pictures, a contact sheet
(content, style, mini, VGG-19) and results.json; prints a table.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import impasto
from impasto.encoders import get_encoder
from impasto.image.io import load_image, resize, size_to_fit, to_pil
from impasto.machine.devices import describe_machine, peak_memory
from impasto.metrics.evaluate import score

PAIRS = [
    ("tubingen", "starry_night"),
    ("golden_gate", "the_scream"),
    ("cornell", "mondrian"),
    ("butterfly", "la_muse"),
    ("chicago", "contrast_of_forms"),
    ("sailboat", "shipwreck"),
]


def contact_sheet(rows: list[list[Tensor]], side: int = 384) -> Image.Image:
    """Pictures in rows, each fitted into ``side`` x ``side``."""
    sheet = Image.new("RGB", (side * len(rows[0]), side * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            small = resize(image, size_to_fit(*image.shape[-2:], side))
            sheet.paste(to_pil(small), (x * side, y * side))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with content/ and style/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--encoders", nargs="+", default=["mini", "vgg19"])
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="other settings")
    a = parser.parse_args()
    settings = {k: json.loads(v) for k, v in (item.split("=", 1) for item in a.set)}
    judge = get_encoder("vgg19")  # in float32
    a.out.mkdir(parents=True, exist_ok=True)
    results, rows = [], []
    for content_name, style_name in PAIRS[: a.pairs]:
        files = [a.images / "content" / content_name, a.images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=a.size) for f in (content_file, style_file))
        row = [content, style]
        for encoder in a.encoders:
            began = time.perf_counter()
            result = impasto.stylize(
                content_file, style_file, encoder=encoder, size=a.size, **settings
            )
            seconds = time.perf_counter() - began
            result.save(a.out / f"{content_name}-{style_name}-{encoder}.png")
            found = score(result.image, content, style, judge)
            row.append(result.image)
            results.append(
                {"pair": f"{content_name} x {style_name}", "encoder": encoder}
                | asdict(found)
                | {"seconds": round(seconds, 1)}
            )
            print(
                f"{content_name:>14} x {style_name:<18} {encoder:<6} gap {found.gap:6.3f}  "
                f"content {found.content:6.3f}  {seconds:6.1f} s",
                flush=True,
            )
        rows.append(row)
    contact_sheet(rows).save(a.out / "sheet.png")
    means = {
        encoder: {
            key: sum(r[key] for r in results if r["encoder"] == encoder) / len(rows)
            for key in ("gap", "content", "seconds")
        }
        for encoder in a.encoders
    }
    for encoder, mean in means.items():
        print(f"{encoder:<6}", {k: round(v, 3) for k, v in mean.items()})
    report = {
        "size": a.size,
        "settings": settings,
        "machine": describe_machine(torch.device("cpu"), torch.float32),
        "peak_memory": peak_memory(),
        "means": means,
        "results": results,
    }
    (a.out / "results.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
