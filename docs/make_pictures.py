"""Paint the pictures of the docs: python docs/make_pictures.py [NAME ...] [--size N] [--quick]

From the built-in swatches and scikit-image's public-domain photos, so anybody can paint them again.
Each is a WebP of at most 100 kB in ``docs/pictures/``. They vary one knob at a time.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from torch import Tensor
from torch.nn import functional as F

import impasto
from impasto import FeatureLoss, GramLoss, Objective, TotalVariation, optimize
from impasto.image.io import size_to_fit, to_pil
from impasto.outputs.contact_sheet import heat, stretched

FOLDER = Path(__file__).parent / "pictures"
MAX_BYTES = 100_000
LAYERS = tuple(f"relu{stage}_1" for stage in range(1, 6))
GAP, LABEL = 6, 20


class Studio:
    """Paints with one encoder at one size; ``steps`` None means each setting's own default."""

    def __init__(self, size: int, steps: Sequence[int] | None, encoder: str) -> None:
        self.size, self.steps = size, steps
        self.encoder = impasto.get_encoder(encoder)

    def paint(self, photo: str, *styles: str, **settings: Any) -> Tensor:
        """The photo in the styles, swatches' names, ``(1, 3, H, W)``."""
        settings = {"size": self.size, **settings}
        if self.steps is not None:
            settings["steps"] = self.steps
        shown = {k: v for k, v in settings.items() if "Tensor" not in repr(type(v))}
        print("   ", photo, *styles, list(shown), flush=True)
        return impasto.stylize(load(photo), list(styles), encoder=self.encoder, **settings).image

    def from_noise(self, objective: Objective, size: tuple[int, int]) -> Tensor:
        """What an objective alone makes out of grey noise."""
        noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.35
        steps = sum(self.steps) if self.steps is not None else 300
        *_, last = optimize(noise, self.encoder, objective, steps=steps, average=0.9)
        return last.image


@cache
def load(photo: str) -> Tensor:
    """One of scikit-image's photos by its name there."""
    return impasto.load_image(getattr(data, photo)())


