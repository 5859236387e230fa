"""What a loss is, and how several make one objective.

A loss is built from its target features and sees only features::

    style = GramLoss(encoder(painting, ["relu1_1", "relu2_1"]))
    style(encoder(image, style.layers))        # {"relu1_1": tensor(...), "relu2_1": tensor(...)}

There is no state "before a target has been set", and a loss never calls an encoder.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

from impasto.encoders.base import Features
from impasto.errors import ConfigError

Role = Literal["", "content", "style"]

Sums = dict[str, Tensor]
"""What a loss adds up over the positions of a picture, by name."""

Windows = Mapping[str, tuple[slice, slice]]
"""Layer -> the rows and columns of the whole picture's features that a tile's features are."""


@dataclass(frozen=True)
class LossOptions:
    """How a run wants its losses built: their ``normalization``, how much each position of the
    picture counts ``{layer: (N, 1, h, w)}`` (None: all alike), the ``seed`` of what is drawn at
    random, the ``power`` with which positions that have moved far count (content only), and the
    picture's rows and columns of features, ``sizes``, ``{layer: (h, w)}``."""

    normalization: str = "relative"
    position_weight: Features | None = None
    seed: int = 0
    power: float = 1.0
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class Measurable(Protocol):
    """A loss whose target is made of sums over a picture's positions."""

    @classmethod
    def measure(cls, features: Features, masks: Features) -> Sums:
        """What adds up over positions, each as often as its mask says."""


class StyleSource(Protocol):
    """One of the styles that a target is made of, at one size."""

    @property
    def share(self) -> float:
        """Its weight against the other styles; they sum to one."""

    @property
    def weights(self) -> dict[str, float]:
        """Its part of the weight of each layer that it gives."""

    def features(self, quarter_turns: int = 0) -> tuple[Features, Features]:
        """Its features, and how much each of their positions counts; turned, where asked for."""

    def measure(self, loss: type[Measurable]) -> Sums:
        """What ``loss`` adds up over it, tile by tile where it is large."""


class Loss(ABC):
    """Base of all losses. ``layers`` are those it reads; calling it gives one scalar per layer.

    Subclass it for a loss of your own: take ``target`` (features by layer) and ``weights`` (by
    layer), set ``layers``, implement ``__call__``. That is enough for ``Objective`` and for
    ``stylize(style_loss=...)``; the class attributes say what a run must know besides.
    """

    layers: tuple[str, ...]

    name: ClassVar[str] = ""
    """What settings call it; "" for losses that settings do not name."""
    role: ClassVar[Role] = ""
    """Which of the settings ``content_loss`` and ``style_loss`` may name it."""
    scale: ClassVar[float] = 1.0
    """Relative losses are all 1 at an empty picture, but near the goal some pull harder than
    others. Multiplied by this, each holds its own as Gram matrices do (docs/losses.md)."""
    reach: ClassVar[float] = 1.0
    """How far a painting has moved from its photo by this relative content loss, where it has moved
    by 1 by deep features: what a limit is multiplied by (docs/losses.md)."""
    least: ClassVar[float] = 0.05
    """Under a limit its weight only grows, from this share on. Scales are rough: in full, the
    self-similarity holds a pavement as it was."""
    normalizations: ClassVar[tuple[str, ...]] = ("relative",)
    """What ``content_form`` or ``style_form`` may be. A loss that has several overrides
    ``from_content`` or ``from_styles``, which are told which one it shall be."""
    weighs_positions: ClassVar[bool] = False
    """Whether its constructor takes ``position_weight``."""
    tileable: ClassVar[bool] = False
    """Whether it can be computed beside tiles."""

    @classmethod
    def from_content(
        cls, features: Features, weights: Mapping[str, float], options: LossOptions
    ) -> Loss:
        """The loss that holds a picture to the content with these ``features``, at the layers of
        ``weights``; ``features`` holds the pixels as well, under ``image``."""
        return cls(  # type: ignore[call-arg]  # losses take a target and weights
            {layer: features[layer] for layer in weights}, weights, **cls.position_options(options)
        )

    @classmethod
    def from_styles(
        cls, styles: Sequence[StyleSource], weights: Mapping[str, float], options: LossOptions
    ) -> list[Loss]:
        """The losses that give a picture these ``styles``, blended: by default one for each, whose
        layers have that style's part of the ``weights``."""
        return [
            cls(style.features()[0], style.weights, **cls.position_options(options))  # type: ignore[call-arg]
            for style in styles
            if style.share
        ]

    @classmethod
    def position_options(cls, options: LossOptions) -> dict[str, Any]:
        """The keyword ``position_weight``, for losses that take it. Raises ConfigError for a mask
        that the loss cannot follow."""
        if cls.weighs_positions:
            return {"position_weight": options.position_weight}
        if options.position_weight:
            raise ConfigError(
                f"{cls.name or cls.__name__} cannot tell positions apart, and there are masks",
                "leave out regions and transparency, or let it take position_weight",
            )
        return {}

    @classmethod
    def check_normalization(cls, normalization: str) -> None:
        """Raise ConfigError for a normalization that this loss does not have."""
        if normalization not in cls.normalizations:
            raise ConfigError(
                f"normalization is '{normalization}'",
                f"use one of: {', '.join(cls.normalizations)}",
            )

    def on_step_start(self, step: int) -> None:  # noqa: B027  # most losses draw nothing
        """Called before each step, with its number from 0: time for a loss to draw at random.

        What is drawn may depend on a seed and on ``step`` only, so that a resumed run repeats it.
        """

    @abstractmethod
    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar for each layer, already with the layer's weight; their sum is the loss."""


