"""Works on paper: pen hatching, watercolour, pastel."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from swatches.brush import follow
from swatches.sheet import Array, Sheet, blur, look_up, over, ramp, resize, rgb, shade, step


def hatching(sheet: Sheet) -> Array:
    """A tower on a crag with trees, in sepia ink: patches of pen lines crossed by tone."""
    small = sheet.sketch()
    tone = crag(small)
    flow = 0.6 + 0.45 * small.noise("flow", 2, 1)
    angle = follow(
        np.repeat(blur(tone, 5)[..., None], 3, -1), np.asarray(flow, np.float32), strength=0.35
    )
    scale = 3 if sheet.unit <= 1400 else 2
    page = Image.new("L", (sheet.width * scale, sheet.height * scale), 0)
    pen = ImageDraw.Draw(page)
    passes = (  # turn from the form's direction, darkness where it starts, spacing, length
        (0.0, 0.12, 0.0195, 0.043),
        (0.6, 0.42, 0.019, 0.036),
        (-0.75, 0.64, 0.018, 0.032),
        (1.45, 0.85, 0.018, 0.03),
    )
    for i, (turn, start, spacing, length) in enumerate(passes):
        hatch(
            sheet,
            pen,
            scale,
            tone,
            angle + turn,
            part=f"hatch/{i}",
            start=start,
            spacing=spacing,
            length=length,
        )
    outline(sheet, pen, scale, tone)
    ink = (
        np.asarray(page.resize((sheet.width, sheet.height), Image.Resampling.BOX), np.float32) / 255
    )
    ink = np.clip(ink * (0.97 + 0.05 * sheet.noise("flow of ink", 60, 2)), 0, 1)
    paper = laid_paper(sheet, rgb("f0e4c8"))
    wash = resize(blur(tone, 3), sheet.shape) + 0.06 * sheet.noise("wash", 7, 4)
    wash = step(0.35, 1.15, wash) * (1 + 0.12 * sheet.noise("grain", 120, 2))
    picture = paper * np.exp(-0.3 * wash[..., None] * (1.15 - rgb("a8764a")))
    picture = over(
        picture, ramp(rgb("5a3a22", "1c120e"), 0.5 + 0.25 * sheet.noise("sepia", 5, 2)), ink
    )
    return np.asarray(np.clip(picture, 0, 1))


def hatch(
    sheet: Sheet,
    pen: ImageDraw.ImageDraw,
    scale: int,
    tone: Array,
    angle: Array,
    *,
    part: str,
    start: float,
    spacing: float,
    length: float,
) -> None:
    """One pass of patches of parallel, slightly bent pen lines where it is dark enough.

    ``tone`` (h, w) is darkness in [0, 1]; a patch's lines lie closer and heavier in the dark.
    """
    rng = sheet.rng(part)
    y, x = sheet.scatter(part + "/places", spacing)
    dark = look_up(tone, y, x, sheet.extent)
    heading = look_up(angle, y, x, sheet.extent)
    made = dark > start + 0.07 * rng.standard_normal(len(y))
    pixels = sheet.unit * scale
    t = np.linspace(-0.5, 0.5, 5)
    for py, px, d, a in zip(y[made], x[made], dark[made], heading[made], strict=True):
        draw = rng.random(6)
        a = a + 0.25 * (draw[0] - 0.5)
        count = 3 + int(2 * draw[1])
        gap = spacing / count * (1.5 - 0.55 * d)
        long = length * (0.7 + 0.6 * draw[2])
        shift = (np.arange(count) - (count - 1) / 2)[:, None]
        wobble = rng.standard_normal((count, 5)) * 0.00022
        along = (
            t * long * rng.uniform(0.75, 1.1, (count, 1)) + rng.normal(0, 0.06, (count, 1)) * long
        )
        across = shift * gap + wobble + (draw[3] - 0.5) * 0.9 * along**2 / length
        c, s = np.cos(a), np.sin(a)
        lines = np.stack([px + along * c - across * s, py + along * s + across * c], -1) * pixels
        thick = (0.0007 + 0.0008 * d * (0.5 + draw[4])) * pixels
        for line in lines.reshape(count, -1).tolist():
            pen.line(line, fill=225 + int(30 * draw[5]), width=max(1, round(thick)))
            pen.line(line[2:8], fill=255, width=max(1, round(1.35 * thick)))


def outline(sheet: Sheet, pen: ImageDraw.ImageDraw, scale: int, tone: Array) -> None:
    """Short heavy lines along the tone's contours."""
    grey = blur(tone, 0.8)
    rise_y, rise_x = np.gradient(grey)
    steep = np.hypot(rise_y, rise_x)
    along = np.arctan2(rise_y, rise_x) + np.pi / 2
    rng = sheet.rng("outline")
    y, x = sheet.scatter("outline/places", 0.0065)
    made = look_up(steep, y, x, sheet.extent) > 0.05 + 0.03 * rng.random(len(y))
    pixels = sheet.unit * scale
    for py, px in zip(y[made], x[made], strict=True):
        a = float(look_up(along, np.array(py), np.array(px), sheet.extent)) + rng.normal(0, 0.12)
        long = rng.uniform(0.01, 0.03)
        bow = rng.normal(0, 0.0012)
        t = np.array([-0.5, 0, 0.5])
        across = np.array([0, bow, 0])
        line = np.stack(
            [
                px + t * long * np.cos(a) - across * np.sin(a),
                py + t * long * np.sin(a) + across * np.cos(a),
            ],
            -1,
        )
        pen.line(
            (line * pixels).ravel().tolist(),
            fill=255,
            width=max(1, round(rng.uniform(0.0016, 0.0032) * pixels)),
        )


