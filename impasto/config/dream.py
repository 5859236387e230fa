"""The settings of dreams and of looks, checked as those of ``stylize`` are; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from impasto.config.base import Settings, setting
from impasto.config.layers import parse_selections
from impasto.config.stylize import Flavour, Padding, Pooling, Precision
from impasto.errors import ConfigError

Smoothing = Literal["laplacian", "fourier", "none"]
Colors = Literal["dream", "original"]
Show = Literal["features", "gram", "reconstructions", "where", "channels", "subject"]

SHOWN = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class DreamConfig(Settings):
    """All settings of :func:`impasto.deepdream`.

    Raises ConfigError (or UnknownNameError for a choice) as soon as one is out of range.

    >>> DreamConfig(layers=("relu4_3:7=0.5", "relu5_1")).octaves
    4
    """

    size: int | None = setting(
        512,
        "Long side of the picture in pixels; 'none' keeps the photo's own size",
        group="picture",
        least=16,
        most=16384,
    )
    layers: tuple[str, ...] | None = setting(
        None,
        "What is to be excited: LAYER, LAYER=WEIGHT or LAYER:CHANNELS=WEIGHT, as relu4_3:7+12=0.5 "
        "(default: by encoder)",
        group="objective",
    )
    seed: int = setting(0, "Seed of everything random", group="picture", least=0, most=2**63 - 1)

    # --- octaves ---------------------------------------------------------------------------------
    octaves: int = setting(
        4, "How many sizes, the smallest first", group="optimizer", least=1, most=16
    )
    # Mordvintsev et al. take 1.4 as well.
    octave_scale: float = setting(
        1.4, "Size of each against the one before", group="optimizer", least=1.05, most=4
    )
    steps: int = setting(15, "Steps in each octave", group="optimizer", least=1, most=10_000)
    step_size: float = setting(
        0.004,
        "By how much the mean pixel changes in a step, at most",
        group="optimizer",
        least=1e-6,
        most=1,
    )

    # --- gradient --------------------------------------------------------------------------------
    jitter: int = setting(
        32, "Shift the picture by up to so many pixels at each step", group="optimizer", least=0
    )
    smoothing: Smoothing = setting(
        "laplacian", "What takes the fine grain out of the gradient", group="optimizer"
    )

    # --- picture ---------------------------------------------------------------------------------
    colors: Colors = setting(
        "dream", "Whose colours the picture has: its own, or the photo's", group="color"
    )
    zoom: float = setting(
        1.0, "How much closer each frame of a sequence comes", group="frames", least=1, most=2
    )
    rotate: float = setting(
        0.0, "Degrees by which each frame turns", group="frames", least=-45, most=45
    )
    frames: int = setting(1, "How many frames to dream", group="frames", least=1, most=10_000)
    frame_steps: int = setting(
        5, "Steps in each octave of every frame but the first", group="frames", least=1, most=10_000
    )

    # --- encoder ---------------------------------------------------------------------------------
    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights", group="encoder")
    flavour: Flavour | None = setting(
        None, "Which of VGG's weights to use (default: those found)", group="encoder"
    )
    pooling: Pooling = setting("max", "VGG's pooling", group="encoder")
    padding: Padding = setting(
        "replicate", "What the encoder sees beyond the border", group="encoder"
    )

    # --- machine ---------------------------------------------------------------------------------
    device: str = setting("auto", "auto, cpu, cuda, mps", group="machine")
    precision: Precision = setting(
        "auto", "Arithmetic of the encoder; statistics are float32", group="machine"
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
        if self.layers is not None:
            _check_selections("layers", self.layers)
        if self.colors == "original" and self.frames > 1:
            raise ConfigError(
                "colors is 'original' for a sequence of frames, which leaves the photo behind",
                "use colors='dream', or a single frame",
            )
        if self.frames == 1 and (self.zoom != 1 or self.rotate != 0):
            raise ConfigError(
                "a zoom or a turn needs frames to happen in", "ask for more than 1 frame"
            )

    @property
    def most_steps(self) -> int:
        """No dream, whatever its size, takes more steps than this."""
        return self.octaves * (self.steps + (self.frames - 1) * self.frame_steps)


@dataclass(frozen=True)
class LookConfig(Settings):
    """All settings of :func:`impasto.look`.

    Raises ConfigError (or UnknownNameError for a choice) as soon as one is out of range.
    """

    show: Show = setting(
        "features",
        "features: what each layer makes of a picture; gram: its Gram matrices; reconstructions: "
        "what is left of it in each layer; where: where its style is not the given one; "
        "channels: what excites single channels; subject: what a stylization holds most",
        group="picture",
    )
    layers: tuple[str, ...] = setting(SHOWN, "The layers to look at", group="picture")
    channels: tuple[str, ...] | None = setting(
        None,
        "Channels to look at, as relu3_1 (the first ones) or relu3_1:0-15; no picture needed",
        group="picture",
    )
    count: int = setting(
        16, "How many channels of each layer, at most", group="picture", least=1, most=4096
    )
    size: int = setting(
        256, "Long side of the picture that is looked at", group="picture", least=32, most=4096
    )
    cell: int = setting(
        128, "Width of each cell of the sheet in pixels", group="picture", least=16, most=2048
    )
    steps: int = setting(
        256, "Steps for each picture that is made", group="optimizer", least=1, most=100_000
    )
    learning_rate: float = setting(0.05, "Adam's step", group="optimizer", least=1e-6)
    seed: int = setting(0, "Seed of everything random", group="picture", least=0, most=2**63 - 1)

    # --- encoder ---------------------------------------------------------------------------------
    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights", group="encoder")
    flavour: Flavour | None = setting(
        None, "Which of VGG's weights to use (default: those found)", group="encoder"
    )
    pooling: Pooling = setting("max", "VGG's pooling", group="encoder")
    padding: Padding = setting(
        "replicate", "What the encoder sees beyond the border", group="encoder"
    )
    device: str = setting("auto", "auto, cpu, cuda, mps", group="machine")
    precision: Precision = setting(
        "auto", "Arithmetic of the encoder; statistics are float32", group="machine"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers:
            raise ConfigError("layers is empty", "name at least one layer, such as relu4_2")
        if self.channels is not None:
            _check_selections("channels", self.channels)
        if (self.channels is not None) != (self.show == "channels"):
            raise ConfigError(
                f"show is '{self.show}' and channels is {self.channels}",
                "name channels to see what excites them, and only then",
            )


CONFIGS: Mapping[str, type[Settings]] = {"dream": DreamConfig, "look": LookConfig}
"""Command -> its settings."""


def _check_selections(name: str, texts: tuple[str, ...]) -> None:
    if not texts:
        raise ConfigError(f"{name} is empty", "name at least one layer, such as relu4_3")
    parse_selections(texts, name)
