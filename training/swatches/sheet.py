"""What every painter starts from: a sheet of a given size with its own named random streams.

Lengths are in units of the short side, so a stroke 0.02 long is 2 % of the picture at any
size, and each random stream belongs to a named part, so the same seed gives the same
composition at 256 and at 1024 pixels. All fields are float32 arrays of shape (H, W), colours
(H, W, 3) sRGB in [0, 1].
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Sheet:
    """An empty sheet: ``height`` and ``width`` in pixels, and the ``seed`` of the painting."""

    height: int
    width: int
    seed: int

    @property
    def unit(self) -> int:
        """Pixels of the short side, the unit of length."""
        return min(self.height, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def extent(self) -> tuple[float, float]:
        """(height, width) in units of the short side: (1, 1) when square."""
        return self.height / self.unit, self.width / self.unit

    def rng(self, part: str) -> np.random.Generator:
        """The random stream of one named part of the painting."""
        return np.random.default_rng([self.seed & (2**64 - 1), zlib.crc32(part.encode())])

    def sketch(self, unit: int = 256) -> Sheet:
        """The same sheet, ``unit`` pixels on its short side: for fields that need no detail."""
        height, width = (max(8, round(side * unit)) for side in self.extent)
        return Sheet(height, width, self.seed)

    def grid(self) -> tuple[Array, Array]:
        """(y, x) of each pixel's centre, in units of the short side; both (H, W)."""
        y = (np.arange(self.height, dtype=np.float32) + 0.5) / self.unit
        x = (np.arange(self.width, dtype=np.float32) + 0.5) / self.unit
        rows, columns = np.meshgrid(y, x, indexing="ij")
        return rows, columns

    def layout(self) -> tuple[Array, Array]:
        """(v, u) of each pixel's centre, each in [0, 1] over the whole picture; both (H, W)."""
        y, x = self.grid()
        return y / self.extent[0], x / self.extent[1]

    def noise(
        self, part: str, cells: float, octaves: int = 1, *, stretch: tuple[float, float] = (1, 1)
    ) -> Array:
        """Smooth noise of about zero mean, seldom beyond 3 either way, (H, W).

        ``cells`` is the number of bumps along the short side in the coarsest octave; each
        further octave halves the bumps and their height. ``stretch`` (vertical, horizontal)
        makes the bumps longer. Octaves finer than the pixels are left out.
        """
        total = np.zeros(self.shape, np.float32)
        power = 0.0
        for octave in range(octaves):
            count = cells * 2**octave
            if octave and count > self.unit:
                break
            rows = self.extent[0] * count / stretch[0]
            columns = self.extent[1] * count / stretch[1]
            lattice = self.rng(f"{part}/{octave}").standard_normal(
                (int(rows) + 5, int(columns) + 5), dtype=np.float32
            )
            box = (1.5, 1.5, 1.5 + columns, 1.5 + rows)
            total += 0.5**octave * resize(lattice, self.shape, box=box)
            power += 0.25**octave
        total /= np.float32(0.62 * power**0.5)
        return total

    def scatter(self, part: str, spacing: float, margin: float = 0.02) -> tuple[Array, Array]:
        """Points about ``spacing`` apart, shuffled, over sheet and margin: (y, x), each (N,)."""
        rng = self.rng(part)
        height, width = self.extent
        rows = np.arange(-margin, height + margin + spacing, spacing)
        columns = np.arange(-margin, width + margin + spacing, spacing)
        y, x = (side.ravel() for side in np.meshgrid(rows, columns, indexing="ij"))
        jitter = rng.uniform(-0.5, 0.5, (2, y.size)) * spacing * 1.1
        order = rng.permutation(y.size)
        return (y + jitter[0])[order], (x + jitter[1])[order]


def resize(
    field: Array, shape: tuple[int, int], *, box: tuple[float, float, float, float] | None = None
) -> Array:
    """Bicubic resize of (h, w) or (h, w, C) to ``shape``; ``box`` (left, top, right, bottom)."""
    if field.ndim == 3:
        return np.stack([resize(field[..., c], shape) for c in range(field.shape[2])], -1)
    image = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(
        image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box), np.float32
    )


def blur(field: Array, radius: float) -> Array:
    """Gaussian-like blur of (H, W) or (H, W, C); ``radius`` in pixels."""
    if radius < 0.3:
        return field
    if field.ndim == 3:
        return np.stack([blur(field[..., c], radius) for c in range(field.shape[2])], -1)
    if radius > 4:  # a smooth field needs few samples
        shrink = radius / 2
        small = (max(2, round(field.shape[0] / shrink)), max(2, round(field.shape[1] / shrink)))
        image = Image.fromarray(np.ascontiguousarray(field, np.float32))
        less = image.resize((small[1], small[0]), Image.Resampling.BOX)
        return resize(blur(np.asarray(less, np.float32), 1.9), field.shape[:2])
    reach = int(np.ceil(2.5 * radius))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(field.astype(np.float32), pad, mode="edge")
        length = field.shape[axis]
        field = sum(
            tap * (padded[i : i + length] if axis == 0 else padded[:, i : i + length])
            for i, tap in enumerate(taps)
        )
    return np.asarray(field)


def look_up(field: Array, y: Array, x: Array, extent: tuple[float, float]) -> Array:
    """Values of ``field`` (h, w) or (h, w, C) at points in units of the short side; clamps."""
    rows = np.clip(y / extent[0] * field.shape[0], 0, field.shape[0] - 1).astype(np.intp)
    columns = np.clip(x / extent[1] * field.shape[1], 0, field.shape[1] - 1).astype(np.intp)
    return np.asarray(field[rows, columns])


def step(low: float | Array, high: float | Array, value: Array) -> Array:
    """Smooth step: 0 at ``low``, 1 at ``high`` (which may be the smaller of the two)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def rgb(*codes: str) -> Array:
    """Hex codes to colours: (3,) for one, (N, 3) for several."""
    table = np.array(
        [[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes], np.float32
    )
    return table[0] if len(codes) == 1 else table


def ramp(colours: Array, value: Array) -> Array:
    """Colours (N, 3) blended along ``value`` in [0, 1] (any shape): value.shape + (3,)."""
    place = np.clip(value, 0, 1) * (len(colours) - 1)
    low = np.minimum(place.astype(np.intp), len(colours) - 2)
    part = (place - low)[..., None].astype(np.float32)
    return np.asarray(colours[low] * (1 - part) + colours[low + 1] * part)


def over(base: Array, colour: Array, mask: Array) -> Array:
    """``colour``, (3,) or (H, W, 3), laid over ``base`` where ``mask`` (H, W) is 1."""
    return np.asarray(base + np.clip(mask, 0, 1)[..., None] * (colour - base))


def shade(colour: Array, relief: Array, *, unit: int, depth: float, gloss: float = 0.0) -> Array:
    """Light from the upper left raking over a relief (H, W); heights as at 512 pixels."""
    rise_y, rise_x = np.gradient(relief * np.float32(depth * unit / 512))
    facing = -(0.8 * rise_y + 0.6 * rise_x)  # positive where the paint faces the light
    facing = facing / np.sqrt(1 + 0.6 * (rise_y**2 + rise_x**2))
    lit = colour * (1 + np.clip(facing, -0.65, 0.45))[..., None]
    if gloss:
        lit = lit + gloss * step(0.3, 1.1, facing)[..., None] * (1 - lit)
    return np.asarray(lit)
