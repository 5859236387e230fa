"""Every setting of a stylization: the command line's flags, TOML files, the metadata in pictures
and the table in the docs are all derived from it.

It lies apart from :func:`impasto.stylize`, which it belongs to, for one reason: whoever only wants
to know what there is to set (``impasto --help``) need not wait for torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from impasto.config.base import Settings, literals, setting, type_hints
from impasto.config.groups import (
    ColorConfig,
    EncoderConfig,
    MachineConfig,
    RegionsConfig,
    SubjectConfig,
    Wrap,
    check_layers,
)
from impasto.config.layers import parse_selections
from impasto.errors import ConfigError

OptimizerName = Literal["adam", "lbfgs"]
Form = Literal["relative", "mean", "gatys"]
Quality = Literal["draft", "standard", "best"]
PixelPrecision = Literal["auto", "float32", "bfloat16", "exact"]
Balance = Literal["off", "style"]
StrengthMode = Literal["limit", "weight"]

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

COARSEST = {"draft": 256, "standard": 256, "best": 64}
"""Quality -> long side in pixels at which a picture begins."""
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
    "standard": (45, 45, 36, 24, 12, 8, 8, 8),
    "best": (60, 60, 45, 30, 16, 10, 8, 8),
}
"""Quality -> steps where the long side is 128, 256, 512, ... pixels; between those in between."""
TEXTURE_STEPS: dict[str, tuple[int, ...]] = {
    "draft": (100, 60, 15, 8, 5, 4, 4, 4),
    "standard": (150, 100, 44, 25, 12, 8, 8, 8),
    "best": (300, 300, 200, 100, 50, 25, 12, 8),
}
"""The same for textures, which begin with noise."""

AUTO = "auto"
"""What ``style_loss`` is where the quality shall say."""
STYLE_LOSS = ("gram", "local=0.2")  # what auto means, but in quality best:
BEST_STYLE_LOSS = ("patches", "mean-std=0.5", "local=0.05")
BEST_STYLE_LAYERS = STYLE_LAYERS[:4]
TEXTURE_LOSS, BEST_TEXTURE_LOSS = ("gram",), ("gram", "patches=0.5")
BEST_LARGEST = 2048  # pixels: patches are compared in a picture as a whole, not in tiles

MOST_LEVELS, MOST = 64, 1_000_000
"""Levels of a pyramid, and steps at each, at most."""

CONTENT_SETTINGS = (
    *("strength", "strength_mode", "subject", "protect", "keep", "detail", "coarsest"),
    *("color", "color_strength", "color_match"),
    *("content_layers", "content_weights", "content_loss", "content_form", "content_weight"),
    *("region_count", "region_strengths", "region_colors"),
)
"""Settings that mean nothing to a texture, which has no content."""

STARTS = ("auto", "content", "recolored", "noise", "style", "quick")
"""What ``init`` may be besides a picture's path."""


@dataclass(frozen=True)
class PictureConfig(Settings):
    """How large the picture is, and how much style goes into it."""

    group = "Picture"

    size: int | None = setting(
        512,
        "Long side of the picture in pixels; 'none' keeps the content's own size",
        least=16,
        most=16384,
    )
    strength: float = setting(
        0.5,
        "How much style, from 0 (the content) to 1 (no content term): 0.2 is a photo with a touch "
        "of paint, 0.8 bold and still readable",
        least=0,
        most=1,
    )
    # A weight means something else on each pair of pictures. A limit is a promise: as much style as
    # there can be while the content moves no further (docs/decisions/0016).
    strength_mode: StrengthMode = setting(
        "limit",
        "What the strength sets: limit, how far the content may move; weight, that of its loss "
        "(as in papers; always so with lbfgs and with a content_form other than relative)",
    )
    seed: int = setting(0, "Seed of everything random", least=0, most=2**63 - 1)


