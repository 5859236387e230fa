"""Every setting of a stylization, in one frozen dataclass: the command line's flags, TOML files,
the metadata in pictures and the table in the docs are all derived from it.

It lies apart from :func:`impasto.stylize`, which it belongs to, for one reason: whoever only wants
to know what there is to set (``impasto --help``) need not wait for torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from impasto.config.base import Settings, literals, setting, type_hints
from impasto.config.layers import parse_selections
from impasto.errors import ConfigError, UnknownNameError

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zero", "reflect", "replicate"]
Flavour = Literal["caffe", "torchvision", "normalised"]
OptimizerName = Literal["adam", "lbfgs"]
StyleLossName = Literal["gram", "mean-std", "wasserstein", "histogram", "sliced", "patches", "emd"]
ContentLossName = Literal["features", "self-similarity", "laplacian"]
Form = Literal["relative", "mean", "gatys"]
Quality = Literal["draft", "standard", "best"]
Guidance = Literal["inside", "effective", "simple"]
Precision = Literal["auto", "float32", "bfloat16"]
PixelPrecision = Literal["auto", "float32", "bfloat16", "exact"]
ColorMode = Literal["style", "keep", "match", "only"]
ColorMatch = Literal["covariance", "histogram"]
Balance = Literal["off", "style"]
Wrap = Literal["off", "horizontal", "both"]
StrengthMode = Literal["limit", "weight"]

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

# A texture has no photo to begin with: its large forms come about on pictures smaller still.
COARSEST_TEXTURE = 32
LARGEST = 16384  # pixels, the long side of the largest picture
# A picture so little larger than the coarsest size (as a share of the ratio's logarithm) is a level
# of its own.
SLACK = 0.1
# What is laid out on a small picture need not be moved on the large one; there only the finest
# strokes are added, and that takes few steps.
STEPS: dict[str, tuple[int, ...]] = {
    "draft": (30, 30, 15, 10, 6, 4, 4, 4),
    "standard": (45, 45, 42, 28, 14, 8, 8, 8),
    "best": (80, 80, 60, 40, 20, 12, 8, 8),
}
"""Quality -> steps where the long side is 128, 256, 512, ... pixels; between those in between."""
TEXTURE_STEPS: dict[str, tuple[int, ...]] = {
    "draft": (100, 60, 15, 8, 5, 4, 4, 4),
    "standard": (150, 100, 44, 25, 12, 8, 8, 8),
    "best": (300, 300, 200, 100, 50, 25, 12, 8),
}
"""The same for textures, which begin with noise."""

MIXTURES: dict[str, tuple[str, ...]] = {
    "content_loss": get_args(ContentLossName),
    "style_loss": get_args(StyleLossName),
}
"""Settings that mix several losses -> those that there are."""

AUTO = "auto"
"""What ``style_loss`` is where the quality shall say."""
BEST_STYLE_LOSS, BEST_STYLE_LAYERS = ("gram", "patches=0.5"), STYLE_LAYERS[:4]
BEST_LARGEST = 2048  # pixels: patches are compared in a picture as a whole, not in tiles

LAYER_GROUPS: dict[str, tuple[int, ...]] = {
    "all": (1, 2, 3, 4, 5),
    "fine": (1, 2),
    "coarse": (3, 4, 5),
}
"""What ``layers_per_style`` calls the layers of some of VGG's stages. Gatys et al. (2017, section
6) take fine texture from the layers up to conv2_1."""

STARTS = ("auto", "content", "recolored", "noise", "style", "quick")
"""What ``init`` may be besides a picture's path."""

REGION_COLORS = ("style", "keep", "match")
"""What ``region_colors`` may say of a region: as :attr:`StylizeConfig.color`, but for ``only``."""

LISTS = ("layers_per_style", "regions", "region_styles", "region_colors", "style_regions")
"""Settings that name at least one thing where they are given at all."""

LAYER_NAME = re.compile(r"(relu|conv)[1-5]_[1-4]")


