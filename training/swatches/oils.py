"""Oil paintings: garden in thick paint, swirling night, fauve hills."""

from __future__ import annotations

import numpy as np

from swatches.brush import Canvas, Pass, follow
from swatches.sheet import Array, Sheet, blur, over, ramp, rgb, step


def impasto(sheet: Sheet) -> Array:
    """A garden path in afternoon light: short loaded strokes, broken colour, relief."""
    motif = garden(sheet.sketch())
    v, _ = sheet.sketch().layout()
    flow = 1.1 * sheet.sketch().noise("flow", 2.5, 2) + 0.5 - 0.5 * step(0.4, 0.7, v)
    angle = follow(motif, flow)
    canvas = Canvas(sheet, rgb("b08a62"))
    canvas.cover("ground", motif, angle, Pass(0.05, 0.2, 0.075, scatter=0.06))
    canvas.cover("broad", motif, angle, Pass(0.032, 0.13, 0.042, scatter=0.07, wander=0.4))
    canvas.cover("mid", motif, angle, Pass(0.02, 0.075, 0.021, scatter=0.08, wander=0.5, load=1.3))
    detail = busy(motif)
    canvas.cover(
        "fine",
        motif,
        angle,
        Pass(0.0125, 0.036, 0.0105, scatter=0.09, wander=0.7, load=1.5),
        where=detail,
    )
    touches = accents(sheet.sketch(), motif)
    canvas.cover(
        "touches",
        touches[..., :3],
        angle,
        Pass(0.014, 0.03, 0.011, scatter=0.06, wander=1.2, load=2.2, opacity=1),
        where=touches[..., 3],
    )
    return canvas.lit(depth=0.6, gloss=0.25)


def garden(sheet: Sheet) -> Array:
    """Sky, far hills, a sunlit wall, trees, flower beds and a path: (h, w, 3)."""
    v, u = sheet.layout()
    rng = sheet.rng("garden")
    lean = 1 if rng.random() < 0.5 else -1
    u = u if lean > 0 else 1 - u
    warp = 0.035 * sheet.noise("warp", 4, 3)
    small = sheet.noise("small", 14, 2)
    horizon = 0.42 + 0.06 * (rng.random() - 0.5) + 0.3 * warp
    sky = ramp(rgb("5f8fb8", "a9c3cf", "f0d9b0", "f2c08d"), v / 0.45 + 0.5 * warp + 0.06 * small)
    cloud = step(0.2, 1.3, sheet.noise("cloud", 3, 3, stretch=(1, 2)))
    scene = over(sky, ramp(rgb("f6ead0", "e8b7a0"), v * 2.2), cloud * 0.8)
    hills = step(0.0, 0.012, v - horizon + 0.12 - 0.05 * np.sin(5 * u + 3 * rng.random()))
    scene = over(scene, ramp(rgb("7a86ad", "8fa3a0", "a69f7c"), (v - 0.25) * 4 + warp * 4), hills)
    ground = step(-0.01, 0.015, v - horizon)
    lawn = ramp(rgb("c9b45a", "8f9f45", "4f7a4a", "2f5a50"), (v - 0.4) * 1.5 + 4 * warp)
    scene = over(scene, lawn, ground)
    path = np.abs(u - 0.52 - 0.25 * (v - 0.45) - 0.08 * np.sin(7 * v)) - 0.02 - 0.28 * (v - 0.42)
    scene = over(
        scene,
        ramp(rgb("f3dcae", "e2ae80", "b27f73"), 1.6 * (v - 0.4) + 5 * warp),
        ground * step(0.02, -0.02, path + warp),
    )
    shadow = step(0.2, 0.9, sheet.noise("shadow", 5, 2, stretch=(0.6, 2.2)))
    scene = over(scene, rgb("5a5688"), 0.7 * ground * shadow)
    beds = ground * step(0.0, 0.03, path + warp - 0.02) * step(-0.2, 0.5, sheet.noise("beds", 6, 2))
    hue = sheet.noise("hue", 7, 1) * 0.25 + 0.5 + 0.1 * small
    scene = over(
        scene, ramp(rgb("7d2440", "c23b32", "e2703a", "efb04c", "d8829a"), hue), 0.85 * beds
    )
    wall = step(0.01, -0.01, np.abs(u - 0.72) - 0.13) * step(
        0.26, 0.27, v + 0.05 * np.abs(u - 0.72)
    )
    wall = wall * step(0.51, 0.49, v)
    scene = over(scene, ramp(rgb("f4e0b4", "e9b988", "c98f7e"), (u - 0.58) * 3.2 + 3 * warp), wall)
    roof = step(0.005, -0.005, np.abs(v - 0.235) - 0.035) * step(
        0.17, 0.15, np.abs(u - 0.72) + 0.8 * (0.27 - v)
    )
    scene = over(scene, rgb("b5533c"), roof)
    for place in ((0.645, 0.36), (0.73, 0.35), (0.8, 0.42)):
        hole = step(0.022, 0.016, np.abs(u - place[0])) * step(0.05, 0.04, np.abs(v - place[1]))
        scene = over(scene, rgb("3c4a6e"), hole)
    ragged = 0.06 * sheet.noise("leaves", 9, 3)
    for x, y, wide, tall in (
        (0.14, 0.24, 0.24, 0.32),
        (0.9, 0.3, 0.13, 0.26),
        (0.44, 0.38, 0.08, 0.12),
    ):
        crown = 1 - np.hypot((u - x) / wide, (v - y) / tall) + 1.6 * ragged / (wide + 0.1)
        light = 0.5 + 0.9 * (y - v) / tall + 0.45 * (u - x) / wide + 0.16 * small + 3 * ragged
        leaves = ramp(rgb("12283a", "1f4a48", "3f7350", "8d9c4c", "dcc65a"), light * 0.7 + 0.1)
        trunk = (
            step(0.02, 0.01, np.abs(u - x - 0.3 * warp))
            * step(y, y + 0.05, v)
            * step(0.66, 0.62, v)
        )
        scene = over(scene, rgb("3a2636"), trunk)
        scene = over(scene, leaves, step(0.0, 0.1, crown))
    for x, tall in ((0.5, 0.1), (0.56, 0.085)):
        figure = step(0.02, 0.012, np.abs(u - x) * (1.3 - 2 * (v - 0.5))) * step(
            tall, tall - 0.02, np.abs(v - 0.52)
        )
        scene = over(scene, ramp(rgb("f3e6cf", "c4473a", "2c2c50"), (v - 0.43) * 5), figure)
    return np.clip(scene, 0, 1).astype(np.float32)


