"""The page in a browser: what a person does with it, from two dropped files to a download."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import impasto
from impasto.cli import main
from tests.studio.in_process import picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM or find_spec("playwright") is None, reason="needs Chromium and playwright"
    ),
]
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
DROP = """([target, files]) => {
    const given = new DataTransfer();
    for (const [name, data] of files) {
        const bytes = Uint8Array.from(atob(data), (x) => x.charCodeAt(0));
        given.items.add(new File([bytes], name, { type: "image/png" }));
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: given });
        document.querySelector(target).dispatchEvent(event);
    }
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio in a process of its own, with one thread."""
    folder = tmp_path_factory.mktemp("studio")
    command = [sys.executable, "-m", "impasto", "studio", "--headless", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--folder", str(folder), "--threads", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found is not None
    yield found[0]
    process.terminate()
    code = process.wait(40)
    process.stderr.close()
    assert code == 0


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._on_request(request.url, address))
        self.page.goto(address)

    @property
    def phone(self) -> bool:
        """Whether the window is a phone's."""
        return self.page.viewport_size is not None and self.page.viewport_size["width"] < 500

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _on_request(self, url: str, address: str) -> None:
        if not url.startswith((address, "blob:", "data:")):
            self.wrong.append(f"another host: {url}")


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def watched(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    made = Watched(browser, address, accept_downloads=True, **request.param)
    yield made
    wrong = made.wrong
    made.context.close()
    assert wrong == []


Show = Callable[[Watched], None]


def drop(page: Page, target: str, **files: bytes) -> None:
    coded = [[f"{name}.png", base64.b64encode(data).decode()] for name, data in files.items()]
    page.evaluate(DROP, [target, coded])


def steps_of(page: Page) -> int:
    found = re.search(r"step (\d+)", page.inner_text("#run-text"))
    return int(found[1]) if found else 0


def test_from_two_files_to_a_picture(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, phone = watched.page, watched.phone
    press = page.tap if phone else page.click
    # 1. A photo and a painting are dropped; the preview comes by itself.
    photo, style = picture(120, 160), picture(96, 96, seed=7)
    drop(page, "#stage", photo=photo, painting=style)
    page.wait_for_selector("body[data-preview]", timeout=120_000)  # the worker begins, too
    page.wait_for_selector("#shelf [aria-pressed=true] >> text=painting")
    # 2. The subject is brushed.
    press("#subject-edit")
    page.wait_for_selector("#brushbar:not([hidden])")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if phone:
        page.touchscreen.tap(*middle)
    else:
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + 20, steps=4)
        page.mouse.up()
    press("#brush-done")
    page.wait_for_selector("#subject-state:has-text('as you brushed it')")
    # 3. The strength is moved, by keys.
    page.focus("#strength")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#strength-out") == "0.60"
    # 4. Paint, pause, go on.
    page.select_option("#size", "256")
    press("#paint")
    page.wait_for_selector("#run-text:has-text('step')")
    press("#run-pause")
    page.wait_for_selector("#run-title:has-text('Paused')")
    reached = steps_of(page)
    page.wait_for_timeout(700)
    assert steps_of(page) == reached
    press("#run-pause")
    page.wait_for_selector("#result:not([hidden])", timeout=120_000)
    # 5. Compare with the slider; take it home.
    before = page.get_attribute("#divider", "aria-valuenow")
    page.focus("#divider")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#divider", "aria-valuenow") != before
    with page.expect_download() as download:
        press("#get-png")
    painted = tmp_path / "painted.png"
    download.value.save_as(painted)
    # 6. What is in it makes it again, beside its files.
    metadata = impasto.read_metadata(painted)
    assert metadata["config"]["strength"] == 0.6
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(style)
    mask = metadata["subject"]["path"]
    identifier = page.evaluate(
        "async () => (await (await fetch('/v1/pictures?role=mask')).json())[0].links.file"
    )
    answer = watched.context.request.get(page.url.rstrip("/") + identifier)
    (tmp_path / mask).write_bytes(answer.body())
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "painted.png", "-o", "again.png", "-q"]) == 0
    assert torch.equal(impasto.load_image("painted.png"), impasto.load_image("again.png"))


