"""The encoder that sees all of a picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.encoders import VGG, Encoder, Mini
from impasto.encoders.mirrored import Mirrored
from impasto.errors import ImageTooSmallError
from impasto.optim.tiling import Tiling


@pytest.fixture(params=["vgg16", "mini"])
def inner(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return Mini(padding="replicate") if request.param == "mini" else VGG("vgg16")


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_features_are_the_encoders_own_where_the_stride_divides_the_picture(inner: Encoder) -> None:
    found, own = (e(picture(32, 48), inner.layers) for e in (Mirrored(inner), inner))
    assert all(torch.equal(found[layer], own[layer]) for layer in inner.layers)


@pytest.mark.parametrize("size", [(33, 47), (16, 31), (40, 17)])
def test_every_begun_position_has_features(inner: Encoder, size: tuple[int, int]) -> None:
    encoder = Mirrored(inner)
    found = encoder(picture(*size), inner.layers)
    for layer, features in found.items():
        stride = inner.stride(layer)
        expected = (-(-size[0] // stride), -(-size[1] // stride))
        assert tuple(features.shape[-2:]) == expected == encoder.grid(layer, *size)


def test_the_last_row_counts_as_the_first_does() -> None:
    """The plain encoder hardly sees it; the mirrored one does as it sees the first."""
    torch.manual_seed(0)
    inner = Mini(padding="replicate").double()
    image = picture(47, 48).double()

    def change(encoder: Encoder, row: int) -> float:
        before, after = (
            encoder(x, "relu4_1")["relu4_1"] for x in (image, image.index_fill(2, rows(row), 0.0))
        )
        return float((after - before).square().sum())

    assert change(inner, 46) < 0.1 * change(inner, 0)
    mirrored = Mirrored(inner)
    assert 0.3 < change(mirrored, 46) / change(mirrored, 0) < 10


def rows(row: int) -> Tensor:
    return torch.tensor([row])


def test_it_is_as_large_as_its_layers_allow() -> None:
    """A picture too small for the fifth stage is read by the others."""
    encoder = Mirrored(Mini())
    assert encoder(picture(9, 9), "relu4_1")["relu4_1"].shape[-2:] == (2, 2)
    with pytest.raises(ImageTooSmallError, match="relu5_1"):
        encoder(picture(9, 9), "relu5_1")


def test_it_tells_what_the_encoder_tells() -> None:
    inner = Mini().to(torch.bfloat16)
    encoder = Mirrored(inner)
    assert (encoder.name, encoder.sha256, encoder.layers) == ("mini", "", inner.layers)
    assert encoder.dtype == torch.bfloat16
    assert encoder.reach("relu3_1") == inner.reach("relu3_1")
    assert encoder.with_padding("circular").wraps == (2, 3)
    assert encoder.wraps == ()


@pytest.mark.parametrize("layers", [["relu1_1", "relu3_1", "relu5_1"], ["relu2_1"]])
def test_tiles_see_the_same_border(layers: list[str]) -> None:
    """Also where the layers alone would have them cut at odd places."""
    encoder, image = Mirrored(Mini().double()), picture(75, 109).double()
    whole = encoder(image, layers)
    for tile, features in Tiling(encoder, layers, 48).features(image):
        windows = tile.windows({layer: encoder.stride(layer) for layer in layers})
        for layer in layers:
            rows, columns = windows[layer]
            torch.testing.assert_close(features[layer], whole[layer][..., rows, columns])
