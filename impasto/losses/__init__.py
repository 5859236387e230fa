"""Features -> numbers: what the optimiser makes small."""

from impasto.losses.base import AdditiveLoss, Evaluation, Loss, Objective
from impasto.losses.content import FeatureLoss
from impasto.losses.patches import EarthMoverLoss, PatchLoss
from impasto.losses.pixels import TotalVariation
from impasto.losses.sampled import SampledLoss
from impasto.losses.sliced import HistogramLoss, SlicedLoss
from impasto.losses.statistics import GramLoss, MeanStdLoss, StatisticLoss
from impasto.losses.structure import LaplacianLoss, SelfSimilarityLoss
from impasto.losses.wasserstein import WassersteinLoss

__all__ = [
    "CONTENT_LOSSES",
    "STYLE_LOSSES",
    "AdditiveLoss",
    "EarthMoverLoss",
    "Evaluation",
    "FeatureLoss",
    "GramLoss",
    "HistogramLoss",
    "LaplacianLoss",
    "Loss",
    "MeanStdLoss",
    "Objective",
    "PatchLoss",
    "SampledLoss",
    "SelfSimilarityLoss",
    "SlicedLoss",
    "StatisticLoss",
    "TotalVariation",
    "WassersteinLoss",
]

STYLE_LOSSES: dict[str, type[StatisticLoss] | type[SampledLoss]] = {
    "gram": GramLoss,
    "mean-std": MeanStdLoss,
    "wasserstein": WassersteinLoss,
    "histogram": HistogramLoss,
    "sliced": SlicedLoss,
    "patches": PatchLoss,
    "emd": EarthMoverLoss,
}
"""What a style can be made of, by the names in settings."""

CONTENT_LOSSES: dict[str, type[Loss]] = {
    "features": FeatureLoss,
    "self-similarity": SelfSimilarityLoss,
    "laplacian": LaplacianLoss,
}
"""What can keep the subject."""
