"""Pictures put together from pieces: mosaic, stained glass, cubist facets."""

from __future__ import annotations

import numpy as np

from swatches.brush import follow
from swatches.sheet import Array, Sheet, blur, look_up, over, ramp, rgb, shade, step


def mosaic(sheet: Sheet) -> Array:
    """A fish over waves under a gold sky: tilted stone tesserae set along the forms."""
    small = sheet.sketch(200)
    motif = fish(small)
    v, u = small.layout()
    flow = np.arctan2(v - 0.2, u - 0.72) + np.pi / 2
    angle = follow(motif, np.asarray(flow, np.float32), strength=2.5)
    place, heading = lay_tesserae(small, angle, spacing=0.0205)
    near, gap, across = nearest(sheet, place, heading, spacing=0.0205)
    rng = sheet.rng("tesserae")
    centre = place.reshape(-1, 2)
    colour = look_up(motif, centre[:, 0], centre[:, 1], sheet.extent)
    count = len(colour)
    colour = colour * (1 + 0.13 * rng.standard_normal((count, 1)))
    colour = colour + 0.035 * rng.standard_normal((count, 3))
    gold = rng.random((count, 1)) < 0.05
    colour = np.where(gold, 0.35 * colour + 0.65 * rgb("f7dc8c"), colour)
    tilt = rng.standard_normal((count, 2)) * 0.5
    body: Array = np.clip(colour, 0.03, 0.93).astype(np.float32)[near]
    grain = sheet.noise("grain", 90, 3)
    vein = np.abs(sheet.noise("vein", 26, 3))
    body = body * (1 + 0.06 * grain + 0.09 * step(0.25, 0.0, vein))[..., None]
    wear = 0.0009 * sheet.noise("chip", 70, 2)
    grout = 0.0014 + wear
    pixel = 0.6 / sheet.unit
    inside = step(grout - pixel, grout + pixel, gap)
    rise = step(0.0, 0.0045, gap - grout)
    slant = (tilt[near] * across).sum(-1) / 0.012
    relief = inside * (2.2 * rise + 1.3 * slant.astype(np.float32)) + 0.16 * grain
    joint = ramp(rgb("3b332e", "6d6154", "8f8270"), 0.35 + 0.14 * sheet.noise("sand", 160, 2))
    joint = joint * (0.75 + 0.25 * step(0.0, grout + 0.001, grout - gap))[..., None]
    picture = over(joint, body, inside)
    return shade(picture, relief, unit=sheet.unit, depth=0.5, gloss=0.35)


def fish(sheet: Sheet) -> Array:
    """The mosaic's motif: sun, gold sky, a diving fish, rolling waves: (h, w, 3)."""
    v, u = sheet.layout()
    rng = sheet.rng("fish")
    if rng.random() < 0.5:
        u = 1 - u
    warp = 0.02 * sheet.noise("warp", 4, 2)
    away = np.hypot(u - 0.76, v - 0.2) + 0.3 * warp
    ring = 0.5 + 0.5 * np.sin(away * 62)
    scene = ramp(rgb("f3d27a", "d9a441", "c08a3a", "e5c58e", "9fb8a8"), away * 1.0 + 0.12 * ring)
    beam = np.sin(np.arctan2(v - 0.2, u - 0.76) * 14 + 20 * warp)
    scene = over(scene, rgb("b9683a"), 0.55 * step(0.35, 0.9, beam) * step(0.12, 0.3, away))
    scene = over(
        scene,
        ramp(rgb("fdf3cf", "f4c35a", "d8642f", "8f2f24"), away / 0.13),
        step(0.135, 0.125, away),
    )
    for i in range(5):
        base = 0.56 + 0.095 * i
        crest = v - base - 0.035 * np.sin((9 - i) * u + 2.2 * i + 6 * rng.random()) - warp
        depth = crest / 0.1
        water = ramp(
            rgb("eef0da", "9fc9bf", "3f93a0", "1f5f85", "123a66", "0d2547"), depth + 0.15 * (i % 2)
        )
        scene = over(scene, water, step(-0.002, 0.002, crest))
        foam = 0.012 - np.abs(crest - 0.035 - 0.014 * np.sin(26 * u + i))
        scene = over(scene, rgb("e8e2c4"), 0.8 * step(0, 0.006, foam))
    turn = 0.62 * (u - 0.42)
    s = (u - 0.42) + 0.25 * (v - 0.5)
    n = v - 0.47 + turn - 1.7 * (u - 0.42) ** 2
    girth = 0.15 * np.sqrt(np.clip(1 - (s / 0.3) ** 2, 0, 1)) * (1 - 0.35 * s / 0.3)
    body = girth - np.abs(n) / np.hypot(1, 0.62 - 3.4 * (u - 0.42))
    tail = np.minimum(0.02 + 0.9 * (s - 0.24), 0.42 - s)
    tail = np.minimum(tail, 0.05 + 0.75 * (s - 0.25) - np.abs(n))
    tail = np.minimum(tail, np.abs(n) + 0.09 - 0.7 * (s - 0.27))
    fin = np.minimum(0.1 - np.abs(s + 0.02) - 0.5 * np.abs(n + 0.2), n + 0.235)
    fin = np.minimum(fin, -n - 0.1)
    for part in (tail, fin):
        scene = over(scene, rgb("38182a"), step(-0.012, -0.008, part))
        rays = 0.5 + 0.5 * np.sin(150 * (n + 0.5 * s))
        scene = over(scene, ramp(rgb("a8322c", "e2703a", "f3b35a"), rays), step(0, 0.004, part))
    scene = over(scene, rgb("2a1a38"), step(-0.016, -0.012, body))
    scale = np.sin(s * 75 + 3 * np.cos(n * 60)) * 0.5 + 0.5
    skin = ramp(
        rgb("2f7f80", "7fb59a", "efe3b4", "f0a56a", "c2472f"), 0.5 + n / 0.26 + 0.22 * (scale - 0.5)
    )
    scene = over(scene, skin, step(0, 0.004, body))
    gill = np.abs(np.hypot(s + 0.33, n) - 0.17) - 0.008
    scene = over(scene, rgb("3a1c30"), step(0.002, -0.002, gill) * step(0, 0.004, body))
    eye = np.hypot(s + 0.21, n + 0.025)
    scene = over(
        scene,
        ramp(rgb("14141f", "14141f", "f5ecd0", "f5ecd0", "b5482f"), eye / 0.036),
        step(0.036, 0.032, eye),
    )
    return np.clip(scene, 0, 1).astype(np.float32)


