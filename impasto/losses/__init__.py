"""Features -> numbers: what the optimiser makes small."""

from impasto.losses.base import AdditiveLoss, Evaluation, Loss, Objective
from impasto.losses.content import FeatureLoss
from impasto.losses.pixels import TotalVariation
from impasto.losses.style import STYLE_LOSSES, GramLoss, MeanStdLoss, StatisticLoss

__all__ = [
    "STYLE_LOSSES",
    "AdditiveLoss",
    "Evaluation",
    "FeatureLoss",
    "GramLoss",
    "Loss",
    "MeanStdLoss",
    "Objective",
    "StatisticLoss",
    "TotalVariation",
]
