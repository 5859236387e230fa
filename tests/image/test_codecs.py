"""Every kind of file against pixels that are known beforehand."""

from __future__ import annotations

import io
import itertools
import os
import struct
import threading
import warnings
import zlib
from typing import Any

import numpy as np
import png
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import ImageTooLargeError, InvalidImageError
from impasto.image.codecs import READABLE, decode, decode_image
from impasto.image.samples import Decoded

RNG = np.random.default_rng(0)
COLORS8 = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
COLORS16 = RNG.integers(0, 65536, (9, 13, 4), dtype=np.uint16)
COLORS16[0, 0, 3] = 1234  # not opaque, whatever the generator says


def read(data: bytes, max_pixels: int = 10**8) -> Decoded:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode(data, "'test'", max_pixels=max_pixels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png16(samples: NDArray[Any], **options: Any) -> bytes:
    height, width, channels = samples.shape
    buffer = io.BytesIO()
    writer = png.Writer(
        width, height, greyscale=channels < 3, alpha=channels % 2 == 0, bitdepth=16, **options
    )
    writer.write_array(buffer, samples.reshape(-1).tolist())
    return buffer.getvalue()


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


# --- 8 bit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
        ("JPEG2000", {"irreversible": False}),
    ],
)
def test_lossless_formats_are_read_exactly(kind: str, options: dict[str, Any]) -> None:
    decoded = read(saved(Image.fromarray(COLORS8), kind, **options))
    assert (decoded.colors == COLORS8).all()
    assert decoded.alpha is None
    assert decoded.depth == 8


@pytest.mark.parametrize(("kind", "error"), [("JPEG", 6), ("AVIF", 6), ("WEBP", 6), ("MPO", 6)])
def test_lossy_formats_are_read_nearly(kind: str, error: int) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(48))[..., None] * np.array([3, 2, 1])
    image = Image.fromarray(smooth.clip(0, 255).astype(np.uint8))
    extra: dict[str, Any] = {"save_all": True, "append_images": [image]} if kind == "MPO" else {}
    decoded = read(saved(image, kind, quality=95, **extra))
    assert np.abs(decoded.colors.astype(int) - np.asarray(image)).mean() < error


def test_first_frame_of_a_gif() -> None:
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    decoded = read(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (decoded.colors == (255, 0, 0)).all()


def test_grey_and_bilevel() -> None:
    grey = read(saved(Image.fromarray(COLORS8[..., 0]), "PNG"))
    assert grey.colors.shape == (9, 13, 1)
    assert (grey.colors[..., 0] == COLORS8[..., 0]).all()
    black_white = Image.fromarray((COLORS8[..., 0] > 127).astype(np.uint8) * 255).convert("1")
    for kind in ("PNG", "TIFF", "BMP"):
        assert (
            read(saved(black_white, kind)).colors[..., 0] == np.asarray(black_white) * 255
        ).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_exact(kind: str) -> None:
    rgba = (COLORS16 >> 8).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = read(saved(Image.fromarray(rgba), kind, **options))
    assert decoded.alpha is not None
    assert (decoded.alpha == rgba[..., 3]).all()
    assert (decoded.colors == rgba[..., :3]).all()


def test_opaque_alpha_is_none() -> None:
    assert read(saved(Image.new("RGBA", (3, 3), (1, 2, 3, 255)), "PNG")).alpha is None


def test_grey_with_alpha() -> None:
    both = (COLORS16[..., 2:] >> 8).astype(np.uint8)
    decoded = read(saved(Image.fromarray(both), "PNG"))
    assert decoded.alpha is not None
    assert (decoded.colors[..., 0] == both[..., 0]).all()
    assert (decoded.alpha == both[..., 1]).all()


def test_palettes_and_color_keys() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read(saved(palette, "PNG")).colors.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    keyed = read(saved(palette, "PNG", transparency=b"\x80\xff"))
    assert keyed.alpha is not None
    assert keyed.alpha.tolist() == [[128, 255]]
    gif = read(saved(palette, "GIF", transparency=1))
    assert gif.alpha is not None
    assert gif.alpha.tolist() == [[255, 0]]
    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    for image, key in ((rgb, (1, 2, 3)), (rgb.convert("L"), 2)):
        found = read(saved(image, "PNG", transparency=key))
        assert found.alpha is not None
        assert found.alpha.tolist() == [[0, 255]]


def test_pa_and_premultiplied_images() -> None:
    rgba = Image.new("RGBA", (2, 2), (200, 100, 50, 128))
    for image in (rgba.convert("RGBa"), rgba.convert("LA").convert("La")):
        decoded = decode_image(image, "it", max_pixels=100)
        assert decoded.alpha is not None
        assert (decoded.alpha == 128).all()
    palette = Image.new("PA", (2, 2))
    assert decode_image(palette, "it", max_pixels=100).colors.shape == (2, 2, 3)


def test_cmyk() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):  # Pillow's JPEGs are inverted as Adobe's are
        color = read(saved(red, kind)).colors.astype(int)[4, 4]
        assert color[0] > 225
        assert color[1:].max() < 40


