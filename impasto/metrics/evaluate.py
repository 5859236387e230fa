"""How good is a picture? Judged by networks that it was not optimised against.

Two families: the real VGG-19, for pictures made with mini (style gap, content distance), and, where
its package is installed, EfficientNet-Lite0, on which nothing of impasto was trained (paint taken,
subject kept). Distances are relative to the target's own size, so 0 is "the same" and 1 is "as far
as an empty picture"; shares are relative to two pictures: the untouched photo and the painting.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.encoders import Encoder
from impasto.encoders.base import Features
from impasto.errors import UsageError
from impasto.image.files import quoted
from impasto.image.inputs import Source, fill_under_alpha, read_role
from impasto.image.io import load_image, resize
from impasto.losses.gram import gram
from impasto.machine.devices import in_own_modes
from impasto.metrics.judges import Edges, get_edges, get_judge, get_second_judge
from impasto.objective.subject import detail_map

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
LONGEST = 512
"""Pictures are judged at their own size, up to this long side in pixels, unless another is given"""

PARTS = 3
"""Into how many parts the long side is cut for the gap in parts; the short side into parts about as
long."""

EDGE_BLUR, EDGE_MARGIN = 1 / 64, 1 / 64
"""Shares of the long side: by how much an edge may move, and the margin of a mask that holds the
subject's outline."""


@torch.no_grad()
def style_distance(image: Tensor, style: Tensor, judge: Encoder) -> dict[str, float]:
    """``|G - G_style|² / |G_style|²`` for each of relu1_1 to relu5_1; G per position.

    Both pictures are ``(1, 3, H, W)`` in [0, 1], of any size; compare at the same scale. A judge of
    another kind than VGG is asked for all of its layers.
    """
    layers = _style_layers(judge)
    ours, theirs = judge(image, layers), judge(style, layers)
    return {name: _relative(gram(ours[name]), gram(theirs[name])) for name in layers}


@torch.no_grad()
def content_distance(
    image: Tensor, content: Tensor, judge: Encoder, weight: Tensor | None = None
) -> float:
    """``|F - F_content|² / |F_content|²`` at relu4_2; pictures of one size, ``(1, 3, H, W)``.

    ``weight`` ``(1, 1, h, w)``, not negative, says how much each place counts. A judge of another
    kind than VGG is asked for its last layer but one.
    """
    layer = _content_layer(judge)
    ours, theirs = (judge(x, [layer])[layer].float() for x in (image, content))
    return _relative(ours, theirs, weight)


@dataclass(frozen=True)
class Score:
    """What a judge says of a stylised picture.

    ``style`` is the mean style distance over the layers, ``content`` the content distance, ``gap``
    the share of the style gap that was closed: one minus the style distance over that of the
    untouched content.
    """

    style: float
    content: float
    gap: float
    layers: dict[str, float]


@dataclass(frozen=True)
class Evaluation(Score):
    """What all judges say of a stylised picture; None where a judge or a mask was not there.

    ``style``, ``gap`` and ``content`` are the first judge's, as is ``content_detail``, the content
    distance where each place counts by the photo's detail, and ``content_subject``, that inside the
    mask. ``gap_parts`` is as ``gap``, where each of some six parts of the picture shall have the
    style: a part's style distance counts as one at most, as far as an empty picture.
    ``paint_taken`` is the share of the style gap that is closed as the second judge sees it,
    from 0 to 1. ``subject_kept`` is the mean of ``features_kept`` (the second judge's deep
    features) and ``edges_kept`` (the outlines), inside the mask or else by the photo's detail:
    1 is as the photo itself, 0 as far from it as the painting, which shows something else.
    """

    gap_parts: float
    content_detail: float
    content_subject: float | None = None
    paint_taken: float | None = None
    subject_kept: float | None = None
    features_kept: float | None = None
    edges_kept: float | None = None


@in_own_modes
def evaluate(
    pictures: Sequence[Source],
    content: Source,
    style: Source,
    *,
    mask: Source | None = None,
    judge: str | Path | Encoder = "auto",
    second: str | Path | Encoder | None = "auto",
    edges: Edges | str | None = "auto",
    size: int | None = None,
) -> list[Evaluation]:
    """Judge pictures that were made from ``content`` and ``style``, in their order.

    All are anything that is taken for a picture, ``style`` perhaps the name of a swatch; they are
    judged at ``size`` pixels on the long side (default: the smallest picture's, at most 512), each
    resized to the content's shape. ``mask`` is white where the subject is.

    ``judge`` is a name or an encoder (``auto``: VGG-19 where its weights are found, else mini).
    ``second`` is another, ``edges`` a function ``(1, 3, H, W)`` -> ``(1, 1, H, W)``, or None
    (``auto``: EfficientNet-Lite0 and HED where their packages are installed).

    Raises what :func:`impasto.read_image` and :func:`impasto.get_encoder` raise, UsageError for no
    pictures or an empty mask.

    >>> from impasto import evaluate, swatch
    >>> photo = swatch("waves", size=64)
    >>> [found] = evaluate([photo], photo, "mosaic", judge="mini")
    >>> found.content, found.gap
    (0.0, 0.0)
    """
    if not pictures:
        raise UsageError("there are no pictures to judge", "give one or more")
    loaded = [fill_under_alpha(read_role("picture", picture)).pixels for picture in pictures]
    if size is None:
        size = min(LONGEST, *(max(picture.shape[-2:]) for picture in loaded))
    photo = load_image(read_role("content", content, True), size=size)
    painting = load_image(read_role("style", style, True), size=size)
    evaluator = Evaluator(
        photo,
        painting,
        judge=get_judge(judge),
        second=get_second_judge(second),
        edges=get_edges(edges),
        mask=None if mask is None else _read_mask(mask),
    )
    shape = (photo.shape[-2], photo.shape[-1])
    return [evaluator.evaluate(resize(picture, shape)) for picture in loaded]


