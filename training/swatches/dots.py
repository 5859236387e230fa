"""Pointillism: a river bank in dots of pure colour that mix in the eye."""

from __future__ import annotations

import numpy as np

from swatches.sheet import Array, Sheet, look_up, over, ramp, rgb, shade, step

PURE = rgb(
    "f6e36a", "f2a93b", "e2603c", "c53a5c", "8a4a9c", "3f4fa8", "2f7fc4", "37a3a0",
    "3f8f4f", "9cbf4a", "f7f0d4", "1f2450", "f3b7b0", "a9d3e4", "5c3a34", "d9e6a0",
)  # fmt: skip


def pointillism(sheet: Sheet) -> Array:
    """A river bank on a summer afternoon: five layers of dots, the last the smallest."""
    motif, angle = bank(sheet.sketch())
    colour = np.empty((*sheet.shape, 3), np.float32)
    colour[:] = rgb("e9dfc4")
    colour += 0.04 * sheet.noise("ground", 30, 3)[..., None]
    relief = 0.2 * sheet.noise("linen", 120, 2)
    layers = (
        {"spacing": 0.022, "size": 0.022, "purity": 0.02, "share": 1.0},
        {"spacing": 0.0155, "size": 0.013, "purity": 0.1, "share": 1.0},
        {"spacing": 0.0125, "size": 0.0088, "purity": 0.3, "share": 1.0},
        {"spacing": 0.0105, "size": 0.0066, "purity": 0.42, "share": 0.85},
        {"spacing": 0.0098, "size": 0.0048, "purity": 0.55, "share": 0.5},
    )
    for i, layer in enumerate(layers):
        dot_layer(sheet, colour, relief, motif, angle, part=f"dots/{i}", **layer)
    return shade(colour, relief, unit=sheet.unit, depth=0.55, gloss=0.15)


