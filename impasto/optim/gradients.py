"""Who drives the picture? Each loss's and each layer's share of the total and of its gradient.

The loss says how far the picture is from a goal, the gradient how hard it is pulled there. A term
may be large and pull hardly at all (nothing can be done about it), or small and pull hard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.losses.base import Evaluation, Objective

FAINT = 0.02  # a term that pulls less than this share has no say
LOUD = 0.9  # a layer that pulls more than this share of its term leaves the others none
FLAT = 0.03  # deviation of pixels, in units of their range, below which there is no texture

MOST_GAIN = 30.0
"""By how much a part's share may rise or fall, at most: what hardly pulls has nothing to say."""


@dataclass(frozen=True)
class Share:
    """Shares in [0, 1]: of the total loss, and of the gradients' lengths."""

    loss: float
    gradient: float


@dataclass(frozen=True)
class Explanation:
    """Shares by term (``style``) and by part (``style.relu1_1``); those of the terms sum to one,
    and so do those of the parts. Gradients that pull against each other make the terms' lengths
    other than the sums of their parts'."""

    terms: dict[str, Share]
    parts: dict[str, Share]


def explain(image: Tensor, encoder: Encoder, objective: Objective) -> Explanation:
    """The shares of ``objective`` at ``image`` ``(N, 3, H, W)`` in [0, 1].

    One gradient for each part: as dear as about that many steps.
    """
    slopes: dict[str, Tensor] = {}
    lengths: dict[str, float] = {}
    evaluation, gradients = _gradients(image, encoder, objective)
    for name, slope in gradients:
        lengths[name] = float(slope.norm())
        term = name.partition(".")[0]
        slopes[term] = slopes[term] + slope if term in slopes else slope
    whole = {name: float(slope.norm()) for name, slope in slopes.items()}
    return Explanation(_shares(evaluation.terms, whole), _shares(evaluation.parts, lengths))


def gradient_norms(image: Tensor, encoder: Encoder, objective: Objective) -> dict[str, float]:
    """The length of each part's gradient (``style.relu1_1``) at ``image`` ``(N, 3, H, W)``."""
    _, gradients = _gradients(image, encoder, objective)
    return {name: float(slope.norm()) for name, slope in gradients}


def equalize_gradients(
    objective: Objective,
    image: Tensor,
    encoder: Encoder,
    wanted: Mapping[str, Mapping[str, float]],
) -> Objective:
    """Rescale style terms so that the lengths of their gradients are proportional to weights.

    A weight multiplies a loss, and what moves the picture is its gradient: of two layers with the
    same weight one may pull ten times as hard. Here each layer's loss is multiplied by a gain that
    makes the gradients' lengths at ``image`` proportional to what is wanted; how hard the style
    pulls in all stays as it was. GradNorm (Chen et al. 2018, section 3) evens out gradients
    likewise, but learns its factors all along; ours depend on the pictures alone, so that a resumed
    run has the very same ones. Content and smoothness are left out: at the photo itself the content
    does not pull at all.

    ``image`` is ``(1, 3, H, W)`` in [0, 1]. ``wanted`` says in which proportion the layers of a
    term are to pull: ``{"style-gram": {"relu1_1": 0.2, ...}, ...}``; terms of the same region
    (``style_2-gram``, ``style_2-histogram``) share what they pull together.
    """
    found = gradient_norms(image, encoder, objective)
    gains: dict[str, float] = {}
    for region in {_region(term) for term in wanted}:
        parts = {
            f"{term}.{layer}": share
            for term, layers in wanted.items()
            for layer, share in layers.items()
            if _region(term) == region and share > 0 and found.get(f"{term}.{layer}", 0.0) > 0
        }
        total, shares = sum(found[part] for part in parts), sum(parts.values())
        raw = {part: total * share / shares / found[part] for part, share in parts.items()}
        bounded = {part: min(max(gain, 1 / MOST_GAIN), MOST_GAIN) for part, gain in raw.items()}
        # What the bounds took from some goes to all.
        pulls = sum(gain * found[part] for part, gain in bounded.items())
        gains |= {part: gain * total / pulls for part, gain in bounded.items()}
    return objective.with_gains(gains)


def hints(found: Explanation, style: Tensor | None = None) -> Iterator[str]:
    """What one might do about it, in whole sentences; none where all is well.

    ``style`` ``(1, 3, H, W)`` is the style picture.

    >>> quiet = Explanation({"content": Share(0.1, 0.99), "style": Share(0.9, 0.01)}, {})
    >>> list(hints(quiet))
    ['style pulls with 1 % of the force; raise its weight, or lower that of content']
    """
    if style is not None and float(style.std((2, 3)).max()) < FLAT:
        yield "the style picture is nearly one colour; choose one with texture"
    strongest = max(found.terms, key=lambda name: found.terms[name].gradient)
    for name, share in found.terms.items():
        if share.gradient < FAINT and not name.startswith("tv"):
            yield (
                f"{name} pulls with {share.gradient:.0%} of the force; raise its weight, or lower "
                f"that of {strongest}"
            ).replace("%", " %")
        parts = {k: v for k, v in found.parts.items() if k.partition(".")[0] == name}
        total = sum(part.gradient for part in parts.values())
        for part, own in parts.items():
            if len(parts) > 1 and total > 0 and own.gradient > LOUD * total:
                yield f"{part} drowns the other layers of {name}; lower its weight"


def text(found: Explanation) -> Iterator[str]:
    """A table, line by line: each term, below it its layers if there are several."""
    yield f"{'':24}{'loss':>8}{'gradient':>10}"
    for name, share in found.terms.items():
        yield _row(name, share)
        parts = {k: v for k, v in found.parts.items() if k.partition(".")[0] == name}
        if len(parts) > 1:
            for part, own in parts.items():
                yield _row("  " + part.partition(".")[2], own)


def _gradients(
    image: Tensor, encoder: Encoder, objective: Objective
) -> tuple[Evaluation, Iterator[tuple[str, Tensor]]]:
    """The objective's value, and the gradient of one part after the other."""
    leaf = image.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        evaluation = objective(encoder(leaf, objective.layers))

    def slopes() -> Iterator[tuple[str, Tensor]]:
        for name, value in evaluation.parts.items():
            (slope,) = torch.autograd.grad(value, leaf, retain_graph=True)
            yield name, slope

    return evaluation, slopes()


def _row(name: str, share: Share) -> str:
    return f"{name:24}{100 * share.loss:6.1f} %{100 * share.gradient:8.1f} %"


def _shares(values: Mapping[str, Tensor], lengths: Mapping[str, float]) -> dict[str, Share]:
    losses = {name: abs(float(value.detach())) for name, value in values.items()}
    total, force = sum(losses.values()) or 1.0, sum(lengths.values()) or 1.0
    return {name: Share(losses[name] / total, lengths[name] / force) for name in losses}


def _region(term: str) -> str:
    """``style_2`` of ``style_2-gram-of-1``."""
    return term.partition("-")[0]
