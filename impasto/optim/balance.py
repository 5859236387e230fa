"""Layers and kinds of style loss that pull as hard as their weights say.

A weight multiplies a loss, and what moves the picture is its gradient: of two layers with the same
weight one may pull ten times as hard (:mod:`impasto.optim.gradients` tells). Here the gradients are
measured once for each size, at the untouched photo, and each layer's loss is multiplied by what
makes the gradients' lengths proportional to the weights; how hard the style pulls in all stays as
it was.
GradNorm (Chen et al. 2018, section 3) evens out gradients likewise, but learns its factors all
along; ours depend on the pictures alone, so that a resumed run has the very same ones. Content and
smoothness are left out: at the photo itself the content does not pull at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.losses.base import Objective
from impasto.optim.gradients import forces

LIMIT = 30.0
"""By how much a part's share may rise or fall, at most: what hardly pulls has nothing to say."""


def balanced(
    objective: Objective,
    image: Tensor,
    encoder: Encoder,
    wanted: Mapping[str, Mapping[str, float]],
) -> Objective:
    """``objective`` with gains for the parts of its style terms, measured at ``image``.

    ``image`` is ``(1, 3, H, W)`` in [0, 1]. ``wanted`` says in which proportion the layers of a
    term are to pull: ``{"style-gram": {"relu1_1": 0.2, ...}, ...}``; terms of the same region
    (``style_2-gram``, ``style_2-histogram``) share what they pull together.
    """
    found = forces(image, encoder, objective)
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
        bounded = {part: min(max(gain, 1 / LIMIT), LIMIT) for part, gain in raw.items()}
        # What the bounds took from some goes to all.
        pulls = sum(gain * found[part] for part, gain in bounded.items())
        gains |= {part: gain * total / pulls for part, gain in bounded.items()}
    return objective.with_gains(gains)


def _region(term: str) -> str:
    """``style_2`` of ``style_2-gram-of-1``."""
    return term.partition("-")[0]
