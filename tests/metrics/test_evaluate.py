"""Distances that judge pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto import Encoder, swatch
from impasto.encoders import Mini
from impasto.errors import InputError, UsageError
from impasto.metrics.evaluate import (
    STYLE_LAYERS,
    Case,
    Evaluation,
    content_distance,
    evaluate,
    score,
    style_distance,
)
from impasto.objective.subject import detail_map


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


def test_the_gap_in_parts_is_not_closed_by_a_corner(judge: Mini) -> None:
    """Features that are a painting's, heaped up in a quarter of the picture."""
    draw = torch.Generator().manual_seed(0)
    case = Case(torch.rand(1, 3, 96, 96, generator=draw) * 0.1, swatch("mosaic", size=96), judge)
    painting = judge(swatch("mosaic", size=96), case.style_layers)
    heap = {}
    for name, f in painting.items():
        heap[name] = torch.zeros_like(f)
        half = f.shape[-1] // 2
        heap[name][..., :half, :half] = 2 * f[..., ::2, ::2][..., :half, :half]
    assert case.gap_in_parts(case.content) == 0
    assert case.gap_in_parts(painting) > 0.5
    assert case.gap_in_parts(heap) < 0.2
    before, heaped = (sum(case._style(x).values()) for x in (case.content, heap))
    assert 1 - heaped / before > 0.8


# --- all judges ----------------------------------------------------------------------------------


def slopes(image: Tensor) -> Tensor:
    """Edges as one may find them without a network."""
    down, right = torch.gradient(image.mean(1, keepdim=True), dim=(2, 3))
    return (down.square() + right.square()).sqrt()


@pytest.fixture
def mask() -> Tensor:
    """The left half of a photo is its subject."""
    mask = torch.zeros(1, 1, 96, 128)
    mask[..., :64] = 1
    return mask


def all_judges(
    image: Tensor, photo: Tensor, style: Tensor, judge: Encoder, mask: Tensor | None = None
) -> Evaluation:
    [found] = evaluate([image], photo, style, mask=mask, judge=judge, second=judge, edges=slopes)
    return found


@pytest.mark.parametrize("masked", [False, True])
def test_the_photo_itself_has_all_of_the_subject_and_no_paint(
    encoder: Encoder, photo: Tensor, painting: Tensor, mask: Tensor, masked: bool
) -> None:
    found = all_judges(photo, photo, painting, encoder, mask if masked else None)
    assert found.content == found.content_detail == found.gap == found.paint_taken == 0
    assert found.content_subject == (0 if masked else None)
    assert found.features_kept == pytest.approx(1, abs=1e-5)
    assert found.edges_kept == pytest.approx(1, abs=1e-5)
    assert found.subject_kept == pytest.approx(1, abs=1e-5)


def test_the_painting_itself_has_all_of_the_paint_and_no_subject(
    encoder: Encoder, mask: Tensor
) -> None:
    photo, painting = swatch("night", size=96), swatch("mosaic", size=96)
    found = all_judges(painting, photo, painting, encoder, mask)
    assert found.gap == pytest.approx(1)
    assert found.paint_taken == pytest.approx(1)
    assert found.subject_kept is not None
    assert found.subject_kept < 0.15


def test_another_picture_has_not_the_subject(encoder: Encoder, mask: Tensor) -> None:
    photo, painting = swatch("night", size=96), swatch("mosaic", size=96)
    other = swatch("nouveau", size=96)
    found = all_judges(other, photo, painting, encoder, mask)
    assert found.subject_kept is not None
    assert found.subject_kept < 0.15


def test_inside_the_mask_by_hand(
    judge: Mini, photo: Tensor, painting: Tensor, mask: Tensor
) -> None:
    image = (photo * 0.8 + 0.1).flip(-1)
    found = all_judges(image, photo, painting, judge, mask)
    ours, theirs = (judge(x, ["relu4_2"])["relu4_2"].double()[0] for x in (image, photo))
    left = slice(0, ours.shape[-1] // 2)  # 64 of 128 pixels are 8 of 16 positions
    moved = (ours - theirs)[..., left].square().sum() / theirs[..., left].square().sum()
    assert found.content_subject == pytest.approx(float(moved), rel=1e-4)
    assert found.content == pytest.approx(content_distance(image, photo, judge))
    weighted = content_distance(image, photo, judge, detail_map(photo))
    assert found.content_detail == pytest.approx(weighted)


def test_what_lies_outside_the_mask_hardly_counts(
    encoder: Encoder, photo: Tensor, painting: Tensor, mask: Tensor
) -> None:
    image = photo.clone()
    image[..., 96:] = painting[..., :32]
    found = all_judges(image, photo, painting, encoder, mask)
    whole = all_judges(image, photo, painting, encoder)
    assert found.content_subject is not None
    assert found.content_subject < 0.1 * found.content
    assert found.subject_kept is not None
    assert whole.subject_kept is not None
    assert found.subject_kept > 0.9
    assert found.subject_kept > whole.subject_kept


def test_edges_may_be_fainter(judge: Mini, photo: Tensor, painting: Tensor) -> None:
    """Edges of another strength are the same edges."""
    kept = {}
    for name, edges in {"same": slopes, "fainter": lambda x: slopes(x) / 9}.items():
        pictures = [photo * 0.5, painting]
        found = evaluate(pictures, photo, painting, judge=judge, second=None, edges=edges)
        kept[name] = [each.edges_kept for each in found]
        assert [each.subject_kept for each in found] == [None, None]
    assert kept["same"][0] == pytest.approx(1, abs=1e-4)
    assert kept["fainter"] == pytest.approx(kept["same"], abs=1e-4)


def test_pictures_of_other_sizes(judge: Mini, photo: Tensor, painting: Tensor) -> None:
    """They are judged at the smallest one's size, in the photo's shape."""
    small = torch.nn.functional.interpolate(photo, (48, 64), mode="area")
    found = evaluate([photo, small], photo, painting, judge=judge, second=None, edges=None)
    assert [each.content < 0.05 for each in found] == [True, True]
    [forced] = evaluate([small], photo, painting, judge=judge, second=None, edges=None, size=96)
    assert forced.content > found[1].content


def test_one_clear_line(judge: Mini, photo: Tensor, painting: Tensor) -> None:
    with pytest.raises(UsageError, match="no pictures to judge"):
        evaluate([], photo, painting)
    with pytest.raises(UsageError, match="mask is black"):
        evaluate([photo], photo, painting, mask=torch.zeros(1, 1, 96, 128), judge=judge)
    with pytest.raises(InputError, match=r"there is no file 'none\.png'"):
        evaluate(["none.png"], photo, painting, judge=judge)
