"""Pictures: file <-> tensor.

An image is a float32 tensor (1, 3, H, W), sRGB, in [0, 1]; sizes are (height, width). Every file is
converted to that when it is read, whatever its orientation, colour space, bit depth or
transparency; an sRGB profile and the run's parameters are added when it is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import ConfigError, InvalidImageError, UnknownNameError, UsageError
from impasto.image.codecs import decode, decode_image
from impasto.image.files import check_folder, quoted, read_bytes, write_bytes
from impasto.image.metadata import parameters_json, portable_exif, read_metadata, with_parameters
from impasto.image.samples import Decoded, Samples, check_pixels
from impasto.image.writing import WRITABLE, Format, encode
from impasto.machine.devices import in_own_modes

__all__ = [
    "MAX_PIXELS",
    "ImageSource",
    "Picture",
    "check_writable",
    "encode_image",
    "fill_transparent",
    "load_image",
    "read_image",
    "read_metadata",
    "resize",
    "save_image",
    "size_to_fit",
    "to_pil",
    "to_samples",
]

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused unless the caller raises ``max_pixels``."""


@dataclass(frozen=True)
class Picture:
    """The contents of a picture file.

    ``pixels`` is (1, 3, H, W) float32, sRGB, [0, 1], upright; grey is three equal channels.
    ``alpha`` is (1, 1, H, W) float32 in [0, 1], None for an opaque picture. ``depth`` is the number
    of bits per channel that were read, 8 or 16. ``sha256`` is the hash of the file, "" where there
    was none. ``exif`` is what ``save_image`` may write again: credits, date and camera, without
    places and serial numbers.
    """

    pixels: Tensor = field(repr=False)
    alpha: Tensor | None = field(default=None, repr=False)
    depth: int = 8
    sha256: str = ""
    exif: bytes = field(default=b"", repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[-2], self.pixels.shape[-1]


ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | Image.Image | NDArray[Any] | Tensor | Picture
)
"""Anything that can be read as a picture; bytes are the content of a file."""


@in_own_modes
def read_image(source: ImageSource, *, max_pixels: int | None = MAX_PIXELS) -> Picture:
    """Read a picture: a path, a file's bytes, a PIL image, an array, a tensor or a ``Picture``.

    The path ``-`` is standard input; ``max_pixels`` None is the default.

    Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8, uint16 or floats in [0, 1];
    tensors (3, H, W) or (1, 3, H, W) (or 1 or 4 channels), uint8 or floats in [0, 1].

    Formats are PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, PPM and PGM, and HEIC with
    ``impasto[heif]``. Of an animation the first frame that is not empty is read, of several pages
    the first, or the largest where that is a thumbnail; the log says so. EXIF orientation is
    applied and embedded profiles are converted to sRGB. PNG, TIFF, PGM and grey JPEG
    2000 keep 16 bits; 8 bits remain of PPM, TIFFs with compressed separate planes, pictures with
    table-based profiles, and colour images that Pillow has opened already.

    Raises ``InputError`` (no such file), ``InvalidImageError`` (not a picture, or broken) or
    ``ImageTooLargeError`` (more than ``max_pixels``, found from the header before decoding).

    >>> read_image(np.zeros((2, 3, 3), np.uint8)).size
    (2, 3)
    """
    max_pixels = _checked_limit(max_pixels)
    if isinstance(source, Picture):
        check_pixels(*source.size, max_pixels, "the picture")
        if source.pixels.is_inference():  # read in torch.inference_mode: no gradient flows through
            alpha = None if source.alpha is None else source.alpha.clone()
            return replace(source, pixels=source.pixels.clone(), alpha=alpha)
        return source
    if isinstance(source, Tensor):
        return _picture_of_tensor(source, max_pixels)
    if isinstance(source, np.ndarray):
        return _picture_of_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _picture(decode_image(source, "the PIL image", max_pixels=max_pixels))
    if isinstance(source, bytes):
        data, name = source, "the picture"
    elif isinstance(source, (str, os.PathLike)):
        data, name = read_bytes(source), quoted(source)
    else:
        raise InvalidImageError(
            f"a {type(source).__name__} is not a picture",
            "give a path, bytes, a PIL image, a numpy array or a torch tensor",
        )
    return _picture(decode(data, name, max_pixels=max_pixels), hashlib.sha256(data).hexdigest())


