"""Pictures in and out: sources, sizes, transparency, saving, and a folder of hostile files."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import impasto
from impasto.errors import (
    ConfigError,
    ImageTooLargeError,
    ImpastoError,
    InputError,
    InvalidImageError,
    OutputExistsError,
    UnknownNameError,
    UsageError,
)
from impasto.image.io import (
    ImageSource,
    Picture,
    check_writable,
    encode_image,
    fill_transparent,
    load_image,
    read_image,
    resize,
    save_image,
    size_to_fit,
    to_pil,
    to_samples,
)
from impasto.image.writing import WRITABLE

ROOT = Path(impasto.__file__).parents[1]
IMAGE = torch.rand(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))
ALPHA = torch.rand(1, 1, 12, 17, generator=torch.Generator().manual_seed(1))
SIDES = st.integers(1, 60)


# --- reading -------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    expected = torch.from_numpy(array).permute(2, 0, 1)[None].contiguous() / 255
    opened = Image.open(tmp_path / "a.png")
    sources: list[ImageSource] = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        data,
        opened,
        Image.fromarray(array),
        array,
        array.astype(np.uint16) * 257,
        array / 255,
        (array / 255).astype(np.float32),
        array[:, ::-1][:, ::-1],
        torch.from_numpy(array).permute(2, 0, 1),
        expected,
        expected[0],
        expected.double(),
        Picture(expected),
    ]
    for source in sources:
        pixels = read_image(source).pixels
        assert pixels.dtype == torch.float32
        assert pixels.shape == (1, 3, 5, 7)
        assert pixels.is_contiguous()
        assert torch.allclose(pixels, expected, atol=1e-6)
    opened.close()
    assert read_image(tmp_path / "a.png").sha256 == hashlib.sha256(data).hexdigest()
    assert read_image(array).sha256 == ""


def test_grey_and_alpha_sources() -> None:
    grey = np.array([[0, 255]], np.uint8)
    for source in (grey, grey[..., None], torch.from_numpy(grey)[None]):
        assert read_image(source).pixels[0, :, 0].tolist() == [[0.0, 1.0]] * 3
    rgba = np.array([[[255, 0, 0, 51]]], np.uint8)
    picture = read_image(rgba)
    assert picture.alpha is not None
    assert picture.alpha.item() == pytest.approx(0.2)
    assert read_image(np.full((2, 2, 4), 255, np.uint8)).alpha is None


def test_what_is_no_picture_is_refused() -> None:
    sources: list[Any] = [
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
        np.zeros((2, 2, 3), np.int64),
        np.zeros(5),
        np.full((2, 2, 3), 255.0),
        np.full((2, 2, 3), np.nan),
        torch.zeros(2, 3, 4, 4),
        torch.zeros(4, 4, 3, 4, 4),
        torch.zeros(1, 3, 0, 4),
        torch.zeros(1, 3, 4, 4, dtype=torch.int64),
        torch.full((1, 3, 4, 4), 2.0),
        torch.full((1, 3, 4, 4), torch.inf),
        42,
        None,
        b"",
    ]
    for source in sources:
        with pytest.raises(InvalidImageError) as caught:
            read_image(source)
        assert caught.value.remedy, source


def test_the_pixel_cap_holds_for_every_source(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", IMAGE)
    sources = [tmp_path / "a.png", IMAGE, IMAGE[0].numpy().transpose(1, 2, 0), to_pil(IMAGE)]
    for source in [*sources, Picture(IMAGE)]:
        with pytest.raises(ImageTooLargeError, match=r"204 .*203"):
            read_image(source, max_pixels=203)
        assert read_image(source, max_pixels=204).size == (12, 17)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    for name in ("missing.png", ""):
        with pytest.raises(InputError) as caught:
            read_image(tmp_path / name)
        assert caught.value.exit_code == 3


def test_load_image_sizes() -> None:
    assert load_image(IMAGE).shape == (1, 3, 12, 17)
    assert load_image(IMAGE, size=34).shape == (1, 3, 24, 34)
    assert load_image(IMAGE, size=(5, 40)).shape == (1, 3, 5, 40)
    for size in (0, -3, (0, 4), (4,)):
        with pytest.raises(ConfigError):
            load_image(IMAGE, size=size)  # type: ignore[arg-type]
    with pytest.raises(ImageTooLargeError):
        load_image(IMAGE, size=100_000)


def test_load_image_fills_transparent_parts(tmp_path: Path) -> None:
    image = torch.full((1, 3, 16, 16), 0.8)
    alpha = torch.ones(1, 1, 16, 16)
    alpha[..., 8:] = 0
    image[..., 8:] = 0  # black under the transparent half
    save_image(tmp_path / "a.png", image, alpha=alpha)
    loaded = load_image(tmp_path / "a.png", size=8)
    assert loaded == pytest.approx(0.8, abs=0.01)


# --- transparency --------------------------------------------------------------------------------


def test_opaque_pixels_stay_as_they_are() -> None:
    filled = fill_transparent(IMAGE, ALPHA)
    opaque = (ALPHA >= 0.25).expand_as(IMAGE)
    assert torch.equal(filled[opaque], IMAGE[opaque])
    assert torch.equal(fill_transparent(IMAGE, torch.ones_like(ALPHA)), IMAGE)


def test_hidden_colors_do_not_matter() -> None:
    alpha = (ALPHA > 0.5).float()
    assert torch.allclose(
        fill_transparent(IMAGE, alpha), fill_transparent(IMAGE * alpha, alpha), atol=1e-6
    )


def test_filling_continues_the_surroundings() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous()
    alpha = torch.ones(1, 1, 64, 64)
    alpha[..., 20:44, 20:44] = 0
    filled = fill_transparent(ramp, alpha)
    assert (filled - ramp).abs().max() < 0.25
    assert (filled[..., 1:] - filled[..., :-1]).abs().max() < 0.15  # no hard edge
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_nothing_opaque_gives_grey() -> None:
    assert (fill_transparent(IMAGE, torch.zeros_like(ALPHA)) == 0.5).all()


@given(SIDES, SIDES, st.integers(0, 2**20))
def test_filling_stays_in_range(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, height, width, generator=generator)
    alpha = (torch.rand(1, 1, height, width, generator=generator) * 3 - 2).clamp(0, 1)
    filled = fill_transparent(image, alpha)
    assert filled.shape == image.shape
    assert filled.min() >= -1e-6
    assert filled.max() <= 1 + 1e-6


# --- sizes ---------------------------------------------------------------------------------------


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_size_to_fit(height: int, width: int, size: int) -> None:
    fitted = size_to_fit(height, width, size)
    assert max(fitted) == size
    assert min(fitted) >= 1
    assert fitted == tuple(reversed(size_to_fit(width, height, size)))
    exact = min(height, width) * size / max(height, width)
    assert abs(min(fitted) - max(exact, 1)) <= 0.5 + 1e-6


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3, 5]))
def test_resize(height: int, width: int, to_height: int, to_width: int, channels: int) -> None:
    image = torch.rand(1, channels, height, width)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        resized = resize(image.to(dtype), (to_height, to_width))
        assert resized.shape == (1, channels, to_height, to_width)
        assert resized.dtype == dtype
        if channels == 3:
            assert 0 <= resized.min() <= resized.max() <= 1
    constant = resize(torch.full_like(image, 0.3), (to_height, to_width))
    assert torch.allclose(constant, torch.tensor(0.3), atol=1e-5)


def test_resize_agrees_with_pillow() -> None:
    smooth = resize(IMAGE, (40, 56))
    for size in ((20, 31), (13, 90), (111, 17), (80, 112)):
        channels = []
        for channel in smooth[0].numpy():
            image = Image.fromarray(channel).resize(size[::-1], Image.Resampling.BICUBIC)
            channels.append(np.asarray(image))
        ours = resize(smooth, size)[0].numpy()
        assert np.abs(ours - np.clip(channels, 0, 1)).max() < 1e-3


def test_downscaling_is_antialiased() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(64).expand(1, 3, 128, 128)
    assert (resize(stripes, (32, 32)) - 0.5).abs().max() < 0.1


def test_resize_lets_gradients_through() -> None:
    image = IMAGE.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(resize(image, (5, 5)).sum(), image)
    assert gradient.isfinite().all()


# --- saving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("depth", [8, 16])
def test_round_trips_are_exact(tmp_path: Path, suffix: str, depth: int) -> None:
    path = save_image(tmp_path / f"a{suffix}", IMAGE, alpha=ALPHA, depth=depth)
    assert path == tmp_path / f"a{suffix}"
    picture = read_image(path)
    full = 2**depth - 1
    assert picture.depth == depth
    assert picture.alpha is not None
    for back, original in ((picture.pixels, IMAGE), (picture.alpha, ALPHA)):
        assert ((back * full).round() == (original * full).round()).all()
        assert (back - original).abs().max() <= 0.5 / full + 1e-7
    again = save_image(tmp_path / f"b{suffix}", picture.pixels, alpha=picture.alpha, depth=depth)
    assert again.read_bytes() == path.read_bytes()


def test_webp_at_quality_100_is_exact(tmp_path: Path) -> None:
    picture = read_image(save_image(tmp_path / "a.webp", IMAGE, alpha=ALPHA, quality=100))
    assert (to_samples(picture.pixels, picture.alpha) == to_samples(IMAGE, ALPHA)).all()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".avif"])
def test_lossy_formats_are_near(tmp_path: Path, suffix: str) -> None:
    smooth = resize(IMAGE, (96, 136))
    coarse, fine = (
        (load_image(save_image(tmp_path / f"{q}{suffix}", smooth, quality=q)) - smooth).abs().mean()
        for q in (30, 95)
    )
    assert fine < 0.012
    assert fine < coarse
    assert (tmp_path / f"30{suffix}").stat().st_size < (tmp_path / f"95{suffix}").stat().st_size


def test_alpha_in_lossy_formats(tmp_path: Path) -> None:
    webp = read_image(save_image(tmp_path / "a.webp", IMAGE, alpha=ALPHA)).alpha
    assert webp is not None
    assert (webp - ALPHA).abs().max() <= 0.5 / 255 + 1e-6
    avif = read_image(save_image(tmp_path / "a.avif", IMAGE, alpha=ALPHA)).alpha
    assert avif is not None
    assert (avif - ALPHA).abs().mean() < 0.03


def test_jpeg_lays_transparency_on_white(tmp_path: Path) -> None:
    black = torch.zeros(1, 3, 16, 16)
    path = save_image(tmp_path / "a.jpg", black, alpha=torch.full((1, 1, 16, 16), 0.25))
    assert load_image(path).mean().item() == pytest.approx(0.75, abs=0.01)


def test_kinds_of_tensors(tmp_path: Path) -> None:
    expected = to_samples(IMAGE)
    for image in (IMAGE[0], IMAGE.double(), IMAGE.clone().requires_grad_()):
        assert (to_samples(image) == expected).all()
    assert np.abs(to_samples(IMAGE.bfloat16()).astype(int) - expected).max() <= 1
    assert to_samples(torch.tensor([-1.0, 2.0, 0.5])[:, None, None]).tolist() == [[[0, 255, 128]]]
    assert to_samples(IMAGE, depth=16).dtype == np.uint16
    assert to_pil(IMAGE, ALPHA).mode == "RGBA"
    assert (np.asarray(to_pil(IMAGE)) == expected).all()
    broken = IMAGE.clone()
    broken[0, 0, 0, :2] = torch.nan
    for image in (broken, IMAGE[:, :2], torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 0, 0)):
        with pytest.raises(InvalidImageError):
            save_image(tmp_path / "a.png", image)
    with pytest.raises(InvalidImageError, match="2 values"):
        to_samples(broken)
    assert os.listdir(tmp_path) == []


def test_encoding_without_a_file() -> None:
    for suffix in WRITABLE:
        assert read_image(encode_image(IMAGE, suffix)).size == (12, 17)


@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("a.bmp", {}, UnknownNameError, ".png, .jpg"),
        ("a", {}, UnknownNameError, "there are"),
        ("a.pngg", {}, UnknownNameError, "did you mean '.png'"),
        ("a.jpg", {"depth": 16}, ConfigError, "JPEG holds 8 bits per channel, not 16"),
        ("a.webp", {"depth": 16}, ConfigError, ".png, .tif, .tiff"),
        ("a.png", {"depth": 12}, ConfigError, "8 or 16"),
        ("a.jpg", {"alpha": True}, ConfigError, "holds no transparency"),
        ("a.webp", {"size": (10, 16384)}, ConfigError, "16,383"),
        ("a.jpg", {"size": (70000, 10)}, ConfigError, "65,500"),
        ("a.png", {"metadata": {"a": object()}}, ConfigError, "cannot be kept"),
        ("nowhere/a.png", {}, UsageError, "make the folder first"),
        ("dir.png", {}, UsageError, "is a folder"),
        ("old.png", {"overwrite": False}, OutputExistsError, "exists already"),
    ],
)
def test_check_writable_refuses(
    tmp_path: Path, name: str, options: dict[str, Any], error: type[ImpastoError], says: str
) -> None:
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "old.png").touch()
    with pytest.raises(error) as caught:
        check_writable(tmp_path / name, **options)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    if "alpha" not in options and "size" not in options:
        with pytest.raises(error):
            save_image(tmp_path / name, IMAGE, **options)


def test_check_writable_accepts_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    for name in ("a.png", "b.JPG", "old.png"):
        check_writable(tmp_path / name, depth=8, size=(100, 100), metadata={"a": 1})
    check_writable(tmp_path / "a.tif", depth=16, alpha=True)
    assert os.listdir(tmp_path) == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"old"


def test_quality_has_limits() -> None:
    for quality in (0, 101):
        with pytest.raises(ConfigError, match="1 to 100"):
            encode_image(IMAGE, ".jpg", quality=quality)


def test_a_full_disk_leaves_no_partial_picture(tmp_path: Path) -> None:
    code = (
        "import resource, sys, torch\n"
        "from impasto.errors import ResourceError\n"
        "from impasto.image.io import save_image\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "for name in sys.argv[1:]:\n"
        "    try: save_image(name, torch.rand(1, 3, 64, 64))\n"
        "    except ResourceError as error: print(error.exit_code)\n"
    )
    names = [str(tmp_path / f"a{suffix}") for suffix in WRITABLE]
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["6"] * len(names)
    assert os.listdir(tmp_path) == []


def test_other_programs_read_16_bit(tmp_path: Path) -> None:
    expected = to_samples(IMAGE, ALPHA, depth=16)
    tif = save_image(tmp_path / "a.tif", IMAGE, alpha=ALPHA, depth=16, metadata={"a": 1})
    assert (tifffile.imread(tif) == expected).all()
    path = save_image(tmp_path / "a.png", IMAGE, alpha=ALPHA, depth=16, metadata={"a": 1})
    _, _, rows, info = png.Reader(bytes=path.read_bytes()).asDirect()
    assert info["bitdepth"] == 16
    assert (np.array([list(row) for row in rows]).reshape(expected.shape) == expected).all()


# --- a folder of hostile files -------------------------------------------------------------------


@pytest.mark.shared
def test_hostile_files_are_pictures_or_errors(
    shared: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((shared / "images" / "hostile").iterdir())
    read, refused = 0, {}
    for path in paths:
        start = time.perf_counter()
        try:
            picture = read_image(path)
        except ImpastoError as refusal:
            refused[path.name] = refusal
        else:
            read += 1
            assert picture.pixels.dtype == torch.float32
            assert picture.pixels.isfinite().all()
            assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1, path.name
            assert picture.pixels.shape[:2] == (1, 3)
        assert time.perf_counter() - start < 10, path.name
    assert read > 250
    assert len(refused) > 90
    for name, error in refused.items():
        assert error.exit_code == 3, name
        assert "\n" not in str(error)
        assert name in str(error)
    assert capfd.readouterr().err == ""


@pytest.mark.shared
def test_bombs_take_no_memory(shared: Path) -> None:
    folder = shared / "images" / "hostile"
    code = (
        "import resource, sys\n"
        "from impasto.errors import InputError\n"
        "from impasto.image.io import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n"
        "    try: read_image(name)\n"
        "    except InputError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    words = ("bomb", "oom", "dos", "overflow", "bad")
    bombs = [str(path) for path in folder.iterdir() if any(word in path.name for word in words)]
    done = subprocess.run(
        [sys.executable, "-c", code, *bombs],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert len(bombs) > 15
    assert int(done.stdout) < 60_000  # KiB


@pytest.mark.shared
def test_orientations_of_pillows_files(shared: Path) -> None:
    folder = shared / "images" / "hostile"
    for kind in ("jpg", "webp"):
        upright = load_image(folder / f"hopper_orientation_2.{kind}")
        for tag in range(3, 9):
            turned = load_image(folder / f"hopper_orientation_{tag}.{kind}")
            assert (turned - upright).abs().mean() < 0.03, (kind, tag)
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "PNG")
    assert read_image(buffer.getvalue()).size == (2, 3)