def test_ycbcr_and_lab() -> None:
    ycbcr = Image.new("RGB", (8, 8), (200, 30, 40)).convert("YCbCr")
    assert np.abs(decode_image(ycbcr, "it", max_pixels=99).colors[0, 0] - [200.0, 30, 40]).max() < 4
    # L = 53.2, a = 80, b = 67 is sRGB's red under D65; under D50 it is (54.3, 80.8, 69.9).
    lab = Image.merge("LAB", [Image.new("L", (4, 4), v) for v in (138, 209, 198)])
    red = read(saved(lab, "TIFF")).colors[0, 0].astype(int)
    assert red[0] > 245
    assert red[1:].max() < 25


# --- 16 bit --------------------------------------------------------------------------------------


def holds_16_bit(decoded: Decoded, samples: NDArray[Any]) -> bool:
    """Whether all bits of (H, W, 1 to 4) samples are there, an even number with alpha."""
    channels = samples.shape[2]
    colors = samples[..., : channels - 1] if channels % 2 == 0 else samples
    alpha = samples[..., -1] if channels % 2 == 0 else None
    return (
        decoded.depth == 16
        and decoded.colors.dtype == np.uint16
        and np.array_equal(decoded.colors, colors)
        and (decoded.alpha is None if alpha is None else np.array_equal(decoded.alpha, alpha))  # type: ignore[arg-type]  # None is unequal
    )


def test_png_16_bit() -> None:
    wrong = []
    for channels, interlace in itertools.product((1, 2, 3, 4), (False, True)):
        samples = COLORS16[..., -channels:] if channels in (2, 4) else COLORS16[..., :channels]
        if not holds_16_bit(read(png16(samples, interlace=interlace)), samples):
            wrong.append((channels, interlace))
    assert wrong == []


def test_png_16_bit_color_keys() -> None:
    rgb = np.array([[[256, 2, 3], [256, 2, 4]]], np.uint16)  # they differ in a low byte only
    decoded = read(png16(rgb, transparent=(256, 2, 3)))
    assert decoded.alpha is not None
    assert decoded.alpha.tolist() == [[0, 65535]]
    grey = read(png16(rgb[..., 2:], transparent=3))
    assert grey.alpha is not None
    assert grey.alpha.tolist() == [[0, 65535]]


def test_tiff_16_bit() -> None:
    layouts: list[dict[str, Any]] = [
        {},
        {"rowsperstrip": 4},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "tile": (16, 16)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 16)},
    ]
    wrong = []
    for layout, order, channels in itertools.product(layouts, "<>", (3, 4)):
        samples = COLORS16[..., :channels]
        written = samples.transpose(2, 0, 1) if "planarconfig" in layout else samples
        options = layout | ({"extrasamples": ["unassalpha"]} if channels == 4 else {})
        written = np.ascontiguousarray(written)
        data = tiff(written, photometric="rgb", byteorder=order, **options)
        if not holds_16_bit(read(data), samples):
            wrong.append((layout, order, channels))
    assert wrong == []


