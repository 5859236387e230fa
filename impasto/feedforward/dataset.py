"""A folder of photos as a dataset, and reproducible random crops of it.

Decoded photos stay in memory as bytes while there is room. Files that cannot be read are skipped
and counted. The order of the photos and the crops come from a generator of their own, whose state
is part of a training's checkpoint.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import InputError
from impasto.image.files import expanded, quoted
from impasto.image.io import load_image, resize
from impasto.machine.devices import generator

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2")
HELD_OUT = 20  # one photo in so many is held out for validation
LEAST_HELD_OUT, MOST_HELD_OUT = 2, 16
LEAST_SIDE = 32  # pixels; smaller photos are skipped
KEPT = 1.5  # short side of a kept photo, in units of the crop
SMALLEST = 0.75  # side of the smallest window, in units of the crop, to which it is enlarged


class PhotoDataset:
    """The pictures below ``folder`` and in the folders that links in it lead to, in the order of
    their names.

    ``crop`` is the side of the largest crop in pixels, ``memory`` the limit in bytes for decoded
    pictures, ``exclude`` a folder whose pictures do not count. Raises InputError if the folder does
    not exist or holds too few pictures.
    """

    def __init__(
        self, folder: str | Path, *, crop: int, memory: int, exclude: Path | None = None
    ) -> None:
        self.folder, self.crop, self.memory = expanded(folder), crop, memory
        if not os.path.isdir(self.folder):
            raise InputError(
                f"there is no folder {quoted(self.folder)}", "give a folder with photos in it"
            )
        self.paths = sorted(_pictures(self.folder, exclude))
        least = LEAST_HELD_OUT + 1
        if len(self.paths) < least:
            raise InputError(
                f"{quoted(self.folder)} holds {len(self.paths)} pictures; training takes {least} "
                "at least, and some hundred to be good",
                f"give a folder with photos in it ({', '.join(SUFFIXES)})",
            )
        self.skipped: set[int] = set()
        self._kept: dict[int, Tensor] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor | None:
        """A photo as bytes ``(3, h, w)``; None if it cannot be read or is too small."""
        if number in self._kept:
            return self._kept[number]
        if number in self.skipped:
            return None
        try:
            pixels = load_image(self.paths[number])
        except InputError:
            self.skipped.add(number)
            return None
        height, width = pixels.shape[-2:]
        if min(height, width) < LEAST_SIDE:
            self.skipped.add(number)
            return None
        shrink = KEPT * self.crop / min(height, width)
        if shrink < 1:
            pixels = resize(pixels, (round(height * shrink), round(width * shrink)))
        photo = pixels[0].mul(255).round().to(torch.uint8)
        if self._bytes + photo.numel() <= self.memory:
            self._kept[number] = photo
            self._bytes += photo.numel()
        return photo

    def split(self) -> tuple[list[int], list[int]]:
        """The numbers of the photos to learn from, and of those held out for validation: every
        20th, at least 2 and at most 16, all readable. Raises InputError where too few can be read.
        """
        wanted = min(max(len(self) // HELD_OUT, LEAST_HELD_OUT), MOST_HELD_OUT)
        spread = [round(i * (len(self) - 1) / (wanted - 1)) for i in range(wanted)]
        others = [i for i in range(len(self)) if i not in set(spread)]
        held_out: list[int] = []
        for number in (*spread, *others):
            if len(held_out) == wanted:
                break
            if self[number] is not None:
                held_out.append(number)
        rest = [i for i in range(len(self)) if i not in self.skipped and i not in set(held_out)]
        if len(held_out) < wanted or not any(self[i] is not None for i in rest):
            raise InputError(
                f"{quoted(self.folder)} holds {len(self)} pictures, {len(self.skipped)} of which "
                "cannot be read",
                "give a folder with photos in it",
            )
        return rest, held_out

    def fingerprint(self) -> str:
        """A hash of the names and sizes of all files."""
        digest = hashlib.sha256()
        for path in self.paths:
            name = path.relative_to(self.folder).as_posix()
            digest.update(f"{name}\n{path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


class Crops:
    """Endless random crops of the photos with these ``numbers``, epoch by epoch: each photo once,
    in a new order each time, some of them mirrored."""

    def __init__(self, photos: PhotoDataset, numbers: list[int], seed: int) -> None:
        self.photos, self.numbers = photos, numbers
        self.draw = generator(seed)
        self.order: list[int] = []
        self.position = 0

    def next(self, size: int) -> Tensor:
        """A crop ``(1, 3, size, size)`` in [0, 1]."""
        while True:
            if self.position == len(self.order):
                order = torch.randperm(len(self.numbers), generator=self.draw)
                self.order, self.position = order.tolist(), 0
            photo = self.photos[self.numbers[self.order[self.position]]]
            self.position += 1
            if photo is not None:  # split() has found at least one
                return random_crop(photo, size, self.draw)

    def state_dict(self) -> dict[str, Any]:
        """The position in the sequence of crops."""
        return {
            "generator": self.draw.get_state(),
            "order": list(self.order),
            "position": self.position,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        self.draw.set_state(state["generator"])
        self.order, self.position = list(state["order"]), state["position"]


def random_crop(photo: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Bytes ``(3, h, w)`` -> ``(1, 3, size, size)`` in [0, 1]: a window of random size and place,
    resized, and mirrored with probability 1/2."""
    chances = torch.rand(4, generator=draw).tolist()
    largest = min(photo.shape[-2:])
    smallest = min(largest, max(LEAST_SIDE, round(SMALLEST * size)))
    side = round(smallest * (largest / smallest) ** chances[0])
    top, left = (
        int(chance * (length - side + 1))
        for chance, length in zip(chances[1:3], photo.shape[-2:], strict=True)
    )
    window = to_size(photo[:, top : top + side, left : left + side], size)
    return window.flip(-1) if chances[3] < 0.5 else window