def paintings(watched: Watched) -> None:
    """Two paintings that differ in strength, of a photo that is large enough to zoom into."""
    page = watched.page
    photo = base64.b64encode(picture(400, 600, seed=2)).decode()
    page.evaluate(
        """async (data) => {
            const form = new FormData();
            const bytes = Uint8Array.from(atob(data), (x) => x.charCodeAt(0));
            form.append("file", new Blob([bytes], { type: "image/png" }), "wide.png");
            const ask = async (path, options) =>
                (await fetch(path, { method: "POST", ...options })).json();
            const { id } = await ask("/v1/pictures", { body: form });
            for (const strength of [0.4, 0.9]) {
                const settings = { strength, size: 600, quality: "draft", subject: "off" };
                const order = { kind: "quick", content: id, styles: ["waves"], settings };
                const body = JSON.stringify(order);
                const headers = { "Content-Type": "application/json", "Prefer": "wait=30" };
                const job = await ask("/v1/jobs", { body, headers });
                if (job.state !== "done") throw new Error(job.state);
            }
        }""",
        photo,
    )
    page.reload()
    page.wait_for_selector("#history li:nth-child(2) button")


BOXES = """() => ["before", "after-beside"].map((id) => {
    const image = document.getElementById(id), box = image.getBoundingClientRect();
    const pane = image.closest(".pane").getBoundingClientRect();
    return { src: image.src, x: box.x - pane.x, y: box.y - pane.y, width: box.width,
             pane: [pane.left, pane.top, pane.right, pane.bottom] };
})"""


def test_the_history_is_there_after_a_reload(watched: Watched) -> None:
    page = watched.page
    paintings(watched)
    page.click("#history button")
    page.wait_for_selector("#result:not([hidden])")
    page.click("#use-settings")
    page.wait_for_selector("#photo-name:has-text('wide.png')")
    assert page.input_value("#strength") == "0.9"
    assert page.input_value("#quality") == "draft"


def test_two_paintings_are_compared_side_by_side(watched: Watched) -> None:
    page, phone = watched.page, watched.phone
    press = page.tap if phone else page.click
    paintings(watched)
    press("#history li:nth-child(1) button")
    page.wait_for_selector("#result:not([hidden])")
    press("#compare-with")
    press("#history li:nth-child(2) button")
    page.wait_for_selector(".stage.beside #pane-beside:not([hidden])")
    page.wait_for_function("document.getElementById('after-beside').naturalWidth > 0")
    assert page.inner_text("#tag-before") == "Waves · strength 0.4"
    assert page.inner_text("#tag-after") == "Waves · strength 0.9"
    assert page.locator("#history [aria-current=true]").count() == 2
    # Two panes, beside each other on a wide screen and stacked on a phone.
    one, two = page.evaluate(BOXES)
    assert one["src"] != two["src"]
    assert one["pane"][3 if phone else 2] <= two["pane"][1 if phone else 0]
    # What is moved in one is moved in both.
    press("#zoom-full")
    zoomed = page.evaluate(BOXES)
    assert zoomed[0]["width"] == zoomed[1]["width"] == 600
    assert zoomed[0]["width"] > one["width"]
    page.evaluate("scrollTo(0, 0)")
    left, top, right, bottom = zoomed[1]["pane"]
    x, y = (left + right) / 2, (top + bottom) / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y - 20, steps=3)
    page.mouse.up()
    moved = page.evaluate(BOXES)
    assert (moved[0]["x"], moved[0]["y"]) == (moved[1]["x"], moved[1]["y"])
    assert moved[0]["x"] == zoomed[0]["x"] - 30
    # The same two under the slider, and the photo again.
    press("#beside")
    assert page.is_hidden("#pane-beside")
    assert page.is_visible("#divider")
    press("#compare-with")
    page.wait_for_function("document.getElementById('tag-before').textContent === 'Photo'")
    assert page.is_hidden("#pane-beside")


