"""Metadata of saved pictures: the parameters of the run, and the credits of the content picture.

The parameters are one JSON object under the key ``impasto``: a text of that name in PNG
(:func:`impasto.image.writing.encode` writes it, :func:`impasto.image.containers.lean_png` lets it
through to Pillow), the EXIF user comment in all other formats. From the content picture only an
allowlist of EXIF tags is copied, so that no place, serial number or thumbnail is ever passed on.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from impasto.errors import ConfigError, InvalidImageError
from impasto.image.codecs import open_image
from impasto.image.files import quoted, read_bytes

__all__ = [
    "MAX_PARAMETERS",
    "load_exif",
    "parameters_json",
    "parse_parameters",
    "portable_exif",
    "read_metadata",
    "with_parameters",
]

MAX_PARAMETERS = 60_000
"""Upper bound of the JSON, in bytes; a JPEG holds 65,533 bytes of EXIF in all."""

_EXIF_FOLDER = 0x8769
_USER_COMMENT = 0x9286
_ASCII = b"ASCII\0\0\0"
_SOFTWARE = 0x0131
_LONGEST_TEXT = 2000
# What a stranger's picture may hold: more than any of impasto's own does.
_DEEPEST, _LARGEST_NUMBER = 32, 2**64

# Artist, copyright, description, camera, date.
_CARRIED = (0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298)
# Dates, exposure, aperture, ISO, focal length, lens. Not among them: GPS, maker note, user
# comment, owner's name, serial numbers of camera and lens, image id.
_CARRIED_EXIF = (
    *(0x9003, 0x9004, 0x9010, 0x9011, 0x9012),
    *(0x829A, 0x829D, 0x8827, 0x920A, 0xA405, 0xA433, 0xA434),
)


def portable_exif(exif: Image.Exif) -> bytes:
    """The EXIF that may be copied from a picture to one made from it; b"" when there is none.

    Artist, copyright, description, dates, camera model and exposure. Never: GPS, serial numbers,
    the owner's name, maker notes, comments, orientation (it has been applied), thumbnails.
    """
    kept = Image.Exif()
    try:
        for tag in _CARRIED:
            if _is_plain(exif.get(tag)):
                kept[tag] = as_bytes(exif[tag])
        inner = exif.get_ifd(_EXIF_FOLDER)
        inside = {tag: as_bytes(inner[tag]) for tag in _CARRIED_EXIF if _is_plain(inner.get(tag))}
        if inside:
            kept.get_ifd(_EXIF_FOLDER).update(inside)
        return kept.tobytes() if kept or inside else b""
    except Exception:  # of any type; broken EXIF holds no credits
        return b""


def parameters_json(parameters: dict[str, Any]) -> str:
    """The parameters as ASCII JSON with sorted keys; paths become strings.

    Raises ``ConfigError`` when JSON cannot hold them, or above ``MAX_PARAMETERS`` bytes.

    >>> parameters_json({"steps": 3, "seed": None})
    '{"seed": null, "steps": 3}'
    """
    try:
        text = json.dumps(parameters, sort_keys=True, allow_nan=False, default=os.fspath)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the parameters cannot be kept in the picture: {error}",
            "use only numbers, strings, lists and dicts with string keys",
        ) from None
    if len(text) > MAX_PARAMETERS:
        raise ConfigError(
            f"the parameters take {len(text):,} bytes; a picture holds {MAX_PARAMETERS:,}",
            "leave out what is not needed to repeat the run",
        )
    return text


def with_parameters(exif: bytes, text: str) -> bytes:
    """``exif`` with the JSON ``text`` as its user comment and impasto as the software.

    Where both together are more than a JPEG can hold, ``exif`` is left out.
    """
    for carried in (exif, b""):
        merged = load_exif(carried)
        merged[_SOFTWARE] = "impasto"
        if text:
            comment = _ASCII + b'{"impasto": ' + text.encode("ascii") + b"}"
            merged.get_ifd(_EXIF_FOLDER)[_USER_COMMENT] = comment
        result = merged.tobytes()
        if len(result) <= 65_533:
            break
    return result


def load_exif(data: bytes) -> Image.Exif:
    """EXIF to be written again, its texts to the byte."""
    exif = Image.Exif()
    exif.load(data)
    for tag, value in exif.items():
        exif[tag] = as_bytes(value)
    if _EXIF_FOLDER in exif:
        inner = exif.get_ifd(_EXIF_FOLDER)
        inner.update({tag: as_bytes(value) for tag, value in inner.items()})
    return exif


def as_bytes(value: Any) -> Any:
    """A text as the bytes that it was read from: Pillow reads texts as Latin-1, which keeps them,
    and writes ASCII, with a question mark for each other byte. A text that is not Latin-1 was
    read from no file, but set in a program: UTF-8."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the parameters that ``save_image`` wrote into a picture.

    They are a stranger's text where the picture is a stranger's: what comes back is plain JSON, as
    ``parse_parameters`` bounds it, and nothing more is known of it.

    Raises ``InvalidImageError`` when there are none, ``InputError`` when there is no such file.
    """
    name = quoted(path)
    with open_image(read_bytes(path), name, max_pixels=None) as image:
        text: Any = image.info.get("impasto")
        try:
            if text is None:
                comment = image.getexif().get_ifd(_EXIF_FOLDER).get(_USER_COMMENT, b"")
                if isinstance(comment, bytes) and comment.startswith(_ASCII + b'{"impasto": '):
                    inner = comment.removeprefix(_ASCII + b'{"impasto": ').rstrip(b"\0")
                    text = inner.removesuffix(b"}").decode("ascii")
        except Exception:  # of any type: broken EXIF
            text = None
    found = parse_parameters(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidImageError(
            f"{name} holds no impasto parameters",
            "give a picture that impasto saved and that no other program has saved since",
        )
    return found


def parse_parameters(text: str) -> dict[str, Any] | None:
    """The opposite of ``parameters_json``; None for what that cannot have written.

    That is: a longer text, other JSON than an object, deeper than 32 levels, with a number of over
    64 bits, or with one that is none (NaN, infinity).

    >>> parse_parameters('{"seed": 3}'), parse_parameters('{"seed": NaN}')
    ({'seed': 3}, None)
    """
    if len(text) > MAX_PARAMETERS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_bounded(found, _DEEPEST) else None


def _is_bounded(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_bounded(x, depth - 1) for x in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_bounded(x, depth - 1) for x in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= _LARGEST_NUMBER


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_TEXT
    return isinstance(value, (int, float, IFDRational))