def laid_paper(sheet: Sheet, colour: Array) -> Array:
    """Old laid paper (H, W, 3): wire lines, fibres, foxing."""
    y, _ = sheet.grid()
    wires = np.sin(2 * np.pi * (110 * y + 0.3 * sheet.noise("wires", 8)))
    fibre = sheet.noise("fibre", 60, 3, stretch=(0.7, 1.6))
    age = sheet.noise("age", 2.5, 4)
    fox = step(1.3, 2.6, sheet.noise("fox", 16, 3))
    paper = colour * (1 + 0.012 * wires + 0.022 * fibre + 0.035 * age)[..., None]
    return over(paper, rgb("c49a62"), 0.35 * fox)


def crag(sheet: Sheet) -> Array:
    """Darkness (h, w) in [0, 1] of a tower on a crag, trees, a river, clouds."""
    v, u = sheet.layout()
    rng = sheet.rng("crag")
    if rng.random() < 0.5:
        u = 1 - u
    warp = 0.008 * sheet.noise("warp", 5, 3)
    rough = sheet.noise("rough", 11, 3)
    cloud = sheet.noise("cloud", 2.6, 3, stretch=(1, 1.8))
    tone = np.clip(0.26 + 0.2 * cloud + 0.25 * (0.4 - v), 0.03, 0.6)

    def lay(inside: Array, dark: Array | float) -> None:
        nonlocal tone
        mask = step(-0.004, 0.006, inside)
        tone = tone * (1 - mask) + mask * dark

    lay(v - 0.5 + 0.1 * np.sin(4 * u + 1) + 0.04 * np.sin(11 * u) + warp, 0.26 + 0.07 * rough)
    lay(v - 0.6 + 0.06 * np.sin(7 * u + 4) + warp, 0.4 + 0.1 * rough)
    ridge = 0.36 + 1.1 * np.abs(u - 0.64) ** 1.25 + 2 * warp + 0.012 * rough
    face = 0.4 + 0.9 * (u - 0.6) + 0.15 * rough + 0.3 * np.sin(38 * (u + 0.4 * v) + 12 * warp) * 0.5
    lay(v - ridge, np.clip(face, 0.08, 0.92))
    for px, top, half in ((0.63, 0.12, 0.045), (0.7, 0.22, 0.05), (0.56, 0.25, 0.028)):
        wall = np.minimum(half - np.abs(u - px), np.minimum(v - top, 0.46 - v))
        lay(wall, np.clip(0.22 + 0.6 * step(-0.4, 1, (u - px) / half) + 0.06 * rough, 0, 0.95))
        teeth = np.minimum(
            half + 0.008 - np.abs(u - px),
            np.minimum(
                0.014 - np.abs(v - top),
                np.abs((u * 55) % 1 - 0.5) / 55 * 2.5 - 0.008 + 0.3 * np.clip(v - top, 0, 1),
            ),
        )
        lay(teeth, 0.8)
        for row in (0.06, 0.13):
            lay(np.minimum(0.007 - np.abs(u - px + 0.01), 0.016 - np.abs(v - top - row)), 0.97)
    bed = v - 0.74 - 0.05 * np.sin(5 * u + 2) + warp
    ripple = sheet.noise("ripple", 20, 2, stretch=(0.3, 3))
    lay(bed, np.clip(0.16 + 0.2 * ripple + 0.45 * step(0.45, 0.8, u), 0.03, 0.85))
    lay(
        v - 0.88 - 0.14 * (u - 0.35) + 0.03 * np.sin(13 * u) + warp,
        np.clip(0.72 + 0.22 * rough, 0.3, 1),
    )
    for px, py, wide, tall in (
        (0.15, 0.3, 0.19, 0.2),
        (0.27, 0.48, 0.12, 0.12),
        (0.93, 0.62, 0.12, 0.15),
        (0.05, 0.6, 0.12, 0.16),
    ):
        trunk = (
            0.017
            + 0.03 * np.clip(v - 0.75, 0, 1)
            - np.abs(u - px - 0.02 * np.sin(9 * v) - 0.5 * warp)
        )
        lay(
            np.minimum(trunk, np.minimum(v - py, 0.95 - v)),
            0.55 + 0.4 * step(-0.012, 0.012, u - px),
        )
        crown = 1 - np.hypot((u - px) / wide, (v - py) / tall) + 5 * warp + 0.12 * rough
        leaf = (
            0.5 + 0.45 * (v - py) / tall + 0.35 * (u - px) / wide + 0.2 * sheet.noise("leaf", 15, 2)
        )
        lay(0.1 * crown, np.clip(leaf, 0.1, 1))
    return np.clip(tone, 0, 1).astype(np.float32)


