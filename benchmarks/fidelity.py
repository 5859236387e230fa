"""How well does mini predict VGG-19, layer by layer, on pictures it never saw?

    IMPASTO_WEIGHTS=../shared/weights python benchmarks/fidelity.py ../shared/images --out FILE

R² is one minus the squared error over the squared deviation from the channel's mean, summed over
the channels of a layer, the positions and the pictures (512 pixels on the long side). ``gram`` is
the median over the pictures of |G - G_vgg|² / |G_vgg|².
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import load_file
from torch import Tensor

from impasto.encoders import Mini, get_encoder
from impasto.image.io import load_image
from impasto.losses.gram import gram


@torch.no_grad()
def fidelity(mini: Mini, files: list[Path], size: int) -> dict[str, dict[str, float]]:
    """``{layer: {"r2": ..., "gram": ...}}`` over all pictures."""
    vgg = get_encoder("vgg19")
    error: dict[str, float] = {}
    total: dict[str, Tensor] = {}
    squares: dict[str, float] = {}
    positions: dict[str, int] = {}
    grams: dict[str, list[float]] = {name: [] for name in mini.layers}
    for file in files:
        image = load_image(file, size=size)
        truths, guesses = vgg(image, mini.layers), mini(image, mini.layers)
        for name in mini.layers:
            truth, guess = truths.pop(name), guesses.pop(name)
            error[name] = error.get(name, 0.0) + float((truth - guess).square().sum())
            squares[name] = squares.get(name, 0.0) + float(truth.double().square().sum())
            total[name] = total.get(name, torch.zeros(())) + truth.double().sum((0, 2, 3))
            positions[name] = positions.get(name, 0) + truth[0, 0].numel()
            target = gram(truth)
            distance = (gram(guess) - target).square().sum() / target.square().sum()
            grams[name].append(float(distance))
    result = {}
    for name in mini.layers:
        deviation = squares[name] - float(total[name].square().sum()) / positions[name]
        result[name] = {"r2": 1 - error[name] / deviation, "gram": median(grams[name])}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with content/ and style/")
    parser.add_argument("--weights", type=Path, default=Path("impasto/assets/mini.safetensors"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    files = sorted((a.images / "content").glob("*.jpg")) + sorted((a.images / "style").glob("*"))
    mini = Mini(load_file(a.weights), predict=True)
    table = fidelity(mini, files, a.size)
    for name, row in table.items():
        print(f"{name:<8} R2 {row['r2']:6.3f}   gram {row['gram']:6.3f}")
    a.out.write_text(
        json.dumps({"pictures": len(files), "size": a.size, "layers": table}, indent=1)
    )


if __name__ == "__main__":
    main()
