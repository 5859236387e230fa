"""Features -> numbers: what the optimiser makes small."""

import importlib
import pkgutil

from impasto.losses.base import Evaluation, Loss, Objective, TileableLoss
from impasto.losses.content import FeatureLoss
from impasto.losses.gram import GramLoss
from impasto.losses.local import LocalLoss
from impasto.losses.patches import EarthMoverLoss, PatchLoss
from impasto.losses.pixels import LaplacianLoss, TotalVariation
from impasto.losses.sampled import SampledLoss
from impasto.losses.self_similarity import SelfSimilarityLoss
from impasto.losses.sliced import HistogramLoss, SlicedLoss
from impasto.losses.statistics import MeanStdLoss, StatisticLoss
from impasto.losses.wasserstein import WassersteinLoss

__all__ = [
    "CONTENT_LOSSES",
    "STYLE_LOSSES",
    "EarthMoverLoss",
    "Evaluation",
    "FeatureLoss",
    "GramLoss",
    "HistogramLoss",
    "LaplacianLoss",
    "LocalLoss",
    "Loss",
    "MeanStdLoss",
    "Objective",
    "PatchLoss",
    "SampledLoss",
    "SelfSimilarityLoss",
    "SlicedLoss",
    "StatisticLoss",
    "TileableLoss",
    "TotalVariation",
    "WassersteinLoss",
]


def _named(role: str) -> dict[str, type[Loss]]:
    """The losses with a name that settings may give for ``role``, from all files of this room: a
    new one is a file here, and nothing else lists it."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    known, found = [Loss], {}
    while known:
        kind = known.pop(0)
        known += kind.__subclasses__()
        if kind.name and kind.role == role and kind.__module__.startswith(__name__):
            found[kind.name] = kind
    return found


STYLE_LOSSES = _named("style")
"""What a style can be made of, by the names in settings."""

CONTENT_LOSSES = _named("content")
"""What can keep the subject."""