def busy(motif: Array) -> Array:
    """Where a motif asks for small strokes: (h, w) chance in [0.25, 1]."""
    grey = motif.mean(-1)
    detail = np.abs(grey - blur(grey, 5)) + np.abs(motif - blur(motif, 5)).max(-1)
    return 0.25 + 0.75 * step(0.02, 0.14, blur(detail, 2))


def accents(sheet: Sheet, motif: Array) -> Array:
    """Last touches of pure colour in drifts: colour and chance (h, w, 4)."""
    drift = step(0.5, 1.5, sheet.noise("drift", 7, 2))
    pick = sheet.noise("pick", 22) * 0.3 + 0.5
    light = motif.mean(-1)
    bright = ramp(rgb("f7e7bd", "f2b950", "e2603c", "f0d0d0", "7fb0c8"), pick)
    dark = ramp(rgb("1c2148", "3c6a8c", "7a2a48", "2f6a58"), pick)
    colour = np.where((light > 0.45)[..., None], bright, dark)
    swap = sheet.noise("swap", 9) > 0.6
    colour = np.where(swap[..., None], bright, colour)
    return np.concatenate([colour, 0.7 * drift[..., None]], -1)


def night(sheet: Sheet) -> Array:
    """A swirling sky with moon and stars over a lake, hills and poplars."""
    small = sheet.sketch()
    motif, angle, glow = starlight(small)
    canvas = Canvas(sheet, rgb("1b2440"))
    canvas.cover("ground", motif, angle, Pass(0.045, 0.2, 0.05, scatter=0.035, wander=0.1))
    canvas.cover("broad", motif, angle, Pass(0.026, 0.13, 0.024, scatter=0.06, wander=0.12))
    canvas.cover(
        "mid", motif, angle, Pass(0.0175, 0.085, 0.0125, scatter=0.075, wander=0.14, load=1.3)
    )
    drift = step(-0.3, 1.2, small.noise("drift", 6, 2, stretch=(1, 1.5)))
    light = ramp(
        rgb("16244f", "2a5a8c", "6fa6b4", "d7dfb0", "f6dc78"), motif.mean(-1) * 1.25 + 0.16
    )
    canvas.cover(
        "light",
        light,
        angle,
        Pass(0.0165, 0.06, 0.0085, scatter=0.05, wander=0.12, load=1.6, keep=0.75),
        where=(0.15 + 0.75 * drift) * (glow >= 0),
    )
    dark = np.broadcast_to(rgb("0d1432"), motif.shape)
    canvas.cover(
        "dark",
        dark,
        angle,
        Pass(0.02, 0.06, 0.007, scatter=0.03, wander=0.1, keep=0.35),
        where=1 - 1.6 * np.abs(glow),
    )
    gold = np.broadcast_to(rgb("fbe59a"), motif.shape)
    canvas.cover(
        "gold",
        gold,
        angle,
        Pass(0.0125, 0.034, 0.0085, scatter=0.05, wander=0.2, load=2),
        where=step(0.35, 0.9, glow),
    )
    return canvas.lit(depth=0.6, gloss=0.3)