def test_tiff_16_bit_compressed_planes_are_read_as_8_bit() -> None:
    planes = np.ascontiguousarray(COLORS16[..., :3].transpose(2, 0, 1))
    decoded = read(tiff(planes, photometric="rgb", planarconfig="separate", compression="zlib"))
    assert decoded.depth == 8
    assert (decoded.colors == COLORS16[..., :3] >> 8).all()


def test_tiff_16_bit_other_extra_samples() -> None:
    opaque = read(tiff(COLORS16, photometric="rgb", extrasamples=["unspecified"]))
    assert (opaque.colors == COLORS16[..., :3]).all()
    assert opaque.alpha is None
    alpha = COLORS16[..., 3:].clip(2000)
    wanted = COLORS16[..., :3]
    multiplied = np.rint(wanted * (alpha / 65535)).astype(np.uint16)
    both = np.concatenate([multiplied, alpha], axis=2)
    decoded = read(tiff(both, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(decoded.colors.astype(int) - wanted).max() <= 65535 / 2000
    assert decoded.alpha is not None
    assert (decoded.alpha == alpha[..., 0]).all()


@pytest.mark.parametrize(
    ("order", "name"), [("<", "minisblack"), (">", "minisblack"), ("<", "miniswhite")]
)
def test_tiff_grey(order: str, name: str) -> None:
    grey = COLORS16[..., 0]
    decoded = read(tiff(grey, photometric=name, byteorder=order))
    assert decoded.depth == 16
    assert (decoded.colors[..., 0] == (grey if name == "minisblack" else 65535 - grey)).all()


def test_numbers_of_other_kinds() -> None:
    ramp = np.linspace(0, 1, 12).reshape(3, 4)
    expected = np.rint(ramp * 65535)
    for full, kind in ((1, np.float32), (255, np.float32), (65535, np.float32)):
        found = read(tiff((ramp * full).astype(kind), photometric="minisblack"))
        assert np.abs(found.colors[..., 0].astype(float) - expected).max() <= 1
    short = read(tiff(np.rint(ramp * 32767).astype(np.int16), photometric="minisblack"))
    assert np.abs(short.colors[..., 0].astype(float) - expected).max() <= 2
    for full in (65535, 2**31 - 1):
        integers = Image.fromarray(np.rint(ramp * full).astype(np.int32))
        found = decode_image(integers, "it", max_pixels=99)
        assert np.abs(found.colors[..., 0].astype(float) - expected).max() <= 1
    odd = np.array([[np.nan, np.inf], [-np.inf, -3.0]], np.float32)
    assert read(tiff(odd, photometric="minisblack")).colors.ravel().tolist() == [0, 65535, 0, 0]


def test_grey_jpeg_2000_of_16_bit() -> None:
    grey = Image.fromarray(COLORS16[..., 0])
    decoded = read(saved(grey, "JPEG2000", irreversible=False))
    assert (decoded.colors[..., 0] == COLORS16[..., 0]).all()


# --- orientation ---------------------------------------------------------------------------------

UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
# How a camera stores the picture, for each value of the tag (EXIF 2.32, 4.6.4).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT.T[::-1],
    7: UPRIGHT.T[::-1, ::-1],
    8: UPRIGHT.T[:, ::-1],
}


def orientation_exif(tag: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_orientation(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    wrong = []
    for tag, stored in STORED.items():
        image = Image.fromarray(np.kron(stored, np.ones((16, 16), np.uint8))).convert("RGB")
        data = saved(image, kind, exif=orientation_exif(tag), **options)
        colors = read(data).colors.astype(int)
        if colors.shape != (32, 48, 3) or np.abs(colors[8::16, 8::16, 1] - UPRIGHT).max() >= 8:
            wrong.append(tag)
    assert wrong == []


def test_orientation_with_16_bit() -> None:
    wrong = []
    for tag, stored in STORED.items():
        rgb = np.repeat(stored.astype(np.uint16)[..., None] * 257 + 1, 3, axis=2)
        chunk = orientation_exif(tag).removeprefix(b"Exif\0\0")
        plain = png16(rgb)
        at = plain.index(b"IDAT") - 4
        inserted = struct.pack(">I", len(chunk)) + b"eXIf" + chunk
        inserted += struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
        files = {
            "TIFF": tiff(rgb, photometric="rgb", extratags=[(274, "H", 1, tag, True)]),
            "PNG": plain[:at] + inserted + plain[at:],
        }
        for kind, data in files.items():
            if not np.array_equal(read(data).colors[..., 0], UPRIGHT.astype(int) * 257 + 1):
                wrong.append((kind, tag))
    assert wrong == []


def test_odd_orientations_change_nothing() -> None:
    data = saved(Image.fromarray(COLORS8), "PNG", exif=orientation_exif(9))
    assert (read(data).colors == COLORS8).all()


# --- refusals ------------------------------------------------------------------------------------


def test_pixels_are_counted_before_decoding() -> None:
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", b"no pixels here")):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        bomb += struct.pack(">I", len(body)) + kind + body + checksum
    with pytest.raises(ImageTooLargeError, match=r"30000x30000, 900,000,000 .* 100,000,000"):
        read(bomb)
    with pytest.raises(InvalidImageError, match="cannot be decoded"):
        read(bomb, max_pixels=10**9)


def test_the_cap_is_an_argument_and_pillows_limit_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.new("1", (100, 100)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # Pillow alone would raise
    assert read(data).colors.shape == (100, 100, 1)
    assert Image.MAX_IMAGE_PIXELS == 4000
    with pytest.raises(ImageTooLargeError):
        read(data, max_pixels=10**4 - 1)


def test_everything_else_is_refused() -> None:
    others = [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"%PDF-1.4\n",
        b"SIMPLE  =                    T",
        b"P6 1 1 255 ab",
        b"\0",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"GIF89a",
        b"II*\0" + bytes(20),
        b"RIFF\x10\0\0\0WEBPVP8L" + bytes(9),
    ]
    for data in others:
        with pytest.raises(InvalidImageError) as caught:
            read(data)
        assert "\n" not in str(caught.value), data
        assert str(caught.value).startswith("'test'"), data


@pytest.mark.parametrize("kind", READABLE)
def test_truncated_files_are_refused_or_read(kind: str) -> None:
    data = saved(Image.fromarray(np.kron(COLORS8, np.ones((4, 4, 1), np.uint8))), kind)
    for length in range(1, len(data), max(1, len(data) // 40)):
        try:
            read(data[:length])
        except InvalidImageError:
            continue
        assert length > len(data) // 2, "half a file is no picture"


def test_libtiff_does_not_write_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(saved(Image.new("1", (600, 600)), "TIFF", compression="group4"))
    data[8:40] = b"\xaa" * 32
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        try:
            read(bytes(damaged))
        except (InvalidImageError, ImageTooLargeError):
            continue
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def test_threads() -> None:
    data = [saved(Image.fromarray(COLORS8 // n), kind) for n in (1, 2) for kind in ("PNG", "TIFF")]
    wrong: list[object] = []

    def work(i: int) -> None:
        for _ in range(20):
            if not (read(data[i]).colors == COLORS8 // (1 + i // 2)).all():
                wrong.append(i)

    with warnings.catch_warnings():  # of which `read` makes a mess when threads share it
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert Image.MAX_IMAGE_PIXELS is not None