@dataclass(frozen=True)
class ShapeConfig(Settings):
    """Which borders meet, and the shape of a texture."""

    group = "Shape"

    wrap: Wrap = setting(
        "off", "Which borders meet without a seam: both for tiles, horizontal for panoramas"
    )
    aspect: float = setting(
        1.0, "Width over height of a texture; a picture has its content's", least=0.05, most=20
    )


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """What is minimised: layers, losses and their weights."""

    group = "Objective"

    # Gatys et al. read relu4_2 alone. relu3_1 with it keeps edges, and mini sees it more truly.
    content_layers: tuple[str, ...] = setting(("relu3_1", "relu4_2"), "Layers of the content loss")
    content_weights: tuple[float, ...] | None = setting(
        None, "One weight for each content layer (default: equal)"
    )
    style_layers: tuple[str, ...] = setting(STYLE_LAYERS, "Layers of the style loss")
    style_weights: tuple[float, ...] | None = setting(
        None, "One weight for each style layer (default: equal)"
    )
    content_loss: tuple[str, ...] = setting(
        ("features",),
        "What keeps the subject: features, self-similarity, laplacian, each perhaps with a weight",
    )
    style_loss: tuple[str, ...] = setting(
        (AUTO,),
        "What makes the style: gram, local, mean-std, wasserstein, histogram, sliced, patches, "
        "emd, each perhaps with a weight, as in gram,histogram=0.5; auto: gram,local=0.2, in "
        "quality best patches,mean-std=0.5,local=0.05, for a texture gram, in best with patches",
    )
    balance: Balance = setting(
        "off", "Let the style's layers and losses pull as hard as their weights say, or as they do"
    )
    content_form: Form = setting("relative", "Normalisation of the content loss")
    style_form: Form = setting("relative", "Normalisation of the style loss")
    content_weight: float = setting(
        0.06,
        "alpha, at strength 0.5; where the strength is a limit, the least that a run comes to",
        least=0,
    )
    style_weight: float = setting(1.0, "beta", least=0)
    tv_weight: float = setting(0.3, "Weight of total variation (smoothness)", least=0)
    dream: tuple[str, ...] | None = setting(
        None, "Layers to excite as well: relu4_3=0.2 or relu4_3:7+12=0.2 (default: none)"
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
        if self.dream is not None:
            parse_selections(self.dream, "dream")
        for name in ("content_loss", "style_loss"):
            mixture(name, getattr(self, name))
        if self.content_weight == 0 and self.style_weight == 0:
            raise ConfigError("content_weight and style_weight are both 0", "raise one of them")

    @property
    def dreamt_layers(self) -> tuple[str, ...]:
        """The layers that ``dream`` names."""
        return tuple(selection.layer for selection in parse_selections(self.dream or ()))


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """How the picture is moved towards the objective: steps, sizes, where it starts."""

    group = "Optimiser"

    optimizer: OptimizerName = setting("adam", "What moves the pixels")
    quality: Quality = setting("standard", "How much work goes into the picture")
    steps: tuple[int, ...] | None = setting(
        None, "Steps at each level of the pyramid, coarsest first (default: by size and quality)"
    )
    ratio: float = setting(
        2.0,
        "Size of each level against the one before; about that, so that all pictures begin at the "
        "same coarsest size, where steps are not given",
        least=1.05,
        most=8,
    )
    coarsest: int | None = setting(
        None,
        "Long side of the first level, where steps are not given: larger forms from smaller ones "
        "(default: 256, in quality best 64)",
        least=32,
        most=4096,
    )
    learning_rate: float = setting(0.03, "Adam's step, in units of the pixel range", least=1e-6)
    average: float = setting(
        0.9, "Decay of the iterate average that is the picture (0: last one)", least=0, most=0.9999
    )
    detail: float = setting(
        1.0, "How much of the content's fine detail each finer level begins with", least=0, most=1
    )
    init: str = setting(
        "auto",
        "Where to start: content, recolored (the content in the style's colours), noise, style, "
        "quick (a draft in one pass), or a picture's path; auto: recolored where the strength is a "
        "limit, else content",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and not (
            0 < len(self.steps) <= MOST_LEVELS and 1 <= min(self.steps) <= max(self.steps) <= MOST
        ):
            raise ConfigError(
                f"steps is {str(self.steps)[:100]}",
                f"use one whole number from 1 to {MOST:,} for each of {MOST_LEVELS} levels at most",
            )

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
        coarsest = COARSEST_TEXTURE if texture else self.coarsest or COARSEST[self.quality]
        octaves = math.log2(max(1.0, long_side / coarsest))
        count = max(0, math.ceil(octaves / math.log2(self.ratio) - SLACK))
        ratio = 2 ** (octaves / count) if count else self.ratio
        table = (TEXTURE_STEPS if texture else STEPS)[self.quality]
        sizes = (long_side / ratio**k for k in range(count, -1, -1))
        return tuple(_steps_at(size, table) for size in sizes), ratio

    @property
    def most_steps(self) -> int:
        """No picture, whatever its size, takes more steps than this."""
        if self.steps is not None:
            return sum(self.steps)
        levels = math.ceil(math.log(LARGEST / COARSEST_TEXTURE, self.ratio)) + 1
        return levels * max(max(x[self.quality]) for x in (STEPS, TEXTURE_STEPS))


@dataclass(frozen=True)
class ExactMachineConfig(MachineConfig):
    """With a precision for tiles that are the whole to the bit."""

    precision: PixelPrecision = setting(
        "auto",
        "Arithmetic of the encoder; statistics are float32. exact: float32, with sums without "
        "rounding, so that tiles give the same picture to the bit",
    )


# Fields come in the order of the bases, from the last to the first.
@dataclass(frozen=True)
class StylizeConfig(
    ExactMachineConfig,
    OptimizerConfig,
    RegionsConfig,
    ObjectiveConfig,
    EncoderConfig,
    ShapeConfig,
    ColorConfig,
    SubjectConfig,
    PictureConfig,
):
    """All settings of :func:`impasto.stylize`.

    Raises ConfigError (or UnknownNameError for a choice) as soon as one is out of range.

    >>> StylizeConfig(strength=1.2)
    Traceback (most recent call last):
        ...
    impasto.errors.ConfigError: strength is 1.2; use a number from 0 to 1
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region_colors is not None and self.color == "only":
            raise ConfigError(
                "region_colors is given with color only, which paints nothing", "leave one of them"
            )
        if self.strength == 1 and self.style_weight == 0:
            raise ConfigError("style_weight is 0 at strength 1", "raise it, or lower the strength")

    def with_style_loss(self, long_side: int, *, texture: bool = False) -> StylizeConfig:
        """The settings with what ``auto`` means for the style of a picture so large.

        Statistics of the whole picture and of its parts, so that no part stays a photo; a texture
        has no photo that could. Quality best has whole strokes of the painting and its palette,
        up to relu4_1, evenly; not where tiles are asked for, nor in more than 2048 pixels.
        """
        if self.style_loss != (AUTO,):
            return self
        best = self.quality == "best" and self.tile is None and long_side <= BEST_LARGEST
        losses: tuple[str, ...] = BEST_STYLE_LOSS if best else STYLE_LOSS
        if texture:
            losses = BEST_TEXTURE_LOSS if best else TEXTURE_LOSS
        if self.style_form != "relative":
            losses = tuple(loss for loss in losses if not loss.startswith("local"))
        usual = self.style_layers == STYLE_LAYERS and self.style_weights is None
        layers = BEST_STYLE_LAYERS if best and usual else self.style_layers
        return self.with_changes(style_loss=losses, style_layers=layers)

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

    Whether there are such losses is for the losses to say. Raises ConfigError for a weight that is
    none.

    >>> mixture("style_loss", ("gram", "histogram=0.5"))
    {'gram': 1.0, 'histogram': 0.5}
    """
    found: dict[str, float] = {}
    if name == "style_loss" and entries == (AUTO,):
        entries = STYLE_LOSS
    for entry in entries:
        loss, given, text = (part.strip() for part in entry.partition("="))
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
            f"{name} is {','.join(entries) or 'empty'}", "name at least one with a weight above 0"
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