def starlight(sheet: Sheet) -> tuple[Array, Array, Array]:
    """The night's motif (h, w, 3), its stroke directions (h, w) and its glow (h, w).

    The glow is negative on the trees and the land, where no light strokes belong.
    """
    v, u = sheet.layout()
    y, x = sheet.grid()
    tall, wide = sheet.extent
    rng = sheet.rng("night")
    flip = rng.random() < 0.5
    u = 1 - u if flip else u
    x = wide - x if flip else x
    shore = 0.66 + 0.02 * sheet.noise("shore", 4)
    lights = [(0.76 * wide, 0.2 * tall, 0.085)]  # the moon, then the stars
    for place in np.linspace(0.06, 0.94, 7):
        lights.append(
            (
                (place + rng.uniform(-0.05, 0.05)) * wide,
                rng.uniform(0.05, 0.44) * tall,
                rng.uniform(0.018, 0.036),
            )
        )
    vx = 0.9 + 0.4 * np.sin(9 * y + 2 * sheet.noise("gust", 2))
    vy = 0.7 * np.cos(5.5 * x + 3 * y + sheet.noise("gust2", 2))
    for cx, cy, reach, spin in (
        (0.4, 0.3, 0.2, 1.0),
        (0.16, 0.5, 0.12, -1.0),
        (0.57, 0.44, 0.1, -1.0),
    ):
        dx, dy = (
            x - (cx + rng.uniform(-0.05, 0.05)) * wide,
            y - (cy + rng.uniform(-0.03, 0.03)) * tall,
        )
        pull = 4.5 * spin * np.exp(-(dx**2 + dy**2) / reach**2) / reach
        vx, vy = vx - dy * pull + 0.25 * dx * pull, vy + dx * pull + 0.25 * dy * pull
    glow = np.zeros(sheet.shape, np.float32)
    for cx, cy, reach in lights:
        dx, dy = x - cx, y - cy
        away = np.hypot(dx, dy)
        pull = 5 * np.exp(-((away / (2.2 * reach)) ** 2)) / reach
        vx, vy = vx - dy * pull, vy + dx * pull
        rings = 0.5 + 0.5 * np.cos(away / reach * 3.2)
        glow = np.maximum(
            glow,
            np.exp(-((away / (1.25 * reach)) ** 2)) + 0.45 * rings * np.exp(-away / reach / 0.9),
        )
    flow = np.arctan2(vy, vx)
    band = sheet.noise("band", 3, 3, stretch=(1, 2.0)) * 0.13 + 0.1 * np.sin(2 * flow + 5 * v)
    sky = ramp(rgb("141d4a", "1f3f84", "3470a8", "6ba3b8", "b9cfb4"), 0.3 + 0.35 * v + band)
    milky = step(
        0.09, 0.0, np.abs(v - 0.46 - 0.08 * np.sin(6 * u + 2) + 0.03 * sheet.noise("milk", 4, 2))
    )
    scene = over(sky, rgb("d3d7a6"), 0.6 * milky)
    scene = over(scene, ramp(rgb("7fae9a", "e9d47a", "f9e7a0"), glow), step(0.12, 0.75, glow))
    land = step(
        0,
        0.012,
        v
        - shore
        + 0.13 * np.exp(-(((u - 0.2) / 0.25) ** 2))
        + 0.07 * np.sin(8 * u + 1) * step(0.3, 0.7, u),
    )
    scene = over(
        scene,
        ramp(
            rgb("1a2c5c", "24507a", "30606a", "16304a"),
            (v - 0.5) * 5 + 0.15 * sheet.noise("hill", 8, 2),
        ),
        land,
    )
    water = step(0, 0.01, v - shore - 0.06)
    glow = np.where((land > 0.5) & (water < 0.5), -0.2, glow)
    lake = ramp(
        rgb("2b5f8e", "1c3a70", "10204a"),
        (v - 0.7) * 3.2 + 0.12 * sheet.noise("lake", 10, 2, stretch=(0.5, 3)),
    )
    scene = over(scene, lake, water)
    for cx, _, reach in lights:
        ripple = np.abs(x - cx + 0.03 * np.sin(70 * v + 3 * u)) / (0.55 * reach + 0.01)
        streak = np.exp(-(ripple**2)) * (0.55 + 0.45 * np.sin(130 * v + 9 * cx)) * water
        scene = over(scene, rgb("ecc766"), 0.85 * streak)
    for place in np.arange(0.08, 0.98, 0.055):
        px, py = place + rng.uniform(-0.02, 0.02), 0.69 + rng.uniform(-0.015, 0.01)
        window = step(0.009, 0.005, np.abs(u - px)) * step(0.01, 0.006, np.abs(v - py))
        scene = over(scene, rgb("f3a548"), window)
    hollow = np.where(
        v > shore, np.where(water > 0.5, 0.04 * np.sin(40 * v), 0.5 * np.sin(7 * u)), flow
    )
    for px, top, girth in ((0.13, 0.08, 0.085), (0.235, 0.3, 0.055), (0.93, 0.46, 0.05)):
        sway = px + 0.012 * np.sin(14 * v + 9 * px)
        inside = girth * np.sqrt(np.clip(v - top, 0, 1)) * 1.35 * (
            1 + 0.25 * sheet.noise(f"poplar{px}", 16, 2)
        ) - np.abs(u - sway)
        tree = step(-0.003, 0.008, inside)
        scene = over(
            scene,
            ramp(
                rgb("0c1526", "1b3a34", "3c4a26", "6b3a22"),
                0.35 + 0.28 * sheet.noise("bark", 24, 1, stretch=(4, 1)),
            ),
            tree,
        )
        hollow = np.where(tree > 0.5, np.pi / 2 + 0.5 * np.sin(18 * v + 40 * u), hollow)
        glow = np.where(tree > 0.3, -0.2, glow)
    if flip:
        hollow = np.where((v > shore) & (water < 0.5), -hollow, hollow)
    return np.clip(scene, 0, 1).astype(np.float32), np.asarray(hollow, np.float32), glow


