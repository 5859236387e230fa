"""impasto paints one picture in the style of another: neural style transfer.

The first minute::

    import impasto
    impasto.stylize("cat.jpg", "waves.jpg").save("out.png")

The map, in the order in which a picture passes through; imports point only upward in it:

- ``errors``        what may go wrong; ``events``, what is told meanwhile
- ``machine``       device, precision and threads; what a container or other programs leave
- ``image``         file <-> tensor ``(1, 3, H, W)``, float32 sRGB in [0, 1]; colours; swatches
- ``outputs``       animations, plots, contact sheets, what a notebook shows
- ``config``        every setting, once; ``presets`` names sets of them
- ``encoders``      tensor -> features by layer name: mini (ships with the package), vgg16, vgg19
- ``losses``        features -> numbers: content, style, smoothness; ``Objective`` adds them up
- ``optim``         numbers -> better tensor: Adam and L-BFGS over the pixels, coarse to fine
- ``objective``     what one run minimises: targets, regions, masks, the subject, colours
- ``runs``          what every run has: events, checkpoints, a result
- ``feedforward``   one network for each style: ``train`` makes it
- ``arbitrary``     any style in one forward pass: ``quick``
- ``transfer``      the recipe: ``stylize`` and ``texture``
- ``dream``         pictures from a network alone: ``deepdream`` and ``look``
- ``metrics``       how good a picture is: ``evaluate``, by networks that paint nothing
- ``video``         clips: ``stylize_video`` holds them steady by optical flow
- ``batch``         many pictures at once, on one machine or several
- ``studio``        a page to paint on, and the service behind it
- ``cli``           one file for each command
- ``assets``        weights of our own, with their cards

Names are loaded when they are first used, so that ``impasto --help`` need not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.arbitrary.api import quick
    from impasto.batch.run import BatchResult, stylize_batch
    from impasto.config.dream import DreamConfig, LookConfig
    from impasto.config.presets import PRESETS, get_preset
    from impasto.config.quick import QuickConfig
    from impasto.config.stylize import StylizeConfig
    from impasto.config.train import TrainConfig
    from impasto.config.version import __version__
    from impasto.config.video import VideoConfig
    from impasto.dream.deepdream import Dream, deepdream
    from impasto.dream.visualize import Look, look
    from impasto.encoders import ENCODERS, VGG, Encoder, Mini, get_encoder
    from impasto.errors import ImpastoError
    from impasto.events import (
        Event,
        Finished,
        FrameDone,
        ItemDone,
        LevelDone,
        LevelStarted,
        Step,
        Trained,
        Validated,
    )
    from impasto.feedforward.network import FeedForward
    from impasto.feedforward.training import Training, train
    from impasto.image.io import Picture, load_image, read_image, read_metadata, resize, save_image
    from impasto.image.swatches import SWATCHES, swatch
    from impasto.losses import (
        CONTENT_LOSSES,
        STYLE_LOSSES,
        EarthMoverLoss,
        FeatureLoss,
        GramLoss,
        HistogramLoss,
        LaplacianLoss,
        LocalLoss,
        Loss,
        MeanStdLoss,
        Objective,
        PatchLoss,
        SelfSimilarityLoss,
        SlicedLoss,
        TotalVariation,
        WassersteinLoss,
    )
    from impasto.metrics.evaluate import Evaluation, evaluate
    from impasto.optim.loop import optimize
    from impasto.optim.state import State
    from impasto.outputs.notebook import NotebookProgress, compare
    from impasto.runs.result import Result
    from impasto.transfer.api import stylize, texture
    from impasto.transfer.stylization import Stylization
    from impasto.video.stylize import VideoResult, VideoRun, stylize_video

_HOMES = {
    "batch.run": ["BatchResult", "stylize_batch"],
    "config.version": ["__version__"],
    "config.stylize": ["StylizeConfig"],
    "config.dream": ["DreamConfig", "LookConfig"],
    "dream.deepdream": ["Dream", "deepdream"],
    "dream.visualize": ["Look", "look"],
    "encoders": ["ENCODERS", "VGG", "Encoder", "Mini", "get_encoder"],
    "optim.loop": ["optimize"],
    "optim.state": ["State"],
    "outputs.notebook": ["NotebookProgress", "compare"],
    "errors": ["ImpastoError"],
    "events": [
        "Event",
        "Finished",
        "FrameDone",
        "ItemDone",
        "LevelDone",
        "LevelStarted",
        "Step",
        "Trained",
        "Validated",
    ],
    "image.io": ["Picture", "load_image", "read_image", "read_metadata", "resize", "save_image"],
    "losses": [
        "CONTENT_LOSSES",
        "STYLE_LOSSES",
        "EarthMoverLoss",
        "FeatureLoss",
        "GramLoss",
        "HistogramLoss",
        "LaplacianLoss",
        "LocalLoss",
        "Loss",
        "MeanStdLoss",
        "Objective",
        "PatchLoss",
        "SelfSimilarityLoss",
        "SlicedLoss",
        "TotalVariation",
        "WassersteinLoss",
    ],
    "metrics.evaluate": ["Evaluation", "evaluate"],
    "config.quick": ["QuickConfig"],
    "config.train": ["TrainConfig"],
    "config.video": ["VideoConfig"],
    "feedforward.network": ["FeedForward"],
    "feedforward.training": ["Training", "train"],
    "arbitrary.api": ["quick"],
    "config.presets": ["PRESETS", "get_preset"],
    "image.swatches": ["SWATCHES", "swatch"],
    "runs.result": ["Result"],
    "transfer.api": ["stylize", "texture"],
    "transfer.stylization": ["Stylization"],
    "video.stylize": ["VideoResult", "VideoRun", "stylize_video"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CONTENT_LOSSES",
    "ENCODERS",
    "PRESETS",
    "STYLE_LOSSES",
    "SWATCHES",
    "VGG",
    "BatchResult",
    "Dream",
    "DreamConfig",
    "EarthMoverLoss",
    "Encoder",
    "Evaluation",
    "Event",
    "FeatureLoss",
    "FeedForward",
    "Finished",
    "FrameDone",
    "GramLoss",
    "HistogramLoss",
    "ImpastoError",
    "ItemDone",
    "LaplacianLoss",
    "LevelDone",
    "LevelStarted",
    "LocalLoss",
    "Look",
    "LookConfig",
    "Loss",
    "MeanStdLoss",
    "Mini",
    "NotebookProgress",
    "Objective",
    "PatchLoss",
    "Picture",
    "QuickConfig",
    "Result",
    "SelfSimilarityLoss",
    "SlicedLoss",
    "State",
    "Step",
    "Stylization",
    "StylizeConfig",
    "TotalVariation",
    "TrainConfig",
    "Trained",
    "Training",
    "Validated",
    "VideoConfig",
    "VideoResult",
    "VideoRun",
    "WassersteinLoss",
    "__version__",
    "compare",
    "deepdream",
    "evaluate",
    "get_encoder",
    "get_preset",
    "load_image",
    "look",
    "optimize",
    "quick",
    "read_image",
    "read_metadata",
    "resize",
    "save_image",
    "stylize",
    "stylize_batch",
    "stylize_video",
    "swatch",
    "texture",
    "train",
]


def __getattr__(name: str) -> Any:
    if home := _HOME_OF.get(name):
        return getattr(importlib.import_module(f"impasto.{home}"), name)
    raise AttributeError(f"module 'impasto' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
