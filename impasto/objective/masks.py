"""Masks as they are given: read, checked, fitted to their picture, and softened.

Masks are ``(1, 1, H, W)`` in [0, 1]: white is inside, grey half. They come from files (one mask for
each region, or one map in which each region has a colour) or from arrays.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import ConfigError
from impasto.image.inputs import Source, provenance_of, read_role
from impasto.image.io import Picture, resize, size_to_fit

AUTO, REST, ALL, OFF = "auto", "rest", "all", "off"

# Masks of larger pictures are kept smaller: their edges are soft anyway.
LARGEST = 2048
MOST_CLASSES = 40  # of 255: a mask that is nowhere brighter holds numbers
EMPTY = 0.02  # a mask that is nowhere brighter than this is a mistake
# Colours of a map are at least so far apart (of 255 in each channel) and so common; all others, as
# smoothed edges and JPEG leave them, are taken for the nearest of those.
APART, COMMON, COVERED = 48.0, 0.003, 0.9


@dataclass(frozen=True)
class Masks:
    """What was given for masks, read: pictures, or one of the words auto, rest, all."""

    regions: tuple[Picture | str, ...] = ()
    style_regions: tuple[Picture | str, ...] = ()
    keep: Picture | None = None
    subject: Picture | None = None


def subject_of(masks: Masks, content: tuple[int, int]) -> Tensor | None:
    """The mask of the subject ``(1, 1, h, w)`` in [0, 1] that was given, if any.

    Raises ConfigError for one that is empty or has another aspect ratio than the content.
    """
    if masks.subject is None:
        return None
    check_shape("subject", masks.subject.size, content, "content")
    return fit_mask(
        mask_of(masks.subject, "subject"), size_to_fit(*content, min(max(content), LARGEST))
    )


def read_masks(
    regions: Sequence[Source],
    style_regions: Sequence[Source],
    keep: Source | None,
    subject: Source = AUTO,
    **limit: int,
) -> tuple[Masks, dict[str, Any]]:
    """Masks, and how they are named in the metadata; the words auto, rest and all stay words.
    ``subject`` may be one of the words auto and off, which give no mask.

    Raises what :func:`impasto.read_image` raises, and says which mask it is about.
    """
    told: dict[str, Any] = {}
    read: dict[str, list[Picture | str]] = {}
    for role, given in (("regions", regions), ("style_regions", style_regions)):
        read[role] = [_read_mask(role, source, limit) for source in given]
        if given:
            told[role] = [
                {"word": mask} if isinstance(mask, str) else provenance_of(source, mask)
                for source, mask in zip(given, read[role], strict=True)
            ]
    single: dict[str, Picture] = {}
    words = isinstance(subject, str) and subject in (AUTO, OFF) and not os.path.isfile(subject)
    for role, source in (("keep", keep), ("subject", None if words else subject)):
        if source is not None:
            mask = _read_mask(role, source, limit)
            if isinstance(mask, str):
                raise ConfigError(f"{role} is '{mask}'", "give a mask")
            single[role], told[role] = mask, provenance_of(source, mask)
    return Masks(tuple(read["regions"]), tuple(read["style_regions"]), **single), told


def _read_mask(role: str, source: Source, limit: dict[str, int]) -> Picture | str:
    if isinstance(source, str) and source in (AUTO, REST, ALL) and not os.path.isfile(source):
        return source
    if str(getattr(source, "dtype", "")) in ("bool", "torch.bool"):
        source = source * np.uint8(255) if isinstance(source, np.ndarray) else source.float()
    if isinstance(source, torch.Tensor) and source.ndim == 2:
        source = source[None]
    return _in_full_range(read_role(role, _as_bytes(source), **limit), role)


def _as_bytes(source: Source) -> Source:
    """Whole numbers from 0 to 255 as uint8, of whatever type they are; anything else as it is."""
    if isinstance(source, torch.Tensor) and source.dtype in (torch.int16, torch.int32, torch.int64):
        source = source.numpy(force=True)
    if not isinstance(source, np.ndarray) or source.dtype.kind not in "iu" or not source.size:
        return source
    fits = source.dtype.itemsize > 1 and 0 <= source.min() <= source.max() <= 255
    if not fits or source.dtype == np.uint16:
        return source
    narrow = source.astype(np.uint8)
    return narrow[0] if narrow.ndim == 3 and narrow.shape[0] == 1 else narrow


def _in_full_range(picture: Picture, role: str) -> Picture:
    """A mask of zeros and ones, white where there are ones.

    Raises ConfigError for what can only be the numbers of classes: no mask is that dark.
    """
    top = round(float(picture.pixels.max()) * 255)
    if picture.depth != 8 or picture.alpha is not None or not 1 <= top <= MOST_CLASSES:
        return picture
    if top == 1:
        return replace(picture, pixels=(picture.pixels * 255).round())
    raise ConfigError(
        f"{role} holds nothing brighter than {top} of 255, which looks like numbers of classes",
        "give one mask for each class, white where it is: (classes == 1), (classes == 2), ...",
    )


def is_coloured(picture: Picture) -> bool:
    return float((picture.pixels.amax(1) - picture.pixels.amin(1)).max()) > 0.1


def mask_of(picture: Picture, name: str) -> Tensor:
    """Bright is inside, transparent is not; ConfigError where nothing is."""
    mask = picture.pixels.mean(1, keepdim=True)
    if picture.alpha is not None:
        mask = mask * picture.alpha
    if float(mask.max()) < EMPTY:
        raise ConfigError(f"{name} is empty: black everywhere", "paint white what is inside")
    return mask


def read_map(picture: Picture, name: str) -> tuple[Tensor, list[Tensor]]:
    """The colours ``(n, 3)``, 0 to 255, of a map of colours, and the mask of each.

    In the order in which one meets them, row by row from the top left. Raises ConfigError for a
    picture of too many colours.
    """
    samples = (picture.pixels[0] * 255).round().long()
    codes = (samples[0] * 256 + samples[1]) * 256 + samples[2]
    # Smoothed edges are no colours of their own: only pixels like all their neighbours count.
    around = F.pad(picture.pixels * 255, (1, 1, 1, 1), mode="replicate")
    spread = F.max_pool2d(around, 3, 1) + F.max_pool2d(-around, 3, 1)
    flat = (spread.amax(1)[0] <= APART / 2).double().flatten()
    values, inverse = codes.unique(return_inverse=True)  # type: ignore[no-untyped-call]  # torch's
    counts = torch.zeros(len(values), dtype=torch.double).index_add_(0, inverse.flatten(), flat)
    pixels = torch.bincount(inverse.flatten())
    rgb = torch.stack([values // 65536, values // 256 % 256, values % 256], 1).float()
    main: list[int] = []
    for index in counts.argsort(descending=True, stable=True).tolist():
        if counts[index] < COMMON * codes.numel():
            break
        if all(float((rgb[index] - rgb[other]).norm()) > APART for other in main):
            main.append(index)
    distance = torch.cdist(rgb, rgb[main]) if main else torch.full((len(rgb), 1), math.inf)
    covered = pixels[distance.amin(1) <= APART].sum() / codes.numel()
    if covered < COVERED:
        raise ConfigError(
            f"{name} is no map of colours: {len(values)} of them, most of them rare",
            "paint each region in one colour, without shades; or give one grey mask for each",
        )
    labels = distance.argmin(1)[inverse]
    firsts = [int((labels == k).flatten().int().argmax()) for k in range(len(main))]
    order = sorted(range(len(main)), key=lambda k: firsts[k])
    return rgb[main][order], [(labels == k)[None, None].float() for k in order]


def check_shape(name: str, size: tuple[int, int], wanted: tuple[int, int], of: str) -> None:
    """Another size is resized; another aspect ratio (by more than a pixel) is a mistake."""
    height, width = size
    if abs(width * wanted[0] - height * wanted[1]) > max(*size, *wanted):
        raise ConfigError(
            f"{name} is {height}x{width} (height x width), the {of} {wanted[0]}x{wanted[1]}",
            "give it the shape of its picture; any size will do",
        )


def fit_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return resize(mask, size).clamp(0, 1)


def soften(mask: Tensor, feather: float) -> Tensor:
    """A Gaussian blur whose deviation is half of ``feather`` long sides; borders replicated."""
    sigma = feather * max(mask.shape[-2:]) / 2
    radius = math.ceil(3 * sigma)
    if radius < 1:
        return mask
    offsets = torch.arange(-radius, radius + 1, dtype=mask.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    rows = F.conv2d(F.pad(mask, (0, 0, radius, radius), mode="replicate"), kernel)
    columns = F.pad(rows, (radius, radius, 0, 0), mode="replicate")
    return F.conv2d(columns, kernel.transpose(2, 3)).clamp(0, 1)