class Case:
    """A content and a style, both ``(1, 3, H, W)``, and a judge who has looked at them: for many
    pictures of one pair, each of which is one pass through the network then."""

    @torch.no_grad()
    def __init__(self, content: Tensor, style: Tensor, judge: Encoder) -> None:
        self.judge = judge
        self.style_layers, self.content_layer = _style_layers(judge), _content_layer(judge)
        features = judge(style, self.style_layers)
        self._grams = {name: gram(features[name]) for name in self.style_layers}
        self.content = self.look(content)
        self.untouched = mean(self._style(self.content).values())
        self.untouched_parts = self._style_in_parts(self.content)

    @torch.no_grad()
    def look(self, image: Tensor) -> Features:
        """The judge's features of ``image``, of the content's size, for all that follows."""
        found = self.judge(image, (*self.style_layers, self.content_layer))
        return {name: features.float() for name, features in found.items()}

    def score(self, image: Tensor) -> Score:
        """Judge ``image``, of the content's size."""
        return self.score_features(self.look(image))

    def score_features(self, features: Features) -> Score:
        """The same, of what :meth:`look` has found."""
        layers = self._style(features)
        style = mean(layers.values())
        gap = 1 - style / self.untouched if self.untouched > 0 else 0.0
        return Score(style, self.content_distance(features), gap, layers)

    def gap_in_parts(self, features: Features) -> float:
        """The share of the style gap that is closed in the parts of a picture, in the mean."""
        if self.untouched_parts == 0:
            return 0.0
        return 1 - self._style_in_parts(features) / self.untouched_parts

    def content_distance(self, features: Features, weight: Tensor | None = None) -> float:
        """That of what :meth:`look` has found; ``weight`` ``(1, 1, h, w)`` says what counts."""
        layer = self.content_layer
        return _relative(features[layer], self.content[layer], weight)

    def _style(self, features: Features) -> dict[str, float]:
        return {name: _relative(gram(features[name]), self._grams[name]) for name in self._grams}

    def _style_in_parts(self, features: Features) -> float:
        distances = [
            min(1.0, mean(_relative(gram(part[x]), self._grams[x]) for x in self._grams))
            for part in _parts(features, PARTS)
        ]
        return mean(distances)


class Evaluator:
    """A content and a style, both ``(1, 3, H, W)``, and all judges, who have looked at them.

    ``mask`` is ``(1, 1, h, w)`` in [0, 1], 1 where the subject is.
    """

    @torch.no_grad()
    def __init__(
        self,
        content: Tensor,
        style: Tensor,
        *,
        judge: Encoder,
        second: Encoder | None = None,
        edges: Edges | None = None,
        mask: Tensor | None = None,
    ) -> None:
        self.mask, self.detail = mask, detail_map(content)
        self.first = Case(content, style, judge)
        self.second = None if second is None else Case(content, style, second)
        weight = _fit(self.detail if mask is None else mask, content)
        # What shows something else is the painting, for it has the paint of a good picture, too.
        # Turned round it is another, so that no chance likeness of one makes the scale.
        painting = resize(style, (content.shape[-2], content.shape[-1]))
        others = [painting, painting.flip(2, 3)]
        self.features_kept = self.edges_kept = None
        if second is not None:
            self.features_kept = _Kept(_features_moved(content, second, weight), others)
        if edges is not None:
            self.edges_kept = _Kept(_edges_moved(content, edges, weight), others)

    @in_own_modes
    @torch.no_grad()
    def evaluate(self, image: Tensor) -> Evaluation:
        """Judge ``image``, of the content's size."""
        seen = self.first.look(image)
        inside = None if self.mask is None else self.first.content_distance(seen, self.mask)
        paint = None if self.second is None else self.second.score(image).gap
        features = None if self.features_kept is None else self.features_kept(image)
        edges = None if self.edges_kept is None else self.edges_kept(image)
        kept = None if features is None or edges is None else (features + edges) / 2
        return Evaluation(
            **vars(self.first.score_features(seen)),
            gap_parts=self.first.gap_in_parts(seen),
            content_detail=self.first.content_distance(seen, self.detail),
            content_subject=inside,
            paint_taken=None if paint is None else min(max(paint, 0.0), 1.0),
            subject_kept=kept,
            features_kept=features,
            edges_kept=edges,
        )