def fauve(sheet: Sheet) -> Array:
    """A harbour under hills in pure colour: broad separate strokes and blue contours."""
    small = sheet.sketch()
    _, u = small.layout()
    motif, line = harbour(small)
    flow = 0.9 * small.noise("flow", 2, 2) - 0.4 + 0.9 * step(0.5, 0.9, u)
    angle = follow(motif, flow, strength=0.6)
    canvas = Canvas(sheet, rgb("eadfc6"))
    canvas.cover(
        "ground",
        motif,
        angle,
        Pass(0.055, 0.17, 0.085, scatter=0.05, opacity=0.75, keep=0.85, load=0.6),
    )
    canvas.cover(
        "broad",
        motif,
        angle,
        Pass(0.036, 0.1, 0.042, scatter=0.055, wander=0.25, load=1.2, keep=0.85),
    )
    canvas.cover(
        "mid", motif, angle, Pass(0.024, 0.06, 0.023, scatter=0.06, wander=0.35, load=1.4, keep=0.8)
    )
    turn = motif[..., [1, 2, 0]] * 0.75 + 0.25
    canvas.cover(
        "foil", turn, angle, Pass(0.03, 0.045, 0.015, scatter=0.06, wander=0.5, load=1.7, keep=0.3)
    )
    canvas.cover(
        "light",
        motif * 0.55 + 0.45,
        angle,
        Pass(0.022, 0.042, 0.013, scatter=0.05, wander=0.4, load=1.8, keep=0.4),
    )
    ink = np.broadcast_to(rgb("1d2560"), motif.shape)
    canvas.cover(
        "line",
        ink,
        follow(motif, flow, strength=8),
        Pass(0.0085, 0.03, 0.0075, scatter=0.05, wander=0.1, load=1.3),
        where=line,
    )
    return canvas.lit(depth=0.6, gloss=0.15)