@dataclass(frozen=True)
class StylizeConfig(Settings):
    """All settings of :func:`impasto.stylize`.

    Raises ConfigError (or UnknownNameError for a choice) as soon as one is out of range.

    >>> StylizeConfig(strength=1.2)
    Traceback (most recent call last):
        ...
    impasto.errors.ConfigError: strength is 1.2; use a number from 0 to 1
    """

    size: int | None = setting(
        512,
        "Long side of the picture in pixels; 'none' keeps the content's own size",
        group="picture",
        least=16,
        most=16384,
    )
    strength: float = setting(
        0.5,
        "How much style, from 0 (the content) to 1 (no content term): 0.2 is a photo with a touch "
        "of paint, 0.8 bold and still readable",
        group="style",
        least=0,
        most=1,
    )
    # A weight means something else on each pair of pictures. A limit is a promise: as much style as
    # there can be while the content moves no further (docs/decisions/0015).
    strength_mode: StrengthMode = setting(
        "limit",
        "What the strength sets: limit, how far the content may move; weight, that of its loss "
        "(as in papers; always so with lbfgs and with a content_form other than relative)",
        group="style",
    )
    seed: int = setting(0, "Seed of everything random", group="picture", least=0, most=2**63 - 1)

    # --- subject ---------------------------------------------------------------------------------
    subject: str = setting(
        "auto",
        "What is held most: auto, what the photo is of, as found; a mask; or off, all of it alike",
        group="subject",
    )
    protect: float = setting(
        0.3,
        "How much less the subject may move than all of the photo: from 0, as much, to 0.95",
        group="subject",
        least=0,
        most=0.95,
    )

    # --- color -----------------------------------------------------------------------------------
    color: ColorMode = setting(
        "style",
        "Whose colours: the style's; keep, the content's; match, the style's paint mixed from the "
        "content's colours; only, the photo itself in the style's colours",
        group="color",
    )
    color_strength: float = setting(
        1.0,
        "How far to go from the style's colours (with only: from the photo's)",
        group="color",
        least=0,
        most=1,
    )
    color_match: ColorMatch = setting(
        "covariance",
        "How colours are matched: by mean and covariance, or by histogram as well",
        group="color",
    )

    # --- shape -----------------------------------------------------------------------------------
    wrap: Wrap = setting(
        "off",
        "Which borders meet without a seam: both for tiles, horizontal for panoramas",
        group="shape",
    )
    aspect: float = setting(
        1.0,
        "Width over height of a texture; a picture has its content's",
        group="shape",
        least=0.05,
        most=20,
    )

    # --- encoder ---------------------------------------------------------------------------------
    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights", group="encoder")
    flavour: Flavour | None = setting(
        None, "Which of VGG's weights to use (default: those found)", group="encoder"
    )
    pooling: Pooling = setting(
        "max", "VGG's pooling; Gatys et al. find 'average' more pleasing", group="encoder"
    )
    # VGG was trained with zeros, but an optimiser answers them with a coloured line at the border.
    padding: Padding = setting(
        "replicate", "What the encoder sees beyond the border", group="encoder"
    )

    # --- objective -------------------------------------------------------------------------------
    # Gatys et al. read relu4_2 alone. relu3_1 with it keeps edges, and mini sees it more truly.
    content_layers: tuple[str, ...] = setting(
        ("relu3_1", "relu4_2"), "Layers of the content loss", group="objective"
    )
    content_weights: tuple[float, ...] | None = setting(
        None, "One weight for each content layer (default: equal)", group="objective"
    )
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS, "Layers of the style loss", group="objective"
    )
    style_weights: tuple[float, ...] | None = setting(
        None, "One weight for each style layer (default: equal)", group="objective"
    )
    content_loss: tuple[str, ...] = setting(
        ("features",),
        "What keeps the subject: features, self-similarity, laplacian, each perhaps with a weight",
        group="objective",
    )
    style_loss: tuple[str, ...] = setting(
        (AUTO,),
        "What makes the style: gram, mean-std, wasserstein, histogram, sliced, patches, emd, each "
        "perhaps with a weight, as in gram,histogram=0.5; auto: gram, in quality best with patches",
        group="objective",
    )
    balance: Balance = setting(
        "off",
        "Let the style's layers and losses pull as hard as their weights say, or as they do",
        group="objective",
    )
    content_form: Form = setting("relative", "Normalisation of the content loss", group="objective")
    style_form: Form = setting("relative", "Normalisation of the style loss", group="objective")
    content_weight: float = setting(
        0.045,
        "alpha, at strength 0.5; where the strength is a limit, that with which a run begins",
        group="objective",
        least=0,
    )
    style_weight: float = setting(1.0, "beta", group="objective", least=0)
    tv_weight: float = setting(
        0.3, "Weight of total variation (smoothness)", group="objective", least=0
    )
    dream: tuple[str, ...] | None = setting(
        None,
        "Layers to excite as well: relu4_3=0.2 or relu4_3:7+12=0.2 (default: none)",
        group="objective",
    )
    style_scale: tuple[float, ...] = setting(
        (1.0,),
        "Size of the style picture against the content's: one number, or one for each style",
        group="style",
        least=0.05,
        most=10,
    )
    blend: tuple[float, ...] | None = setting(
        None, "One weight for each style (default: equal)", group="style", least=0
    )
    layers_per_style: tuple[str, ...] | None = setting(
        None,
        "The layers that each style gives: all, fine (stages 1 and 2), coarse (3 to 5), or names "
        "joined with +",
        group="style",
    )

    # --- regions ---------------------------------------------------------------------------------
    regions: tuple[str, ...] | None = setting(
        None,
        "Parts of the content: auto, a map of colours, or a mask for each (rest: what they leave)",
        group="regions",
    )
    region_count: int = setting(
        3, "How many regions 'auto' looks for", group="regions", least=2, most=8
    )
    region_styles: tuple[str, ...] | None = setting(
        None,
        "The number of the style that paints each region, from 1; 1+2 blends two",
        group="regions",
    )
    region_strengths: tuple[float, ...] | None = setting(
        None, "One strength for each region", group="regions", least=0, most=1
    )
    region_scales: tuple[float, ...] | None = setting(
        None,
        "Size of the style in each region, times style_scale",
        group="regions",
        least=0.05,
        most=10,
    )
    region_colors: tuple[str, ...] | None = setting(
        None,
        "Whose colours each region has: style, keep or match (default: as color says)",
        group="regions",
    )
    style_regions: tuple[str, ...] | None = setting(
        None,
        "Where regions take their style from: one mask for each region, or one map of colours for "
        "each style (all: from everywhere)",
        group="regions",
    )
    # Gatys et al. (2017) use 'inside', which leaves a strip between regions without coarse strokes;
    # 'simple' leaves none, and was measured to leak no more (the style is taken strictly inside).
    guidance: Guidance = setting(
        "simple",
        "How much of what a feature sees must lie inside a region: all, what it heeds, or only its "
        "own pixels",
        group="regions",
    )
    keep: str | None = setting(None, "Mask of what stays as it is in the content", group="regions")
    feather: float = setting(
        0.01,
        "Softness of the masks' edges, in long sides of the picture",
        group="regions",
        least=0,
        most=0.5,
    )

    # --- optimisation ----------------------------------------------------------------------------
    optimizer: OptimizerName = setting("adam", "What moves the pixels", group="optimizer")
    quality: Quality = setting("standard", "How much work goes into the picture", group="optimizer")
    steps: tuple[int, ...] | None = setting(
        None,
        "Steps at each level of the pyramid, coarsest first (default: by size and quality)",
        group="optimizer",
    )
    ratio: float = setting(
        2.0,
        "Size of each level against the one before; about that, so that all pictures begin at the "
        "same coarsest size, where steps are not given",
        group="optimizer",
        least=1.05,
        most=8,
    )
    coarsest: int = setting(
        256,
        "Long side of the first level, where steps are not given: larger forms from smaller ones",
        group="optimizer",
        least=32,
        most=4096,
    )
    learning_rate: float = setting(
        0.03, "Adam's step, in units of the pixel range", group="optimizer", least=1e-6
    )
    average: float = setting(
        0.9,
        "Decay of the iterate average that is the picture (0: last one)",
        group="optimizer",
        least=0,
        most=0.9999,
    )
    detail: float = setting(
        1.0,
        "How much of the content's fine detail each finer level begins with",
        group="optimizer",
        least=0,
        most=1,
    )
    init: str = setting(
        "auto",
        "Where to start: content, recolored (the content in the style's colours), noise, style, "
        "quick (a draft in one pass), or a picture's path; auto: recolored where the strength is a "
        "limit, else content",
        group="optimizer",
    )

    # --- machine ---------------------------------------------------------------------------------
    device: str = setting("auto", "auto, cpu, cuda, mps", group="machine")
    precision: PixelPrecision = setting(
        "auto",
        "Arithmetic of the encoder; statistics are float32. exact: float32, with sums without "
        "rounding, so that tiles give the same picture to the bit",
        group="machine",
    )
    tile: int | None = setting(
        None,
        "Compute in tiles of this many pixels a side (default: only if memory is short)",
        group="machine",
        least=64,
        most=16384,
    )
    max_memory: float | None = setting(
        None, "GiB that a run may take (default: 80 % of what is free)", group="machine", least=0.1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ("content", "style"):
            layers, weights = getattr(self, f"{kind}_layers"), getattr(self, f"{kind}_weights")
            check_layers(f"{kind}_layers", layers)
            if weights is not None and len(weights) != len(layers):
                raise ConfigError(
                    f"{kind}_weights has {len(weights)} numbers for {len(layers)} layers",
                    "give one weight for each layer",
                )
            if weights is not None and not (
                all(0 <= x < math.inf for x in weights) and any(weights)
            ):
                raise ConfigError(f"{kind}_weights is {weights}", "use numbers >= 0, not all 0")
        for name in LISTS:
            if getattr(self, name) == ():
                raise ConfigError(f"{name} is empty", "leave it out, or name at least one")
        if self.blend is not None and not any(self.blend):
            raise ConfigError(f"blend is {self.blend}", "use numbers >= 0, not all 0")
        for choice in self.layers_per_style or ():
            if choice not in LAYER_GROUPS:
                check_layers("layers_per_style", tuple(choice.split("+")))
        for choice in self.region_styles or ():
            if not re.fullmatch(r"[1-9][0-9]*(\+[1-9][0-9]*)*", choice):
                raise ConfigError(
                    f"region_styles holds '{choice}'", "use numbers from 1, such as 2 or 1+2"
                )
        for choice in self.region_colors or ():
            if choice not in REGION_COLORS:
                raise ConfigError(
                    f"region_colors holds '{choice}'", f"use {', '.join(REGION_COLORS)}"
                )
        if self.region_colors is not None and self.color == "only":
            raise ConfigError(
                "region_colors is given with color only, which paints nothing", "leave one of them"
            )
        if self.dream is not None:
            parse_selections(self.dream, "dream")
        if self.steps is not None and (not self.steps or min(self.steps) < 1):
            raise ConfigError(f"steps is {self.steps}", "use one whole number >= 1 for each level")
        for name, form, plain in (
            ("content_loss", "content_form", "features"),
            ("style_loss", "style_form", "gram"),
        ):
            others = [x for x in mixture(name, getattr(self, name)) if x != plain]
            if others and getattr(self, form) == "gatys":
                raise ConfigError(f"{form} is 'gatys' for {others[0]}", "use relative or mean")
        if self.content_weight == 0 and self.style_weight == 0:
            raise ConfigError("content_weight and style_weight are both 0", "raise one of them")
        if self.strength == 1 and self.style_weight == 0:
            raise ConfigError("style_weight is 0 at strength 1", "raise it, or lower the strength")

    def schedule(self, long_side: int, *, texture: bool = False) -> tuple[tuple[int, ...], float]:
        """The steps at each level, coarsest first, of a picture so large, and the levels' ratio.

        Those given; or the quality's. All pictures begin at the same coarsest size, or at their own
        where that is smaller, and the ratio is fitted to it, so that they show the same forms.

        >>> StylizeConfig(quality="draft").schedule(512)
        ((30, 15), 2.0)
        >>> StylizeConfig(steps=(20, 10)).schedule(512)
        ((20, 10), 2.0)
        """
        if self.steps is not None:
            return self.steps, self.ratio
        coarsest = COARSEST_TEXTURE if texture else self.coarsest
        octaves = math.log2(max(1.0, long_side / coarsest))
        count = max(0, math.ceil(octaves / math.log2(self.ratio) - SLACK))
        ratio = 2 ** (octaves / count) if count else self.ratio
        table = (TEXTURE_STEPS if texture else STEPS)[self.quality]
        sizes = (long_side / ratio**k for k in range(count, -1, -1))
        return tuple(_steps_at(size, table) for size in sizes), ratio

    @property
    def dreamt_layers(self) -> tuple[str, ...]:
        """The layers that ``dream`` names."""
        return tuple(selection.layer for selection in parse_selections(self.dream or ()))

    @property
    def most_steps(self) -> int:
        """No picture, whatever its size, takes more steps than this."""
        if self.steps is not None:
            return sum(self.steps)
        levels = math.ceil(math.log(LARGEST / COARSEST_TEXTURE, self.ratio)) + 1
        return levels * max(max(x[self.quality]) for x in (STEPS, TEXTURE_STEPS))

    def with_style_loss(self, long_side: int) -> StylizeConfig:
        """The settings with what ``auto`` means for the style of a picture so large.

        Quality best has whole strokes of the painting beside its statistics, up to relu4_1; not
        where tiles are asked for, nor in more than 2048 pixels.
        """
        if self.style_loss != (AUTO,):
            return self
        if self.quality != "best" or self.tile is not None or long_side > BEST_LARGEST:
            return self.with_changes(style_loss=("gram",))
        usual = self.style_layers == STYLE_LAYERS and self.style_weights is None
        layers = BEST_STYLE_LAYERS if usual else self.style_layers
        return self.with_changes(style_loss=BEST_STYLE_LOSS, style_layers=layers)

    @property
    def holds_limit(self) -> bool:
        """Whether the strength is a limit for the content, and not a weight."""
        return (
            self.strength_mode == "limit"
            and self.optimizer == "adam"
            and self.content_form == "relative"
        )


def mixture(name: str, entries: tuple[str, ...]) -> dict[str, float]:
    """The losses of a setting such as ``style_loss`` with their weights.

    Raises UnknownNameError for a loss that does not exist, ConfigError for a weight that is none.

    >>> mixture("style_loss", ("gram", "histogram=0.5"))
    {'gram': 1.0, 'histogram': 0.5}
    """
    found: dict[str, float] = {}
    if name == "style_loss" and entries == (AUTO,):
        return {"gram": 1.0}
    for entry in entries:
        loss, given, text = (part.strip() for part in entry.partition("="))
        if loss not in MIXTURES[name]:
            raise UnknownNameError(name, loss, MIXTURES[name])
        try:
            weight = float(text) if given else 1.0
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise ConfigError(f"{name} holds '{entry}'", f"give a weight >= 0, as in {loss}=0.5")
        if loss in found:
            raise ConfigError(f"{name} names '{loss}' twice", "name each loss once")
        found[loss] = weight
    if not any(found.values()):
        raise ConfigError(
            f"{name} is {','.join(entries) or 'empty'}", f"name one of: {', '.join(MIXTURES[name])}"
        )
    return found


def _steps_at(size: float, table: tuple[int, ...]) -> int:
    """The steps where the long side is ``size``: linear in octaves from 128 pixels on."""
    place = min(max(0.0, math.log2(size / 128)), len(table) - 1.0)
    below = min(int(place), len(table) - 2)
    return round(table[below] + (place - below) * (table[below + 1] - table[below]))


def choices(name: str, config: type[Settings] = StylizeConfig) -> tuple[str, ...]:
    """The allowed values of a setting that is a choice; empty for other settings.

    >>> choices("optimizer")
    ('adam', 'lbfgs')
    """
    return literals(type_hints(config)[name])


def check_layers(name: str, layers: tuple[str, ...]) -> None:
    """ConfigError for a list of layers that no VGG has."""
    if not layers:
        raise ConfigError(f"{name} is empty", "name at least one layer, such as relu4_2")
    for layer in layers:
        if not LAYER_NAME.fullmatch(layer) and not layer == "image":
            raise ConfigError(f"{name} holds '{layer}'", "use names such as relu4_2 or conv4_2")
    if len(set(layers)) < len(layers):
        raise ConfigError(f"{name} names a layer twice: {', '.join(layers)}", "name each once")