def centre_crop(photo: Tensor, size: int) -> Tensor:
    """Bytes ``(3, h, w)`` -> the central square, ``(1, 3, size, size)`` in [0, 1]."""
    side = min(photo.shape[-2:])
    top, left = ((length - side) // 2 for length in photo.shape[-2:])
    return to_size(photo[:, top : top + side, left : left + side], size)


def to_size(window: Tensor, size: int) -> Tensor:
    """Bytes ``(3, s, s)`` -> ``(1, 3, size, size)`` in [0, 1]."""
    pixels = window[None].float() / 255
    if window.shape[-1] == size:
        return pixels
    return F.interpolate(
        pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    ).clamp(0, 1)


def crop_size(progress: float, largest: int) -> int:
    """The side of the crops in pixels, at ``progress`` in [0, 1] of the training.

    Small crops come first: they teach colours and grain in a quarter of the time.

    >>> [crop_size(progress, 256) for progress in (0, 0.5, 0.9)]
    [128, 192, 256]
    """
    share = 0.5 if progress < 0.4 else 0.75 if progress < 0.7 else 1.0
    return max(LEAST_SIDE, math.ceil(share * largest / 16) * 16)


def _pictures(folder: Path, exclude: Path | None) -> Iterator[Path]:
    excluded = None if exclude is None else exclude.resolve()
    for place, names in _folders(folder):
        if excluded is not None and place.resolve().is_relative_to(excluded):
            continue
        for name in names:
            path = place / name
            visible = not name.startswith(".") and path.suffix.lower() in SUFFIXES
            if visible and path.is_file():
                yield path


def _folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders below, with the names of their files; each once, wherever links lead, and under
    its own name rather than a link's."""
    seen: set[str] = set()
    pending = [str(folder)]
    while pending:
        for place, folders, names in os.walk(pending.pop(0)):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            visible = sorted(name for name in folders if not name.startswith("."))
            links = [name for name in visible if os.path.islink(os.path.join(place, name))]
            pending += [os.path.join(place, name) for name in links]
            folders[:] = [name for name in visible if name not in links]
            yield Path(place), names
