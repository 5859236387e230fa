"""Pictures, styles and settings over HTTP."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from starlette.testclient import TestClient

from impasto import SWATCHES
from tests.studio.in_process import picture, upload


def test_a_picture_goes_in_and_comes_out(client: TestClient) -> None:
    identifier = upload(client)
    told = client.get(f"/v1/pictures/{identifier}").json()
    assert (told["name"], told["height"], told["width"]) == ("Cat.png", 48, 64)
    assert client.get(told["links"]["file"]).content == picture()
    assert [x["id"] for x in client.get("/v1/pictures").json()] == [identifier]


def test_an_upload_without_a_file_is_refused(client: TestClient) -> None:
    assert client.post("/v1/pictures").status_code == 422
    files = {"file": ("cat.png", b"not a picture")}
    answer = client.post("/v1/pictures", files=files)
    assert (answer.status_code, answer.json()["title"]) == (422, "InvalidImageError")


def test_own_styles_come_before_the_built_in_ones(client: TestClient) -> None:
    own = upload(client, role="style")
    found = client.get("/v1/styles").json()
    assert [x["id"] for x in found] == [own, *SWATCHES]
    for style in (found[0], found[1]):
        for link in ("thumbnail", "picture"):
            with Image.open(io.BytesIO(client.get(style[link]).content)) as image:
                assert max(image.size) <= 1024


@pytest.mark.parametrize("path", ["/v1/styles/nonsense/240", "/v1/styles/../240"])
def test_unknown_styles_are_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_settings_and_presets_are_told(client: TestClient) -> None:
    groups = client.get("/v1/settings").json()
    assert {"Picture", "Subject", "Colour"} <= {group["name"] for group in groups}
    assert "oil" in {preset["name"] for preset in client.get("/v1/presets").json()}
