"""Every setting of what paints in one pass: of ``quick``, and of networks that are trained for it.

As :mod:`impasto.config.stylize`, it does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from impasto.config.base import Settings, same_setting, setting
from impasto.config.stylize import (
    STYLE_LAYERS,
    ColorMatch,
    ColorMode,
    Precision,
    StylizeConfig,
    check_layers,
    mixture,
)
from impasto.errors import ConfigError

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]

QuickQuality = Literal["draft", "standard"]

LARGEST = 2048
"""Long side in pixels up to which quick paints a photo in its own size, unless it is told: there
the whole command takes 10 s of one core, and 29 s at 4000."""

SHARED_BY_QUICK = (
    *("blend", "color", "color_strength", "color_match"),
    *("regions", "region_styles", "region_strengths", "keep", "feather", "subject"),
)
"""Settings of ``quick`` that are those of ``stylize``."""


@dataclass(frozen=True)
class QuickConfig(Settings):
    """All settings of :func:`impasto.quick`; those of the same name mean what they do there."""

    size: int | Literal["auto"] | None = setting(
        "auto",
        f"Long side of the picture in pixels; 'auto' is the content's own, at most {LARGEST}, and "
        "'none' the content's own however large",
        group="picture",
        least=16,
        most=16384,
    )
    quality: QuickQuality = setting(
        "standard",
        "'draft' paints in half of the size and enlarges that: a third of the time, smoother "
        "strokes",
        group="picture",
    )
    strength: float = setting(
        1.0, "How much style, from 0 (the content) to 1", group="style", least=0, most=1
    )
    subject: str = same_setting(StylizeConfig, "subject")
    protect: float = setting(
        0.35,
        "How much of the photo, in the painting's colours, the subject is given back, from 0",
        group="subject",
        least=0,
        most=0.95,
    )
    blend: tuple[float, ...] | None = same_setting(StylizeConfig, "blend")
    style_scale: float = setting(
        1.0,
        "Size of the style picture against the content's, or against 384 pixels if that is less",
        group="style",
        least=0.05,
        most=10,
    )
    color: ColorMode = same_setting(StylizeConfig, "color")
    color_strength: float = same_setting(StylizeConfig, "color_strength")
    color_match: ColorMatch = same_setting(StylizeConfig, "color_match")
    regions: tuple[str, ...] | None = setting(
        None,
        "Parts of the content: a map of colours, or a mask for each (rest: what they leave)",
        group="regions",
    )
    region_styles: tuple[str, ...] | None = same_setting(StylizeConfig, "region_styles")
    region_strengths: tuple[float, ...] | None = same_setting(StylizeConfig, "region_strengths")
    keep: str | None = same_setting(StylizeConfig, "keep")
    feather: float = same_setting(StylizeConfig, "feather")
    coarsest: int | None = setting(
        256,
        "Long side in which a larger picture is painted first, then in each twice as large; 'none' "
        "paints it at once, with smaller strokes",
        group="picture",
        least=64,
        most=16384,
    )
    seed: int = setting(0, "Seed of swatches", group="picture", least=0, most=2**63 - 1)
    device: str = setting("auto", "auto, cpu, cuda, mps", group="machine")
    backend: BackendName = setting(
        "auto",
        "Who computes the network; 'auto' is torch, with which a picture is there soonest",
        group="machine",
    )
    precision: Precision = setting(
        "auto", "Arithmetic of the network; statistics are float32", group="machine"
    )
    tile: int = setting(
        1024, "Pixels a side that are painted at once", group="machine", least=64, most=16384
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.for_pictures()

    def for_pictures(self) -> StylizeConfig:
        """What of it says how pictures are read, divided and coloured, as ``stylize`` takes it.

        Raises ConfigError for what that refuses.
        """
        return StylizeConfig(**{name: getattr(self, name) for name in SHARED_BY_QUICK})


@dataclass(frozen=True)
class TrainConfig(Settings):
    """All settings of :class:`impasto.Training`; those of the same name mean what they do in
    :class:`StylizeConfig`."""

    minutes: float = setting(
        20.0,
        "How long to train, unless steps are given",
        group="optimizer",
        least=0.01,
        most=100_000,
    )
    steps: int | None = setting(
        None,
        "Steps to make, however long they take (default: by minutes)",
        group="optimizer",
        least=1,
    )
    # A network finds less of a compromise than steps on one picture do, and gives up the subject
    # first; 0.3 weighs the content 5.4 times as much as 0.5.
    strength: float = setting(
        0.3,
        "How much style, from 0 (the photos) to 1 (no content term)",
        group="style",
        least=0,
        most=1,
    )
    style_size: int = setting(
        512,
        "Long side of the style in pixels: how large its strokes are; never enlarged",
        group="style",
        least=32,
        most=4096,
    )
    crop: int = setting(
        256,
        "Side of the photos' crops in pixels at the end; half of it at first",
        group="optimizer",
        least=32,
        most=1024,
    )
    seed: int = setting(0, "Seed of everything random", group="picture", least=0, most=2**63 - 1)

    # --- network ---------------------------------------------------------------------------------
    # Johnson et al. have 32 (1.7 million numbers); 16 are 0.4 million, and learn in minutes.
    width: int = setting(
        16,
        "Channels at full size; twice and four times as many below",
        group="network",
        least=4,
        most=256,
    )
    blocks: int = setting(5, "Residual blocks", group="network", least=1, most=16)

    # --- objective -------------------------------------------------------------------------------
    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights", group="encoder")
    content_layers: tuple[str, ...] = setting(
        ("relu3_1", "relu4_2"), "Layers of the content loss", group="objective"
    )
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS, "Layers of the style loss", group="objective"
    )
    style_loss: tuple[str, ...] = setting(
        ("gram",),
        "What makes the style: gram, mean-std, wasserstein, histogram, sliced, patches, emd, each "
        "perhaps with a weight, as in gram,histogram=0.5",
        group="objective",
    )
    content_weight: float = setting(0.02, "alpha, at strength 0.5", group="objective", least=0)
    style_weight: float = setting(1.0, "beta", group="objective", least=0)
    tv_weight: float = setting(
        0.3, "Weight of total variation (smoothness)", group="objective", least=0
    )

    # --- optimisation ----------------------------------------------------------------------------
    # Johnson et al. take batches of 4. Instance norms need none, and a CPU gains nothing by them.
    batch: int = setting(1, "Crops in each step", group="optimizer", least=1, most=64)
    learning_rate: float = setting(
        1e-3, "Adam's at its highest; a cosine lowers it", group="optimizer", least=1e-6
    )
    average: float = setting(
        0.995,
        "Decay of the average of the weights that is the network",
        group="optimizer",
        least=0,
        most=0.9999,
    )
    validate_every: int = setting(
        250, "Steps from one validation to the next", group="optimizer", least=1
    )
    patience: int = setting(
        10,
        "Validations without a new best after which to stop (0: never)",
        group="optimizer",
        least=0,
    )

    # --- machine ---------------------------------------------------------------------------------
    device: str = setting("auto", "auto, cpu, cuda, mps", group="machine")
    precision: Precision = setting(
        "auto", "Arithmetic of the encoder; the network's is float32", group="machine"
    )
    photo_memory: float = setting(
        1.0, "GiB of decoded photos to keep; others are decoded each time", group="machine", least=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ("content_layers", "style_layers"):
            check_layers(kind, getattr(self, kind))
        mixture("style_loss", self.style_loss)
        if self.style_weight == 0:
            raise ConfigError("style_weight is 0", "raise it: there is nothing else to learn")