def dot_layer(
    sheet: Sheet,
    colour: Array,
    relief: Array,
    motif: Array,
    angle: Array,
    *,
    part: str,
    spacing: float,
    size: float,
    purity: float,
    share: float,
) -> None:
    """Paint one dot per cell of a jittered grid into ``colour`` and ``relief``, in place.

    The grid is painted in nine turns, each of every third cell in both directions, so that no
    two dots of a turn can touch and a turn is one pass over the pixels.
    """
    y, x = sheet.grid()
    rows, columns = (int(side / spacing) + 7 for side in sheet.extent)
    rng = sheet.rng(part)
    jitter = rng.uniform(-0.62, 0.62, (rows, columns, 2))
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) - 2.5
    place = ((grid + jitter) * spacing).astype(np.float32)
    radius = (size / 2 * rng.uniform(0.7, 1.35, (rows, columns))).astype(np.float32)
    radius = np.where(rng.random((rows, columns)) < share, radius, -1)
    base = look_up(motif, place[..., 0], place[..., 1], sheet.extent)
    turn = look_up(angle, place[..., 0], place[..., 1], sheet.extent)
    turn = turn + rng.normal(0, 0.35, turn.shape)
    paint = broken(rng, base, purity).astype(np.float32)
    cosine, sine = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    thick = rng.uniform(0.7, 1.6, (rows, columns)).astype(np.float32)
    for i in range(3):
        for j in range(3):
            row = np.clip(((y / spacing + 3 - i + 1.0) // 3).astype(np.intp) * 3 + i, 0, rows - 1)
            column = np.clip(
                ((x / spacing + 3 - j + 1.0) // 3).astype(np.intp) * 3 + j, 0, columns - 1
            )
            dot = row * columns + column
            middle = place.reshape(-1, 2)[dot]
            dy, dx = y - middle[..., 0], x - middle[..., 1]
            c, s = cosine.ravel()[dot], sine.ravel()[dot]
            r = radius.ravel()[dot]
            away = np.hypot((dx * c + dy * s) / 1.25, (dy * c - dx * s) / 0.85)
            cover = np.clip((r - away) * sheet.unit + 0.5, 0, 1) * (r > 0)
            on = np.nonzero(cover)
            alpha = (0.94 * cover[on])[:, None]
            colour[on] += alpha * (paint.reshape(-1, 3)[dot[on]] - colour[on])
            near = np.clip(away[on] / r[on], 0, 1)
            bump = thick.ravel()[dot[on]] * (0.7 + 0.6 * near**2 - 0.9 * near**6)
            relief[on] += cover[on] * (bump - 0.8 * relief[on])


def broken(rng: np.random.Generator, base: Array, purity: float) -> Array:
    """Pure colours that together make ``base`` (R, C, 3): the nearest few, at random.

    A share ``purity`` of the dots takes a tube's colour, tempered with a little white or base.
    """
    distance = ((base[..., None, :] - PURE) ** 2).sum(-1)
    distance = distance + rng.gumbel(0, 0.075, distance.shape)
    tube = PURE[distance.argmin(-1)]
    mixed = 0.82 * tube + 0.18 * base
    plain = base * (1 + 0.1 * rng.standard_normal((*base.shape[:2], 1)))
    plain = plain + 0.05 * rng.standard_normal(base.shape)
    pure = rng.random(base.shape[:2]) < purity
    return np.asarray(np.clip(np.where(pure[..., None], mixed, plain), 0.02, 1))


def bank(sheet: Sheet) -> tuple[Array, Array]:
    """Motif (h, w, 3) and dot directions (h, w): sky, river, trees, lawn, figures, parasols."""
    v, u = sheet.layout()
    rng = sheet.rng("bank")
    if rng.random() < 0.5:
        u = 1 - u
    warp = 0.03 * sheet.noise("warp", 4, 3)
    scene = ramp(rgb("8fbbe0", "c9dcdf", "f5e3c0", "f3cfa8"), v / 0.32 + 3 * warp)
    puff = step(0.1, 1.2, sheet.noise("puff", 3, 3, stretch=(1, 2.2)))
    scene = over(scene, rgb("fbf1de"), 0.75 * puff)
    far = step(0, 0.01, v - 0.27 + 0.03 * np.sin(9 * u + 2) + warp)
    scene = over(scene, ramp(rgb("7fa0b8", "8fae8c", "b9b97c"), (v - 0.2) * 9 + 6 * warp), far)
    for i in range(6):
        px = 0.12 + 0.13 * i + rng.uniform(-0.04, 0.04)
        house = np.minimum(0.03 - np.abs(u - px), np.minimum(v - 0.28, 0.34 - v))
        scene = over(scene, rgb("f6e3c4", "e9a98a")[i % 2], step(0, 0.006, house))
        scene = over(
            scene,
            rgb("b5533c"),
            step(0, 0.006, np.minimum(0.036 - np.abs(u - px), 0.012 - np.abs(v - 0.275))),
        )
    edge = 0.34 + 0.01 * np.sin(20 * u)
    shore = v - 0.52 - 0.36 * (u - 0.35) - 0.02 * np.sin(9 * u) + warp
    river = step(0, 0.01, v - edge)
    ripple = sheet.noise("ripple", 16, 2, stretch=(0.35, 3))
    water = ramp(rgb("7fb0cf", "4f86bd", "a9cfd8", "f3e3c0"), 0.4 + 0.22 * ripple + 0.6 * (0.4 - v))
    scene = over(scene, water, river)
    for px, py, long in ((0.62, 0.42, 0.1), (0.82, 0.5, 0.13), (0.42, 0.38, 0.06)):
        sail = np.minimum(u - px, np.minimum(py - v, 0.4 * (v - py + 1.8 * long) - (u - px)))
        scene = over(scene, rgb("fdf6e6"), step(-0.002, 0.006, sail))
        hull = np.minimum(0.7 * long - np.abs(u - px - 0.01), 0.012 - np.abs(v - py - 0.008))
        scene = over(scene, rgb("6a2f4f"), step(0, 0.005, hull))
        mirror = (
            np.exp(-(((u - px - 0.02) / (0.35 * long)) ** 2))
            * step(py, py + 0.02, v)
            * step(py + 0.16, py, v)
        )
        scene = over(scene, rgb("f7edd6"), 0.55 * mirror)
    lawn = ramp(
        rgb("dfe08a", "b5cc5a", "7fae4a", "4f8f4f"),
        0.25 + 0.16 * sheet.noise("lawn", 5, 2, stretch=(0.6, 1.6)) + 0.4 * (v - 0.5),
    )
    scene = over(scene, lawn, step(0, 0.012, shore))
    shadow = step(0.1, 0.6, sheet.noise("shade", 4, 2, stretch=(0.4, 2)) + 3.2 * (v - 0.72))
    scene = over(
        scene,
        ramp(rgb("27466a", "2f6a5a", "3f4f8a"), 0.5 + 0.3 * ripple),
        0.85 * shadow * step(0, 0.012, shore),
    )
    for px, py, wide, tall in (
        (0.08, 0.2, 0.2, 0.25),
        (0.3, 0.13, 0.17, 0.16),
        (0.99, 0.25, 0.11, 0.24),
    ):
        trunk = np.minimum(0.014 - np.abs(u - px - 0.3 * warp), np.minimum(v - py, 0.68 - v))
        scene = over(
            scene,
            ramp(rgb("3a2a4a", "7a4a4a", "c98a5a"), 0.5 + (u - px) * 30),
            step(-0.003, 0.003, trunk),
        )
        crown = (
            1
            - np.hypot((u - px) / wide, (v - py) / tall)
            + 7 * warp
            + 0.1 * sheet.noise("leaf", 13, 2)
        )
        tone = (
            0.5 - 0.7 * (v - py) / tall + 0.3 * (u - px) / wide + 0.2 * sheet.noise("bough", 9, 2)
        )
        scene = over(
            scene,
            ramp(rgb("1c2f5a", "24604f", "4f8f45", "a9bf4a", "efdf7a"), tone),
            step(0, 0.08, crown),
        )
    dresses = rgb("c5344a", "2f3f8f", "f0a23c", "7a3f8a", "f3ece0", "2a2a4f")
    for i, px in enumerate((0.2, 0.27, 0.45, 0.6, 0.79, 0.9)):
        px = px + rng.uniform(-0.025, 0.025)
        foot = 0.66 + 0.27 * (px - 0.3) + 0.09 * (i % 3) + rng.uniform(-0.01, 0.02)
        tall = 0.1 + 0.14 * (foot - 0.5)
        s = (v - foot + tall) / tall  # 0 at the crown of the head, 1 at the foot
        girth = tall * np.where(s < 0.18, 0.085, 0.09 + 0.17 * np.clip(s - 0.35, 0, 1) ** 0.8)
        figure = np.minimum(girth - np.abs(u - px), np.minimum(s, 1 - s) * tall)
        tone = np.where(s < 0.18, 1.3, 0.75 + 3 * (u - px) / tall)
        cloth = np.where((s < 0.18)[..., None], rgb("e8b08f"), dresses[i]) * tone[..., None]
        cast = np.minimum(0.012 - np.abs(v - foot), 0.1 - np.abs(u - px - 0.1))
        scene = over(scene, rgb("2f3f7a"), 0.8 * step(0, 0.008, cast))
        scene = over(scene, np.clip(cloth, 0, 1), step(-0.002, 0.003, figure))
        if i % 2 == 0:
            dome = np.minimum(
                0.4 * tall - np.hypot(u - px, 1.3 * (v - foot + 1.02 * tall)),
                foot - 1.02 * tall - v,
            )
            scene = over(
                scene,
                ramp(rgb("f6d9d0", "e2604a", "8f2f4f"), 0.5 + (u - px) / tall),
                step(-0.002, 0.004, dome),
            )
    flow = np.where(shore > 0, 0.3 + 0.4 * warp * 20, np.where(v > 0.34, 0.0, 0.8 + 20 * warp))
    return np.clip(scene, 0, 1).astype(np.float32), flow.astype(np.float32)
