"""What an encoder saw in styles, for runs that share them: a clip's frames, a batch's pictures."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

LIMIT = 256 * 2**20
"""Bytes that a cache holds; the Gram matrices of a style take a few of these millions."""


class StyleCache:
    """Features and sums of styles, by all that decides on them. It belongs to one encoder.

    Whoever paints many pictures makes one and passes it to each run
    (``Stylization(..., style_cache=cache)``), which ends in the same bits as without. It holds
    ``limit`` bytes; what was used last stays.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.size = limit, 0
        self.found = self.missed = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What is kept under ``key``, or what ``compute`` returns: tensors, in dicts and tuples,
        that nobody changes."""
        if key in self._entries:
            self.found += 1
            self._entries.move_to_end(key)
            value: T = self._entries[key][0]
            return value
        self.missed += 1
        value = compute()
        size = _bytes(value)
        if size <= self.limit:
            self._entries[key] = value, size
            self.size += size
        while self.size > self.limit:
            self.size -= self._entries.popitem(last=False)[1][1]
        return value


def image_key(image: Tensor) -> Hashable:
    """What tells a picture ``(1, 3, H, W)`` and the machine that looks at it from others."""
    pixels = image.detach().cpu().contiguous().numpy()
    digest = hashlib.sha256(pixels.tobytes()).digest()
    return digest, tuple(image.shape), image.device, torch.get_num_threads()


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, value)) if isinstance(value, tuple) else 0
