"""What a picture is of, as a soft mask: a small head on mini's features.

::

    image --resize--> 82,000 pixels --mini's trunk--> taps 2 to 5 --SubjectFinder--> mask

People (faces above all), animals and the main thing of a picture are 1; sky, ground, water and
walls are 0. The head is a feature pyramid (Lin et al. 2017): dilated convolutions and a global mean
at the deepest tap decide what the subject is, the finer taps where it ends. Its weights come from
``training/subject.py``.

Every picture is seen at one size, so the mask of a photo does not depend on the size at which it is
painted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.assets import load_asset
from impasto.encoders.mini import STAGES, Mini, load_mini
from impasto.errors import InvalidImageError
from impasto.image.io import resize

__all__ = ["SubjectFinder", "find_subject", "finder_sha256", "load_finder"]

TAPS = (2, 3, 4, 5)  # of mini's trunk, at strides 2, 4, 8 and 16
WIDTHS = (16, 32, 64, 96)  # channels of the head at each of TAPS
DILATIONS = (1, 2, 4)  # of the 3x3 convolutions at the deepest tap
AREA = 256 * 320  # pixels that the trunk sees, within a few percent
MULTIPLE = 16  # pixels: divides both sides of what the trunk sees
MAX_ASPECT = 3.0  # long side over short side; longer pictures are squeezed
ASSET = "finder.safetensors"


def find_subject(image: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
    """The soft mask of an image's subject, ``(1, 1, h, w)`` float32 in [0, 1].

    ``image`` is (1, 3, H, W) in [0, 1], of any size. ``size`` is the mask's (height, width); None
    is the size at which the picture was seen, some 82,000 pixels of nearly the picture's aspect
    ratio. The mask lies on the image's device, but is computed on the CPU in float32, one picture
    at a time: on one machine it is the same to the bit. Carries no gradient.

    Raises InvalidImageError for another shape, IntegrityError where the weights are damaged.

    >>> find_subject(torch.rand(1, 3, 300, 400)).shape
    torch.Size([1, 1, 240, 336])
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3) or image.numel() == 0:
        raise InvalidImageError(f"an image of shape {tuple(image.shape)}", "give (1, 3, H, W)")
    mask = mark(image.detach().to("cpu", torch.float32), *_networks())
    if size is not None:
        mask = F.interpolate(mask, size, mode="bilinear", align_corners=False, antialias=True)
    return mask.to(image.device)


class SubjectFinder(nn.Module):
    """The head on the taps of mini's trunk.

    ``tensors`` are those of ``assets/finder.safetensors``, unpacked; without them the head is
    untrained.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, *, sha256: str = "") -> None:
        super().__init__()
        self.sha256 = sha256
        channels = [STAGES[tap - 1][0] for tap in TAPS]
        deepest = WIDTHS[-1]
        self.enter = nn.ModuleList(
            nn.Conv2d(given + 1, width, 1) for given, width in zip(channels, WIDTHS, strict=True)
        )
        self.context = nn.ModuleList(
            nn.Conv2d(deepest, deepest, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.overall = nn.Conv2d(deepest, deepest, 1)
        self.descend = nn.ModuleList(
            nn.Conv2d(below, width, 1) for width, below in pairwise(WIDTHS)
        )
        self.fuse = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in WIDTHS[:-1])
        self.decide = nn.Conv2d(WIDTHS[0], 1, 1)
        if tensors is not None:
            self.load_state_dict({name: t.float() for name, t in tensors.items()})
            self.eval().requires_grad_(False)

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        """TAPS of a picture -> the logits of its mask, ``(N, 1, H / 2, W / 2)``."""
        logits: Tensor = self.decide(self.pyramid([normalize(tap) for tap in taps])[0])
        return logits

    def pyramid(self, taps: Sequence[Tensor]) -> list[Tensor]:
        """Normalized TAPS, or the last of them -> what the head makes of each, WIDTHS channels."""
        finest = len(self.enter) - len(taps)
        own = {number: self.enter[number](tap) for number, tap in enumerate(taps, finest)}
        x = F.relu(own[len(own) + finest - 1])
        for convolution in self.context:
            x = x + F.relu(convolution(x))
        x = F.relu(x + self.overall(x.mean((2, 3), keepdim=True)))
        levels = [x]
        for number in reversed(range(finest, len(self.fuse))):
            above = F.interpolate(
                self.descend[number](x),
                own[number].shape[-2:],
                mode="bilinear",
                align_corners=False,
            )
            x = F.relu(self.fuse[number](F.relu(own[number] + above)))
            levels.insert(0, x)
        return levels


def load_finder(path: str | Path | None = None) -> SubjectFinder:
    """The head with the weights that ship with impasto, or with those of ``path``.

    Raises IntegrityError for a file that is damaged or not the finder's.
    """
    return load_asset(
        ASSET,
        path,
        "the subject finder",
        lambda tensors, sha256: SubjectFinder(tensors, sha256=sha256),
    )


@torch.no_grad()
def mark(image: Tensor, mini: Mini, finder: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
    """``find_subject`` with these networks, at ``working_size``; ``finder`` gives logits."""
    size = working_size(*image.shape[-2:])
    with torch.autocast("cpu", enabled=False):
        taps = mini.trunk(resize(image, size), TAPS[-1])
        logits = finder([taps[tap] for tap in TAPS])
        return F.interpolate(logits, size, mode="bilinear", align_corners=False).sigmoid()


def working_size(height: int, width: int) -> tuple[int, int]:
    """The (height, width) at which a picture of that size is seen.

    >>> working_size(3000, 4000), working_size(30, 40), working_size(100, 5000)
    ((240, 336), (240, 336), (160, 496))
    """
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    sides = (AREA / aspect) ** 0.5, (AREA * aspect) ** 0.5
    high, wide = (round(side / MULTIPLE) * MULTIPLE for side in sides)
    return high, wide


def normalize(features: Tensor) -> Tensor:
    """Features ``(N, C, h, w)`` -> ``(N, C + 1, h, w)``: with a root mean square of 1 over the
    channels of each position, and the logarithm of what that was.

    So that dim places of little contrast are seen as well as others.
    """
    square = features.float().square().mean(1, keepdim=True) + 1e-4
    scale = torch.rsqrt(square)
    return torch.cat([features * scale.to(features.dtype), square.log().to(features.dtype)], 1)


def finder_sha256() -> str:
    """The SHA-256 of the weights that ship, for metadata."""
    return _networks()[1].sha256


@functools.lru_cache(maxsize=1)
def _networks() -> tuple[Mini, SubjectFinder]:
    return load_mini(), load_finder()
