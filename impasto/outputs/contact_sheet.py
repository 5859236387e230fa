"""PICTURES -> ONE PICTURE: rows of labelled cells, and a colour map for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from impasto.image.io import read_image, resize

GAP, LABEL = 6, 18  # pixels
INK = "#333333"

# From 0 to 1: black, violet, red, orange, pale yellow; each lighter than the one before.
HEAT = (
    (0.00, 0.00, 0.02),
    (0.23, 0.06, 0.44),
    (0.55, 0.16, 0.50),
    (0.85, 0.29, 0.37),
    (0.99, 0.56, 0.26),
    (0.99, 0.99, 0.75),
)


@dataclass
class Cell:
    """One picture of a sheet: ``(1, 3, h, w)``, or None for one that is still to come, and will be
    ``aspect`` times as high as wide."""

    label: str = ""
    image: Tensor | None = field(default=None, repr=False)
    aspect: float = 1.0


def contact_sheet(rows: Sequence[Sequence[Cell]], width: int) -> Tensor:
    """Cells in rows, each ``width`` pixels wide, with their labels below: ``(1, 3, H, W)``.

    Small maps are enlarged without smoothing, so that each of their positions is visible.
    """
    fitted = [[_fitted(cell, width) for cell in row] for row in rows]
    heights = [max((x.shape[-2] for x in row), default=width) for row in fitted]
    columns = max(map(len, rows))
    size = (columns * (width + GAP) + GAP, sum(heights) + len(rows) * (GAP + LABEL) + GAP)
    canvas = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    top = GAP
    for row, pictures, height in zip(rows, fitted, heights, strict=True):
        for column, (cell, picture) in enumerate(zip(row, pictures, strict=True)):
            left = GAP + column * (width + GAP)
            samples = picture[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
            canvas.paste(Image.fromarray(samples), (left, top))
            draw.text((left, top + height + 1), cell.label, fill=INK, font=font)
        top += height + LABEL + GAP
    return read_image(np.asarray(canvas)).pixels


def heat(values: Tensor) -> Tensor:
    """Numbers ``(h, w)`` as colours ``(1, 3, h, w)``, clamped to [0, 1].

    >>> heat(torch.tensor([[0.0, 1.0]]))[0, :, 0, 1]
    tensor([0.9900, 0.9900, 0.7500])
    """
    table = torch.tensor(HEAT, device=values.device)
    place = values.float().clamp(0, 1) * (len(HEAT) - 1)
    below = place.floor().long().clamp_max(len(HEAT) - 2)
    share = (place - below)[..., None]
    return torch.lerp(table[below], table[below + 1], share).permute(2, 0, 1)[None]


def stretched(values: Tensor, share: float = 0.995) -> Tensor:
    """Numbers scaled so that the quantile ``share`` of them is 1; negative ones become 0."""
    top = torch.quantile(values.float().flatten()[:: max(1, values.numel() // 2**20)], share)
    return values.float().clamp_min(0) / top.clamp_min(1e-12)


def _fitted(cell: Cell, width: int) -> Tensor:
    image = cell.image
    if image is None:
        return torch.full((1, 3, max(1, round(width * cell.aspect)), width), 0.9)
    height, own = image.shape[-2:]
    size = (max(1, round(width * height / own)), width)
    if max(size) >= 2 * max(height, own):
        return F.interpolate(image.float(), size, mode="nearest")
    return resize(image.float(), size).clamp(0, 1)
