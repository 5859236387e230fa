"""Does a pixel of a large picture cost more than one of a small one?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/cost_per_pixel.py --out cost.json

Loss and gradient at the layers of the default run, on 3:2 pictures of several sizes, in the rounds
of one loop; the table shows medians in nanoseconds per pixel and as a ratio to the smallest size.
VGG-19 computes pictures above 2048 pixels in tiles of 1024, as a run in 4 GiB would, and with
--whole in one piece too, for which 16:9 pictures (--aspect 1.7778) want 17 GiB; mini computes them
whole and, beside it, in tiles of 2048.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch

import impasto
from impasto.encoders import get_encoder
from impasto.image.swatches import SIDE
from impasto.losses import FeatureLoss, GramLoss, Objective, TotalVariation
from impasto.machine.devices import choose_dtype, describe_machine, keep_freed_memory
from impasto.optim.tiling import differentiate, encode

CONFIG = impasto.StylizeConfig()
CASES = {
    "mini": [(512, None), (1024, None), (2048, None), (3840, None), (3840, 2048)],
    "vgg19": [(512, None), (1024, None), (2048, None), (3840, 1024)],
}


class Case:
    """One encoder at one size."""

    def __init__(self, name: str, size: int, tile: int | None, aspect: float) -> None:
        self.name, self.size, self.tile = name, size, tile
        self.encoder = get_encoder(name, padding=CONFIG.padding)
        device = torch.device("cpu")
        self.encoder.to(choose_dtype("auto", device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        content = impasto.resize(impasto.swatch("night", size=SIDE), (size, size))
        content = content[..., : round(size / aspect), :].contiguous()
        style = impasto.swatch("waves", size=512)
        self.objective = Objective(
            content=(FeatureLoss(encode(self.encoder, content, CONFIG.content_layers, tile)), 0.02),
            style=(
                GramLoss(self.encoder(style, CONFIG.style_layers), normalization="relative"),
                1.0,
            ),
            tv=(TotalVariation(), 0.3),
        )
        self.image = content.clone().requires_grad_(True)
        self.times: list[float] = []

    def measure(self) -> None:
        self.image.grad = None
        began = time.perf_counter()
        differentiate(self.image, self.encoder, self.objective, self.tile)
        self.times.append(time.perf_counter() - began)

    @property
    def nanoseconds(self) -> float:
        """Per pixel; the first round warms up."""
        return median(self.times[1:]) / self.image[0, 0].numel() * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--aspect", type=float, default=1.5, help="width over height")
    parser.add_argument("--whole", action="store_true", help="VGG-19 at 3840 without tiles as well")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    keep_freed_memory()
    whole: list[tuple[int, int | None]] = [(3840, None)] if a.whole else []
    cases = [
        Case(name, *case, a.aspect)
        for name in a.encoders
        for case in CASES[name] + (whole if name == "vgg19" else [])
    ]
    for _ in range(a.rounds):
        for case in cases:
            case.measure()
    smallest = {name: next(c for c in cases if c.name == name).nanoseconds for name in a.encoders}
    rows = [
        {
            "encoder": c.name,
            "size": c.size,
            "tile": c.tile,
            "ns per pixel": round(c.nanoseconds, 1),
            "ratio": round(c.nanoseconds / smallest[c.name], 3),
        }
        for c in cases
    ]
    for row in rows:
        print("  ".join(f"{key} {value!s:>6}" for key, value in row.items()))
    machine = describe_machine(torch.device("cpu"), cases[0].encoder.dtype)
    a.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