def lay_tesserae(sheet: Sheet, angle: Array, *, spacing: float) -> tuple[Array, Array]:
    """Square tiles along ``angle`` (h, w): their (y, x) places (R, C, 2) and headings (R, C).

    Lloyd relaxation in the maximum norm, turned to each tile's heading (Hausner 2001,
    "Simulating decorative mosaics"); each tile stays near its cell of a grid.
    """
    rows, columns = (int(np.ceil(side / spacing)) + 4 for side in sheet.extent)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) - 1.5
    place = (grid + sheet.rng("lay").uniform(-0.3, 0.3, grid.shape)) * spacing
    y, x = (side.ravel() for side in sheet.grid())
    for _ in range(9):
        heading = look_up(angle, place[..., 0], place[..., 1], sheet.extent)
        near, _, _ = nearest(sheet, place, heading, spacing=spacing)
        flat, home = near.ravel(), place.reshape(-1, 2)
        size = np.bincount(flat, minlength=len(home))
        middle = [np.bincount(flat, side, len(home)) / np.maximum(size, 1) for side in (y, x)]
        moved = np.where(size[:, None] > 0, np.stack(middle, 1), home).reshape(place.shape)
        border = np.ones((rows, columns, 1), bool)
        border[2:-2, 2:-2] = False
        moved = np.where(border, place, moved)
        place = np.clip(moved, (grid - 1.3) * spacing, (grid + 1.3) * spacing)
    return place, look_up(angle, place[..., 0], place[..., 1], sheet.extent)


def nearest(
    sheet: Sheet, place: Array, heading: Array, *, spacing: float
) -> tuple[Array, Array, Array]:
    """For each pixel: its tile's index (H, W), the distance to the joint (H, W) and the offset
    from the tile's middle (H, W, 2); tiles are (R, C, 2) as ``lay_tesserae`` places them."""
    y, x = sheet.grid()
    columns = place.shape[1]
    row = (y / spacing + 1.5).astype(np.intp)
    column = (x / spacing + 1.5).astype(np.intp)
    base = row * columns + column
    table = (
        np.concatenate([place, np.cos(heading)[..., None], np.sin(heading)[..., None]], -1)
        .reshape(-1, 4)
        .astype(np.float32)
    )
    first = np.full(sheet.shape, 9, np.float32)
    second = first.copy()
    index = np.zeros(sheet.shape, np.intp)
    for i in range(-2, 3):
        for j in range(-2, 3):
            tile = np.clip(base + (i * columns + j), 0, len(table) - 1)
            found = table[tile]
            dy, dx = y - found[..., 0], x - found[..., 1]
            away = np.maximum(
                np.abs(dx * found[..., 2] + dy * found[..., 3]),
                np.abs(dy * found[..., 2] - dx * found[..., 3]),
            )
            closer = away < first
            second = np.where(closer, first, np.minimum(second, away))
            first = np.where(closer, away, first)
            index = np.where(closer, tile, index)
    offset = np.stack([y, x], -1) - table[index][..., :2]
    return index, (second - first) / 2, offset


