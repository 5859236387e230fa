"""How long until a picture is good? Judged distances against seconds, beside the reference.

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/time_to_quality.py ../shared/images \\
        --out FOLDER --pairs 1 --iterations 300

For each pair of content and style: neural-style-pt's way (baseline.py) and impasto's runs, each
keeping a few dozen of its pictures. The judge is the real VGG-19 in float32: style is the mean of
|G - G_style|² / |G_style|² over relu1_1 to relu5_1, content |F - F_content|² / |F_content|² at
relu4_2.

The reference takes many minutes for each pair, and every iteration of it costs the same. So its
pictures are made first (--only reference; beside other work, if need be; kept in FOLDER) and its
clock is the number of the iteration times the median seconds of one, which is measured between
impasto's runs, on the machine as it is then. What L-BFGS itself costs is left out: the reference
is a little better off for it.

The question: when does the reference first stand within 5 % of its own final distances, and when
does impasto stand there, or better? With --first and --pairs the
reference's pictures can be made in several processes. Writes curves.json and curves.webp; prints a
table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from baseline import Baseline
from style_gap import PAIRS
from torch import Tensor

import impasto
from impasto.encoders import get_encoder
from impasto.image.io import load_image, resize
from impasto.machine.devices import describe_machine, keep_freed_memory
from impasto.metrics.evaluate import Case

RUNS: dict[str, dict[str, Any]] = {
    "default": {},
    "strength 0.3": {"strength": 0.3},
    "strength 0.2": {"strength": 0.2},
    "draft": {"quality": "draft"},
    "best": {"quality": "best"},
    "vgg19": {"encoder": "vgg19"},
    "vgg19, strength 0.3": {"encoder": "vgg19", "strength": 0.3},
    "vgg19, strength 0.2": {"encoder": "vgg19", "strength": 0.2},
}
MARGIN = 1.05
Frames = list[tuple[float, Tensor]]


def reference(content: Tensor, style: Tensor, iterations: int, path: Path) -> dict[int, Tensor]:
    """The reference's pictures by iteration, ever less often; those in ``path``, if it is there."""
    if path.exists():
        kept: dict[int, Tensor] = torch.load(path, weights_only=True)
        return kept
    wanted = {round(1.1**k) for k in range(1, 80)} | {iterations}
    pictures: dict[int, Tensor] = {}

    def keep(number: int, picture: Tensor) -> None:
        if number in wanted:
            pictures[number] = picture
            print(f"{path.stem}: {number} of {iterations}", flush=True)

    Baseline(content, style).run(iterations, keep)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(pictures, path)
    return pictures


def seconds_of_one(problem: Baseline, rounds: int = 5) -> float:
    """The median time of one evaluation of the reference."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        problem.evaluate()
        times.append(time.perf_counter() - began)
    return median(times[1:])


def ours(content: str, style: str, size: int, settings: dict[str, Any]) -> Frames:
    """Pictures of a run of impasto, a few at each level and the last."""
    began = time.perf_counter()
    config = impasto.StylizeConfig(size=size).with_changes(**settings)
    run = impasto.Stylization(content, style, config)
    frames: Frames = []
    for event in run:
        if isinstance(event, impasto.Step) and event.index % 20 == 0:
            frames.append((time.perf_counter() - began, event.image))
    frames.append((time.perf_counter() - began, run.picture()))
    return [(seconds, resize(x, (run.height, run.width))) for seconds, x in frames]


def judged(frames: Frames, case: Case) -> Iterator[dict[str, float]]:
    for seconds, picture in frames:
        found = case.score(picture.clamp(0, 1))
        yield {"seconds": seconds, "style": found.style, "content": found.content}


def reached(curve: list[dict[str, float]], style: float, content: float) -> float | None:
    """The seconds after which a curve stands at both distances or better."""
    for point in curve:
        if point["style"] <= style and point["content"] <= content:
            return point["seconds"]
    return None


def draw(path: Path, curves: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    """One column for each pair: style and content against seconds, the reference in black."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (2.4 * len(curves) + 0.6, 5)
    figure, axes = pyplot.subplots(
        2, len(curves), figsize=size, sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for column, (pair, by_run) in zip(axes.T, curves.items(), strict=True):
        for axis, key in zip(column, ("style", "content"), strict=True):
            for name, curve in by_run.items():
                look = {"color": "black", "lw": 2} if name == "reference" else {"lw": 1.2}
                points = [(p["seconds"], p[key]) for p in curve]
                axis.plot(*zip(*points, strict=True), label=name, **look)
                axis.plot(*points[-1], "o", ms=4, color=axis.lines[-1].get_color())
            axis.set(xscale="log", yscale="log")
            axis.grid(color="#eeeeee")
        column[0].set_title(pair.replace(" x ", "\n").replace("_", " "), fontsize=10)
        column[1].set_xlabel("seconds")
    for axis, key in zip(axes[:, 0], ("style", "content"), strict=True):
        axis.set_ylabel(f"{key} distance")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with content/ and style/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=1000, help="of the reference")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--first", type=int, default=0, help="pair to begin with")
    parser.add_argument("--only", choices=["reference"], help="make the reference's pictures")
    parser.add_argument("--runs", nargs="+", default=list(RUNS))
    a = parser.parse_args()
    keep_freed_memory()  # as the command line does; the reference gains by it, too
    a.out.mkdir(parents=True, exist_ok=True)
    judge = get_encoder("vgg19")
    curves: dict[str, dict[str, list[dict[str, float]]]] = {}
    table = []
    for content_name, style_name in PAIRS[a.first : a.pairs]:
        pair = f"{content_name} x {style_name}"
        files = [a.images / "content" / content_name, a.images / "style" / style_name]
        content_file, style_file = (str(f.with_suffix(".jpg")) for f in files)
        content, style = (load_image(f, size=a.size) for f in (content_file, style_file))
        kept = a.out / "reference" / f"{content_name}-{style_name}-{a.size}-{a.iterations}.pt"
        pictures = reference(content, style, a.iterations, kept)
        if a.only == "reference":
            continue
        found = {name: ours(content_file, style_file, a.size, RUNS[name]) for name in a.runs}
        pace = seconds_of_one(Baseline(content, style))
        found["reference"] = [(number * pace, picture) for number, picture in pictures.items()]
        case = Case(content, style, judge)
        curves[pair] = {name: list(judged(frames, case)) for name, frames in found.items()}
        final = curves[pair]["reference"][-1]
        goal = (final["style"] * MARGIN, final["content"] * MARGIN)
        times = {name: reached(curve, *goal) for name, curve in curves[pair].items()}
        whole = {name: curve[-1]["seconds"] for name, curve in curves[pair].items()}
        table.append(
            {
                "pair": pair,
                "style": goal[0],
                "content": goal[1],
                "seconds": times,
                "finished": whole,
                "seconds of an iteration of the reference": pace,
            }
        )
        told = "  ".join(f"{n} {s:.1f} s" if s else f"{n} never" for n, s in times.items())
        print(f"{pair:32} style {goal[0]:.3f} content {goal[1]:.3f}: {told}", flush=True)
        report = {
            "machine": describe_machine(torch.device("cpu"), torch.float32),
            "iterations": a.iterations,
            "table": table,
            "curves": curves,
        }
        (a.out / "curves.json").write_text(json.dumps(report, indent=1))
    if curves:
        draw(a.out / "curves.webp", curves)


if __name__ == "__main__":
    main()
