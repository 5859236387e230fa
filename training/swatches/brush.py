"""A loaded brush: strokes with bristles, two colours that streak, and thick paint.

The stroke is a bent bar with its own texture: the bristles' coverage (which breaks up where
the brush runs dry), the mix of the two colours it carries, and the height of the paint, with a
ridge along both edges and where the brush was lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swatches.sheet import Array, Sheet, blur, look_up, resize, shade, step

BRUSHES = 20
REACH = 1.15  # the texture covers a little more than the stroke's nominal outline


@dataclass(frozen=True)
class Pass:
    """One pass over the whole picture with one brush; lengths in units of the short side."""

    spacing: float
    length: float
    width: float
    opacity: float = 0.95
    scatter: float = 0.05  # how far a stroke's colour strays from the motif's
    wander: float = 0.2  # how far a stroke's direction strays from the field's, radians
    load: float = 1.0  # thickness of the paint
    keep: float = 1.0  # share of the strokes that are made


class Canvas:
    """Wet paint on a ground: ``colour`` (H, W, 3) and the ``relief`` of the paint (H, W)."""

    def __init__(self, sheet: Sheet, ground: Array) -> None:
        self.sheet = sheet
        self.colour = np.empty((*sheet.shape, 3), np.float32)
        self.colour[:] = ground
        self.relief = 0.12 * weave(sheet)
        self._brushes: dict[int, Array] = {}

    def cover(
        self, part: str, motif: Array, angle: Array, brush: Pass, *, where: Array | None = None
    ) -> None:
        """Paint ``motif`` (h, w, 3) with strokes along ``angle`` (h, w), radians.

        ``where`` (h, w) is the chance in [0, 1] that a stroke is made.
        """
        sheet = self.sheet
        rng = sheet.rng(part)
        y, x = sheet.scatter(part + "/places", brush.spacing)
        chance = np.full(y.size, brush.keep)
        if where is not None:
            chance = chance * look_up(where, y, x, sheet.extent)
        draw = rng.random((y.size, 8))
        made = draw[:, 0] < chance
        y, x, draw = y[made], x[made], draw[made]
        size = 0.65 + 0.7 * draw[:, 1]
        heading = look_up(angle, y, x, sheet.extent)
        ahead = 0.3 * brush.length
        further = look_up(
            angle, y + ahead * np.sin(heading), x + ahead * np.cos(heading), sheet.extent
        )
        turn = np.angle(np.exp(2j * (further - heading))) / 2  # a direction has no sign
        bend = np.clip(turn / ahead, -0.9 / brush.length, 0.9 / brush.length) / 2
        bend = bend + 0.25 * (draw[:, 2] - 0.5) / brush.length
        heading = heading + brush.wander * (draw[:, 3] - 0.5) * 2
        colour = look_up(motif, y, x, sheet.extent)
        stray = rng.standard_normal((2, y.size, 3)) * brush.scatter * 0.6
        stray += rng.standard_normal((2, y.size, 1)) * brush.scatter
        self.strokes(
            part,
            np.stack([y, x], 1),
            heading,
            np.stack([brush.length * size, brush.width * (0.7 + 0.6 * draw[:, 4])], 1),
            bend,
            np.clip(np.stack([colour + stray[0], colour + 1.6 * stray[1]], 1), 0.01, 1),
            opacity=brush.opacity,
            load=brush.load * (0.6 + 0.8 * draw[:, 5]),
        )

    def strokes(
        self,
        part: str,
        place: Array,
        heading: Array,
        size: Array,
        bend: Array,
        colours: Array,
        *,
        opacity: float,
        load: Array,
    ) -> None:
        """Make N strokes in order.

        ``place`` (N, 2) is the middle (y, x), ``size`` (N, 2) length and width, all in units;
        ``heading`` (N,) radians; ``bend`` (N,) half the curvature per unit; ``colours``
        (N, 2, 3) the two colours on the brush; ``load`` (N,) the thickness of the paint.
        """
        unit, (height, width) = self.sheet.unit, self.sheet.shape
        texture = self._brush(float(np.max(size[:, 1], initial=0.0)) * unit)
        count, across, along, _ = texture.shape
        texels = texture.reshape(-1, 3)
        which = self.sheet.rng(part + "/brush").integers(0, count, len(place)) * across * along
        cosine, sine = np.cos(heading), np.sin(heading)
        half = np.maximum(size * unit / 2, 0.7)
        scale_u = along / 2 / REACH / half[:, 0]
        scale_v = across / 2 / REACH / half[:, 1]
        curve = bend / unit
        sag = np.abs(curve) * half[:, 0] ** 2 * REACH
        far_y = np.abs(half[:, 0] * sine) * REACH + (half[:, 1] * REACH + sag) * np.abs(cosine)
        far_x = np.abs(half[:, 0] * cosine) * REACH + (half[:, 1] * REACH + sag) * np.abs(sine)
        top = np.clip(place[:, 0] * unit - far_y, 0, height).astype(int)
        left = np.clip(place[:, 1] * unit - far_x, 0, width).astype(int)
        bottom = np.clip(place[:, 0] * unit + far_y + 2, 0, height).astype(int)
        right = np.clip(place[:, 1] * unit + far_x + 2, 0, width).astype(int)
        for i in np.flatnonzero((bottom > top) & (right > left)):
            dy = np.arange(top[i], bottom[i], dtype=np.float32)[:, None] - place[i, 0] * unit
            dx = np.arange(left[i], right[i], dtype=np.float32)[None] - place[i, 1] * unit
            t = (dx * cosine[i] + dy * sine[i]).astype(np.float32)
            n = dy * cosine[i] - dx * sine[i] - curve[i] * (t * t - half[i, 0] ** 2 / 3)
            u = np.clip(t * scale_u[i] + along / 2, 0, along - 1).astype(np.int32)
            v = np.clip(n * scale_v[i] + across / 2, 0, across - 1).astype(np.int32)
            texel = texels[(which[i] + v * along) + u]
            alpha = texel[..., :1] * opacity
            window = (slice(top[i], bottom[i]), slice(left[i], right[i]))
            paint = colours[i, 0] + texel[..., 1:2] * (colours[i, 1] - colours[i, 0])
            self.colour[window] += (alpha * (paint - self.colour[window])).astype(np.float32)
            thick = texel[..., 2] * load[i]
            self.relief[window] += alpha[..., 0] * (thick - 0.75 * self.relief[window])

    def lit(self, *, depth: float = 1.0, gloss: float = 0.25) -> Array:
        """The finished painting (H, W, 3) under raking light."""
        return shade(self.colour, self.relief, unit=self.sheet.unit, depth=depth, gloss=gloss)

    def _brush(self, pixels: float) -> Array:
        """The brush textures (BRUSHES, across, along, 3): coverage, mix, height."""
        across = 16
        while across < min(1.5 * pixels, 256):
            across *= 2
        if across not in self._brushes:
            rng = self.sheet.rng("bristles")
            made = [bristles(rng, (across, 2 * across)) for _ in range(BRUSHES)]
            self._brushes[across] = np.stack(made)
        return self._brushes[across]


def bristles(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """One brush's texture (across, along, 3): coverage, mix of the two colours, height."""

    def streaks(across: int, along: int) -> Array:
        lattice = rng.standard_normal((across, along), dtype=np.float32)
        return resize(lattice, shape)

    v = np.linspace(-REACH, REACH, shape[0], dtype=np.float32)[:, None]
    u = np.linspace(-REACH, REACH, shape[1], dtype=np.float32)[None]
    coarse, fine, drift = streaks(7, 3), streaks(18, 4), streaks(5, 6)
    hair = 0.6 * coarse + 0.6 * fine
    ragged = streaks(12, 2)
    start = -0.97 + 0.18 * v**2 + 0.06 * ragged[:, :1]
    end = 0.9 - 0.22 * v**2 + 0.16 * ragged[:, -1:]
    side = 0.93 + 0.05 * drift
    body = step(start - 0.08, start + 0.06, u) * step(end + 0.1, end - 0.1, u)
    body = body * step(side + 0.1, side - 0.1, np.abs(v))
    dry = rng.uniform(0.1, 0.8)
    gaps = step(-0.4, 0.5, hair + 1.9 - 2.6 * dry * step(-0.3, 1.1, u) + 0.4 * drift)
    cover = body * (0.12 + 0.88 * gaps)
    mix = step(-1.0, 1.0, coarse + 0.5 * fine)
    edge = np.exp(-(((np.abs(v) - 0.82) / 0.14) ** 2)) + 0.8 * np.exp(
        -(((u - end + 0.1) / 0.1) ** 2)
    )
    height = 0.7 + 0.35 * hair + 0.55 * edge + 0.15 * drift
    return np.stack([cover, mix, height], -1).astype(np.float32)


