"""Distances that judge pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.encoders import Mini
from impasto.metrics import STYLE_LAYERS, Case, content_distance, score, style_distance


@pytest.fixture(scope="module")
def judge() -> Mini:
    torch.manual_seed(0)
    return Mini()


def test_style_distance_of_a_picture_to_itself_is_zero(judge: Mini, painting: Tensor) -> None:
    distances = style_distance(painting, painting, judge)
    assert list(distances) == list(STYLE_LAYERS)
    assert max(distances.values()) < 1e-10


def test_style_distance_by_hand(judge: Mini, photo: Tensor, painting: Tensor) -> None:
    found = style_distance(photo, painting, judge)["relu2_1"]
    matrices = []
    for image in (photo, painting):
        f = judge(image, ["relu2_1"])["relu2_1"][0].double().flatten(1)
        matrices.append(f @ f.T / f.shape[1])
    ours, theirs = matrices
    assert found == pytest.approx(float(((ours - theirs) ** 2).sum() / (theirs**2).sum()), rel=1e-4)


def test_style_distance_forgets_where_things_are(judge: Mini, photo: Tensor) -> None:
    mirrored = style_distance(photo.flip(-1), photo, judge)
    other = style_distance(1 - photo, photo, judge)
    assert mirrored["relu1_1"] < other["relu1_1"]


def test_content_distance(judge: Mini, photo: Tensor) -> None:
    assert content_distance(photo, photo, judge) == 0
    slightly = content_distance((photo + 0.01).clamp(0, 1), photo, judge)
    assert 0 < slightly < content_distance(photo.flip(-1), photo, judge)


def test_the_untouched_content_closes_nothing_and_the_style_itself_all(
    judge: Mini, photo: Tensor, painting: Tensor
) -> None:
    assert score(photo, photo, painting, judge).gap == pytest.approx(0)
    assert score(painting, painting, painting, judge).style == pytest.approx(0, abs=1e-10)
    square = photo[..., :96, :96]
    assert score(painting, square, painting, judge).gap == pytest.approx(1)


def test_a_case_says_what_the_distances_say(judge: Mini, photo: Tensor, painting: Tensor) -> None:
    image = (photo * 0.9).clamp(0, 1)
    case = Case(photo, painting, judge)
    found = case.score(image)
    layers = style_distance(image, painting, judge)
    assert found.layers == pytest.approx(layers)
    assert found.style == pytest.approx(sum(layers.values()) / 5)
    assert found.content == pytest.approx(content_distance(image, photo, judge))
    before = style_distance(photo, painting, judge)
    assert case.untouched == pytest.approx(sum(before.values()) / 5)
    assert found.gap == pytest.approx(1 - found.style / case.untouched)
    assert case.score(photo).gap == 0
