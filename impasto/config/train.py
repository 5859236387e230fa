"""Every setting of a training: ``impasto train``, which makes a network for one style.

Like :mod:`impasto.config.stylize`, this module does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from impasto.config.base import setting
from impasto.config.groups import DeviceConfig, Precision, check_layers
from impasto.config.stylize import STYLE_LAYERS, mixture
from impasto.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig(DeviceConfig):
    """All settings of :class:`impasto.Training`; those of the same name mean what they do in
    :class:`StylizeConfig`, with defaults of their own. Raises ConfigError (or UnknownNameError for
    a choice) as soon as one is out of range."""

    group = "Training"

    minutes: float = setting(
        20.0, "How long to train, unless steps are given", least=0.01, most=100_000
    )
    steps: int | None = setting(
        None, "Steps to take, however long they last (default: by minutes)", least=1
    )
    # A network finds less of a compromise than steps on one picture do, and gives up the subject
    # first; 0.3 weighs the content 5.4 times as much as 0.5.
    strength: float = setting(
        0.3, "How much style, from 0 (the photos) to 1 (no content term)", least=0, most=1
    )
    style_size: int = setting(
        512,
        "Long side of the style in pixels: how large its strokes are; never enlarged",
        least=32,
        most=4096,
    )
    crop: int = setting(
        256,
        "Side of the photos' crops in pixels at the end; half of it at first",
        least=32,
        most=1024,
    )
    seed: int = setting(0, "Seed of everything random", least=0, most=2**63 - 1)

    # Johnson et al. have 32 (1.7 million numbers); 16 are 0.4 million, and learn in minutes.
    width: int = setting(
        16, "Channels at full size; twice and four times as many below", least=4, most=256
    )
    blocks: int = setting(5, "Residual blocks", least=1, most=16)

    encoder: str = setting("mini", "mini, vgg16, vgg19, or a file of weights")
    content_layers: tuple[str, ...] = setting(("relu3_1", "relu4_2"), "Layers of the content loss")
    style_layers: tuple[str, ...] = setting(STYLE_LAYERS, "Layers of the style loss")
    style_loss: tuple[str, ...] = setting(
        ("gram",),
        "What makes the style: gram, mean-std, wasserstein, histogram, sliced, patches, emd, each "
        "perhaps with a weight, as in gram,histogram=0.5",
    )
    content_weight: float = setting(0.02, "alpha, at strength 0.5", least=0)
    style_weight: float = setting(1.0, "beta", least=0)
    tv_weight: float = setting(0.3, "Weight of total variation (smoothness)", least=0)

    # Johnson et al. take batches of 4. Instance norms need none, and a CPU gains nothing by them.
    batch: int = setting(1, "Crops in each step", least=1, most=64)
    learning_rate: float = setting(1e-3, "Adam's at its highest; a cosine lowers it", least=1e-6)
    average: float = setting(
        0.995, "Decay of the average of the weights that is the network", least=0, most=0.9999
    )
    validate_every: int = setting(250, "Steps from one validation to the next", least=1)
    patience: int = setting(
        10, "Validations without a new best after which to stop (0: never)", least=0
    )

    precision: Precision = setting("auto", "Arithmetic of the encoder; the network's is float32")
    photo_memory: float = setting(
        1.0, "GiB of decoded photos to keep; others are decoded each time", least=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ("content_layers", "style_layers"):
            check_layers(kind, getattr(self, kind))
        mixture("style_loss", self.style_loss)
        if self.style_weight == 0:
            raise ConfigError("style_weight is 0", "raise it: there is nothing else to learn")