def watercolour(sheet: Sheet) -> Array:
    """A lake under hills: wet washes, blooms, dark edges, pigment grains in the paper."""
    v, u = sheet.layout()
    rng = sheet.rng("lake")
    u = 1 - u if rng.random() < 0.5 else u
    tooth = sheet.noise("tooth", 130, 2)
    warp = 0.018 * sheet.noise("warp", 4, 4)
    wobble = 0.0022 * sheet.noise("wobble", 30, 3)
    paper = rgb("fbf6ea") * (1 + 0.012 * tooth)[..., None]
    density = np.zeros((*sheet.shape, 3), np.float32)
    count = 0
    bleeds = [sheet.noise(f"bleed{i}", 9, 4) for i in range(3)]
    pools = [sheet.noise(f"pool{i}", 5, 4) for i in range(4)]
    blooms = [sheet.noise(f"bloom{i}", 3.5, 4) for i in range(5)]

    def wash(
        inside: Array,
        colours: Array,
        mix: Array,
        strength: float,
        soft: float = 0.0,
        dry: float = 0.0,
        lift: float = 0.0,
    ) -> None:
        """Lay transparent pigment where ``inside`` (units) is positive; ``soft``: how wet.

        ``dry``: how much of the paper's tooth stays bare; ``lift``: how much is lifted first.
        """
        nonlocal density, count
        count += 1
        field = inside + wobble * (1 + 4 * soft)
        edge = 0.0016 + soft * 0.09
        mask = step(-edge, edge, field + (soft * 0.06) * bleeds[count % 3])
        if dry:
            mask = mask * step(-0.25, 0.25, 1.6 - dry + tooth * 0.9)
        pool = 1 + 0.3 * pools[count % 4]
        bloom = blooms[count % 5]
        back = np.exp(-(((bloom - 0.9) / 0.07) ** 2)) - 0.5 * step(0.9, 1.3, bloom)
        rim = np.clip(mask - blur(mask, sheet.unit * 0.006), 0, 1) * (1 - 0.8 * min(1, 6 * soft))
        amount = mask * np.clip(pool + 0.45 * back, 0.15, 2.2) + 1.5 * rim
        amount = amount * np.clip(1 - 0.1 * tooth, 0.4, 1.7) * strength
        pigment = -np.log(np.clip(ramp(colours, mix), 0.03, 0.99))
        density = density * (1 - lift * mask)[..., None] + 0.55 * amount[..., None] * pigment

    one = np.full(sheet.shape, 9, np.float32)
    wash(one, rgb("f4ddb0", "f3c9a8", "f6e6c0"), v * 1.6 + warp * 6, 0.75, 0.2)
    sky = 0.3 - v + 0.16 * sheet.noise("sky", 2.2, 3, stretch=(0.8, 1.8))
    wash(sky, rgb("4f7fc0", "7f9fd0", "a9a3cf"), v * 2.5 + 5 * warp, 0.95, 0.45)
    wash(
        0.12 - v + 0.12 * sheet.noise("sky2", 3, 3), rgb("3f5fa8", "6f6fae"), u + 5 * warp, 0.6, 0.5
    )
    wash(0.05 - np.abs(v - 0.31 + 4 * warp), rgb("e8927a", "eab070"), u, 0.55, 0.4)
    hills = (
        (0.36, 0.07, 5.0, 1.0, ("9fa9d0", "b9a9c4", "8fa9c0"), 0.9, 0.05),
        (0.43, 0.06, 7.0, 3.0, ("6f86b8", "8f8fae", "7f9f9f"), 0.85, 0.015),
        (0.49, 0.045, 9.0, 0.4, ("4f7f86", "6f9a6a", "a9a050"), 0.9, 0.0),
        (0.535, 0.03, 12.0, 5.0, ("2f5f5a", "5f7f3f", "8a7a3a"), 0.9, 0.0),
    )
    for top, swell, wave, phase, codes, strength, soft in hills:
        ridge = top + swell * np.sin(wave * u + phase + rng.uniform(-0.6, 0.6)) + 1.2 * warp
        inside = np.minimum(v - ridge, 0.6 - v + 0.3 * wobble)
        wash(inside, rgb(*codes), 0.5 + 8 * warp + (v - top) * 4, strength, soft, lift=0.75)
        wash(
            np.minimum(inside, 0.25 * sheet.noise(f"fold{top}", 6, 3, stretch=(1, 1.7)) - 0.08),
            rgb(*codes),
            1 - u,
            0.65,
            0.02,
        )
    shore = v - 0.595 + 0.5 * wobble
    wash(shore, rgb("8fb4c8", "6f9fc4", "5f86b0"), (v - 0.6) * 3 + 5 * warp, 0.7, 0.03, lift=0.9)
    ripple = sheet.noise("ripple", 11, 3, stretch=(0.28, 3.2))
    wash(
        np.minimum(shore, 0.03 * ripple + 0.06 * (0.68 - v)),
        rgb("3f6f7a", "5f7f5a", "6f86a8"),
        u,
        0.9,
        0.01,
    )
    wash(np.minimum(shore, 0.03 * (ripple - 0.75)), rgb("2f4f7f", "3f5f6a"), u, 0.8, 0.0, 0.9)
    bank = v - 0.84 - 0.1 * np.sin(3.5 * u + 0.6) + 1.3 * warp
    wash(bank, rgb("b5b050", "d9a850", "8f9f4a"), u + 6 * warp, 0.9, 0.01, lift=0.85)
    wash(
        np.minimum(bank, 0.1 * sheet.noise("grass", 8, 3)),
        rgb("4f7a3f", "7f6a34", "3f6f5a"),
        1 - u + 5 * warp,
        0.85,
        0.03,
    )
    blade = np.abs(((u + 0.16 * (0.95 - v) * np.sin(23 * u) + warp * 0.6) * 46) % 1 - 0.5) / 46
    wash(
        np.minimum(0.0035 - blade, bank + 0.05 * sheet.noise("blade", 22, 1) + 0.01),
        rgb("2f4f2f", "6f5a2a", "4f6f34"),
        u,
        0.8,
        0.0,
        0.8,
    )
    for px, py, wide, tall in (
        (0.17, 0.4, 0.13, 0.25),
        (0.29, 0.52, 0.075, 0.14),
        (0.85, 0.47, 0.08, 0.17),
        (0.95, 0.44, 0.09, 0.22),
    ):
        crown = 0.11 * (1 - np.hypot((u - px) / wide, (v - py) / tall)) + 0.03 * sheet.noise(
            f"crown{px}", 9, 4
        )
        wash(crown, rgb("a9b84a", "6f9f4a", "3f7a5a"), 0.5 + (v - py) * 2.5, 0.85, 0.015, lift=0.8)
        wash(
            crown - 0.03 + 0.12 * ((v - py) / tall - 0.2) + 0.04 * sheet.noise(f"leaf{px}", 16, 4),
            rgb("2f5f4a", "2a4a5f", "5f5a2f"),
            0.5 + 0.3 * tooth,
            0.75,
            0.03,
        )
        wash(
            np.minimum(crown, 0.025 * (sheet.noise(f"dab{px}", 34, 3) - 0.9)),
            rgb("1f3a44", "4a3a2a"),
            u,
            0.9,
            0.0,
        )
        trunk = 0.006 + 0.02 * np.clip(v - py, 0, 1) - np.abs(u - px - 0.012 * np.sin(12 * v))
        wash(
            np.minimum(trunk, np.minimum(v - py + 0.05, py + 1.35 * tall - v)),
            rgb("4a3440", "2f2434"),
            v,
            1.0,
        )
        mirror = 0.5 * wide - np.abs(u - px + 0.012 * ripple)
        wash(
            np.minimum(np.minimum(mirror, shore - 0.01), 0.62 + 1.1 * tall - v),
            rgb("4f7f5f", "3f5f6f"),
            v,
            0.42,
            0.06,
        )
    for _ in range(14):
        px, py, size = rng.uniform(0, 1), rng.uniform(0.82, 1.0), rng.uniform(0.006, 0.016)
        petal = size - np.hypot(u - px, v - py) + 0.6 * wobble
        wash(
            petal,
            rgb("d8503f", "e8862f", "b53a6a"),
            np.full(sheet.shape, rng.random()),
            1.1,
            0.003,
            lift=0.9,
        )
    picture = paper * np.exp(-density)
    return shade(picture, tooth, unit=sheet.unit, depth=0.07)


