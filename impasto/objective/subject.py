"""How much each place of a photo says: the map by which the content loss is weighed.

People want to recognise their photo at once, and the painting may say more where the photo is
empty. So two things are held. All of the photo, each place by its *detail*: where there are edges,
near and far, it has something to say; a clear sky has not. And for itself, closer, the *subject*:
people, animals, the main thing, as :mod:`impasto.objective.finder` finds them or a mask says. The
terms that come of both are in :mod:`impasto.objective.targets`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.image.io import Picture, resize, size_to_fit
from impasto.image.wrap import Axes, resized
from impasto.objective.finder import find_subject, finder_sha256
from impasto.objective.masks import AUTO, OFF, Masks, subject_of

SIZE = 256
"""Long side in pixels at which a photo's detail is found."""

REACH = 16
"""Detail is blurred by boxes of the long side over this number, three times: nearly a Gaussian."""

LEAST, MOST = 0.1, 3.0
"""The range of detail, against its mean: no place is nothing, and none is all."""

LUMA = (0.299, 0.587, 0.114)

REMEMBERED = 4
"""Photos whose subject is kept, the last ones: finding it takes a third of a preview's time."""

KNOWN: OrderedDict[tuple[Any, ...], Tensor] = OrderedDict()


def detail_map(image: Tensor, axes: Axes = ()) -> Tensor:
    """How much local detail a photo ``(1, 3, H, W)`` has: ``(1, 1, h, w)`` in [0.1, 3].

    The gradient's magnitude of the luma, blurred, over its mean; ``h`` and ``w`` are those of the
    photo in at most 256 pixels. Borders along ``axes`` meet. A photo of one colour has one
    everywhere.

    >>> halves = torch.zeros(1, 3, 64, 64)
    >>> halves[..., 32:] = 1
    >>> found = detail_map(halves)[0, 0, 32]
    >>> bool(found[32] > found[0])
    True
    """
    height, width = image.shape[-2:]
    small = resized(image, size_to_fit(height, width, min(SIZE, max(height, width))), axes, resize)
    luma = (small * small.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    down, across = (_slope(luma, axis, axes) for axis in (2, 3))
    detail = (down.square() + across.square()).sqrt()
    radius = max(1, round(max(luma.shape[-2:]) / REACH)) // 2
    for _ in range(3):
        for axis, kernel in ((2, (2 * radius + 1, 1)), (3, (1, 2 * radius + 1))):
            detail = F.avg_pool2d(_pad(detail, radius, axis, axes), kernel, stride=1)
    mean = detail.mean()
    if float(mean) < 1e-6:
        return torch.ones_like(detail)
    return (detail / mean).clamp(LEAST, MOST)


def read_or_find_subject(
    masks: Masks, content: Picture, subject: str
) -> tuple[Tensor | None, dict[str, Any]]:
    """Where the subject of ``content`` is, ``(1, 1, h, w)`` in [0, 1], and how that is named in the
    metadata: as a mask says, whose name is known already; as it is found; or nowhere, where the
    setting ``subject`` is off. Raises what :func:`impasto.objective.masks.subject_of` raises."""
    given = subject_of(masks, content.size)
    if given is not None or subject == OFF:
        return given, {}
    return _find_once(content.pixels), {"subject": {"word": AUTO, "sha256": finder_sha256()}}


def _find_once(photo: Tensor) -> Tensor:
    """:func:`find_subject`, remembered by the photo's pixels."""
    key = (hashlib.sha256(photo.cpu().numpy().tobytes()).digest(), photo.shape, photo.device)
    found = KNOWN.pop(key, None)
    KNOWN[key] = find_subject(photo) if found is None else found
    while len(KNOWN) > REMEMBERED:
        KNOWN.popitem(last=False)
    return KNOWN[key].clone()


def _slope(x: Tensor, axis: int, axes: Axes) -> Tensor:
    """Half of the difference of both neighbours along ``axis``."""
    length, wide = x.shape[axis], _pad(x, 1, axis, axes)
    return (wide.narrow(axis, 2, length) - wide.narrow(axis, 0, length)) / 2


def _pad(x: Tensor, margin: int, axis: int, axes: Axes) -> Tensor:
    """``x`` with ``margin`` more at both ends of ``axis``: its other side, or its border again."""
    length = x.shape[axis]
    places = torch.arange(-margin, length + margin, device=x.device)
    places = places % length if axis in axes else places.clamp(0, length - 1)
    return x.index_select(axis, places)
