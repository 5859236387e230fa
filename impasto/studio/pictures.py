"""Pictures, styles and settings: what a painting is made of, under ``/v1``."""

from __future__ import annotations

import functools
import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, UploadFile
from fastapi.responses import FileResponse, Response

from impasto.image.swatches import SWATCHES, render_swatch
from impasto.studio.recipe import describe_presets, describe_settings
from impasto.studio.service import FOREVER, ThisStudio
from impasto.studio.store import NotFoundError, StoredPicture

SWATCH_SIDES = (240, 1024)

router = APIRouter(prefix="/v1")


def get_picture(picture: str, studio: ThisStudio) -> StoredPicture:
    """The picture of the path."""
    return studio.store.picture(picture)


ThisPicture = Annotated[StoredPicture, Depends(get_picture)]


@router.post("/pictures", status_code=201, tags=["pictures"])
def add_picture(
    studio: ThisStudio,
    response: Response,
    file: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, JP2")],
    role: Annotated[Literal["photo", "style", "mask"], Form()] = "photo",
) -> dict[str, Any]:
    """Upload a photo, a painting or a mask."""
    picture = studio.uploads.add(file.file.read(), file.filename or "", role)
    response.headers["location"] = f"/v1/pictures/{picture.id}"
    return describe_picture(picture)


@router.get("/pictures", tags=["pictures"])
def list_pictures(
    studio: ThisStudio, role: Literal["photo", "style", "mask"] = "photo"
) -> list[dict[str, Any]]:
    """The pictures that were used last."""
    return [describe_picture(picture) for picture in studio.store.pictures(role)]


@router.get("/pictures/{picture}", tags=["pictures"])
def picture_about(found: ThisPicture) -> dict[str, Any]:
    """A picture's name and size."""
    return describe_picture(found)


@router.get("/pictures/{picture}/{copy}", tags=["pictures"], response_class=FileResponse)
def picture_file(
    found: ThisPicture, copy: Literal["file", "screen", "thumbnail"], studio: ThisStudio
) -> FileResponse:
    """The file itself, or a smaller copy."""
    if copy == "file":
        path = studio.store.picture_path(found)
        return FileResponse(path, filename=found.name, headers=FOREVER)
    if copy == "screen":
        return FileResponse(
            studio.store.screen_path(found.id), media_type="image/png", headers=FOREVER
        )
    return FileResponse(
        studio.store.thumbnail_path(found.id), media_type="image/webp", headers=FOREVER
    )


@router.get("/styles", tags=["styles"])
def list_styles(studio: ThisStudio) -> list[dict[str, Any]]:
    """The built-in styles, after the paintings that were uploaded last."""
    own = [
        {
            "id": one.id,
            "title": Path(one.name).stem,
            "description": "A picture of your own",
            "builtin": False,
            "thumbnail": f"/v1/pictures/{one.id}/thumbnail",
            "picture": f"/v1/pictures/{one.id}/screen",
        }
        for one in studio.store.pictures("style", 12)
    ]
    builtin = [
        {
            "id": one.name,
            "title": one.title,
            "description": one.description,
            "builtin": True,
            "thumbnail": f"/v1/styles/{one.name}/240",
            "picture": f"/v1/styles/{one.name}/1024",
        }
        for one in SWATCHES.values()
    ]
    return own + builtin


@router.get("/styles/{name}/{side}", tags=["styles"], response_class=Response)
def style_picture(name: str, side: Literal["240", "1024"]) -> Response:
    """A built-in style as a picture."""
    if name not in SWATCHES:
        raise NotFoundError(f"there is no style {name!r}", "see /v1/styles")
    return Response(_swatch(name, int(side)), media_type="image/webp", headers=FOREVER)


@functools.cache
def _swatch(name: str, side: int) -> bytes:
    if side == SWATCH_SIDES[-1]:
        return SWATCHES[name].read_bytes()
    buffer = io.BytesIO()
    render_swatch(name, size=side).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


@router.get("/presets", tags=["settings"])
def list_presets() -> list[dict[str, Any]]:
    """Named settings, and what each changes."""
    return describe_presets()


@router.get("/settings", tags=["settings"])
def list_settings(
    kind: Literal["paint", "texture", "dream", "quick", "plan", "subject"] = "paint",
) -> list[dict[str, Any]]:
    """Every setting of a kind of job, group by group, with its help, default and range."""
    return describe_settings(kind)


def describe_picture(picture: StoredPicture) -> dict[str, Any]:
    """A picture as the service tells of it."""
    base = f"/v1/pictures/{picture.id}"
    links = {copy: f"{base}/{copy}" for copy in ("file", "screen", "thumbnail")}
    return {**asdict(picture), "links": {"self": base, **links}}