@in_own_modes
def load_image(
    source: ImageSource,
    *,
    size: int | tuple[int, int] | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Tensor:
    """The pixels of a picture, (1, 3, H, W) float32 sRGB in [0, 1], ready to work with.

    Transparent parts are filled from around them (``fill_transparent``). ``size`` is the long
    side in pixels, the aspect ratio kept, or the exact (height, width); None leaves it.
    Raises what ``read_image`` raises.

    >>> load_image(np.zeros((40, 80, 3), np.uint8), size=16).shape
    torch.Size([1, 3, 8, 16])
    """
    picture = read_image(source, max_pixels=max_pixels)
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = fill_transparent(pixels, picture.alpha)
    if size is None:
        return pixels
    if not isinstance(size, tuple | list):
        _check_target((size, size))
        size = size_to_fit(*picture.size, int(size))
    _check_target(size)
    check_pixels(*size, _checked_limit(max_pixels), "the resized picture")
    return resize(pixels, (int(size[0]), int(size[1])))


def fill_transparent(pixels: Tensor, alpha: Tensor) -> Tensor:
    """Fill transparent pixels with a smooth continuation of the colours around them.

    Files hold arbitrary colours there, often black, which would bleed into resized edges and into
    the statistics of a style. ``pixels`` is (1, C, H, W), ``alpha`` (1, 1, H, W) in [0, 1]. Pixels
    with an alpha of 1/4 or more keep their colour; a wholly transparent picture becomes grey.

    Push-pull: average the known colours over ever larger squares, then fill from coarse to fine
    (Gortler et al. 1996, "The Lumigraph", section 3.4).

    >>> pixels = torch.tensor([[[[0.8, 0.0, 0.8]]]])
    >>> fill_transparent(pixels, torch.tensor([[[[1.0, 0.0, 1.0]]]])).min().item() > 0.79
    True
    """
    known = (alpha * 4).clamp(0, 1).to(pixels.dtype)
    if bool((known >= 1).all()):
        return pixels
    levels = [(pixels, known)]
    while max(levels[-1][1].shape[-2:]) > 1:
        color, weight = levels[-1]
        mean_weight = F.avg_pool2d(weight, 2, ceil_mode=True)
        mean_color = F.avg_pool2d(weight * color, 2, ceil_mode=True)
        color = mean_color / mean_weight.clamp_min(1e-12)
        levels.append((color, (mean_weight * 4).clamp_max(1)))  # one known pixel of four is enough
    color, weight = levels.pop()
    filled = torch.where(weight > 0, color, torch.full_like(color, 0.5))
    while levels:
        color, weight = levels.pop()
        size = (color.shape[-2], color.shape[-1])
        coarse = F.interpolate(filled, size, mode="bilinear", align_corners=False)
        filled = torch.lerp(coarse, color, weight.expand_as(color))
        filled = torch.where(weight >= 1, color, filled)
    return filled


@in_own_modes
def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, H, W) to exactly ``size`` = (height, width): bicubic, antialiased if smaller.

    The dtype stays. Images of three channels are clamped to [0, 1]: bicubic overshoots at edges.
    Raises ConfigError for a size that is not two whole numbers above 0.

    >>> resize(torch.rand(1, 3, 8, 8), (4, 5)).shape
    torch.Size([1, 3, 4, 5])
    """
    _check_target(size)
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    # Not every device has an antialiased kernel for half precision, which would lose bits, too.
    source = image if image.dtype == torch.float64 else image.float()
    resized = F.interpolate(source, size, mode="bicubic", antialias=True, align_corners=False)
    if image.shape[1] == 3:
        resized = resized.clamp(0, 1)
    return resized.to(image.dtype)


def size_to_fit(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) with the same aspect ratio and the long side ``size``.

    >>> size_to_fit(600, 800, 400)
    (300, 400)
    """
    _check_target((height, width))
    _check_target((size, size))
    longest = max(height, width)
    # Rounded half up in integers: floats would round differently for large sizes.
    return (
        max(1, (2 * height * size + longest) // (2 * longest)),
        max(1, (2 * width * size + longest) // (2 * longest)),
    )


def save_image(
    path: str | os.PathLike[str],
    image: Tensor,
    *,
    alpha: Tensor | None = None,
    depth: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    exif: bytes = b"",
    quality: int = 95,
    overwrite: bool = True,
) -> Path:
    """Write an image in the format that the path's suffix names; return the path.

    ``image`` is (1, 3, H, W) or (3, H, W) on any device, clamped to [0, 1]; ``alpha`` is
    (1, 1, H, W). JPEG has no transparency: the image is blended with white. ``depth`` is 8 (None)
    or, for PNG and TIFF, 16. ``metadata`` is read back by ``read_metadata``; ``exif`` is that of a
    ``Picture``. ``quality`` (1 to 100) is for JPEG, WebP (100 is lossless) and AVIF.

    The file appears whole or not at all. Raises what ``check_writable`` raises, and
    ``ResourceError`` when the disk is full.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"a {type(path).__name__} is no place for a picture", "give a path")
    size = tuple(getattr(image, "shape", ())[-2:])
    if len(size) != 2:
        size = to_samples(image).shape[:2]  # raises
    check_writable(path, depth=depth, size=size, metadata=metadata, overwrite=overwrite)
    options: dict[str, Any] = {"metadata": metadata, "exif": exif, "quality": quality}
    data = encode_image(image, Path(path).suffix, alpha=alpha, depth=depth, **options)
    return write_bytes(path, data, overwrite=overwrite)


def encode_image(
    image: Tensor,
    suffix: str = ".png",
    *,
    alpha: Tensor | None = None,
    depth: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    exif: bytes = b"",
    quality: int = 95,
) -> bytes:
    """The bytes of the file that ``save_image`` would write.

    >>> encode_image(torch.rand(1, 3, 4, 4), ".png")[1:4]
    b'PNG'
    """
    kind = _format(suffix)
    _check_fits(kind, depth, (image.shape[-2], image.shape[-1]))
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality is {quality}", "give a number from 1 to 100")
    if alpha is not None and not kind.alpha:
        opacity = alpha.detach().to(image.device, torch.float32).reshape(1, 1, *image.shape[-2:])
        image, alpha = torch.lerp(torch.ones_like(image), image, opacity.to(image.dtype)), None
    text = parameters_json(dict(metadata)) if metadata is not None else ""
    is_png = kind.name == "PNG"
    return encode(
        to_samples(image, alpha, depth=depth or 8),
        kind,
        parameters=text if is_png else "",
        exif=with_parameters(exif, "" if is_png else text),
        quality=quality,
    )


def check_writable(
    path: str | os.PathLike[str],
    *,
    depth: int | None = None,
    alpha: bool = False,
    size: tuple[int, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = True,
) -> None:
    """Raise before a long run what ``save_image`` would raise after it.

    ``alpha`` requires a format with transparency. Raises ``UnknownNameError`` for an
    unknown suffix, ``ConfigError`` for what the format or the metadata cannot hold,
    ``UsageError`` for a missing folder or a target that is no file, ``OutputExistsError``, and
    ``ResourceError`` for a folder that may not be written to.
    """
    kind = _format(path)
    _check_fits(kind, depth, size)
    if alpha and not kind.alpha:
        able = ", ".join(suffix for suffix, other in WRITABLE.items() if other.alpha)
        raise ConfigError(f"{kind.name} holds no transparency", f"save as one of: {able}")
    if metadata is not None:
        parameters_json(dict(metadata))
    check_folder(path, overwrite=overwrite)


def to_samples(image: Tensor, alpha: Tensor | None = None, *, depth: int = 8) -> NDArray[Any]:
    """An image as an array (H, W, 3), or (H, W, 4) with ``alpha``: uint8 or uint16, rounded.

    Values are clamped to [0, 1]. Raises ``InvalidImageError`` for NaN and for other shapes.
    """
    if not isinstance(image, Tensor):
        raise InvalidImageError(
            f"a {type(image).__name__} cannot be saved", "give a tensor (1, 3, H, W)"
        )
    pixels = image.detach().to("cpu", torch.float32)
    if pixels.ndim == 4 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim != 3 or pixels.shape[0] != 3 or pixels.numel() == 0:
        raise InvalidImageError(
            f"an image of shape {tuple(image.shape)} cannot be saved", "give (1, 3, H, W)"
        )
    if alpha is not None:
        opacity = alpha.detach().to("cpu", torch.float32)
        pixels = torch.cat([pixels, opacity.reshape(1, *pixels.shape[1:])])
    if bool(pixels.isnan().any()):
        raise InvalidImageError(
            f"{int(pixels.isnan().sum()):,} values of the image are not numbers",
            "lower the learning rate, or use float32",
        )
    scaled = (pixels.clamp(0, 1) * (2**depth - 1)).round().permute(1, 2, 0).contiguous()
    samples: NDArray[Any] = scaled.numpy().astype(np.uint8 if depth == 8 else np.uint16)
    return samples


def to_pil(image: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """An image as an 8-bit PIL image, mode RGB, or RGBA with ``alpha``.

    >>> to_pil(torch.ones(1, 3, 2, 4)).size
    (4, 2)
    """
    return Image.fromarray(to_samples(image, alpha))


# --- sources -------------------------------------------------------------------------------------


def _picture(decoded: Decoded, sha256: str = "") -> Picture:
    alpha = None if decoded.alpha is None else _tensor(decoded.alpha[..., None])
    pixels = _tensor(decoded.colors)
    if pixels.shape[1] == 1:
        pixels = pixels.repeat(1, 3, 1, 1)
    return Picture(pixels, alpha, decoded.depth, sha256, portable_exif(decoded.exif))


def _tensor(samples: Samples) -> Tensor:
    """(H, W, C) integers over their whole range, or floats, to (1, C, H, W) float32."""
    height, width, channels = samples.shape
    result = torch.empty(1, channels, height, width)
    full = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
    into = result.numpy()
    for channel in range(channels):  # one at a time: no second copy of a large picture
        np.divide(samples[..., channel], np.float32(full), out=into[0, channel], casting="unsafe")
    return result


def _picture_of_array(array: NDArray[Any], max_pixels: int) -> Picture:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise InvalidImageError(
            f"an array of shape {array.shape} is not a picture",
            "give (height, width, 3), (height, width, 4) or (height, width)",
        )
    check_pixels(array.shape[0], array.shape[1], max_pixels, "the array")
    if array.dtype.kind == "f":
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        return _picture_of_tensor(tensor.permute(2, 0, 1), max_pixels)
    if array.dtype not in (np.uint8, np.uint16):
        raise InvalidImageError(
            f"an array of {array.dtype} is not a picture",
            "give uint8, uint16, or floats between 0 and 1",
        )
    tensor = _tensor(array)
    return _split(tensor, 16 if array.dtype == np.uint16 else 8)


def _picture_of_tensor(tensor: Tensor, max_pixels: int) -> Picture:
    if tensor.layout is not torch.strided or tensor.device.type == "meta" or tensor.is_quantized:
        kind = "meta tensor" if tensor.device.type == "meta" else f"tensor of {tensor.layout}"
        raise InvalidImageError(f"a {kind} is not a picture", "give a dense one with its values")
    image = tensor.detach()
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3, 4):
        raise InvalidImageError(
            f"a tensor of shape {tuple(tensor.shape)} is not one picture",
            "give (3, height, width) or (1, 3, height, width)",
        )
    check_pixels(image.shape[2], image.shape[3], max_pixels, "the tensor")
    if image.dtype == torch.uint8:
        return _split(image.float() / 255, 8)
    if not image.is_floating_point():
        raise InvalidImageError(
            f"a tensor of {image.dtype} is not a picture", "give uint8, or floats in [0, 1]"
        )
    image = image.float()
    low, high = float(image.min()), float(image.max())
    # Overshoot of a hundredth comes from rounding or a bicubic filter; more is another range.
    if not (low >= -0.01 and high <= 1.01):
        raise InvalidImageError(
            f"the values of the picture go from {low:.4g} to {high:.4g}; [0, 1] is expected",
            "divide by 255, or undo the normalisation",
        )
    return _split(image.clamp(0, 1), 16)


def _split(image: Tensor, depth: int) -> Picture:
    """A picture of (1, 1 or 3 or 4, H, W) in [0, 1]; the fourth channel is alpha."""
    alpha = image[:, 3:].contiguous() if image.shape[1] == 4 else None
    if alpha is not None and bool((alpha >= 1).all()):
        alpha = None
    pixels = image.repeat(1, 3, 1, 1) if image.shape[1] == 1 else image[:, :3].contiguous()
    return Picture(pixels, alpha, depth)


# --- checks --------------------------------------------------------------------------------------


def _checked_limit(max_pixels: Any) -> int:
    """``max_pixels``, or the default for None; ConfigError for what is no number."""
    if max_pixels is None:
        return MAX_PIXELS
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int | np.integer):
        raise ConfigError(f"max_pixels is {max_pixels!r}", "give a whole number, or None")
    return int(max_pixels)


def _check_target(size: Any) -> None:
    sides: tuple[Any, ...] = tuple(size) if isinstance(size, tuple | list | torch.Size) else (0,)
    whole = [isinstance(side, int | np.integer) and not isinstance(side, bool) for side in sides]
    if len(sides) != 2 or not all(whole) or min(sides) < 1:
        raise ConfigError(
            f"a picture cannot have the size {size}", "give whole numbers of pixels, at least 1"
        )


def _format(path: str | os.PathLike[str]) -> Format:
    """The format for a path, or for a bare suffix such as ".png"."""
    name = os.fsencode(path).decode("utf-8", "replace")
    suffix = name.lower() if name.lower() in WRITABLE else Path(name).suffix.lower()
    if suffix not in WRITABLE:
        raise UnknownNameError("output format", suffix, WRITABLE)
    return WRITABLE[suffix]


def _check_fits(kind: Format, depth: int | None, size: tuple[int, int] | None) -> None:
    if depth is not None and depth not in kind.depths:
        deep = ", ".join(suffix for suffix, other in WRITABLE.items() if depth in other.depths)
        raise ConfigError(
            f"{kind.name} holds {' or '.join(map(str, kind.depths))} bits per channel, not {depth}",
            f"save as one of: {deep}" if deep else "give 8 or 16",
        )
    if size is not None and max(size) > kind.longest:
        raise ConfigError(
            f"{kind.name} holds at most {kind.longest:,} pixels per side, not {max(size):,}",
            "save as .png or .tif",
        )
