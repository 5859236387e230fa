"""Jobs over HTTP."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import impasto
from impasto.cli import main
from impasto.studio import app, orders, worker
from impasto.studio.orders import MOST_WAITING_EACH
from impasto.studio.service import Studio
from tests.studio.in_process import InProcess, picture, upload

SETTINGS = {"size": 48, "steps": [3], "subject": "off"}


def order(client: TestClient, photo: str, **more: Any) -> Any:
    headers = more.pop("headers", {})
    body = {"content": photo, "styles": ["waves"], "settings": SETTINGS, **more}
    return client.post("/v1/jobs", json=body, headers=headers)


def made(client: TestClient, photo: str, **more: Any) -> Any:
    """The job when it is done."""
    return order(client, photo, headers={"prefer": "wait=20"}, **more).json()


def test_an_order_becomes_a_picture(client: TestClient) -> None:
    answer = order(client, upload(client))
    assert answer.status_code == 202
    job = client.get(answer.headers["location"]).json()
    assert (job["state"], job["progress"]["step"]) == ("done", 3)
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF")):
        found = client.get(job["links"][f"picture.{suffix}"])
        assert f'filename="Cat-waves.{suffix}"' in found.headers["content-disposition"]
        with Image.open(io.BytesIO(found.content)) as image:
            assert (image.format, image.size) == (kind, (48, 36))
    assert client.get(job["links"]["preview"]).headers["content-type"] == "image/jpeg"
    assert [x["id"] for x in client.get("/v1/jobs").json()] == [job["id"]]
    assert client.delete(job["links"]["self"]).status_code == 204
    assert client.get(job["links"]["self"]).status_code == 404


def test_the_copied_command_makes_the_same_bits(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, mask = upload(client), upload(client, picture(seed=4), "mask")
    settings = {**SETTINGS, "subject": "auto", "strength": 0.7, "color": "match"}
    job = made(client, photo, settings=settings, masks={"subject": [mask]})
    with zipfile.ZipFile(io.BytesIO(client.get(job["links"]["files.zip"]).content)) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = (tmp_path / "command.sh").read_text()
    assert command.strip() == job["command"]
    assert main(shlex.split(command)[1:]) == 0
    (tmp_path / "page.png").write_bytes(client.get(job["links"]["picture.png"]).content)
    ours, theirs = (impasto.load_image(tmp_path / x) for x in ("Cat-waves.png", "page.png"))
    assert torch.equal(ours, theirs)
    assert main(["replay", "page.png", "-o", "again.png"]) == 0
    assert torch.equal(impasto.load_image(tmp_path / "again.png"), theirs)
    (tmp_path / "Cat-waves.png").unlink()
    exec(compile((tmp_path / "paint.py").read_text(), "paint.py", "exec"), {})
    assert torch.equal(impasto.load_image(tmp_path / "Cat-waves.png"), theirs)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (
            {"kind": "texture", "settings": {"size": 48, "steps": [3, 2], "wrap": "both"}},
            "impasto texture waves --size 48 --wrap both",
        ),
        (
            {"kind": "dream", "styles": [], "settings": {"size": 48, "octaves": 2, "steps": 2}},
            "impasto dream Cat.png --size 48 --octaves 2",
        ),
    ],
)
def test_textures_and_dreams_are_those_of_the_command(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Any, command: str
) -> None:
    photo = "" if body["kind"] == "texture" else upload(client)
    job = made(client, photo, **body)
    assert (job["state"], job["problem"]) == ("done", None)
    assert job["command"].startswith(command)
    assert {"preview", "picture.tif", "evolution.gif"} <= set(job["links"])
    assert [x["id"] for x in client.get("/v1/jobs").json()] == [job["id"]]
    with zipfile.ZipFile(io.BytesIO(client.get(job["links"]["files.zip"]).content)) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    output = f"{'waves' if body['kind'] == 'texture' else 'Cat'}-{body['kind']}.png"
    (tmp_path / "page.png").write_bytes(client.get(job["links"]["picture.png"]).content)
    theirs = impasto.load_image(tmp_path / "page.png")
    assert main(shlex.split(job["command"])[1:]) == 0
    assert torch.equal(impasto.load_image(tmp_path / output), theirs)
    (tmp_path / output).unlink()
    exec(compile((tmp_path / "paint.py").read_text(), "paint.py", "exec"), {})
    assert torch.equal(impasto.load_image(tmp_path / output), theirs)


def test_a_texture_is_gone_on_with(client: TestClient) -> None:
    body = {"kind": "texture", "settings": {"size": 48, "steps": [2], "aspect": 1.5}}
    first = made(client, "", **body)
    second = made(client, "", start=first["id"], **body)
    assert second["state"] == "done"
    assert "--init start.png" in second["command"]
    pictures = [client.get(job["links"]["picture.png"]).content for job in (first, second)]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("installed", [True, False])
def test_an_evolution_is_offered_as_mp4_where_that_can_be_written(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    for module in (app, orders, worker):
        monkeypatch.setattr(module, "can_write_mp4", lambda: installed)
    if installed:
        pytest.importorskip("av")
    job = made(client, upload(client))
    assert client.get("/v1/status").json()["mp4"] is installed
    assert ("evolution.mp4" in job["links"]) is installed
    assert client.get(job["links"]["evolution.gif"]).content.startswith(b"GIF89a")
    answer = client.get(f"{job['links']['self']}/evolution.mp4")
    if installed:
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.content[4:8] == b"ftyp"
    else:
        assert answer.status_code == 501
        assert answer.headers["content-type"] == "application/problem+json"
        assert "impasto[video]" in answer.json()["remedy"]


def test_events_tell_a_job_to_its_end(client: TestClient) -> None:
    job = order(client, upload(client)).json()
    with client.stream("GET", job["links"]["events"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert json.loads(lines[-1].removeprefix("data: "))["state"] == "done"
    assert client.get(f"/v1/jobs/{'0' * 32}/events").status_code == 404


def test_a_full_queue_says_when_to_come_back(client: TestClient, studio: Studio) -> None:
    assert isinstance(studio.supervisor, InProcess)
    studio.supervisor.paused = True
    photo = upload(client)
    codes = [order(client, photo).status_code for _ in range(MOST_WAITING_EACH + 1)]
    assert codes == [202] * MOST_WAITING_EACH + [429]
    assert order(client, photo).headers["retry-after"] == "10"
    other = order(client, photo, headers={"x-impasto-client": "other"})
    assert other.status_code == 202


def test_the_same_key_makes_one_job(client: TestClient) -> None:
    photo, headers = upload(client), {"idempotency-key": "abc"}
    first, second = (order(client, photo, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert order(client, photo, headers=headers, preset="oil").status_code == 409


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content": "0" * 32}, 404),
        ({"content": "../../etc/passwd"}, 422),
        ({"content": ""}, 422),
        ({"kind": "texture"}, 422),
        ({"kind": "texture", "content": "", "settings": {"strength": 0.5}}, 422),
        ({"kind": "texture", "content": "", "masks": {"subject": ["0" * 32]}}, 422),
        ({"kind": "dream"}, 422),
        ({"kind": "dream", "styles": [], "settings": {"frames": 2}}, 422),
        ({"kind": "dream", "styles": [], "settings": {"size": 48}, "start": "0" * 32}, 422),
        ({"styles": []}, 422),
        ({"styles": ["nonsense"]}, 404),
        ({"styles": ["../waves"]}, 422),
        ({"settings": {"strength": 3}}, 422),
        ({"settings": {"encoder": "/tmp/evil.pth"}}, 422),
        ({"masks": {"nonsense": ["0" * 32]}}, 422),
        ({"masks": {"subject": ["/dev/zero"]}}, 422),
        ({"preset": "nonsense"}, 422),
        ({"start": "0" * 32}, 409),
        ({"unknown": 1}, 422),
        ({"kind": "rm"}, 422),
    ],
)
def test_bad_orders_are_problems(client: TestClient, change: Any, code: int) -> None:
    answer = order(client, upload(client), **change)
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == code
    assert answer.json()["detail"]


def test_a_waiting_job_is_paused_gone_on_with_and_cancelled(
    client: TestClient, studio: Studio
) -> None:
    assert isinstance(studio.supervisor, InProcess)
    studio.supervisor.paused = True
    job = order(client, upload(client)).json()["links"]["self"]
    states = [
        client.post(f"{job}/{what}").json()["state"] for what in ("pause", "resume", "cancel")
    ]
    assert states == ["paused", "queued", "cancelled"]
    assert client.post(f"{job}/pause").status_code == 409
    assert client.post(f"{job}/explode").status_code == 422


def test_a_draft_is_no_part_of_the_history(client: TestClient) -> None:
    settings = {"size": 32, "subject": "off"}
    photo = upload(client)
    draft = made(client, photo, kind="quick", settings=settings, keep=False, screen=True)
    assert draft["state"] == "done"
    assert "command" not in draft
    assert client.get("/v1/jobs").json() == []
    kept = made(client, photo, kind="quick", settings=settings)
    assert kept["command"].startswith("impasto quick Cat.png waves --subject off --size 32")
    assert "picture.png" in kept["links"]


def test_a_full_disk_is_told_though_nothing_can_be_noted(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(studio.supervisor, InProcess)
    studio.supervisor.paused = True
    job = order(client, upload(client)).json()["links"]["self"]
    studio.store.claim("w")
    assert client.get(job).json()["problem"] is None
    monkeypatch.setattr(studio.store, "has_room", lambda: False)
    assert client.get(job).json()["problem"]["message"] == "the disk is full"