class TileableLoss(Loss):
    """A loss made of sums over positions, so that a picture can be measured tile by tile.

    :meth:`sums` measures a picture or a tile, :meth:`from_sums` turns what was added up into the
    loss.
    """

    tileable = True

    @abstractmethod
    def sums(self, features: Features, windows: Windows | None = None) -> Sums:
        """What adds up, in ``features`` of a whole picture or of the tile at ``windows``."""

    @abstractmethod
    def from_sums(self, sums: Sums) -> dict[str, Tensor]:
        """One scalar for each layer from the sums over the whole picture."""

    def __call__(self, features: Features) -> dict[str, Tensor]:
        """One scalar for each layer, already with the layer's weight; their sum is the loss."""
        return self.from_sums(self.sums(features))


@dataclass(frozen=True)
class Evaluation:
    """What an objective is worth: the ``total`` to differentiate, and where it comes from.

    ``terms`` are the weighted losses by name, ``parts`` their layers (``style.relu1_1``);
    ``distances`` are the terms that have a limit, without their weights.
    """

    total: Tensor
    terms: dict[str, Tensor]
    parts: dict[str, Tensor]
    distances: dict[str, Tensor] = field(default_factory=dict)


# Dual ascent, in logarithms, where a loss is twice its limit: by how much a multiplier rises at
# each step, and how much larger it is while that is so, which keeps it from swinging to and fro.
# How much of an excess counts; and how far a multiplier may go. It never falls below 1: what the
# style does not ask for stays, though the limit would let it go.
ASCENT, DAMPING, LARGEST_EXCESS, FARTHEST = 0.1, 1.0, 3.0, 5.0


