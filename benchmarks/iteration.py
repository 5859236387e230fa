"""How fast is one iteration, beside the reference, and beside what the machine can do at all?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/iteration.py --out iteration.json

Loss and gradient at relu4_2 and relu1_1 to relu5_1 of VGG-19: neural-style-pt's way (see
baseline.py), impasto's in float32 and in bfloat16, and impasto with mini. Beside them the
*ceiling*: the network's convolutions alone, forwards and backwards to their input, on tensors of
the right sizes, in the precision and the memory layout that impasto uses. Rounds are interleaved;
the table shows medians, ratios to the reference, and the share of the ceiling that was reached.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from baseline import STYLE_LAYERS, Baseline
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from impasto.encoders import Encoder, get_encoder
from impasto.encoders.contents import CHANNELS, CONVOLUTIONS
from impasto.losses import FeatureLoss, GramLoss, Objective, TotalVariation
from impasto.machine.devices import choose_dtype, describe_machine
from impasto.optim.tiling import differentiate


def impasto_iteration(encoder: Encoder, content: Tensor, style: Tensor) -> Callable[[], object]:
    """One evaluation with its gradient, as the engine makes it."""
    objective = Objective(
        content=(FeatureLoss(encoder(content, ["relu4_2"]), normalization="relative"), 0.02),
        style=(GramLoss(encoder(style, STYLE_LAYERS), normalization="relative"), 1.0),
        tv=(TotalVariation(), 0.3),
    )
    image = content.clone().requires_grad_(True)

    def run() -> object:
        image.grad = None
        return differentiate(image, encoder, objective)

    return run


def convolutions(name: str) -> list[tuple[int, int, int]]:
    """(channels in, channels out, stride) of every convolution up to conv5_1."""
    found, channels = [], 3
    if name == "mini":
        from impasto.encoders.mini import STAGES

        for stage, (width, count, *early) in enumerate(STAGES):
            for place in range(count):
                found.append((channels, width, 2 ** (stage - (place < sum(early)))))
                channels = width
        return found
    for layer in CONVOLUTIONS[name]:
        if layer > "conv5_1":
            break
        found.append((channels, CHANNELS[int(layer[4])], 2 ** (int(layer[4]) - 1)))
        channels = found[-1][1]
    return found


def operations(name: str, height: int, width: int) -> float:
    """Floating-point operations of the convolutions, forwards and backwards."""
    return sum(
        4 * 9 * a * b * (height // stride) * (width // stride)
        for a, b, stride in convolutions(name)
    )


def ceiling(name: str, height: int, width: int, dtype: torch.dtype) -> Callable[[], object]:
    """The convolutions alone; the first one's way back to the image included."""
    layers = []
    for a, b, stride in convolutions(name):
        x = torch.randn(1, a, height // stride, width // stride).to(
            dtype, memory_format=torch.channels_last
        )
        weight = torch.randn(b, a, 3, 3).to(dtype, memory_format=torch.channels_last)
        slope = torch.randn(1, b, *x.shape[-2:]).to(dtype, memory_format=torch.channels_last)
        layers.append((x, weight, slope))

    @torch.no_grad()
    def run() -> object:
        for x, weight, slope in layers:
            F.conv2d(x, weight, padding=1)
            conv2d_input(x.shape, weight, slope, padding=1)
        return None

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--padding", default="replicate")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    best = choose_dtype("auto", torch.device("cpu"))
    precisions = list(dict.fromkeys([torch.float32, best]))
    report: dict[str, object] = {
        "machine": describe_machine(torch.device("cpu"), best),
        "padding": a.padding,
        "sizes": {},
    }
    for size in a.sizes:
        height, width = size * 3 // 4, size
        draw = torch.Generator().manual_seed(0)
        content, style = (torch.rand(1, 3, height, width, generator=draw) for _ in range(2))
        runs: dict[str, Callable[[], object]] = {"reference": Baseline(content, style).evaluate}
        for name in ("vgg19", "mini"):
            for dtype in precisions:
                label = f"{name} {str(dtype).removeprefix('torch.')}"
                encoder = get_encoder(name, padding=a.padding)
                encoder.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                runs[label] = impasto_iteration(encoder, content, style)
                runs[f"{label} ceiling"] = ceiling(name, height, width, dtype)
        times: dict[str, list[float]] = {label: [] for label in runs}
        for number in range(a.rounds + 1):
            for label, run in runs.items():
                began = time.perf_counter()
                run()
                if number:  # the first round warms up
                    times[label].append(time.perf_counter() - began)
        medians = {label: median(values) for label, values in times.items()}
        rows = {}
        print(f"\n{height}x{width}        seconds  times the reference  GFLOP/s  of the ceiling")
        for label, seconds in medians.items():
            speedup = medians["reference"] / seconds
            flops = operations(label.split()[0].replace("reference", "vgg19"), height, width)
            row = {"seconds": seconds, "speedup": speedup, "gflops": flops / seconds / 1e9}
            share = ""
            if top := medians.get(f"{label} ceiling"):
                row["ceiling"] = top / seconds
                share = f"{top / seconds:.0%}"
            rows[label] = row
            print(f"{label:24} {seconds:8.3f} {speedup:10.2f} {row['gflops']:12.0f}  {share:>8}")
        sizes = report["sizes"]
        assert isinstance(sizes, dict)
        sizes[f"{height}x{width}"] = rows
    a.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