def stained_glass(sheet: Sheet) -> Array:
    """A rose over hills: streaked antique glass, painted lines, lead that catches light."""
    v, u = sheet.layout()
    y, x = sheet.grid()
    rng = sheet.rng("glass")
    warp = 0.009 * sheet.noise("warp", 5, 2)
    cx, cy = sheet.extent[1] * (0.5 + rng.uniform(-0.08, 0.08)), sheet.extent[0] * 0.38
    away = np.hypot(x - cx, y - cy) + warp
    turn = np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5
    label = np.zeros(sheet.shape, np.intp)
    edge = np.full(sheet.shape, 9, np.float32)
    along = np.zeros(sheet.shape, np.float32)

    def cut(inside: Array | None, a: Array, b: Array, kind: int) -> None:
        """Cut a region (units, positive within) into pieces where a and b are whole."""
        nonlocal label, edge, along
        within = np.ones(sheet.shape, bool) if inside is None else inside > 0
        pieces = np.minimum(to_line(a, sheet.unit), to_line(b, sheet.unit))
        if inside is not None:
            outline = np.abs(inside) / slope(inside, sheet.unit)
            edge = np.minimum(edge, outline)
            pieces = np.minimum(pieces, outline)
        number = (np.floor(a).astype(np.intp) * 61 + np.floor(b).astype(np.intp)) % 509
        label = np.where(within, kind * 512 + number, label)
        edge = np.where(within, pieces, edge)
        along = np.where(within, a, along)

    spiral = 18 * turn + 2.2 * np.sin(5 * away)
    cut(None, spiral, 7.5 * away + 0.55 * (np.floor(spiral) % 2) + 20 * warp, 0)
    petals = 8
    wave = np.abs(np.sin(np.pi * petals * turn))
    cut(0.335 - away, 24 * turn, 30 * (away - 0.305) + 0.5, 1)
    cut(0.19 + 0.1 * wave - away, petals * 2 * turn + 0.5, (away - 0.02 * wave) * 10, 2)
    cut(0.1 + 0.035 * np.abs(np.cos(np.pi * petals * turn)) - away, petals * turn, away * 14, 3)
    cut(0.052 - away, away * 9, 3 * turn, 4)
    for i, (top, swell, phase) in enumerate(
        ((0.7, 0.05, 0.4), (0.79, 0.045, 2.6), (0.885, 0.03, 4.4))
    ):
        line = top + swell * np.sin(5.2 * u + phase + rng.uniform(-0.5, 0.5)) + warp
        depth = (v - line) * 13
        cut(
            v - line,
            depth + 0.02,
            (9 + i) * u + 1.6 * np.sin(4 * v + i) + 0.5 * np.floor(depth),
            5 + i,
        )
    palettes = [
        rgb("17307a", "2350a8", "3f86c4", "86bcd6", "e9d9a0", "5a3f8f"),
        rgb("8f1f2f", "b8322f", "d9642f", "3a1a4f", "1f5f6f"),
        rgb("c92f3a", "e8672f", "a01f4f", "f0b04a", "d84a6a"),
        rgb("f6cf5a", "f9e7a4", "f09a3a", "e8c23f"),
        rgb("fdf1c0", "f9dc7a"),
        rgb("1f6f5a", "4f9f4a", "a8bf4a", "2f8f8a", "d9c95a"),
        rgb("17523f", "2f7f4a", "7fa53a", "1f4f6f", "c98f3a"),
        rgb("3f1f3a", "7a2f3f", "b5562f", "27406a", "5f7f3a"),
    ]
    table = np.concatenate([tinted(rng, palette, 512) for palette in palettes])
    lean = rng.standard_normal((len(table), 2)) * 2.0
    glass = table[label]
    streak = sheet.noise("streak", 9, 4, stretch=(0.5, 3)) + 0.6 * sheet.noise("swirl", 5, 3)
    shifted = np.roll(streak, sheet.unit // 3, axis=1)
    streak = np.where(label % 2 == 0, streak, shifted)
    ripple = sheet.noise("ripple", 55, 3)
    seeds = step(1.9, 2.6, sheet.noise("seeds", 80))
    tone = 1 + 0.17 * streak + 0.07 * ripple + 0.35 * seeds
    tone = tone * (
        1 + lean[label][..., 0] * (v - 0.5) * 0.3 + lean[label][..., 1] * (u - 0.5) * 0.3
    )
    hot = np.exp(-(((away - 0.05) / 0.55) ** 2))
    tone = tone * (0.62 + 0.55 * hot) * (1 - 0.5 * np.exp(-edge / 0.009))
    glass = 1 - (1 - np.clip(glass, 0, 0.97)) ** np.clip(tone * 1.15, 0.15, 2.2)[..., None]
    vein = np.abs((along * 5.0) % 1 - 0.5) / 5 / slope(along, sheet.unit)
    paint = step(0.0016, 0.0006, vein) * step(0.006, 0.011, edge) * (label * 7919 % 5 < 2)
    paint = paint * step(-0.8, 0.5, sheet.noise("worn", 14, 2))
    glass = glass * (1 - 0.65 * paint)[..., None]
    lead_width = 0.0042 + 0.0012 * sheet.noise("lead", 9, 2) + 0.0018 * (label >= 512)
    lead_width = np.maximum(lead_width, 0.0028)
    pixel = 0.6 / sheet.unit
    lead = step(lead_width + pixel, lead_width - pixel, edge)
    bulge = np.sqrt(np.clip(1 - (edge / lead_width) ** 2, 0, 1))
    metal = ramp(rgb("0d0d14", "1d1f29", "34363f"), 0.4 + 0.3 * sheet.noise("metal", 60, 3))
    metal = shade(metal, 2.5 * bulge + 0.2 * ripple, unit=sheet.unit, depth=1.0, gloss=0.25)
    flat = over(shade(glass, ripple + 0.5 * streak, unit=sheet.unit, depth=0.2), metal, lead)
    halo = blur(np.clip(glass, 0, 1) * (1 - lead)[..., None], sheet.unit * 0.012)
    return np.asarray(flat + 0.22 * halo * (1 - flat))


def slope(field: Array, unit: int) -> Array:
    """Steepness of a field per unit of length, (H, W), never zero."""
    rise_y, rise_x = np.gradient(field)
    return np.asarray(np.hypot(rise_y, rise_x) * unit + 1e-3)


def to_line(field: Array, unit: int) -> Array:
    """Distance, in units, from each pixel to the nearest line on which a field is whole."""
    return np.asarray(np.abs(field - np.round(field)) / slope(field, unit))


def tinted(rng: np.random.Generator, palette: Array, count: int) -> Array:
    """``count`` colours from a palette (N, 3), each a little its own: (count, 3)."""
    colour = palette[rng.integers(0, len(palette), count)]
    colour = colour * (1 + 0.16 * rng.standard_normal((count, 1)))
    colour = colour + 0.03 * rng.standard_normal((count, 3))
    return np.asarray(np.clip(colour, 0.02, 0.98), np.float32)


def facets(sheet: Sheet) -> Array:
    """A figure with a guitar in overlapping shaded planes, brushed along their own axes."""
    small = sheet.sketch()
    v, u = small.layout()
    warp = 0.05 * small.noise("warp", 3, 2)
    head = np.hypot((u - 0.5 + warp) / 0.11, (v - 0.2) / 0.13)
    torso = np.abs(u - 0.5 + warp + 0.1 * (v - 0.5)) / (0.08 + 0.26 * np.clip(v - 0.22, 0, 1))
    guitar = np.hypot((u - 0.44 + 0.4 * (v - 0.62)) / 0.25, (v - 0.62) / 0.15)
    mass = np.maximum(step(1.25, 0.8, head), step(1.2, 0.8, torso) * step(0.22, 0.34, v))
    mass = np.maximum(mass, step(1.2, 0.85, guitar))
    light = 0.5 + 0.35 * (u - 0.5) + 0.33 * small.noise("light", 4, 2)
    back = ramp(rgb("16242f", "2a5258", "5f8a80", "a9b494", "e6dab4"), light + 0.02)
    body = ramp(rgb("2a1712", "6f3a1f", "b0692f", "d9a45f", "f1dfb4"), light + 0.12)
    wood = ramp(rgb("3a1a14", "8a3a1f", "c9742f", "e8b76a"), light + 0.1)
    motif = over(over(back, body, mass), wood, step(1.1, 0.9, guitar))
    colour = np.empty((*sheet.shape, 3), np.float32)
    colour[:] = rgb("8f8a78")
    relief = np.zeros(sheet.shape, np.float32)
    streaks = sheet.rng("streaks").standard_normal((512, 512)).astype(np.float32)
    streaks = blur(np.roll(streaks, 7, 0), 1.2) * 2 + blur(streaks, 3) * 4
    streaks = streaks / streaks.std()
    rng = sheet.rng("planes")
    axes = rng.uniform(0, np.pi) + np.array([0, 1.05, 1.75, 2.4])
    for spacing, reach, chance in (
        (0.17, 0.42, 1.0),
        (0.11, 0.25, 0.85),
        (0.07, 0.15, 0.62),
        (0.05, 0.075, 0.4),
    ):
        ys, xs = sheet.scatter(f"planes/{reach}", spacing, 0.1)
        for y, x in zip(ys, xs, strict=True):
            draw = rng.random(12)
            inside = look_up(mass, np.array(y), np.array(x), sheet.extent)
            if draw[0] > chance * (0.55 + 0.45 * inside):
                continue
            base = look_up(motif, np.array(y), np.array(x), sheet.extent)
            if draw[1] < 0.12:
                base = rgb("2f6a6a", "a8402a", "e8e2cf", "20303a", "d9b25a")[int(draw[2] * 5)]
            axis = axes[int(draw[3] * 4)] + 0.25 * (draw[4] - 0.5)
            plane(
                sheet,
                colour,
                relief,
                streaks,
                place=(float(y), float(x)),
                axis=axis,
                reach=reach * (0.55 + 0.8 * draw[5]),
                base=base,
                draw=draw[6:],
            )
    return shade(colour, relief, unit=sheet.unit, depth=0.5, gloss=0.12)


def plane(
    sheet: Sheet,
    colour: Array,
    relief: Array,
    streaks: Array,
    *,
    place: tuple[float, float],
    axis: float,
    reach: float,
    base: Array,
    draw: Array,
) -> None:
    """One plane, shaded from a firm dark edge to where it melts into its neighbours.

    Paints into ``colour`` (H, W, 3) and ``relief`` (H, W); ``streaks`` (512, 512) is the mark
    of the brush; ``draw`` holds six numbers in [0, 1) that decide its form.
    """
    unit, (height, width) = sheet.unit, sheet.shape
    top, left = (max(0, int((p - 1.2 * reach) * unit)) for p in place)
    bottom = min(height, int((place[0] + 1.2 * reach) * unit) + 2)
    right = min(width, int((place[1] + 1.2 * reach) * unit) + 2)
    if bottom <= top or right <= left:
        return
    dy = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / unit - place[0])[:, None]
    dx = ((np.arange(left, right, dtype=np.float32) + 0.5) / unit - place[1])[None]
    t = dx * np.float32(np.cos(axis)) + dy * np.float32(np.sin(axis))
    n = dy * np.float32(np.cos(axis)) - dx * np.float32(np.sin(axis))
    long, wide = 0.85 * reach, reach * (0.3 + 0.45 * draw[0])
    firm = wide + n  # distance to the firm edge
    if draw[1] < 0.13 and reach > 0.13:
        firm = 0.75 * reach - np.hypot(t, n + 0.35 * reach)
    edges = np.minimum(firm, wide - n + (draw[2] - 0.5) * 2.2 * t)
    edges = np.minimum(
        edges,
        np.minimum(long - t + (draw[3] - 0.5) * 2.6 * n, long + t + (draw[4] - 0.5) * 2.6 * n),
    )
    edges = np.minimum(edges, 1.2 * reach - np.hypot(t, n))
    covered = np.nonzero(edges > -0.5 / unit)
    t, n, firm = t[covered], n[covered], firm[covered]
    cover = np.clip(edges[covered] * unit + 0.5, 0, 1)
    fade = np.clip(firm / (2 * wide), 0, 1)
    tone = fade**0.7 if draw[5] < 0.6 else 1 - fade**0.8
    deep = base * 0.2 + rgb("0c1018") * 0.4
    bright = np.clip(base * 0.78 + 0.36 * rgb("fbf0d8"), 0, 1)
    mark = streaks[
        (n * 500 + 5000 * draw[0]).astype(np.intp) % 512,
        (t * 150 + 5000 * draw[1]).astype(np.intp) % 512,
    ]
    tone = np.clip(tone + 0.055 * mark, 0, 1)[:, None]
    paint = deep + tone * (bright - deep)
    line = np.exp(-((firm * 300) ** 2)) * (draw[4] < 0.75)
    paint = paint * (1 - 0.75 * line)[:, None]
    alpha = cover * (1 - 0.8 * fade**1.6)
    window = (covered[0] + top, covered[1] + left)
    colour[window] += alpha[:, None] * (paint - colour[window])
    thick = 0.22 * mark + 0.8 * np.exp(-firm * 160)
    relief[window] += alpha * (thick - relief[window])