class Objective:
    """The weighted sum of named losses: alpha * content + beta * style + ... (Gatys 2016, eq. 7).

    A term may have a limit (:meth:`with_limits`): then its weight is not fixed but grows, by dual
    ascent, as far as it must for the loss to come to that limit (Platt & Barr 1987, "Constrained
    differential optimization"). ``multipliers`` holds the logarithms of what those weights are
    multiplied by.

    Raises ConfigError without terms, for a weight below 0, and where all weights are 0.

    >>> from impasto.losses.pixels import TotalVariation
    >>> objective = Objective(smooth=(TotalVariation(), 2.0))
    >>> objective.layers
    ('image',)
    """

    def __init__(self, **terms: tuple[Loss, float]) -> None:
        if not terms:
            raise ConfigError("an objective without terms", "give at least one name=(loss, weight)")
        for name, (_, weight) in terms.items():
            if not weight >= 0:
                raise ConfigError(f"the weight of '{name}' is {weight}", "use a number >= 0")
        if not any(weight for _, weight in terms.values()):
            raise ConfigError("all weights of an objective are 0", "raise one of them")
        self.terms: Mapping[str, tuple[Loss, float]] = terms
        self.gains: Mapping[str, float] = {}
        self.limits: Mapping[str, float] = {}
        self.multipliers: dict[str, float] = {}
        self.layers = tuple(
            dict.fromkeys(x for loss, weight in terms.values() if weight for x in loss.layers)
        )

    def with_gains(self, gains: Mapping[str, float]) -> Objective:
        """The same objective, in which the parts named (``style.relu1_1``) count so much more."""
        other = Objective(**self.terms)
        other.gains, other.limits = dict(gains), self.limits
        return other

    def with_limits(self, limits: Mapping[str, float]) -> Objective:
        """The same objective, in which the loss of each term named is held to a limit > 0."""
        other = Objective(**self.terms)
        other.gains, other.limits = self.gains, dict(limits)
        return other

    def ascend(self, evaluation: Evaluation) -> None:
        """Let each limited term count for more where its loss was above the limit, else for less.

        ``log m += 0.1 * (loss / limit - 1)``, with m between 1 and e^5.
        """
        for name, distance in evaluation.distances.items():
            excess = float(self._excess(name, distance))
            if math.isfinite(excess):
                moved = self.multipliers.get(name, 0.0) + ASCENT * excess
                self.multipliers[name] = min(max(moved, 0.0), FARTHEST)

    def on_step_start(self, step: int) -> None:
        """Tell all losses that the step with this number, from 0, begins."""
        for loss, _ in self.terms.values():
            loss.on_step_start(step)

    def __call__(self, features: Features) -> Evaluation:
        """Evaluate all terms on ``features``, which must hold ``self.layers``."""
        return self.combine(
            {name: loss(features) for name, (loss, weight) in self.terms.items() if weight}
        )

    def combine(self, values: Mapping[str, Mapping[str, Tensor]]) -> Evaluation:
        """Weigh and add up what the losses said: ``{term: {layer: scalar}}``."""
        terms: dict[str, Tensor] = {}
        parts: dict[str, Tensor] = {}
        distances: dict[str, Tensor] = {}
        for name, by_layer in values.items():
            weight: float | Tensor = self.terms[name][1]
            if name in self.limits:
                distances[name] = _sum(by_layer).detach()
                damped = DAMPING * self._excess(name, distances[name])
                weight = weight * (self.multipliers.get(name, 0.0) + damped).clamp_min(0).exp()
            gain = {layer: self.gains.get(f"{name}.{layer}", 1.0) for layer in by_layer}
            weighted = {layer: weight * gain[layer] * value for layer, value in by_layer.items()}
            parts |= {f"{name}.{layer}": value for layer, value in weighted.items()}
            terms[name] = _sum(weighted)
        return Evaluation(_sum(terms), terms, parts, distances)

    def _excess(self, name: str, distance: Tensor) -> Tensor:
        """How far a loss is above its limit, as a share of that; below it, less than 0."""
        return (distance / self.limits[name] - 1).clamp_max(LARGEST_EXCESS)


def crop_to_window(tensor: Tensor, layer: str, windows: Windows | None) -> Tensor:
    """The part of a tensor of ``layer``'s size ``(N, C, h, w)`` that lies in its window."""
    if windows is None:
        return tensor
    rows, columns = windows[layer]
    return tensor[..., rows, columns]


def layer_weights(
    targets: Mapping[str, object], weights: Mapping[str, float] | None
) -> dict[str, float]:
    """A weight for each layer of ``targets``: those given, or equal ones that sum to one.

    Raises ConfigError where no layer is left to compare, or for a layer without a target.
    """
    if not targets or (weights is not None and not any(weights.values())):
        raise ConfigError("a loss without layers", "give features of a layer with a weight > 0")
    if weights is None:
        return {name: 1 / len(targets) for name in targets}
    if unknown := sorted(set(weights) - set(targets)):
        raise ConfigError(
            f"a weight is given for {unknown[0]}, which is none of the loss's layers",
            f"its layers are: {', '.join(targets)}",
        )
    return {name: float(weights.get(name, 0.0)) for name in targets}


def _sum(values: Mapping[str, Tensor]) -> Tensor:
    first, *rest = values.values()
    for value in rest:
        first = first + value
    return first