def hero(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Three photos, three styles: photo, style, result."""
    rows = []
    for photo, style in (("astronaut", "night"), ("chelsea", "nouveau"), ("coffee", "mosaic")):
        painting = impasto.swatch(style, size=studio.size)
        row = [("photo", load(photo)), (style, painting), ("impasto", studio.paint(photo, style))]
        rows.append([(label, square(image)) for label, image in row])
    return rows


def gallery(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """One photo in every swatch."""
    cells = [("photo", load("chelsea"))]
    cells += [(style, studio.paint("chelsea", style)) for style in impasto.SWATCHES]
    cells += [("", torch.ones(1, 3, 8, 8))] * (-len(cells) % 5)
    return [[(label, square(i)) for label, i in cells[k : k + 5]] for k in range(0, len(cells), 5)]


def swatches(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """The built-in styles themselves."""
    cells = [(name, impasto.swatch(name, size=studio.size)) for name in impasto.SWATCHES]
    cells += [("", torch.ones(1, 3, 8, 8))] * (-len(cells) % 5)
    return [cells[k : k + 5] for k in range(0, len(cells), 5)]


def strengths(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--strength`` from 0.1 to 1."""
    cells = [
        (f"{s / 10}", studio.paint("astronaut", "night", strength=s / 10)) for s in range(1, 11)
    ]
    return [cells[:5], cells[5:]]


def scales(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--style-scale`` from 0.5 to 2: how large the strokes are."""
    values = (0.5, 0.75, 1.0, 1.5, 2.0)
    return [[(f"{s}", studio.paint("chelsea", "mosaic", style_scale=s)) for s in values]]


def sizes(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """The same picture in sizes from a thumbnail's to a print's: the same forms."""
    values = (300, 360, 364, 400, 512, 640, 800, 1024, 1600, 2048)
    cells = [(f"--size {n}", studio.paint("astronaut", "nouveau", size=n)) for n in values]
    return [cells[:5], cells[5:]]


def depths(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--style-layers`` from relu1_1 alone to all five."""
    row = []
    for count in range(1, 6):
        label = LAYERS[0] if count == 1 else f"to {LAYERS[count - 1]}"
        row.append((label, studio.paint("chelsea", "mosaic", style_layers=LAYERS[:count])))
    return [row]


def evolution(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """From noise to picture: what a run shows on its way."""
    config = impasto.StylizeConfig(size=studio.size, init="noise")
    if studio.steps is not None:
        config = config.with_changes(steps=tuple(studio.steps))
    run = impasto.Stylization(load("chelsea"), "nouveau", config, encoder=studio.encoder)
    total = sum(level.steps for level in run.levels)
    moments = {1, *(max(2, round(total * share)) for share in (0.04, 0.15, 0.5, 1))}
    row = []
    for event in run:
        if isinstance(event, impasto.Step) and len(run.history) in moments:
            row.append((f"step {len(run.history)}", run.picture().clone()))
    return [row]


def reconstructions(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """What is left of a photo at each depth (above), and of a texture (below), from noise."""
    side = min(studio.size, 256)
    photo = impasto.load_image(square(load("chelsea")), size=(side, side))
    painting = impasto.swatch("mosaic", size=side)
    smooth = (TotalVariation(), 0.3)
    above, below = [], []
    for count, layer in enumerate(LAYERS, start=1):
        target = studio.encoder(photo, [layer])
        content = Objective(content=(FeatureLoss(target, normalization="relative"), 1.0), tv=smooth)
        above.append((layer, studio.from_noise(content, (side, side))))
        target = studio.encoder(painting, LAYERS[:count])
        style = Objective(style=(GramLoss(target, normalization="relative"), 1.0), tv=smooth)
        label = layer if count == 1 else f"to {layer}"
        below.append((label, studio.from_noise(style, (side, side))))
    return [above, below]


def colors(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--color``: the style's, kept, matched, only."""
    rows = []
    for photo, style in (("astronaut", "night"), ("chelsea", "waves")):
        row = [("photo", load(photo))]
        for color in ("style", "keep", "match", "only"):
            row.append((f"--color {color}", studio.paint(photo, style, color=color)))
        rows.append([(label, square(image)) for label, image in row])
    return rows


def blends(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--blend`` from one style to another."""
    row = []
    for share in (1.0, 0.7, 0.5, 0.3, 0.0):
        blend = (share, round(1 - share, 1))
        picture = studio.paint("chelsea", "waves", "nouveau", blend=blend)
        row.append((f"{blend[0]:g},{blend[1]:g}", square(picture)))
    return [row]


def mixtures(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """``--layers-per-style``: fine strokes of one style, coarse forms of another."""
    both = ("waves", "mosaic")
    row = [("photo", load("chelsea"))]
    row += [(style, studio.paint("chelsea", style)) for style in both]
    for layers in (("fine", "coarse"), ("coarse", "fine")):
        picture = studio.paint("chelsea", *both, layers_per_style=layers)
        row.append((",".join(layers), picture))
    return [[(label, square(image)) for label, image in row]]


def regions(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Two styles, a mask each, beside what each alone gives; and what is kept."""
    cup = ellipse("coffee", middle=(0.38, 0.48), radii=(0.36, 0.2))
    face = ellipse("astronaut", middle=(0.22, 0.44), radii=(0.2, 0.15))
    above = [
        ("photo", load("coffee")),
        ("mask", cup.expand(1, 3, -1, -1)),
        ("mosaic", studio.paint("coffee", "mosaic")),
        ("night", studio.paint("coffee", "night")),
        ("a mask each", studio.paint("coffee", "mosaic", "night", regions=[cup, 1 - cup])),
    ]
    below = [
        ("photo", load("astronaut")),
        ("mask", face.expand(1, 3, -1, -1)),
        ("nouveau", studio.paint("astronaut", "nouveau")),
        ("--keep", studio.paint("astronaut", "nouveau", keep=face)),
        ("--regions auto", studio.paint("astronaut", "nouveau", regions="auto")),
    ]
    return [[(label, square(image)) for label, image in row] for row in (above, below)]


def combined(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Two styles, a mask each, the photo's colours kept in one of them; and each of these alone."""
    cup = ellipse("coffee", middle=(0.38, 0.48), radii=(0.36, 0.2))
    masks, colors = [cup, 1 - cup], ("keep", "style")
    cells = {
        "photo": load("coffee"),
        "mask": cup.expand(1, 3, -1, -1),
        "two styles": studio.paint("coffee", "mosaic", "night"),
        "a mask": studio.paint("coffee", "mosaic", regions=[cup]),
        "--color keep": studio.paint("coffee", "mosaic", color="keep"),
        "all three": studio.paint("coffee", "mosaic", "night", regions=masks, region_colors=colors),
    }
    row = [(label, square(image)) for label, image in cells.items()]
    return [row[:3], row[3:]]


def ellipse(photo: str, *, middle: tuple[float, float], radii: tuple[float, float]) -> Tensor:
    """A mask ``(1, 1, H, W)`` of a photo; (rows, columns) in heights and widths."""
    height, width = load(photo).shape[-2:]
    y = (torch.linspace(0, 1, height) - middle[0])[:, None] / radii[0]
    x = (torch.linspace(0, 1, width) - middle[1])[None, :] / radii[1]
    return (x.square() + y.square() < 1).float()[None, None]


def dreams(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """One photo in five dreams."""
    quick: dict[str, Any] = {} if studio.steps is None else {"steps": studio.steps[0], "octaves": 1}
    settings: dict[str, dict[str, Any]] = {
        "relu3_3": {"layers": "relu3_3"},
        "default": {},
        "original colours": {"colors": "original"},
        "guided": {"guide": load("coffee"), "layers": ["relu3_3", "relu4_1"]},
    }
    row = [("photo", load("chelsea"))]
    for label, own in settings.items():
        print("   ", label, flush=True)
        dream = impasto.deepdream(
            load("chelsea"), encoder=studio.encoder, size=studio.size, **quick, **own
        )
        row.append((label, dream.image))
    return [row]


def channels(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """What excites six channels of each of three layers."""
    steps = 200 if studio.steps is None else studio.steps[0]
    rows = []
    for layer in ("relu2_1", "relu3_1", "relu4_1"):
        config = impasto.LookConfig(
            show="channels", channels=(f"{layer}:0-5",), cell=128, steps=steps
        )
        run = impasto.Look(config=config)
        for _ in run:
            pass
        rows.append([(c.label, c.image) for row in run.rows for c in row if c.image is not None])
    return rows


def features(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """The strongest channels of each layer, as maps."""
    config = impasto.LookConfig(layers=LAYERS[:4], count=6, cell=128)
    return _looked(impasto.Look(load("chelsea"), config))


def grams(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Three styles above their Gram matrices, the strongest channels first."""
    layers = ("relu1_1", "relu2_1", "relu3_1")
    rows = []
    for style in ("waves", "mosaic", "hatching"):
        painting = impasto.swatch(style, size=256)
        config = impasto.LookConfig(show="gram", layers=layers, cell=256)
        rows.append([(style, painting), *_looked(impasto.Look(painting, config))[0]])
    return rows


def _looked(run: impasto.Look) -> list[list[tuple[str, Tensor]]]:
    for _ in run:
        pass
    return [[(c.label, c.image) for c in row if c.image is not None] for row in run.rows]


def layers(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """What each layer's style adds: each of them alone, then all."""
    choices: dict[str, Any] = {layer: layer for layer in LAYERS} | {"all five": LAYERS}
    cells = []
    for label, chosen in choices.items():
        cells.append((label, studio.paint("chelsea", "mosaic", style_layers=chosen, strength=0.85)))
    return [cells[:3], cells[3:]]


def brushes(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Every style loss on the same pair."""
    cells = [("photo", load("astronaut"))]
    for loss in impasto.STYLE_LOSSES:
        cells.append((loss, studio.paint("astronaut", "nouveau", style_loss=loss)))
    cells = [(label, square(image)) for label, image in cells]
    half = -(-len(cells) // 2)
    return [cells[:half], cells[half:]]


def pulls(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """Where in a picture each loss pulls: the gradient's magnitude, over each one's largest."""
    photo = impasto.load_image(load("chelsea"), size=min(studio.size, 256))
    painting = impasto.swatch("mosaic", size=min(studio.size, 256))
    image = studio.paint("chelsea", "mosaic", size=max(photo.shape[-2:]), strength=0.8)
    image.requires_grad_()
    content = FeatureLoss(studio.encoder(photo, ["relu4_2"]), normalization="relative")
    style = GramLoss(studio.encoder(painting, LAYERS), normalization="relative")
    objective = Objective(content=(content, 1.0), style=(style, 1.0), tv=(TotalVariation(), 1.0))
    parts = objective(studio.encoder(image, objective.layers)).parts
    cells = [("photo", photo), ("picture", image.detach())]
    for name, value in parts.items():
        (slope,) = torch.autograd.grad(value, image, retain_graph=True)
        pull = F.avg_pool2d(slope.abs().sum(1, keepdim=True), 9, stride=1, padding=4)
        label = name.removesuffix(".image").replace(".", " ")
        cells.append((label, heat(stretched(pull[0, 0], 0.99))))
    half = -(-len(cells) // 2)
    return [cells[:half], cells[half:]]


def clips(studio: Studio) -> list[list[tuple[str, Tensor]]]:
    """A camera that moves over a photo: frames for themselves, and held steady; what differs in
    place, eightfold."""
    photo = load("chelsea")[..., 20:280, 60:400]
    frames = [photo[..., 2 * k : 2 * k + 200, 5 * k : 5 * k + 280] for k in range(12)]
    with TemporaryDirectory() as folder:
        (place := Path(folder) / "clip").mkdir()
        for number, frame in enumerate(frames):
            impasto.save_image(place / f"{number:02}.png", frame)
        rows = []
        for label, steadiness in (("frame by frame", 0.0), ("impasto video", 1.0)):
            out = Path(folder) / label
            impasto.stylize_video(place, "night", out, steadiness=steadiness)
            painted = [impasto.load_image(path) for path in sorted(out.iterdir())]
            row = [(f"{label}, frame {k}", painted[k]) for k in (9, 10, 11)]
            # The camera moves by (2, 5) pixels, so paint that holds still does the same.
            moved = painted[11][..., :-2, :-5] - painted[10][..., 2:, 5:]
            row.append(("change from 10 to 11, x 8", (8 * moved.abs()).clamp(0, 1)))
            rows.append(row)
    return rows


PICTURES: dict[str, tuple[Callable[[Studio], list[list[tuple[str, Tensor]]]], int]] = {
    "hero.webp": (hero, 260),
    "gallery.webp": (gallery, 180),
    "swatches.webp": (swatches, 180),
    "strengths.webp": (strengths, 200),
    "scales.webp": (scales, 200),
    "sizes.webp": (sizes, 220),
    "depths.webp": (depths, 200),
    "evolution.webp": (evolution, 200),
    "reconstructions.webp": (reconstructions, 200),
    "colors.webp": (colors, 200),
    "blends.webp": (blends, 150),
    "mixtures.webp": (mixtures, 150),
    "regions.webp": (regions, 190),
    "combined.webp": (combined, 250),
    "dreams.webp": (dreams, 300),
    "channels.webp": (channels, 128),
    "features.webp": (features, 128),
    "grams.webp": (grams, 170),
    "layers.webp": (layers, 230),
    "brushes.webp": (brushes, 220),
    "pulls.webp": (pulls, 190),
    "clips.webp": (clips, 240),
}
"""File -> how it is made, and the width of each cell in pixels."""


def square(image: Tensor) -> Tensor:
    """The middle of a picture."""
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def sheet(rows: list[list[tuple[str, Tensor]]], cell: int) -> Image.Image:
    """Pictures in rows, each ``cell`` wide, with their labels below."""
    font = ImageFont.load_default(13)
    heights = []
    for row in rows:
        sizes = [size_to_fit(*image.shape[-2:], cell) for _, image in row]
        heights.append(max(height for height, _ in sizes))
    columns = max(map(len, rows))
    height = sum(heights) + len(rows) * (LABEL + GAP) + GAP
    canvas = Image.new("RGB", (columns * (cell + GAP) + GAP, height), "white")
    draw = ImageDraw.Draw(canvas)
    top = GAP
    for row, tall in zip(rows, heights, strict=True):
        for column, (label, image) in enumerate(row):
            left = GAP + column * (cell + GAP)
            fitted = impasto.resize(image, size_to_fit(*image.shape[-2:], cell))
            canvas.paste(to_pil(fitted), (left, top))
            draw.text((left, top + tall + 2), label, fill="#333333", font=font)
        top += tall + LABEL + GAP
    return canvas


def save_small(picture: Image.Image, path: Path) -> int:
    """In the best quality that fits into MAX_BYTES; returns its size in bytes."""
    for quality in range(92, 20, -4):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= MAX_BYTES:
            path.write_bytes(buffer.getvalue())
            return buffer.tell()
    raise SystemExit(f"{path} does not fit into {MAX_BYTES:,} bytes: make its cells smaller")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"default: all of {', '.join(PICTURES)}")
    parser.add_argument("--size", type=int, default=384, help="long side when painting")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--quick", action="store_true", help="two steps: only to see the layout")
    parser.add_argument("--out", type=Path, default=FOLDER)
    a = parser.parse_args()
    if unknown := set(a.names) - set(PICTURES):
        parser.error(f"no picture is called {', '.join(unknown)}")
    a.out.mkdir(parents=True, exist_ok=True)
    studio = Studio(a.size, (2,) if a.quick else None, a.encoder)
    for name in a.names or PICTURES:
        print(name, flush=True)
        make, cell = PICTURES[name]
        size = save_small(sheet(make(studio), cell), a.out / name)
        print(f"    {size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