def pastel(sheet: Sheet) -> Array:
    """Haystacks at dusk in soft chalk: strokes that catch the tooth of dark paper."""
    motif = stacks(sheet.sketch())
    small = sheet.sketch()
    v, _ = small.layout()
    flow = np.where(v < 0.45, -0.5, 0.25) + 0.5 * small.noise("flow", 2, 2)
    angle = follow(motif, np.asarray(flow, np.float32), strength=0.5)
    tooth = np.clip(
        0.62 * sheet.noise("tooth", 230, 2) + 0.4 * sheet.noise("pulp", 90, 2), -1.4, 1.4
    )
    colour = np.empty((*sheet.shape, 3), np.float32)
    colour[:] = rgb("5d4a4c")
    colour *= (1 + 0.05 * tooth)[..., None]
    passes = (
        (0.05, 0.2, 0.06, 0.1),
        (0.03, 0.12, 0.026, 0.12),
        (0.021, 0.075, 0.013, 0.15),
        (0.0165, 0.05, 0.0075, 0.2),
    )
    for i, (spacing, length, width, stray) in enumerate(passes):
        chalk(
            sheet,
            colour,
            tooth,
            motif,
            angle,
            part=f"chalk/{i}",
            spacing=spacing,
            length=length,
            width=width,
            stray=stray,
            order=i,
        )
    return shade(colour, 0.35 * tooth, unit=sheet.unit, depth=0.35)


