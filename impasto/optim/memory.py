"""Will it fit? A run's peak memory, foreseen from its sizes before it starts.

What a step needs is, in the main, what is kept on the way forward for the way back. It grows with
the number of pixels that are in the network at once; tiles bound it (see
:mod:`impasto.optim.tiling`). Beside it stand a few copies of the picture, which grow with the whole
picture and which nothing bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import ConfigError, ResourceError
from impasto.losses.gram import gram_sum
from impasto.machine.limits import free_memory
from impasto.optim.tiling import Tiling

PROBE = 128  # pixels a side of the image on which an encoder is measured
FLOAT = 4  # bytes
GIB = 2**30

# Copies of the picture (three floats a pixel) while a step is made. Adam: the image, its gradient,
# its average, the two moments, what the moments are divided by, the gradient of smoothness, and one
# picture handed out. L-BFGS: twenty steps and twenty gradients, and about ten around them.
COPIES = {"adam": 8, "lbfgs": 52}
# What a step needs on top of what it keeps: gradients on their way back, statistics in float32.
# In units of the widest layer's features; measured, as are the next two (benchmarks/memory.py).
PASSING = 0.85
# What the libraries take when they are first used; torch's L-BFGS loads its compiler.
OVERHEAD = {"adam": 40 * 2**20, "lbfgs": 150 * 2**20}
# A step with the gaps between its pieces of memory (devices.keep_freed_memory), in units of what
# it needs; and where tiles of ever other sizes come and go.
GAPS, GAPS_OF_TILES = 1.16, 1.75
# The share of the free memory that a run takes without being told how much it may.
FREE_SHARE = 0.8
TILES = (2048, 1536, 1024, 768, 512, 384, 256)


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a run takes at its largest: ``base`` before it starts, ``pictures`` the copies of
    the picture, ``targets`` the content's features, ``step`` what is in the network at once."""

    base: int
    pictures: int
    targets: int
    step: int

    @property
    def total(self) -> int:
        """The peak."""
        return self.base + self.pictures + self.targets + self.step


@dataclass(frozen=True)
class Footprint:
    """What an encoder takes for each pixel, in bytes: ``kept`` for the way back, ``passing`` beside
    it for a moment, ``targets`` for the features that the content loss compares with."""

    kept: float
    passing: float
    targets: float


def footprint(
    encoder: Encoder, content_layers: Sequence[str], style_layers: Sequence[str]
) -> Footprint:
    """Measure an encoder on a small image: what torch keeps, and the size of features."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter):
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    layers = list(dict.fromkeys([*content_layers, *style_layers]))
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    image = torch.zeros(1, 3, PROBE, PROBE, device=device, requires_grad=True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        features = encoder(image, layers)
        sums = [gram_sum(features[name]) for name in style_layers]
    widest = max(f.numel() * (f.element_size() + FLOAT) for f in features.values())
    targets = sum(features[x].numel() * features[x].element_size() for x in content_layers)
    total = sum(kept.values()) + targets  # the differences from the targets are kept as well
    del sums
    pixels = PROBE**2
    return Footprint(total / pixels, PASSING * widest / pixels, targets / pixels)


def estimate(
    found: Footprint, pixels: int, in_network: int, optimizer: str, base: int
) -> MemoryEstimate:
    """The demand of a picture of ``pixels``, of which ``in_network`` are computed at once.

    ``base`` is what the process holds before.
    """
    gaps = GAPS_OF_TILES if in_network < pixels else GAPS
    return MemoryEstimate(
        base=base + OVERHEAD[optimizer],
        pictures=COPIES[optimizer] * 3 * FLOAT * pixels,
        targets=round(found.targets * pixels),
        step=round(gaps * (found.kept + found.passing) * in_network),
    )


def largest_tile(tiling: Tiling, height: int, width: int) -> int:
    """How many pixels the largest tile of a picture has, with its border."""
    areas = []
    for _, tile in tiling.for_gradients(height, width):
        top, bottom, left, right = tile.outer
        areas.append((bottom - top) * (right - left))
    return max(areas)


def choose_tile(
    encoder: Encoder,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    size: tuple[int, int],
    optimizer: str,
    limit: int,
    tile: int | None = None,
    non_tileable: str = "",
) -> tuple[int | None, MemoryEstimate]:
    """The size of tiles with which a run stays below ``limit`` bytes, None for no tiles.

    With ``tile`` there is no choice, only the demand. An encoder that does not know how far it sees
    is computed as a whole; so is a picture with losses, named in ``non_tileable``, that must see
    all of it. Raises ResourceError where nothing stays below the limit, ConfigError where such
    losses meet a ``tile`` smaller than the picture.
    """
    if non_tileable and tile is not None and tile < max(size):
        raise ConfigError(
            f"{non_tileable} cannot be computed in tiles, and tile is {tile}",
            "leave out the tile, or use gram, mean-std or wasserstein",
        )
    found, base = footprint(encoder, content_layers, style_layers), rss_bytes()
    layers = list(dict.fromkeys([*content_layers, *style_layers]))
    height, width = size
    sizes = (None,) if non_tileable else (None, *TILES)
    for candidate in sizes if tile is None else (tile,):
        area = height * width
        if candidate is not None and candidate < max(size):
            try:
                area = largest_tile(Tiling(encoder, layers, candidate), height, width)
            except ConfigError:
                if tile is not None:  # it was asked for: say why it cannot be
                    raise
                break
        demand = estimate(found, height * width, area, optimizer, base)
        if demand.total <= limit:
            return candidate, demand
    raise ResourceError(
        f"{width}x{height} pixels need {demand.total / GIB:.1f} GiB, and there are "
        f"{limit / GIB:.1f}",
        "use a smaller --size"
        + ("" if optimizer == "adam" else ", or --optimizer adam")
        + (f", or losses that work in tiles (not {non_tileable})" if non_tileable else ""),
    )


def rss_bytes() -> int:
    """The memory that this process holds now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def memory_budget(max_memory: float | None, device: torch.device) -> int:
    """How many bytes this process may hold: ``max_memory`` GiB, or most of what is free."""
    if max_memory is not None:
        return int(max_memory * GIB)
    return rss_bytes() + int(FREE_SHARE * available(device))


def available(device: torch.device) -> int:
    """The memory that this process could still take without others being swapped out, in bytes.

    Where a container has a limit of its own, what is left of that (:mod:`impasto.machine.limits`);
    on a GPU, what is free there.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    left = free_memory()
    return free if left is None else min(free, left)
