"""The groups that settings come in, each a frozen dataclass with its own checks.

A configuration is made of groups: :class:`impasto.StylizeConfig` of all, others of some. Its
settings stay flat for people (``config.color``, ``--color``, one TOML key), and a function takes
the group that it reads: any configuration made of that group will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from impasto.config.base import Settings, setting
from impasto.errors import ConfigError

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zero", "reflect", "replicate"]
Flavour = Literal["caffe", "torchvision", "normalised"]
Guidance = Literal["inside", "effective", "simple"]
Precision = Literal["auto", "float32", "bfloat16"]
ColorMode = Literal["style", "keep", "match", "only"]
ColorMatch = Literal["covariance", "histogram"]
Wrap = Literal["off", "horizontal", "both"]

LAYER_GROUPS: dict[str, tuple[int, ...]] = {
    "all": (1, 2, 3, 4, 5),
    "fine": (1, 2),
    "coarse": (3, 4, 5),
}
"""What ``layers_per_style`` calls the layers of some of VGG's stages. Gatys et al. (2017, section
6) take fine texture from the layers up to conv2_1."""

REGION_COLORS = ("style", "keep", "match")
"""What ``region_colors`` may say of a region: as :attr:`ColorConfig.color`, but for ``only``."""

LAYER_NAME = re.compile(r"(relu|conv)[1-5]_[1-4]")


@dataclass(frozen=True)
class SubjectConfig(Settings):
    """What the photo is of, and how much that is held."""

    group = "Subject"

    subject: str = setting(
        "auto",
        "What is held most: auto, what the photo is of, as found; a mask; or off, all of it alike",
    )
    protect: float = setting(
        0.3,
        "How much less the subject may move than all of the photo: from 0, as much, to 0.95",
        least=0,
        most=0.95,
    )


@dataclass(frozen=True)
class ColorConfig(Settings):
    """Whose colours the picture has."""

    group = "Colour"

    color: ColorMode = setting(
        "style",
        "Whose colours: the style's; keep, the content's; match, the style's paint mixed from the "
        "content's colours; only, the photo itself in the style's colours",
    )
    color_strength: float = setting(
        1.0, "How far to go from the style's colours (with only: from the photo's)", least=0, most=1
    )
    color_match: ColorMatch = setting(
        "covariance", "How colours are matched: by mean and covariance, or by histogram as well"
    )


@dataclass(frozen=True)
class EncoderConfig(Settings):
    """The network whose features are compared."""

    group = "Encoder"

    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights")
    flavour: Flavour | None = setting(None, "Which of VGG's weights to use (default: those found)")
    pooling: Pooling = setting("max", "VGG's pooling; Gatys et al. find 'average' more pleasing")
    # VGG was trained with zeros, but an optimiser answers them with a coloured line at the border.
    padding: Padding = setting("replicate", "What the encoder sees beyond the border")


@dataclass(frozen=True)
class BlendConfig(Settings):
    """How several styles are mixed."""

    group = "Styles"

    blend: tuple[float, ...] | None = setting(
        None, "One weight for each style (default: equal)", least=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blend is not None and not any(self.blend):
            raise ConfigError(f"blend is {self.blend}", "use numbers >= 0, not all 0")


@dataclass(frozen=True)
class StylesConfig(BlendConfig):
    """How several styles go together, and how large they are."""

    style_scale: tuple[float, ...] = setting(
        (1.0,),
        "Size of the style picture against the content's: one number, or one for each style",
        least=0.05,
        most=10,
    )
    layers_per_style: tuple[str, ...] | None = setting(
        None,
        "The layers that each style gives: all, fine (stages 1 and 2), coarse (3 to 5), or names "
        "joined with +",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers_per_style == ():
            raise ConfigError("layers_per_style is empty", "leave it out, or name at least one")
        for choice in self.layers_per_style or ():
            if choice not in LAYER_GROUPS:
                check_layers("layers_per_style", tuple(choice.split("+")))


@dataclass(frozen=True)
class MasksConfig(Settings):
    """Parts of the picture with a style and a strength of their own, and what stays as it is."""

    group = "Regions"

    regions: tuple[str, ...] | None = setting(
        None,
        "Parts of the content: auto, a map of colours, or a mask for each (rest: what they leave)",
    )
    region_styles: tuple[str, ...] | None = setting(
        None, "The number of the style that paints each region, from 1; 1+2 blends two"
    )
    region_strengths: tuple[float, ...] | None = setting(
        None, "One strength for each region", least=0, most=1
    )
    keep: str | None = setting(None, "Mask of what stays as it is in the content")
    feather: float = setting(
        0.01, "Softness of the masks' edges, in long sides of the picture", least=0, most=0.5
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("regions", "region_styles"):
            if getattr(self, name) == ():
                raise ConfigError(f"{name} is empty", "leave it out, or name at least one")
        for choice in self.region_styles or ():
            if not re.fullmatch(r"[1-9][0-9]{0,3}(\+[1-9][0-9]{0,3})*", choice):
                raise ConfigError(
                    f"region_styles holds '{choice}'", "use numbers from 1, such as 2 or 1+2"
                )


@dataclass(frozen=True)
class RegionsConfig(MasksConfig, StylesConfig):
    """Which style goes where: styles, and all that can be said of regions."""

    region_count: int = setting(3, "How many regions 'auto' looks for", least=2, most=8)
    region_scales: tuple[float, ...] | None = setting(
        None, "Size of the style in each region, times style_scale", least=0.05, most=10
    )
    region_colors: tuple[str, ...] | None = setting(
        None, "Whose colours each region has: style, keep or match (default: as color says)"
    )
    style_regions: tuple[str, ...] | None = setting(
        None,
        "Where regions take their style from: one mask for each region, or one map of colours for "
        "each style (all: from everywhere)",
    )
    # Gatys et al. (2017) use 'inside', which leaves a strip between regions without coarse strokes;
    # 'simple' leaves none, and was measured to leak no more (the style is taken strictly inside).
    guidance: Guidance = setting(
        "simple",
        "How much of what a feature sees must lie inside a region: all, what it heeds, or only its "
        "own pixels",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("region_colors", "style_regions"):
            if getattr(self, name) == ():
                raise ConfigError(f"{name} is empty", "leave it out, or name at least one")
        for choice in self.region_colors or ():
            if choice not in REGION_COLORS:
                raise ConfigError(
                    f"region_colors holds '{choice}'", f"use {', '.join(REGION_COLORS)}"
                )


@dataclass(frozen=True)
class DeviceConfig(Settings):
    """Where a run is computed."""

    group = "Machine"

    device: str = setting("auto", "auto, cpu, cuda, mps")


@dataclass(frozen=True)
class PrecisionConfig(Settings):
    """How precisely features are computed."""

    group = "Machine"

    precision: Precision = setting("auto", "Arithmetic of the encoder; statistics are float32")


@dataclass(frozen=True)
class MachineConfig(DeviceConfig):
    """Where a run is computed, and in how much memory."""

    tile: int | None = setting(
        None,
        "Compute in tiles of this many pixels a side (default: only if memory is short)",
        least=64,
        most=16384,
    )
    max_memory: float | None = setting(
        None, "GiB that a run may take (default: 80 % of what is free)", least=0.1
    )


def check_layers(name: str, layers: tuple[str, ...]) -> None:
    """ConfigError for a list of layers that no VGG has."""
    if not layers:
        raise ConfigError(f"{name} is empty", "name at least one layer, such as relu4_2")
    for layer in layers:
        if not LAYER_NAME.fullmatch(layer) and not layer == "image":
            raise ConfigError(f"{name} holds '{layer}'", "use names such as relu4_2 or conv4_2")
    if len(set(layers)) < len(layers):
        raise ConfigError(f"{name} names a layer twice: {', '.join(layers)}", "name each once")
