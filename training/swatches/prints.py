"""Prints: a woodcut, a colour woodblock of waves, an art-nouveau lithograph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from swatches.sheet import Array, Sheet, blur, over, ramp, rgb, shade, step


def woodcut(sheet: Sheet) -> Array:
    """Mountains, sun, lake and pines: gouge marks in black over three tint blocks."""
    v, u = sheet.layout()
    y, x = sheet.grid()
    rng = sheet.rng("woodcut")
    if rng.random() < 0.5:
        u, x = 1 - u, sheet.extent[1] - x
    warp = 0.014 * sheet.noise("warp", 4, 3)
    gouge = sheet.noise("gouge", 24, 2)
    paper = rgb("f1e6cc") * (1 + 0.03 * sheet.noise("pulp", 50, 4))[..., None]
    ink = np.zeros(sheet.shape, np.float32)
    tint = ramp(rgb("c8452f", "e08a4a", "eec98a", "f0e2c0"), v / 0.5 + 2 * warp)

    def carve(
        inside: Array, lines: Array, light: Array | float, colours: Array | None = None
    ) -> None:
        """Cut white lines, one per whole number of ``lines``, wider where it is lighter."""
        nonlocal ink, tint
        mask = step(-0.6 / sheet.unit, 0.6 / sheet.unit, inside)
        rise_y, rise_x = np.gradient(lines)
        blunt = np.clip(2.4 * np.hypot(rise_y, rise_x), 0.02, 1)
        number = np.floor(lines).astype(np.intp)
        along = np.sin(number * 2.399) * 3
        start = sheet.noise("start", 9, 2) + 0.9 * np.sin(along + 21 * x + 17 * y)
        cut = light + 0.12 + 0.17 * gouge + 0.13 * start
        black = step(-blunt, blunt, np.abs(lines - number - 0.5) * 2 - cut)
        ink = ink * (1 - mask) + mask * black
        border = step(0.0045, 0.002, np.abs(inside))
        ink = np.maximum(ink, border)
        if colours is not None:
            tint = over(tint, ramp(colours, 0.5 + (v - 0.5) + 8 * warp), mask)

    cx, cy = 0.68 * sheet.extent[1], 0.25 * sheet.extent[0]
    away = np.hypot(x - cx, y - cy)
    everywhere = np.full(sheet.shape, 1.0, np.float32)
    turn = np.arctan2(y - cy, x - cx)
    carve(
        everywhere,
        64 * away + 1.3 * sheet.noise("sky", 3, 2) + 0.35 * np.sin(9 * turn),
        0.34 + 0.42 * np.exp(-away * 2.2),
    )
    carve(0.1 - away, 20 * turn / 2 / np.pi * 2 + 3 * warp, 0.9 - 2 * away, rgb("f6d98a", "f3b45a"))
    cloud = 0.24 * sheet.noise("cloud", 2.6, 3, stretch=(0.6, 2.4)) - 0.2 + 0.1 * (0.3 - v)
    cloud = cloud - 0.45 * np.exp(-((away / 0.2) ** 4))  # the sun stays free
    carve(
        np.minimum(cloud, 0.42 - v),
        80 * v + 1.8 * np.sin(9 * u) + 2 * sheet.noise("drift", 4, 2),
        0.72 + 0.8 * cloud,
        rgb("f0dcb4", "eed0a0"),
    )
    ridges = (
        (0.33, 0.15, 3.4, 0.3, 0.55),
        (0.44, 0.08, 5.0, 2.2, 0.42),
        (0.52, 0.05, 8.0, 4.0, 0.36),
    )
    shades = (rgb("7f93a8", "a9a9a0"), rgb("5f7f86", "7f9a86"), rgb("4a6a54", "7f8a4a"))
    for (top, tall, wave, phase, light), colours in zip(ridges, shades, strict=True):
        phase = phase + rng.uniform(-0.4, 0.4)
        zigzag = np.abs(((u * wave + phase + 0.25 * np.sin(5 * u)) % 2) - 1)
        ridge = top - tall * (zigzag - 0.5) + 0.6 * warp + 0.006 * sheet.noise("crag", 20, 2)
        side = np.sign(((u * wave + phase + 0.25 * np.sin(5 * u)) % 2) - 1)
        lines = 44 * v + side * 50 * u + 1.2 * sheet.noise(f"face{top}", 6, 2)
        lit = light + 0.2 * side - 0.9 * (v - ridge) + 0.1 * sheet.noise("snow", 7, 2)
        carve(v - ridge, lines, lit, colours)
    lake = np.minimum(v - 0.585 + 0.15 * warp, 0.8 - v)
    glitter = np.exp(-(((u - cx / sheet.extent[1]) / 0.09) ** 2))
    carve(
        lake,
        95 * v + 1.0 * np.sin(14 * u + 9 * v) + 1.2 * sheet.noise("lake", 6, 2, stretch=(0.5, 2)),
        0.2 + 0.4 * glitter + 0.13 * sheet.noise("swell", 5, 2, stretch=(0.4, 2)),
        rgb("4f8296", "6f9aa0"),
    )
    for i, (top, wave, phase) in enumerate(((0.74, 4.2, 0.4), (0.83, 5.5, 2.8), (0.92, 3.6, 5.0))):
        hill = v - top + 0.045 * np.sin(wave * u + phase + rng.uniform(-0.5, 0.5)) + warp
        carve(
            hill,
            74 * hill + (14 - 24 * (i % 2)) * u + 1.0 * sheet.noise(f"hill{i}", 7, 2),
            0.5 - 2.4 * hill + 0.12 * sheet.noise("turf", 9, 2),
            (rgb("a99a4a", "c9a95a"), rgb("6f7f44", "8f8a4a"), rgb("b5783a", "8f5a34"))[i],
        )
    for px, top, foot, spread in (
        (0.1, 0.1, 0.97, 0.15),
        (0.24, 0.34, 0.9, 0.1),
        (0.93, 0.4, 0.93, 0.11),
        (0.42, 0.56, 0.84, 0.05),
        (0.5, 0.62, 0.86, 0.042),
    ):
        s = (v - top) / (foot - top)
        tier = (s * 8.5) % 1
        girth = (
            spread * (0.12 + 0.88 * s) * (0.45 + 0.55 * tier)
            + 0.5 * warp
            + 0.004 * sheet.noise("needle", 40, 2)
        )
        bough = np.minimum(girth - np.abs(u - px), np.minimum(s, 0.93 - s) * 0.5)
        lines = 92 * (v - 0.7 * np.abs(u - px)) + 0.7 * sheet.noise(f"bough{px}", 12, 2)
        carve(
            bough,
            lines,
            0.16 + 0.34 * step(-0.03, 0.06, (u - px) * (0.68 - px)) + 0.1 * tier,
            rgb("3f5f4a", "5a6a3f"),
        )
        trunk = np.minimum(0.1 * spread - np.abs(u - px), np.minimum(v - foot + 0.09, foot - v))
        carve(trunk, 130 * u + 2 * warp, 0.3)
    grain = np.sin(2 * np.pi * (26 * x + 2.5 * sheet.noise("ring", 1.6, 2, stretch=(6, 1))))
    speckle = sheet.noise("speckle", 100, 2)
    key = ink * np.clip(0.94 + 0.05 * grain + 0.06 * speckle - 0.3 * step(1.7, 2.6, speckle), 0, 1)
    bare = step(1.3, 2.6, sheet.noise("bare", 140, 2)) * 0.35
    tint = tint * (1 + 0.035 * grain + 0.04 * sheet.noise("mottle", 22, 3))[..., None]
    printed = over(paper, tint * paper, 0.9 - bare)
    printed = over(printed, rgb("1a1716"), key)
    return shade(
        printed, sheet.noise("pulp", 50, 4) - 0.8 * blur(ink, 1), unit=sheet.unit, depth=0.12
    )


def waves(sheet: Sheet) -> Array:
    """Great waves in Prussian blue: striped bodies, clawed foam, spray, printed on paper."""
    scale = 2
    big = Sheet(sheet.height * scale, sheet.width * scale, sheet.seed)
    unit, (tall, wide) = big.unit, sheet.extent
    rng = sheet.rng("waves")
    flip = rng.random() < 0.5
    page = Image.new("RGB", (big.width, big.height), (240, 226, 196))
    draw = ImageDraw.Draw(page)
    ink, foam = (28, 38, 74), (246, 238, 218)
    blues = [
        tuple(int(c * 255) for c in code)
        for code in rgb("1c3a6e", "2c5a92", "4f86b0", "93b8c8", "d5dfd4", "24497f")
    ]

    def shape(points: Array, fill: tuple[int, ...], line: float = 0.0022) -> None:
        outline = [tuple(p) for p in (points[:, ::-1] * unit).tolist()]
        draw.polygon(outline, fill=fill)
        if line:
            draw.line(
                [*outline, outline[0]], fill=ink, width=max(1, round(line * unit)), joint="curve"
            )

    run = np.linspace(-0.1, wide + 0.1, 160)
    for i in range(26):  # clouds: long lens-shaped bands
        middle, long = rng.uniform(0, wide), rng.uniform(0.1, 0.32)
        lens = np.sqrt(np.clip(1 - ((run - middle) / long) ** 2, 0, 1)) * rng.uniform(0.006, 0.016)
        level = (0.02 + 0.4 * (i + rng.random()) / 26) * tall + 0.012 * np.sin(run * 9 + i)
        band = np.concatenate(
            [np.stack([level - lens, run], 1), np.stack([level + lens, run], 1)[::-1]]
        )
        shape(
            band,
            [(226, 196, 158), (246, 236, 212), (176, 190, 192), (232, 170, 132)][i % 4],
            0.0011,
        )
    sun = np.linspace(0, 2 * np.pi, 90)
    centre = np.array([0.16 * tall, 0.3 * wide])
    shape(centre + 0.085 * np.stack([np.sin(sun), np.cos(sun)], 1), (214, 84, 58))
    peak_x = 0.52 * wide
    slope_x = np.linspace(-0.36, 0.36, 60)
    slope_y = 0.24 * tall + 0.2 * tall * (np.abs(slope_x) / 0.36) ** 0.75
    shape(np.stack([slope_y, peak_x + slope_x], 1), (98, 118, 150))
    for _ in range(46):  # gullies
        top, side = rng.uniform(0.27, 0.4), rng.uniform(-1, 1)
        fall = np.linspace(top, top + rng.uniform(0.02, 0.06), 5)
        run = peak_x + side * 0.3 * np.clip((fall - 0.24) / 0.2, 0, 1) ** 1.4
        gully = np.stack([run, fall * tall], 1) * unit
        draw.line(gully.ravel().tolist(), fill=ink, width=max(1, round(0.0016 * unit)))
    cap = np.abs(slope_x) < 0.13
    teeth = 0.325 * tall - 0.012 * np.cos(np.arange(cap.sum()) * 2.2)
    snow = np.maximum(teeth, slope_y[cap][::-1])
    crest = np.stack([slope_y[cap], peak_x + slope_x[cap]], 1)
    shape(np.concatenate([crest, np.stack([snow, crest[::-1, 1]], 1)]), foam)

    rows = 7
    for i in range(rows):
        near = i / (rows - 1)
        base = tall * (0.4 + 0.62 * near)
        height = (0.07 + 0.17 * near) * (2.6 if i == 2 else 1.0)
        length = 0.34 + 0.42 * near
        shift = rng.uniform(0, 1) * length
        t = np.linspace(-0.5, wide / length + 1.5, 420)
        phase = 2 * np.pi * t
        swell = 0.72 + 0.28 * np.sin(2.1 * t + 5 * rng.random())
        lift = (0.5 + 0.5 * np.cos(phase)) ** 1.7 * swell
        for k in range(13):
            fade = 1 - 0.055 * k
            drop = 0.0085 * k * (1 + near) + 0.00035 * k * k
            px = t * length - shift + 0.62 * height * fade * lift**2.2 * 1.5
            py = base - height * fade * lift + drop + 0.012 * near * np.sin(phase * 2 + k * 0.2)
            fill = foam if k == 0 else blues[(k * 3 + i) % 6 if k % 2 else (k // 2 + i) % 3]
            if k in (1,):
                fill = blues[4]
            bottom = np.array([[tall + 0.1, px[-1]], [tall + 0.1, px[0]]])
            shape(np.concatenate([np.stack([py, px], 1), bottom]), fill, 0.0014 + 0.001 * (k < 2))
        px = t * length - shift + 0.93 * height * lift**2.2
        py = base - height * lift
        claws(
            draw, rng, unit, np.stack([py, px], 1), lift, 0.0065 + 0.011 * near, foam, ink, blues[3]
        )
    spray = rng.random((260, 4))
    for sy, sx, size, pick in spray:
        place = np.array([(0.24 + 0.6 * sy) * tall, sx * wide])
        radius = (0.0012 + 0.0034 * size**3) * unit
        py, px = place * unit
        draw.ellipse(
            (px - radius, py - radius, px + radius, py + radius),
            fill=foam if pick < 0.85 else blues[3],
        )
    flat = (
        np.asarray(page.resize((sheet.width, sheet.height), Image.Resampling.LANCZOS), np.float32)
        / 255
    )
    if flip:
        flat = flat[:, ::-1]
    return woodblock(sheet, flat)


def claws(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    unit: int,
    crest: Array,
    lift: Array,
    size: float,
    foam: tuple[int, ...],
    ink: tuple[int, ...],
    shadow: tuple[int, ...],
) -> None:
    """Foam along a crest (N, 2): branching fingers of round tips that curl over the front."""
    for i in np.flatnonzero(lift > 0.12)[::2]:
        force = lift[i]
        count = 1 + int(4 * force * rng.random())
        heading = rng.uniform(0.1, 1.2)
        place = crest[i] + rng.normal(0, 0.25 * size, 2)
        radius = size * (0.45 + 0.75 * force) * rng.uniform(0.6, 1.15)
        for _ in range(count + 1):
            py, px = place * unit
            r = radius * unit
            edge = max(1.0, 0.0016 * unit)
            draw.ellipse((px - r - edge, py - r - edge, px + r + edge, py + r + edge), fill=ink)
            draw.ellipse((px - r, py - r, px + r, py + r), fill=foam)
            draw.arc(
                (px - 0.6 * r, py - 0.6 * r, px + 0.7 * r, py + 0.7 * r),
                20,
                160,
                fill=shadow,
                width=max(1, round(0.22 * r)),
            )
            place = place + 1.25 * radius * np.array([np.sin(heading), np.cos(heading)])
            heading += rng.uniform(0.1, 0.7)
            radius *= rng.uniform(0.68, 0.88)


def woodblock(sheet: Sheet, flat: Array) -> Array:
    """Print flat colours (H, W, 3): graded ink, wood grain, baren marks, fibres, worn spots."""
    v, _ = sheet.layout()
    y, _ = sheet.grid()
    paper = rgb("f3e7cb") * (1 + 0.03 * sheet.noise("fibre", 45, 4))[..., None]
    rings = 30 * y + 3.2 * sheet.noise("ring", 1.5, 3, stretch=(1, 5))
    grain = np.sin(2 * np.pi * rings) * 0.6 + 0.6 * sheet.noise("pore", 90, 2, stretch=(0.5, 6))
    baren = sheet.noise("baren", 10, 3)
    strength = 1 - flat.mean(-1)
    grade = ramp(rgb("31507f", "b9c3b5", "f6e6c4", "f3d0a6"), v * 2.1 + 0.04 * baren)
    sky = step(0.15, 0.05, np.abs(flat - rgb("f0e2c4")).max(-1)) * step(0.62, 0.4, v)
    flat = over(flat, grade, sky)
    worn = step(1.4, 2.8, sheet.noise("worn", 150, 2) + 0.35 * grain)
    tone = 1 + (0.04 + 0.09 * strength) * grain + (0.03 + 0.06 * strength) * baren
    printed = over(paper, flat * tone[..., None] * (0.3 + 0.72 * paper), 0.96 - 0.16 * worn)
    return shade(
        printed, sheet.noise("fibre", 45, 4) + 0.5 * grain * strength, unit=sheet.unit, depth=0.1
    )


def nouveau(sheet: Sheet) -> Array:
    """Poppies and whiplash stems before a halo, over flowing locks of gold and auburn."""
    v, _ = sheet.layout()
    y, x = sheet.grid()
    rng = sheet.rng("nouveau")
    tall, wide = sheet.extent
    cx, cy = (0.5 + rng.uniform(-0.07, 0.07)) * wide, 0.36 * tall
    bend_y, bend_x = (0.16 * sheet.noise(f"bend{i}", 1.7, 2) for i in (0, 1))
    away = np.hypot(x - cx, y - cy)
    turn = np.arctan2(y - cy, x - cx)
    lock = 2.9 * (x + bend_x) + 0.9 * np.sin(3.2 * y + 2 * bend_y) + 0.7 * bend_y - 0.5 * away
    number = np.floor(9 * lock)
    hue = np.sin(number * 12.9898) * 0.5 + 0.5
    locks = ramp(rgb("6a2f1f", "a8562a", "d39443", "ecc877", "8a4a2a"), hue)
    part = 9 * lock - number
    locks = locks * (0.72 + 0.42 * np.sin(np.pi * part) ** 0.8)[..., None]

    def engraved(field: Array, width: float) -> Array:
        """Lines of ``width`` units where a field is whole."""
        rise_y, rise_x = np.gradient(field)
        steep = np.hypot(rise_y, rise_x) * sheet.unit + 1e-3
        off = np.abs(field - np.round(field)) / steep
        swell = width * (1 + 0.45 * sheet.noise("swell", 6, 2))
        return step(swell + 0.7 / sheet.unit, swell - 0.7 / sheet.unit, off)

    ink = rgb("2a1a1c")
    ground = over(locks, ink, 0.5 * engraved(9 * lock * 4, 0.0008))
    ground = over(ground, ink, engraved(9 * lock, 0.0024))
    sky = ramp(rgb("e9dcb0", "b9c39a", "6f9a8a", "2f6468"), 0.2 + 1.1 * away + 0.3 * bend_x)
    rays = 40 * turn / (2 * np.pi)
    sky = over(sky, rgb("f3e6bf"), 0.45 * step(-0.2, 0.6, np.sin(2 * np.pi * rays + 8 * bend_x)))
    sky = over(
        sky, ink, 0.65 * engraved(34 * away + 2 * bend_x + 0.25 * np.sin(2 * np.pi * rays), 0.0009)
    )
    above = step(-0.004, 0.004, 0.6 + 0.5 * bend_y + 0.08 * np.sin(7 * x) - v)
    ground = over(ground, sky, above)
    ground = over(
        ground, ink, step(0.004, 0.002, np.abs(0.6 + 0.5 * bend_y + 0.08 * np.sin(7 * x) - v))
    )
    halo = step(-0.002, 0.002, 0.3 - away)
    ring = (away - 0.2) / 0.1
    tiles = ramp(
        rgb("b5893a", "e9c566", "8f3a2a", "2f6f6a", "f3e3ae"),
        0.5 + 0.5 * np.sin(np.floor(ring * 5) * 2.4 + np.floor(rays * 1.5) * 1.7),
    )
    tiles = over(tiles, ink, np.maximum(engraved(ring * 5, 0.0013), engraved(rays * 1.5, 0.0011)))
    disc = ramp(rgb("fbf0c8", "f0cf86", "d99a52", "b5652f"), away / 0.2 + 0.5 * bend_x)
    petal = np.abs(np.sin(6 * turn)) * 0.11 + 0.07
    disc = over(disc, rgb("c4703a"), 0.5 * step(0.004, -0.004, away - petal))
    disc = over(disc, ink, engraved(away / 0.2 * 3 + 0.6 * np.abs(np.sin(6 * turn)), 0.0012))
    medal = over(disc, tiles, step(0.196, 0.2, away))
    medal = over(medal, ink, step(0.006, 0.003, np.abs(away - 0.2)))
    ground = over(ground, medal, halo)
    ground = over(ground, ink, step(0.007, 0.004, np.abs(away - 0.3)))
    page = flora(sheet, np.clip(ground, 0, 1), rng, (cy, cx))
    stone = sheet.noise("stone", 120, 2)
    cloud = sheet.noise("cloud", 8, 3)
    tone = 1 + 0.05 * stone + 0.05 * cloud
    page = page * tone[..., None] * (0.97 + 0.03 * rgb("f3e6c8"))
    page = over(page, rgb("f1e4c4"), 0.05 + 0.2 * step(1.6, 2.8, sheet.noise("worn", 150, 2)))
    return shade(page, stone + sheet.noise("sheet", 30, 2), unit=sheet.unit, depth=0.09)


def flora(
    sheet: Sheet, ground: Array, rng: np.random.Generator, halo: tuple[float, float]
) -> Array:
    """Stems, leaves and poppies with bold outlines over ``ground`` (H, W, 3).

    ``halo`` is the (y, x) of the middle of the halo, in units.
    """
    scale = 2
    (tall, wide), (cy, cx) = sheet.extent, halo
    unit = sheet.unit * scale
    flat = Image.fromarray((ground * 255 + 0.5).astype(np.uint8))
    page = flat.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(page)
    ink = (38, 24, 28)

    def tone(*codes: str) -> list[tuple[int, ...]]:
        return [tuple(int(c * 255) for c in rgb(code)) for code in codes]

    def blob(points: Array, fill: tuple[int, ...], line: float) -> None:
        outline = [tuple(p) for p in (points[:, ::-1] * unit).tolist()]
        draw.polygon(outline, fill=fill)
        if line:
            draw.line(
                [*outline, outline[0]], fill=ink, width=max(1, round(line * unit)), joint="curve"
            )

    def ribbon(path: Array, width: Array) -> Array:
        ahead = np.gradient(path, axis=0)
        side = np.stack([ahead[:, 1], -ahead[:, 0]], 1) / (
            np.linalg.norm(ahead, axis=1)[:, None] + 1e-9
        )
        return np.concatenate([path + side * width[:, None], (path - side * width[:, None])[::-1]])

    greens = tone("5f7a3a", "8a9a4a", "3f6a54", "a8a85a")
    reds = tone("c4402f", "e0683a", "a82f3f", "d98a4a", "e8a58a")
    t = np.linspace(0, 1, 70)
    blooms = []
    for i in range(15):
        left = i % 2 == 0
        x0 = (rng.uniform(-0.05, 0.42) if left else rng.uniform(0.58, 1.05)) * wide
        hook = (1 if left else -1) * rng.uniform(0.5, 1.0)
        start = rng.uniform(-0.5, 0.2)
        heading = -np.pi / 2 + hook * (start + 1.5 * t - 3.6 * t**2.2 + 2.2 * rng.random() * t**5)
        pace = rng.uniform(0.75, 1.15) / len(t)
        px = x0 + np.cumsum(np.cos(heading)) * pace
        py = rng.uniform(1.04, 1.16) * tall + np.cumsum(np.sin(heading)) * pace
        path = np.stack([py, px], 1)
        girth = 0.013 * (1 - 0.75 * t) * rng.uniform(0.8, 1.3)
        for at in (10, 18, 26, 35, 44, 52):
            turn = heading[at] + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
            leaf(
                blob,
                draw,
                unit,
                path[at],
                turn,
                rng.uniform(0.07, 0.16),
                rng.uniform(-1.2, 1.2),
                greens[int(rng.integers(4))],
                ink,
            )
        blob(ribbon(path, girth), greens[i % 4], 0.0028)
        shine = ribbon(path + 0.0012, girth * 0.3)
        blob(shine, tone("d3cf8a")[0], 0)
        blooms.append((path[-1], heading[-1]))
    for way in np.arange(9) * 2 * np.pi / 9:  # a wreath in the halo, and its great poppy
        place = np.array([cy + 0.1 * np.sin(way), cx + 0.1 * np.cos(way)])
        leaf(blob, draw, unit, place, way + 0.3, 0.11, 0.5, greens[int(rng.integers(4))], ink)
    poppy(blob, draw, rng, unit, np.array([cy, cx]), 0.3, 0.125, reds[0], ink)
    for i, (place, heading) in enumerate(blooms):
        poppy(blob, draw, rng, unit, place, heading, rng.uniform(0.06, 0.115), reds[i % 5], ink)
    small = page.resize((sheet.width, sheet.height), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / 255


def leaf(
    blob: Callable[[Array, tuple[int, ...], float], None],
    draw: ImageDraw.ImageDraw,
    unit: int,
    place: Array,
    heading: float,
    length: float,
    curl: float,
    fill: tuple[int, ...],
    ink: tuple[int, ...],
) -> None:
    """A pointed leaf that curls, with its veins."""
    t = np.linspace(0, 1, 24)
    way = heading + curl * t
    spine = place + np.cumsum(np.stack([np.sin(way), np.cos(way)], 1), 0) * length / len(t)
    side = np.stack([np.cos(way), -np.sin(way)], 1)
    girth = (0.2 * length * np.sin(np.pi * t**0.8))[:, None]
    blob(np.concatenate([spine + side * girth, (spine - side * girth)[::-1]]), fill, 0.0022)
    width = max(1, round(0.0011 * unit))
    draw.line((spine[:, ::-1] * unit).ravel().tolist(), fill=ink, width=width)
    for i in range(4, 21, 3):
        for hand in (-1, 1):
            tip = spine[min(i + 3, 23)] + hand * side[i] * girth[i] * 0.85
            draw.line([*(spine[i, ::-1] * unit), *(tip[::-1] * unit)], fill=ink, width=width)


def poppy(
    blob: Callable[[Array, tuple[int, ...], float], None],
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    unit: int,
    place: Array,
    heading: float,
    size: float,
    fill: tuple[int, ...],
    ink: tuple[int, ...],
) -> None:
    """A poppy seen half from the side: two rings of crinkled petals, veins, seeds."""
    t = np.linspace(0, np.pi, 26)
    width = max(1, round(0.001 * unit))
    for ring, (count, reach) in enumerate(((6, 1.0), (5, 0.66))):
        for k in range(count):
            way = heading + 2 * np.pi * (k + 0.5 * ring + rng.uniform(-0.15, 0.15)) / count
            long = size * reach * rng.uniform(0.85, 1.15)
            crinkle = 1 + 0.07 * np.sin(7 * t + 6 * rng.random()) * np.sin(t)
            along = long * np.sin(t) ** 0.75 * crinkle
            across = 0.62 * long * np.cos(t) * (0.35 + 0.65 * np.sin(t))
            s, c = np.sin(way), np.cos(way)
            petal = place + np.stack([along * s + across * c, along * c - across * s], 1)
            light = rng.uniform(0.85, 1.12) * (1 + 0.12 * ring)
            blob(petal, tuple(min(255, int(channel * light)) for channel in fill), 0.0026)
            for j in range(5, 22, 3):
                inner = place + 0.3 * (petal[j] - place)
                outer = place + 0.86 * (petal[j] - place)
                draw.line([*(inner[::-1] * unit), *(outer[::-1] * unit)], fill=ink, width=width)
    turn = np.linspace(0, 2 * np.pi, 20)
    blob(place + 0.2 * size * np.stack([np.sin(turn), np.cos(turn)], 1), (62, 74, 44), 0.002)
    for k in range(16):
        way = 2 * np.pi * k / 16
        py, px = (
            place + size * (0.27 + 0.06 * (k % 2)) * np.array([np.sin(way), np.cos(way)])
        ) * unit
        r = 0.0022 * unit
        draw.ellipse((px - r, py - r, px + r, py + r), fill=(240, 205, 110), outline=ink)
