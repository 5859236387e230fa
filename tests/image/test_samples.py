"""What is done to samples whatever decoded them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from impasto.errors import ImageTooLargeError, InvalidImageError
from impasto.image.profiles import srgb_profile
from impasto.image.samples import (
    ORIENTATION,
    check_pixels,
    finish,
    floats_in_16_bits,
    unmultiplied,
)


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9, "6", None])
def test_upright_whatever_the_orientation(orientation: object) -> None:
    """As Pillow turns them; a value that is none turns nothing."""
    colors = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image, exif = Image.fromarray(colors), Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    method = turned.get(orientation) if isinstance(orientation, int) else None
    wanted = image if method is None else image.transpose(method)
    found = finish(colors, colors[..., 0], srgb_profile(), exif)
    assert (found.colors == np.asarray(wanted)).all()
    assert found.alpha is not None
    assert (found.alpha == np.asarray(wanted)[..., 0]).all()


@pytest.mark.parametrize(("top", "white"), [(0.5, 1), (4, 1), (200, 255), (60_000, 65_535)])
@pytest.mark.parametrize("type_", [np.float16, np.float32, np.float64])
def test_the_white_of_floats(top: float, white: float, type_: type[np.floating]) -> None:
    values = np.array([0, top / 2, top, np.nan, -1], type_)
    found = floats_in_16_bits(values) / 65535
    wanted = (np.nan_to_num(values.astype(np.float64)) / white).clip(0, 1)
    assert np.abs(found - wanted).max() < 1e-3


def test_colours_without_their_alpha() -> None:
    alpha = np.array([[0, 100, 65535]], np.uint16)
    colors = np.array([[[0], [50], [123]]], np.uint16)
    assert unmultiplied(colors, alpha)[..., 0].tolist() == [[0, 32768, 123]]


def test_no_pixels_and_too_many() -> None:
    check_pixels(2, 3, 6, "it")
    with pytest.raises(InvalidImageError, match="it has 0x3 pixels"):
        check_pixels(0, 3, 6, "it")
    with pytest.raises(ImageTooLargeError, match="it is 2x4, 8 pixels"):
        check_pixels(2, 4, 6, "it")
