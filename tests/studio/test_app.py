"""The service as a whole, and the files of its page."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from impasto.config.stylize import StylizeConfig
from impasto.studio.app import PAGE
from impasto.studio.recipe import can_write_mp4
from impasto.studio.service import Studio

TEXTS = sorted(path.name for path in PAGE.iterdir() if path.suffix in (".html", ".js", ".css"))


def test_the_service_tells_how_it_is(client: TestClient, studio: Studio) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"ready": True}
    assert client.get("/v1/status").json() == {
        "ready": True,
        "waiting": 0,
        "mp4": can_write_mp4(),
    }
    metrics = client.get("/metrics").text
    assert "impasto_ready 1" in metrics
    assert "impasto_worker_deaths_total 0" in metrics


def test_a_service_without_a_worker_is_not_ready(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(studio.supervisor), "ready", False)
    assert client.get("/readyz").status_code == 503


def test_the_api_describes_itself(client: TestClient) -> None:
    told = client.get("/v1/openapi.json").json()
    assert {"/v1/jobs", "/v1/pictures", "/v1/jobs/{job}/events"} <= set(told["paths"])
    assert told["components"]["schemas"]["Order"]["examples"]


@pytest.mark.parametrize("name", TEXTS)
def test_the_page_asks_no_other_host_and_runs_no_inline_code(client: TestClient, name: str) -> None:
    text = client.get("/" if name == "index.html" else f"/page/{name}").text
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) - {"//www.w3.org"}
    assert not {x for x in addresses if x.startswith(("http", "//")) and "/page" not in x}
    if name == "index.html":
        assert not re.search(r"<style|\son\w+=|\sstyle=|<script>", text)
        for part in re.findall(r'(?:src|href)="(/page/[^"]+)"', text):
            assert client.get(part).status_code == 200


def test_every_control_has_a_name(client: TestClient) -> None:
    text = client.get("/").text
    for tag in re.findall(r"<input[^>]*>", text):
        found = re.search(r'id="([^"]+)"', tag)
        named = "aria-label" in tag or (found and f'for="{found[1]}"' in text)
        assert named or re.search(r"<label[^>]*>[^<]*" + re.escape(tag), text), tag


def test_sliders_begin_at_the_defaults(client: TestClient) -> None:
    """The page's own copy of them; its scripts read it from there."""
    page = client.get("/").text
    for name in ("strength", "protect"):
        found = re.search(rf'id="{name}" type="range" [^>]*value="([^"]+)"', page)
        assert found is not None
        assert float(found[1]) == getattr(StylizeConfig, name)


def test_unknown_paths_are_problems(client: TestClient) -> None:
    answer = client.get("/v2/jobs")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
