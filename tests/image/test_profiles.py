"""Profiles, against LittleCMS and against published primaries."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from impasto.image.codecs import decode
from impasto.image.profiles import convert_with_lcms, lab_to_srgb, parse_profile, srgb_profile
from impasto.image.samples import Decoded

# Colorants under D50, as the vendors' own profiles hold them.
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
SRGB_CURVE = ("para", 3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def curve(kind: str, *rest: object) -> bytes:
    if kind == "gamma":
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(float(rest[0]) * 256))  # type: ignore[arg-type]
    if kind == "table":
        table = np.asarray(rest[0])
        values: bytes = np.rint(table * 65535).astype(">u2").tobytes()
        return b"curv\0\0\0\0" + struct.pack(">I", len(table)) + values
    number, values_ = rest
    return b"para\0\0\0\0" + struct.pack(">HH", number, 0) + fixed(*values_)  # type: ignore[misc]


def profile(
    space: str,
    tone: bytes,
    colorants: tuple[tuple[float, ...], ...] = (),
    more: dict[bytes, bytes] | None = None,
) -> bytes:
    """A version 4 display profile, made by hand."""
    white = b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)
    text = "x".encode("utf-16-be")
    words = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": words, b"cprt": words, b"wtpt": white}
    if colorants:
        for letter, xyz in zip("rgb", colorants, strict=True):
            tags[f"{letter}TRC".encode()] = tone
            tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(*xyz)
    else:
        tags[b"kTRC"] = tone
    tags.update(more or {})
    header = bytearray(128)
    header[8:12] = b"\4\x30\0\0"
    header[12:24] = b"mntr" + space.encode().ljust(4) + (b"Lab " if more else b"XYZ ")
    header[36:40] = b"acsp"
    header[68:80] = fixed(0.9642, 1.0, 0.8249)
    directory = struct.pack(">I", len(tags))
    position, body = 132 + 12 * len(tags), b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        directory += name + struct.pack(">II", position + len(body), len(value))
        body += value
    header[0:4] = struct.pack(">I", position + len(body))
    return bytes(header) + directory + body


def by_lcms(samples: NDArray[Any], icc: bytes) -> NDArray[Any]:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    image = Image.fromarray(samples)
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    result = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), relative, "RGB"
    )
    return np.asarray(result)


def read(data: bytes) -> Decoded:
    return decode(data, "'test'", max_pixels=10**8)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


COLORS16 = np.random.default_rng(0).integers(0, 65536, (9, 13, 4), dtype=np.uint16)
COLORS8 = (COLORS16[..., :3] >> 8).astype(np.uint8)
GAMMA = curve("gamma", 2.19921875)
PARA_3 = curve(*SRGB_CURVE)
TABLE = curve("table", np.linspace(0, 1, 1024) ** 1.8)
PARA_0 = curve("para", 0, (2.2,))
PARA_1 = curve("para", 1, (2.2, 0.9, 0.1))
PARA_2 = curve("para", 2, (2.2, 0.85, 0.1, 0.05))
PARA_4 = curve("para", 4, (2.4, 0.95, 0.05, 0.07, 0.04, 0.005, 0.002))


@pytest.mark.parametrize("colorants", [ADOBE_RGB, DISPLAY_P3], ids=["adobe", "p3"])
@pytest.mark.parametrize("tone", [GAMMA, PARA_3, TABLE, PARA_0, PARA_1, PARA_2, PARA_4])
def test_rgb_agrees_with_lcms(tone: bytes, colorants: tuple[tuple[float, ...], ...]) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    icc = profile("RGB", tone, colorants)
    parsed = parse_profile(icc)
    assert parsed is not None
    assert not parsed.is_srgb
    ours = parsed.to_srgb(samples) * 255
    assert np.abs(ours - by_lcms(samples, icc)).max() < 1.6


@pytest.mark.parametrize("tone", [GAMMA, PARA_3, TABLE])
def test_grey_agrees_with_lcms(tone: bytes) -> None:
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    icc = profile("GRAY", tone)
    parsed = parse_profile(icc)
    assert parsed is not None
    ours = parsed.to_srgb(samples[..., None]) * 255
    assert np.abs(ours - by_lcms(samples, icc)).max() < 1.6


def test_known_colors() -> None:
    """P3's primaries lie beyond sRGB's and are clipped to them; grey stays the same grey."""
    p3 = parse_profile(profile("RGB", PARA_3, DISPLAY_P3))
    assert p3 is not None
    full = np.array([[[0, 65535, 0], [32768, 32768, 32768], [65535, 0, 0]]], np.uint16)
    green, grey, red = p3.to_srgb(full)[0]
    assert green == pytest.approx([0, 1, 0], abs=1e-3)
    assert grey == pytest.approx([32768 / 65535] * 3, abs=1e-3)
    assert red == pytest.approx([1, 0, 0], abs=1e-3)


def test_16_bit_keeps_its_levels() -> None:
    parsed = parse_profile(profile("RGB", GAMMA, ADOBE_RGB))
    assert parsed is not None
    ramp = np.repeat(np.arange(20000, 22000, dtype=np.uint16)[None, :, None], 3, axis=2)
    assert len(np.unique(parsed.to_srgb(ramp)[..., 1])) == 2000


def test_srgb_is_recognised_and_constant() -> None:
    own = parse_profile(srgb_profile())
    assert own is not None
    assert own.is_srgb
    by_hand = parse_profile(profile("GRAY", PARA_3))
    assert by_hand is not None
    assert by_hand.is_srgb
    assert srgb_profile() == srgb_profile.__wrapped__()
    opened = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileDescription(opened)


@pytest.mark.parametrize("length", [0, 7, 130, 140, 200, 400])
def test_broken_profiles_are_no_profiles(length: int) -> None:
    broken = srgb_profile()[:length]
    assert parse_profile(broken) is None
    assert convert_with_lcms(Image.new("RGB", (2, 2)), broken) is None


def test_random_damage_never_raises() -> None:
    rng = np.random.default_rng(1)
    good = np.frombuffer(profile("RGB", TABLE, ADOBE_RGB), np.uint8)
    samples = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    for _ in range(300):
        bad = good.copy()
        bad[rng.integers(0, 300, 4)] = rng.integers(0, 256, 4)
        parsed = parse_profile(bad.tobytes())
        if parsed is not None and parsed.matrix is not None:
            out = parsed.to_srgb(samples)
            assert np.isfinite(out).all()


def test_a_profile_for_another_kind_of_image_is_ignored() -> None:
    assert convert_with_lcms(Image.new("CMYK", (2, 2)), srgb_profile()) is None
    assert convert_with_lcms(Image.new("L", (2, 2)), srgb_profile()) is None


def test_lab_agrees_with_scikit_image() -> None:
    color = pytest.importorskip("skimage.color")
    lab = Image.merge("LAB", [Image.new("L", (1, 1), v) for v in (140, 148, 108)])
    # Pillow's LAB holds L * 255 / 100 and a, b + 128.
    expected = color.lab2rgb([[[140 / 2.55, 20, -20]]], illuminant="D65")[0, 0]
    ours = np.asarray(lab_to_srgb(lab))[0, 0] / 255
    assert ours == pytest.approx(expected, abs=0.03)  # white to white, another adaptation


# --- in files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_embedded_profile_is_applied(kind: str) -> None:
    icc = profile("RGB", GAMMA, ADOBE_RGB)
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = read(saved(Image.fromarray(COLORS8), kind, icc_profile=icc, **options))
    assert np.abs(decoded.colors * 255 - by_lcms(COLORS8, icc)).max() < 1.6


def test_16_bit_with_a_profile() -> None:
    icc = profile("RGB", PARA_3, DISPLAY_P3)
    samples = COLORS16[..., :3]
    decoded = read(tiff(samples, photometric="rgb", iccprofile=icc))
    assert decoded.depth == 16
    by_8_bit = by_lcms((samples >> 8).astype(np.uint8), icc)
    assert np.abs(decoded.colors * 255 - by_8_bit).mean() < 1.5


def test_grey_with_profiles() -> None:
    grey = Image.fromarray(COLORS8[..., 0])
    icc = profile("GRAY", GAMMA)
    decoded = read(saved(grey, "PNG", icc_profile=icc))
    expected = by_lcms(COLORS8[..., 0], icc)
    assert np.abs(decoded.colors * 255 - expected[..., :1]).max() < 1.6
    rgb_profile = read(saved(grey, "PNG", icc_profile=profile("RGB", GAMMA, ADOBE_RGB)))
    assert np.ptp(rgb_profile.colors, axis=2).max() < 0.02
    wrong = read(saved(Image.fromarray(COLORS8), "PNG", icc_profile=icc))
    assert (wrong.colors == COLORS8).all()


def test_srgb_and_broken_profiles_change_nothing() -> None:
    for icc in (srgb_profile(), b"junk", srgb_profile()[:300]):
        data = saved(Image.fromarray(COLORS8), "PNG", icc_profile=icc)
        assert (read(data).colors == COLORS8).all()
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    broken = read(saved(cmyk, "TIFF", icc_profile=b"junk"))
    assert (broken.colors == read(saved(cmyk, "TIFF")).colors).all()


def test_table_profiles_go_through_lcms() -> None:
    # A table of 2x2x2 points (lut8Type) in which the lightness is the mean of R, G and B.
    corners = [(r + g + b) / 3 for r in (0, 1) for g in (0, 1) for b in (0, 1)]
    points = b"".join(bytes([round(255 * light), 128, 128]) for light in corners)
    identity = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    ramps = bytes(range(256)) * 3
    table = b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + identity + ramps + points + ramps
    icc = profile("RGB", GAMMA, ADOBE_RGB, {b"A2B0": table})
    decoded = read(tiff(COLORS16[..., :3], photometric="rgb", iccprofile=icc))
    assert decoded.depth == 8
    assert np.ptp(decoded.colors.astype(int), axis=2).max() <= 1
    assert np.abs(decoded.colors - by_lcms(COLORS8, icc).astype(int)).max() <= 2


def test_a_profile_that_nobody_understands_leaves_16_bit_alone() -> None:
    for icc in (b"junk", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB", 5000)).tobytes()):
        decoded = read(tiff(COLORS16[..., :3], photometric="rgb", iccprofile=icc))
        assert decoded.depth == 16
        assert (decoded.colors == COLORS16[..., :3]).all()


def test_a_curve_without_end_is_bounded() -> None:
    """A profile of 95 MiB, nearly all of it one curve, took 3.9 GiB as a tuple of numbers."""
    profile = bytearray(srgb_profile())
    at = profile.index(b"rTRC")
    entries = 3_000_000
    curve = b"curv\0\0\0\0" + struct.pack(">I", entries) + bytes(2 * entries)
    struct.pack_into(">II", profile, at + 4, len(profile), len(curve))
    tracemalloc.start()
    try:
        assert parse_profile(bytes(profile + curve)) is None
        assert parse_profile(bytes(profile) + bytes(17 * 2**20)) is None
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()
    assert convert_with_lcms(Image.new("RGB", (4, 4)), bytes(17 * 2**20)) is None


def test_a_long_curve_is_read() -> None:
    profile = bytearray(srgb_profile())
    values = (np.linspace(0, 1, 65536) ** 2 * 65535).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        struct.pack_into(">II", profile, profile.index(name) + 4, len(profile), len(curve))
    parsed = parse_profile(bytes(profile + curve))
    assert parsed is not None
    assert (parsed.curves[0] == values / 65535).all()