@pytest.mark.parametrize("mode", ["texture", "dream"])
def test_other_modes_make_pictures_of_their_own(watched: Watched, mode: str) -> None:
    page = watched.page
    press = page.tap if watched.phone else page.click
    assert page.is_hidden("#aspect")  # a texture's alone
    press(f"#modes label:has([value={mode}])")
    page.wait_for_selector("#mode-hint:not([hidden])")
    if mode == "dream":
        drop(page, "#stage", photo=picture(96, 128))
        page.wait_for_selector("#photo-name:has-text('photo.png')")
        page.fill("[data-name=octaves]", "2")
        assert page.is_hidden("#strength")
    else:
        press("#everything summary")
        page.click(".group summary:has-text('Optimiser')")
        page.fill("[data-name=steps]", "20,10")
        press("#panel label:has([name=wrap][value=both])")
        assert page.is_hidden("#photo-name")
        assert page.is_visible("#aspect")
    page.select_option("#size", "256")
    press("#paint")
    page.wait_for_selector("#result:not([hidden])", timeout=120_000)
    assert page.inner_text("#tag-after") == mode.title()
    assert page.is_hidden("#view-photo" if mode == "texture" else "#view-style")
    command = page.inner_text("#command")
    assert command.startswith(f"impasto {mode} ")
    assert ("--wrap both" if mode == "texture" else "--octaves 2") in command
    with page.expect_download() as download:
        press("#get-png")
    assert download.value.suggested_filename.endswith(f"-{mode}.png")
    # Another mode, and back to this one by the history.
    press("#modes label:has([value=paint])")
    page.wait_for_selector("#mode-hint", state="hidden")
    press("#history button")
    page.wait_for_selector("#result:not([hidden])")
    press("#use-settings")
    page.wait_for_selector("#mode-hint:not([hidden])")
    assert page.input_value(f"[data-name={'octaves' if mode == 'dream' else 'steps'}]")
    assert page.inner_text("#changed") == "1 changed"


def a_painting(watched: Watched) -> None:
    """One of the history is shown."""
    if not watched.page.locator("#history li").count():
        paintings(watched)
    watched.page.click("#history button")
    watched.page.wait_for_selector("#result:not([hidden])")


def a_comparison(watched: Watched) -> None:
    """Two of the history are shown side by side."""
    paintings(watched)
    a_painting(watched)
    watched.page.click("#compare-with")
    watched.page.click("#history li:nth-child(2) button")
    watched.page.wait_for_selector(".stage.beside")


def a_dream(watched: Watched) -> None:
    """The form of another mode."""
    watched.page.click("#modes label:has([value=dream])")
    watched.page.wait_for_selector("#mode-hint:not([hidden])")


STATES = [a_painting, a_comparison, a_dream]
in_each_state = pytest.mark.parametrize("show", STATES, ids=[x.__name__ for x in STATES])


def test_the_menu_of_downloads_is_whole_and_closes(watched: Watched) -> None:
    page = watched.page
    press = page.tap if watched.phone else page.click
    a_painting(watched)
    press("#more summary")
    hidden = page.evaluate(
        """() => [...document.querySelectorAll("#more .sheet > *")]
            .filter((one) => one.checkVisibility())
            .filter((one) => {
                const box = one.getBoundingClientRect();
                const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return box.left < 0 || box.right > innerWidth || !one.contains(at);
            })
            .map((one) => one.textContent)"""
    )
    assert hidden == []
    press("#result-title")
    assert page.is_hidden("#more .sheet")
    press("#more summary")
    with page.expect_download() as download:
        press("#get-tif")
    assert download.value.suggested_filename.endswith(".tif")
    assert page.is_hidden("#more .sheet")


@in_each_state
def test_nothing_is_wider_than_the_window(watched: Watched, show: Show) -> None:
    page = watched.page
    show(watched)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


@in_each_state
def test_what_can_be_pressed_is_large_enough(watched: Watched, show: Show) -> None:
    page = watched.page
    show(watched)
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], select, summary, .segments label")]
            .filter((x) => x.checkVisibility() && !x.classList.contains("skip"))
            .map((x) => [x.id || x.className || x.textContent, x.getBoundingClientRect()])
            .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
            .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""
    )
    assert small == []


@in_each_state
def test_the_page_is_usable_without_seeing_it(watched: Watched, show: Show) -> None:
    """axe-core finds nothing serious."""
    pytest.importorskip("axe_playwright_python")
    import axe_playwright_python

    source = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js"))
    page = watched.page
    show(watched)
    page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.evaluate(source.read_text("utf-8"))
        found = page.evaluate("axe.run()")
        serious = [
            f"{x['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:160]}"
            for x in found["violations"]
            if x["impact"] in ("serious", "critical")
            for node in x["nodes"]
        ]
        assert serious == [], scheme


def test_a_wrong_file_is_told_in_one_line(browser: Browser, address: str) -> None:
    made = Watched(browser, address, **DESK)
    drop(made.page, "#stage", broken=b"this is no picture")
    made.page.wait_for_selector("#toast:not([hidden])")
    assert "picture" in made.page.inner_text("#toast").lower()
    made.context.close()