def score(image: Tensor, content: Tensor, style: Tensor, judge: Encoder) -> Score:
    """Judge ``image``, made from ``content`` (same size) and ``style``; all ``(1, 3, H, W)``."""
    return Case(content, style, judge).score(image)


Moved = Callable[[Tensor], float]
"""How far a picture ``(1, 3, H, W)`` is from the content: 0 is the content itself."""


class _Kept:
    """How much of the content is left in a picture: 1 all, 0 no more than in ``others``."""

    def __init__(self, moved: Moved, others: Sequence[Tensor]) -> None:
        self.moved, self.furthest = moved, mean(map(moved, others))

    def __call__(self, image: Tensor) -> float:
        return min(max(1 - self.moved(image) / max(self.furthest, 1e-8), 0.0), 1.0)


def _features_moved(content: Tensor, judge: Encoder, weight: Tensor) -> Moved:
    """One minus the cosine of deep features, position by position: paint changes their length.

    The mean over positions, by weight, and over the judge's two deepest layers.
    """
    layers = _style_layers(judge)[-2:]
    theirs = judge(content, layers)
    weights = {name: _fit(weight, theirs[name]) for name in layers}

    def moved(image: Tensor) -> float:
        ours = judge(image, layers)
        turned = {x: 1 - F.cosine_similarity(ours[x], theirs[x], dim=1)[:, None] for x in layers}
        return mean(_average(turned[name], weights[name]) for name in layers)

    return moved


def _edges_moved(content: Tensor, edges: Edges, weight: Tensor) -> Moved:
    """One minus the correlation of edges, blurred, within the subject and a margin around it."""
    longest = max(content.shape[-2:])
    radius, margin = (max(1, round(share * longest)) for share in (EDGE_BLUR, EDGE_MARGIN))
    weight = F.max_pool2d(weight, 2 * margin + 1, 1, margin)

    def outline(image: Tensor) -> Tensor:
        found = _blur(edges(image), radius, times=2)
        return found - _average(found, weight)

    theirs = outline(content)

    def moved(image: Tensor) -> float:
        ours = outline(image)
        product, own, other = (
            _average(x, weight) for x in (ours * theirs, ours.square(), theirs.square())
        )
        return 1 - product / max(math.sqrt(own * other), 1e-12)

    return moved


def _style_layers(judge: Encoder) -> tuple[str, ...]:
    return STYLE_LAYERS if set(STYLE_LAYERS) <= set(judge.layers) else judge.layers


def _content_layer(judge: Encoder) -> str:
    return CONTENT_LAYER if CONTENT_LAYER in judge.layers else judge.layers[-2:][0]


def _read_mask(mask: Source) -> Tensor:
    found = read_role("mask", mask).pixels[:, :1]
    if not bool(found.any()):
        name = quoted(mask) if isinstance(mask, str | os.PathLike) else "the mask"
        raise UsageError(f"{name} is black everywhere", "make it white where the subject is")
    return found


def _relative(ours: Tensor, theirs: Tensor, weight: Tensor | None = None) -> float:
    moved, whole = (ours - theirs).square(), theirs.square()
    if weight is not None:
        weight = _fit(weight, ours)
        moved, whole = moved * weight, whole * weight
    return float(moved.sum() / whole.sum())


def _parts(features: Features, count: int) -> Iterator[Features]:
    """Features of the rectangles into which a picture is cut, ``count`` along its long side."""
    height, width = next(iter(features.values())).shape[-2:]
    rows, columns = (max(1, round(count * x / max(height, width))) for x in (height, width))
    for i, j in product(range(rows), range(columns)):
        yield {
            name: f[
                ...,
                i * f.shape[-2] // rows : max(1, (i + 1) * f.shape[-2] // rows),
                j * f.shape[-1] // columns : max(1, (j + 1) * f.shape[-1] // columns),
            ]
            for name, f in features.items()
        }


def _average(values: Tensor, weight: Tensor) -> float:
    return float((values * weight).sum() / weight.sum())


def _fit(weight: Tensor, features: Tensor) -> Tensor:
    """``(1, 1, H, W)`` to the size of ``features``, by area."""
    return F.interpolate(weight, features.shape[-2:], mode="area")


def _blur(x: Tensor, radius: int, *, times: int) -> Tensor:
    for _ in range(times):
        x = F.avg_pool2d(F.pad(x, 4 * (radius,), mode="replicate"), 2 * radius + 1, stride=1)
    return x