def chalk(
    sheet: Sheet,
    colour: Array,
    tooth: Array,
    motif: Array,
    angle: Array,
    *,
    part: str,
    spacing: float,
    length: float,
    width: float,
    stray: float,
    order: int,
) -> None:
    """One pass of chalk strokes into ``colour`` (H, W, 3): the harder pressed, the fuller.

    ``stray`` is how far a stroke's colour strays; later passes (``order``) are sparser, lighter.
    """
    rng = sheet.rng(part)
    unit, (height, wide) = sheet.unit, sheet.shape
    ys, xs = sheet.scatter(part + "/places", spacing)
    heading = look_up(angle, ys, xs, sheet.extent) + rng.normal(0, 0.16, len(ys))
    paint = look_up(motif, ys, xs, sheet.extent)
    paint = paint * (1 + stray * rng.standard_normal((len(ys), 1)))
    paint = paint + 0.4 * stray * rng.standard_normal((len(ys), 3))
    paint = np.clip(paint + 0.03 * order, 0, 1).astype(np.float32)
    draw = rng.random((len(ys), 4))
    for i in range(len(ys)):
        if draw[i, 0] < 0.12 * order:
            continue
        half = length * (0.3 + 0.5 * draw[i, 1])
        girth = width * (0.35 + 0.3 * draw[i, 2])
        c, s = np.float32(np.cos(heading[i])), np.float32(np.sin(heading[i]))
        far_y, far_x = abs(half * s) + girth + 0.004, abs(half * c) + girth + 0.004
        top, bottom = (
            int(max(0, (ys[i] - far_y) * unit)),
            int(min(height, (ys[i] + far_y) * unit + 1)),
        )
        left, right = (
            int(max(0, (xs[i] - far_x) * unit)),
            int(min(wide, (xs[i] + far_x) * unit + 1)),
        )
        if bottom <= top or right <= left:
            continue
        dy = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / unit - np.float32(ys[i]))[:, None]
        dx = ((np.arange(left, right, dtype=np.float32) + 0.5) / unit - np.float32(xs[i]))[None]
        t, n = dx * c + dy * s, dy * c - dx * s
        n = n + np.float32((draw[i, 3] - 0.5) * 0.7 / length) * t * t
        body = np.minimum((girth - np.abs(n)) / girth, (half - np.abs(t)) / (0.5 * half))
        press = np.float32(1.5 + 0.75 * draw[i, 2]) * np.clip(body * 2.2, 0, 1) - np.float32(1.15)
        window = (slice(top, bottom), slice(left, right))
        cover = np.clip(0.5 + 1.3 * (press + 0.75 * tooth[window]), 0, 0.92) * (body > 0)
        cover = cover * np.clip(body * girth * unit, 0, 1)
        colour[window] += cover[..., None] * (paint[i] - colour[window])


