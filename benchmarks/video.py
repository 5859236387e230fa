"""Clips: frames a second and where the time goes; how steady, by the true flow of MPI-Sintel.

    python benchmarks/video.py speed ../shared/images/video/bunny.mp4 [--frames 24] [--rounds 3]
    IMPASTO_WEIGHTS=../shared/weights python benchmarks/video.py warping ../shared/images/video/flow
    IMPASTO_WEIGHTS=../shared/weights python benchmarks/video.py drift clip.mp4 [--engine optimised]
    IMPASTO_WEIGHTS=../shared/weights python benchmarks/video.py key clip.mp4 --size 256

``speed``: a clip at 640x360 pixels, both engines taking turns, with ``--threads`` threads (2):
seconds of the clock and of the processor for each frame, and the shares of decode, flow, network,
keep (PNGs on disk) and encode. ``warping``: the root of the mean squared difference of the
paintings of frames 2 and 3, carried along the true flow, in unoccluded pixels, against frames
painted one by one and an exponential blend of those; and the share of the style gap that closes, by
VGG-19. ``drift``: the same difference from frame to frame and over ten frames, along our own
flow where it is trusted, and the style distance that is left. ``key``: one painted frame carried
through a clip, and the style distance to it. ``--out`` keeps the paintings (warping).
Prints tables and JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import impasto
from impasto.encoders import get_encoder
from impasto.image.io import load_image, resize, save_image, size_to_fit
from impasto.metrics.evaluate import score
from impasto.video.carry import Memory
from impasto.video.flow import motion, resize_flow, warp
from impasto.video.paint import MaskTracker, make_painter
from impasto.video.stylize import split_settings

CASES = [
    ("easy", "night", "quick", 512),
    ("easy", "waves", "quick", 512),
    ("medium", "night", "quick", 512),
    ("medium", "waves", "quick", 512),
    ("easy", "night", "optimised", 256),
    ("medium", "night", "optimised", 256),
]
"""Clip, style, engine and long side in pixels."""
BLEND = 0.7
"""Of the frame before, in the naive way."""


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["speed", "warping", "drift", "key"])
    parser.add_argument("path", type=Path, help="a clip; the folder with easy/ and medium/")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--engine", choices=["quick", "optimised"], default="quick")
    parser.add_argument("--style", default="night")
    parser.add_argument("--cases", type=int, nargs="*", help="some of the six, from 0")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="other settings")
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    a.set = {k: json.loads(v) for k, v in (item.split("=", 1) for item in a.set)}
    torch.set_num_threads(a.threads)
    found = {"speed": speed, "warping": warping, "drift": drift, "key": key}[a.what](a)
    print(json.dumps({"machine": platform.processor(), "cores": os.cpu_count(), **found}))


# --- speed ---------------------------------------------------------------------------------------


def speed(a: argparse.Namespace) -> dict[str, Any]:
    """Frames of each engine, from the file to the file."""
    clip = impasto.video.read.open_clip(a.path)
    seconds = a.frames / float(clip.count / clip.seconds) if clip.count and clip.seconds else 1.0
    runs: dict[str, list[dict[str, Any]]] = {"quick": [], "optimised": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(a.rounds):
            for engine, found in runs.items():
                options = {"engine": engine, "size": a.size, "duration": seconds}
                began, used = time.perf_counter(), time.process_time()
                output = Path(folder, f"{engine}-{number}.mp4")
                result = impasto.stylize_video(a.path, "night", output, **options)
                found.append(
                    {
                        "frames": result.frames,
                        "seconds": (time.perf_counter() - began) / result.frames,
                        "of the processor": (time.process_time() - used) / result.frames,
                        "timings": result.timings,
                    }
                )
                print(engine, found[-1], flush=True)
    print(f"\n{'engine':11}{'frames/s':>9}{'s/frame':>9}{'cpu s':>7}", end="")
    print("".join(f"{x:>9}" for x in ("decode", "flow", "network", "keep", "encode")))
    for engine, found in runs.items():
        each = statistics.median(x["seconds"] for x in found)
        used = statistics.median(x["of the processor"] for x in found)
        print(f"{engine:11}{1 / each:9.2f}{each:9.2f}{used:7.2f}", end="")
        for stage in ("decode", "flow", "paint", "keep", "encode"):
            share = [x["timings"][stage] / sum(x["timings"].values()) for x in found]
            print(f"{100 * statistics.median(share):7.1f} %", end="")
        print()
    return {"threads": a.threads, "size": a.size, "runs": runs}


# --- warping error -------------------------------------------------------------------------------


def warping(a: argparse.Namespace) -> dict[str, Any]:
    """Each case, frame by frame, blended and held steady."""
    judge = get_encoder("vgg19")
    cases = []
    print(f"{'case':34}{'photo':>7}{'single':>8}{'blend':>7}{'video':>7}{'ratio':>7}  closed")
    for number in a.cases or range(len(CASES)):
        name, style, engine, side = CASES[number]
        photos, flow, seen = read_case(a.path / name, side)
        painted = {"photo": photos, **all_ways(photos, style, engine, a.set)}
        errors = {way: error(images, flow, seen) for way, images in painted.items()}
        example = impasto.swatch(style, size=side)
        gaps = {
            way: round(score(painted[way][2], photos[2], example, judge).gap, 3)
            for way in ("single", "blend", "video")
        }
        ratio = errors["video"] / errors["single"]
        print(
            f"{f'{name}, {style}, {engine} at {side}':34}{errors['photo']:7.3f}"
            f"{errors['single']:8.3f}{errors['blend']:7.3f}{errors['video']:7.3f}{ratio:7.3f}  "
            f"{gaps}",
            flush=True,
        )
        cases.append({"case": CASES[number], "errors": errors, "ratio": ratio, "gaps": gaps})
        if a.out is not None:
            a.out.mkdir(parents=True, exist_ok=True)
            rows = [torch.cat(painted[way], 3) for way in ("photo", "single", "video")]
            save_image(a.out / f"{name}-{style}-{engine}.png", torch.cat(rows, 2).clamp(0, 1))
    return {"settings": a.set, "cases": cases}


def read_case(folder: Path, side: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Frames 1 to 3, the flow from 2 to 3, and where it can be judged, at a long side of ``side``
    pixels."""
    whole = [load_image(folder / f"frame_{number:04}.jpg") for number in (1, 2, 3)]
    size = size_to_fit(*whole[0].shape[-2:], side)
    data = np.load(folder / "flow_0002.npz")
    flow = torch.from_numpy(data["flow"]).permute(2, 0, 1)[None].float()
    hidden = torch.from_numpy(data["occluded"] | data["invalid"]).float()[None, None]
    seen = torch.nn.functional.interpolate(1 - hidden, size, mode="area") > 0.999
    return [resize(x, size).clamp(0, 1) for x in whole], resize_flow(flow, size), seen.float()