def harbour(sheet: Sheet) -> tuple[Array, Array]:
    """Sky, hills, houses, boats and a tree in patches: (h, w, 3), and its contours (h, w)."""
    v, u = sheet.layout()
    rng = sheet.rng("harbour")
    if rng.random() < 0.5:
        u = 1 - u
    warp = 0.03 * sheet.noise("warp", 3, 2)
    patch = 0.5 + 0.3 * np.round(1.6 * sheet.noise("patch", 5, 2)) / 1.6
    patch = patch + 0.1 * sheet.noise("patch2", 12)
    scene = ramp(rgb("f7c1a6", "f0e0a0", "9fd0c6", "5fa3d6", "e58fb0"), patch)
    line = np.zeros(sheet.shape, np.float32)

    def lay(inside: Array, colours: Array, shift: float = 0.0, thick: float = 0.006) -> None:
        """Paint where ``inside`` (units, positive within) and draw its contour."""
        nonlocal scene, line
        mask = step(-0.004, 0.004, inside)
        scene = over(scene, ramp(colours, patch + shift), mask)
        line = np.maximum(line * (1 - mask), step(1.2 * thick, 0.3 * thick, np.abs(inside)))

    lay(v - 0.3 + 0.1 * np.sin(4.2 * u + 0.6) + warp, rgb("6a4fa0", "3f6fc0", "c45f9a", "e9806a"))
    lay(v - 0.38 + 0.07 * np.sin(7 * u + 3) + warp, rgb("e2512f", "f08a3c", "c92f55", "f2b83f"))
    lay(v - 0.46 + 0.05 * np.sin(9 * u + 1) + warp, rgb("12806a", "4fae5a", "0f5f78", "b7c93f"))
    for i, place in enumerate(np.arange(0.32, 0.98, 0.15)):
        top = 0.39 + rng.uniform(-0.06, 0.04)
        half = rng.uniform(0.05, 0.075)
        lean = u - place - 0.25 * warp
        box = np.minimum(half - np.abs(lean), np.minimum(v - top, 0.56 - v))
        walls = (
            rgb("f7d9c0", "f2a58f", "f6e39a"),
            rgb("f3a7bd", "e9628a", "f7cfae"),
            rgb("f9e27a", "f0a53a", "f7edc8"),
        )
        lay(box, walls[i % 3])
        roof = np.minimum(v - top + 0.035, 0.02 - (v - top)) - 0.55 * np.abs(lean) + 0.01
        lay(roof, rgb("d23a2a", "8f2350", "ef6a2a"))
        lay(
            np.minimum(0.014 - np.abs(lean - 0.02), 0.028 - np.abs(v - top - 0.075)),
            rgb("1f5f8f", "2b2f7a"),
            thick=0.003,
        )
    wave = 0.012 * np.sin(30 * u + 9 * v) + warp * 0.5
    lay(v - 0.555 + wave, rgb("2456b0", "2f9ab8", "6fc5c0", "3f3f9a"))
    lay(
        0.05 - np.abs(v - 0.66 + wave - 0.05 * np.sin(5 * u)),
        rgb("f2a08a", "f7d08a", "e86f8f", "8fd0c0"),
        thick=0.003,
    )
    lay(v - 0.86 + 0.1 * np.sin(3.4 * u + 0.4) + warp, rgb("e7692f", "f4b24a", "d8456a", "f6d9a0"))
    for i in range(4):
        px, py = (
            0.3 + 0.18 * i + rng.uniform(-0.03, 0.03),
            0.64 + 0.035 * (i * 2 % 5) + rng.uniform(-0.01, 0.01),
        )
        long = 0.085 + 0.03 * rng.random()
        hull = 0.7 * (long - np.abs(u - px) - 0.9 * np.clip(v - py, 0, 1))
        hull = np.minimum(hull, np.minimum(v - py + 4 * (u - px) ** 2, 0.032 + py - v))
        lay(
            hull, (rgb("d5312c", "f27a3a"), rgb("1c7f6c", "66b84f"), rgb("f6d445", "f39a2e"))[i % 3]
        )
        lay(
            np.minimum(0.004 - np.abs(u - px), np.minimum(py - v, v - py + 0.17)),
            rgb("3a2160", "8a2f4a"),
            thick=0.004,
        )
        sail = np.minimum(
            u - px - 0.008, np.minimum(py - 0.015 - v, 0.42 * (v - py + 0.16) - (u - px))
        )
        lay(
            sail,
            (rgb("f9efcf", "f6c9a8"), rgb("f39fb4", "e2603f"), rgb("8fd6cf", "f4f0d8"))[
                (i + 1) % 3
            ],
        )
    trunk = 0.025 - np.abs(u - 0.12 - 0.06 * np.sin(5 * v))
    lay(np.minimum(trunk, v - 0.2), rgb("b0305a", "5a2f8a", "e2602f"), thick=0.007)
    crown = np.maximum(
        0.19 - np.hypot(u - 0.1, 1.2 * (v - 0.18)), 0.11 - np.hypot(u - 0.27, 1.3 * (v - 0.11))
    )
    lay(
        crown + 0.8 * warp + 0.012 * sheet.noise("crown", 9),
        rgb("0f6f5a", "2fa05a", "1f4f9a", "a9cf3f", "0b4a5f"),
        thick=0.007,
    )
    return np.clip(scene, 0, 1).astype(np.float32), line