def weave(sheet: Sheet, threads: float = 190) -> Array:
    """The weave of a canvas: (H, W), about zero mean."""
    y, x = sheet.grid()
    y = y + 0.0015 * sheet.noise("weave/y", 12)
    x = x + 0.0015 * sheet.noise("weave/x", 12)
    turn = np.pi * threads
    return (np.sin(turn * y) * np.sin(turn * x) + 0.4 * sheet.noise("weave/slub", 150)).astype(
        np.float32
    )


def follow(motif: Array, flow: Array, *, strength: float = 1.0) -> Array:
    """Directions (h, w), radians, along the motif's contours where it has any, else ``flow``.

    ``flow`` (h, w) radians; ``strength`` is how readily a contour overrides it. Directions are
    blended as tensors, because a direction and its opposite are the same.
    """
    grey = blur(motif @ np.array([0.3, 0.6, 0.1], np.float32), motif.shape[0] / 90)
    rise_y, rise_x = np.gradient(grey * np.float32(min(motif.shape[:2]) / 8))
    contour = np.arctan2(rise_y, rise_x) + np.pi / 2
    weight = strength * (rise_y**2 + rise_x**2)
    cosine = blur(weight * np.cos(2 * contour), 3) + 0.1 * np.cos(2 * flow)
    sine = blur(weight * np.sin(2 * contour), 3) + 0.1 * np.sin(2 * flow)
    return np.asarray(np.arctan2(sine, cosine) / 2, np.float32)