def stacks(sheet: Sheet) -> Array:
    """The pastel's motif: haystacks, field, poplars, evening sky: (h, w, 3)."""
    v, u = sheet.layout()
    rng = sheet.rng("stacks")
    u = 1 - u if rng.random() < 0.5 else u
    warp = 0.012 * sheet.noise("warp", 4, 3)
    scene = ramp(rgb("5f6fb0", "9f8fc4", "f0a99a", "f9cf8a", "fbe7a8"), v / 0.43 + 4 * warp)
    scene = over(
        scene, rgb("fbd9a8"), 0.7 * step(0.2, 1.2, sheet.noise("cloud", 3, 3, stretch=(0.7, 2.4)))
    )
    scene = over(scene, rgb("fff3c0"), np.exp(-((np.hypot(u - 0.3, v - 0.33) / 0.09) ** 2)))
    hill = step(0, 0.012, v - 0.4 + 0.04 * np.sin(6 * u + 1) + 0.5 * warp)
    scene = over(scene, ramp(rgb("5a5aa0", "4f7f9a", "5f8f7a"), (v - 0.34) * 12 + 4 * warp), hill)
    for i in range(11):
        px = 0.5 + 0.05 * i + rng.uniform(-0.015, 0.015)
        tree = 0.018 * np.sqrt(
            np.clip(1 - ((v - 0.38) / rng.uniform(0.07, 0.14)) ** 2, 0, 1)
        ) - np.abs(u - px)
        scene = over(scene, rgb("1c2f4f", "24483f", "33264f")[i % 3], step(-0.002, 0.004, tree))
    row = sheet.noise("row", 9, 2, stretch=(0.3, 3))
    field = ramp(
        rgb("e9b85a", "d98a4f", "b5a04a", "7f8f4f", "a85a6a"),
        (v - 0.44) * 1.5 + 0.18 * row + 4 * warp,
    )
    scene = over(scene, field, step(0, 0.01, v - 0.45 + 0.2 * warp))
    for px, py, size in ((0.68, 0.66, 0.21), (0.27, 0.54, 0.105), (0.47, 0.49, 0.055)):
        shadow = np.hypot(
            (u - px - 0.85 * size) / (1.5 * size), (v - py - 0.3 * size) / (0.26 * size)
        )
        scene = over(
            scene,
            ramp(rgb("1f1f55", "3a2a66", "1f4258"), 0.5 + 0.3 * row),
            step(1.1, 0.85, shadow + 2 * warp),
        )
        s = (v - py) / size
        girth = np.where(s < -0.1, 0.78 * np.clip(s + 1.05, 0, 1) ** 0.8, 0.72 - 0.14 * s) * size
        inside = np.minimum(girth - np.abs(u - px), (0.5 - s) * size * 0.6) + 0.25 * warp
        side = (u - px) / size
        hay = ramp(
            rgb("fbe08a", "f0a04a", "c4583f", "7a3458", "352a5c"),
            0.42 + 0.62 * side + 0.25 * (s > -0.1) * (s < 0.05) + 0.1 * row,
        )
        scene = over(scene, hay, step(-0.002, 0.006, inside))
        rim = np.exp(-((inside / (0.06 * size)) ** 2)) * (side < 0) * (inside > 0)
        scene = over(scene, rgb("fff0b0"), 0.7 * rim)
    near = v - 0.93 + 0.1 * np.sin(4 * u + 0.8) + 0.02 * np.sin(31 * u) + 1.5 * warp
    grass = ramp(rgb("141f3a", "1f4a48", "4a2a4f", "7f6a3a"), 0.4 + 0.3 * row)
    scene = over(scene, grass, step(0, 0.02, near))
    return np.clip(scene, 0, 1).astype(np.float32)
