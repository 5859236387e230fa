"""Whether a camera made a picture: its EXIF says so."""

from __future__ import annotations

import os

from PIL import ExifTags, Image

from impasto.image.files import expanded

_OF_A_CAMERA = (ExifTags.Base.Make, ExifTags.Base.Model)
_OF_AN_EXPOSURE = (ExifTags.Base.ExposureTime, ExifTags.Base.FNumber, ExifTags.Base.FocalLength)


def is_from_camera(path: str | os.PathLike[str]) -> bool:
    """Whether the EXIF of the picture at ``path`` names a camera and an exposure; False for what is
    no picture, too. Scans name a device, and no exposure.

    >>> is_from_camera("there is no such file.jpg")
    False
    """
    try:
        with Image.open(expanded(path)) as picture:
            exif = picture.getexif()
            exposure = exif.get_ifd(ExifTags.IFD.Exif)
        return any(exif.get(tag) for tag in _OF_A_CAMERA) and any(
            exposure.get(tag) for tag in _OF_AN_EXPOSURE
        )
    except Exception:  # Pillow raises a dozen kinds for damaged files; reading it will say why
        return False
