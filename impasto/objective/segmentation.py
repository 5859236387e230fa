"""Regions that nobody drew: clusters of deep features, matched between content and styles.

Deep features tell sky from grass without knowing either word. Each picture's features are put into
a few clusters (k-means), colours among them; a cluster of the content then takes its style from the
cluster of a style whose mean feature is most like its own, both seen from the mean of their whole
picture: so that sky takes from sky, and dark from dark, although a photo and a painting differ
everywhere. No cluster of a style is taken twice, or a bright, plain one would serve for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders.base import IMAGE, Encoder
from impasto.image.io import resize, size_to_fit
from impasto.machine.devices import generator
from impasto.objective.regions import Share

SIZE = 384  # long side at which pictures are looked at, in pixels
LAYERS = (IMAGE, "relu3_1", "relu4_1")
ROUNDS, TRIALS = 30, 4
SMOOTH = 2  # features are averaged over so many positions on each side: regions, not spots
# The guided filter's window, in pixels on each side, and how little contrast makes an edge.
RADIUS, CONTRAST = 12, 1e-3


def find_regions(
    encoder: Encoder,
    content: Tensor,
    styles: Sequence[Tensor],
    count: int,
    seed: int = 0,
) -> list[tuple[Tensor, Share]]:
    """``count`` regions of ``content`` ``(1, 3, H, W)``, topmost first: each one's soft mask
    ``(1, 1, h, w)`` (they sum to one), and the part of a style that it takes."""
    masks, means = _clusters(encoder, content, count, seed)
    candidates, shares = [], []
    for style, picture in enumerate(styles):
        parts, centres = _clusters(encoder, picture, count, seed)
        candidates.append(centres)
        shares += [Share(style, 1.0, part) for part in parts]
    likeness = F.normalize(means, dim=1) @ F.normalize(torch.cat(candidates), dim=1).T
    return [(mask, shares[k]) for mask, k in zip(masks, match(likeness), strict=True)]


def match(likeness: Tensor) -> list[int]:
    """The column that each row of ``likeness`` takes, the most alike first; none is taken twice.

    >>> match(torch.tensor([[0.9, 0.1], [0.8, 0.2]]))
    [0, 1]
    """
    left = likeness.clone()
    taken = [0] * len(left)
    for _ in range(len(left)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        taken[row] = column
        left[row], left[:, column] = -math.inf, -math.inf
    return taken


def kmeans(points: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm: points ``(n, d)`` -> labels ``(n,)`` and centres ``(count, d)``.

    The best of four beginnings, each drawn as k-means++ does (Arthur & Vassilvitskii 2007): far
    from the centres there are.

    >>> labels, _ = kmeans(torch.tensor([[0.0], [0.1], [5.0], [5.1]]), 2)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """
    random = generator(seed)
    best: tuple[float, Tensor, Tensor] | None = None
    for _ in range(TRIALS):
        chosen = [int(torch.randint(len(points), (), generator=random))]
        while len(chosen) < count:
            squares = torch.cdist(points, points[chosen]).amin(1).square() + 1e-12
            chosen.append(int(torch.multinomial(squares, 1, generator=random)))
        centres = points[chosen]
        for _ in range(ROUNDS):
            labels = torch.cdist(points, centres).argmin(1)
            members = F.one_hot(labels, count).to(points.dtype)  # (n, count)
            sizes = members.sum(0).unsqueeze(1)
            centres = torch.where(sizes > 0, members.T @ points / sizes.clamp_min(1), centres)
        distances, labels = torch.cdist(points, centres).min(1)
        spread = float(distances.square().sum())
        if best is None or spread < best[0]:
            best = spread, labels, centres
    assert best is not None
    return best[1], best[2]


def guided_filter(guide: Tensor, mask: Tensor) -> Tensor:
    """``mask`` ``(1, 1, H, W)`` with its edges moved to those of ``guide``, a grey picture.

    He, Sun & Tang (2013, "Guided image filtering", eq. 5 to 8).
    """

    def mean(x: Tensor) -> Tensor:
        padded = F.pad(x, (RADIUS,) * 4, mode="replicate")
        return F.avg_pool2d(padded, 2 * RADIUS + 1, stride=1)

    centre, level = mean(guide), mean(mask)
    variance = mean(guide * guide) - centre.square()
    slope = (mean(guide * mask) - centre * level) / (variance + CONTRAST)
    return mean(slope) * guide + mean(level - slope * centre)


@torch.no_grad()
def _clusters(
    encoder: Encoder, picture: Tensor, count: int, seed: int
) -> tuple[list[Tensor], Tensor]:
    """Soft masks of the clusters of a picture, topmost first, and their mean features ``(k, d)``.

    Means are of features with the picture's own mean taken away.
    """
    height, width = picture.shape[-2:]
    small = resize(picture, size_to_fit(height, width, min(SIZE, max(height, width)))).clamp(0, 1)
    layers = [x for x in LAYERS if x in (IMAGE, *encoder.layers)]
    if layers == [IMAGE]:
        layers.append(encoder.layers[-1])
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    found = [f.float().cpu() for f in encoder(small.to(device), layers).values()]
    grid = (found[1].shape[-2], found[1].shape[-1])
    stack = []
    for features in found:
        if features.shape[-2] > grid[0]:
            features = F.interpolate(features, size=grid, mode="area")
        elif tuple(features.shape[-2:]) != grid:
            features = F.interpolate(features, size=grid, mode="bilinear", align_corners=False)
        radius = min(SMOOTH, (min(grid) - 1) // 2)
        if radius:
            padded = F.pad(features, (radius,) * 4, mode="replicate")
            features = F.avg_pool2d(padded, 2 * radius + 1, stride=1)
        features = features - features.mean((2, 3), keepdim=True)
        stack.append(features / features.square().sum(1).mean().sqrt().clamp_min(1e-8))
    points = torch.cat(stack, 1)[0].flatten(1).T  # (h * w, d)
    labels, centres = kmeans(points, count, seed)
    rows = torch.arange(grid[0]).repeat_interleave(grid[1]).float()
    middle = [float(rows[labels == k].mean()) if (labels == k).any() else 1e9 for k in range(count)]
    order = sorted(range(count), key=lambda k: middle[k])
    guide = small.mean(1, keepdim=True)
    masks = []
    for k in order:
        mask = (labels == k).float().view(1, 1, *grid)
        mask = F.interpolate(mask, size=guide.shape[-2:], mode="bilinear", align_corners=False)
        masks.append(guided_filter(guide, mask).clamp(0, 1))
    total = torch.stack(masks).sum(0).clamp_min(1e-3)
    return [mask / total for mask in masks], centres[order]