def all_ways(
    photos: list[Tensor], style: str, engine: str, settings: dict[str, Any]
) -> dict[str, list[Tensor]]:
    """The paintings of frames: each by itself, an exponential blend of those, and held steady."""
    single = paint(photos, style, engine, settings, steady=False)
    blend = [single[0]]
    for image in single[1:]:
        blend.append(torch.lerp(image, blend[-1], BLEND))
    video = paint(photos, style, engine, settings, steady=True)
    return {"single": single, "blend": blend, "video": video}


def paint(
    photos: list[Tensor], style: str, engine: str, settings: dict[str, Any], *, steady: bool
) -> list[Tensor]:
    """The paintings of frames, one by one or each with what is carried to it."""
    video, own = split_settings({"engine": engine, **settings})
    painter, memory, masks = make_painter([style], own, video), Memory(video.cuts), MaskTracker(own)
    found = []
    for photo in photos:
        carried = memory.carry(photo) if steady else None
        found.append(painter.paint(photo, carried, masks.at(photo, carried)).clamp(0, 1))
        memory.remember(photo, found[-1])
    return found


def error(images: list[Tensor], flow: Tensor, seen: Tensor) -> float:
    """Of frame 3, carried back to frame 2 along the true flow."""
    squares = (images[1] - warp(images[2], flow, "bilinear")).square().mean(1, keepdim=True)
    return float((squares * seen).sum() / seen.sum()) ** 0.5


# --- over many frames ----------------------------------------------------------------------------


def drift(a: argparse.Namespace) -> dict[str, Any]:
    """A clip frame by frame, blended and held steady: differences over one and over ten frames."""
    photos, judge = read_frames(a), get_encoder("vgg19")
    painted = all_ways(photos, a.style, a.engine, a.set)
    example = impasto.swatch(a.style, size=max(photos[0].shape[-2:]))
    found: dict[str, Any] = {}
    for way, images in painted.items():
        one, ten = (mean_difference(images, photos, apart) for apart in (1, 10))
        left = [score(images[k], photos[k], example, judge).style for k in (0, len(images) - 1)]
        found[way] = {"1 frame": one, "10 frames": ten, "style distance": sum(left) / 2}
        print(way, {name: round(value, 3) for name, value in found[way].items()}, flush=True)
    return {"clip": a.path.name, "engine": a.engine, "style": a.style, "found": found}


def key(a: argparse.Namespace) -> dict[str, Any]:
    """The style distance of carried frames to a painted first frame, and of the last by itself."""
    photos, judge = read_frames(a), get_encoder("vgg19")
    first = impasto.stylize(photos[0], a.style, size=None).image
    video, own = split_settings({})
    painter, memory = make_painter([first], own, video), Memory(0.0)
    memory.add_key(photos[0], first)
    found: dict[str, float] = {}
    for number, photo in enumerate(photos[1:], start=2):
        carried = memory.carry(photo)
        image = painter.paint(photo, carried, {"subject": "off"}).clamp(0, 1)
        memory.remember(photo, image)
        if number in (5, 12, 24, 48):
            found[str(number)] = score(image, photo, first, judge).style
    alone = impasto.stylize(photos[-1], a.style, size=None).image
    found["stylize"] = score(alone, photos[-1], first, judge).style
    found["quick"] = score(
        impasto.quick(photos[-1], first, size=None).image, photos[-1], first, judge
    ).style
    print({name: round(value, 3) for name, value in found.items()}, flush=True)
    return {"clip": a.path.name, "style": a.style, "distance to the key": found}


def read_frames(a: argparse.Namespace) -> list[Tensor]:
    """The first ``--frames`` of a clip at ``--size``."""
    clip = impasto.video.read.open_clip(a.path)
    size = size_to_fit(*clip.size, a.size)
    frames = itertools.islice(clip.frames(), a.frames)
    return [resize(frame.pixels, size).clamp(0, 1) for frame in frames]


def mean_difference(images: list[Tensor], photos: list[Tensor], apart: int) -> float:
    """The root of the mean squared difference to the painting so many frames before, carried along
    our flow, in pixels that are trusted by more than half."""
    total = count = 0.0
    for now in range(apart, len(images)):
        step = motion(photos[now], photos[now - apart])
        seen = (step.trust > 0.5).float()
        before = warp(images[now - apart], step.flow)
        total += float(((images[now] - before).square().mean(1, keepdim=True) * seen).sum())
        count += float(seen.sum())
    return (total / max(count, 1)) ** 0.5


if __name__ == "__main__":
    main()
