"""By what must each loss be multiplied, so that it holds its own against the content as gram does?

    python benchmarks/force.py --out force.json [LOSS ...]

Two photos of scikit-image in two swatches, at the default settings but for the size. How much of
the content a result keeps is the correlation of its relu4_2, as mini sees it, with the photo's
(each channel less its mean over positions). Paints with half the loss's ``scale``, with it and with
twice it, and tells for each the correlation; beside it that of the default losses, which all shall
have at their scale. Strength is a weight here: as a limit it would hold the content itself.

For a content loss it tells the ``reach``, too: how far default pictures, whose strength is a limit,
have moved by it, over how far they have moved by features.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest.mock import patch

import torch
from skimage import data
from torch import Tensor

import impasto
from impasto.encoders.base import IMAGE
from impasto.losses import CONTENT_LOSSES, STYLE_LOSSES, FeatureLoss, Loss
from impasto.losses.base import LossOptions

PAIRS = (("chelsea", "waves"), ("coffee", "night"))
LAYER = "relu4_2"
LOSSES = {**STYLE_LOSSES, **CONTENT_LOSSES}


def kept(image: Tensor, photo: Tensor, encoder: impasto.Encoder) -> float:
    """The correlation of the two pictures' deep features."""
    both = []
    for picture in (image, photo):
        features = encoder(picture, LAYER)[LAYER].float()
        both.append((features - features.mean((2, 3), keepdim=True)).flatten())
    return float(torch.nn.functional.cosine_similarity(*both, dim=0))


def moved(loss: type[Loss], image: Tensor, photo: Tensor, encoder: impasto.Encoder) -> float:
    """The relative distance of two pictures by a content loss."""
    layers = impasto.StylizeConfig.content_layers
    weights = dict.fromkeys(layers, 1 / len(layers))
    content, picture = ({**encoder(x, layers), IMAGE: x} for x in (photo, image))
    found = loss.from_content(content, weights, LossOptions("relative"))
    found.on_step_start(0)
    return float(sum(found(picture).values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("losses", nargs="*", help=f"default: all of {', '.join(LOSSES)}")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=192)
    a = parser.parse_args()
    encoder = impasto.get_encoder("mini")
    photos = {x: impasto.load_image(getattr(data, x)(), size=a.size) for x, _ in PAIRS}
    defaults = [impasto.stylize(photos[x], style, size=a.size).image for x, style in PAIRS]
    found: dict[str, dict[str, float]] = {}
    for name in a.losses or LOSSES:
        loss, found[name] = LOSSES[name], {}
        for change in (1.0,) if name in ("gram", "features") else (0.5, 1.0, 2.0):
            with patch.object(loss, "scale", loss.scale * change):
                images = [
                    impasto.stylize(
                        photos[photo],
                        style,
                        size=a.size,
                        strength_mode="weight",
                        **{f"{loss.role}_loss": name},
                    ).image
                    for photo, style in PAIRS
                ]
            alike = [kept(x, photos[p], encoder) for x, (p, _) in zip(images, PAIRS, strict=True)]
            found[name][f"{loss.scale * change:g}"] = sum(alike) / len(alike)
        if loss.role == "content":
            ratios = [
                moved(loss, x, photos[p], encoder) / moved(FeatureLoss, x, photos[p], encoder)
                for x, (p, _) in zip(defaults, PAIRS, strict=True)
            ]
            found[name]["reach"] = sum(ratios) / len(ratios)
        told = "   ".join(f"{factor}: {value:.3f}" for factor, value in found[name].items())
        print(f"{name:<16} {told}", flush=True)
    if a.out:
        a.out.write_text(json.dumps({"size": a.size, "kept": found}, indent=1))


if __name__ == "__main__":
    main()
