"""The pictures of docs/studio.md: a browser uses the studio, and is photographed meanwhile.

    python docs/make_studio_pictures.py

Needs the extra ``studio``, playwright and Chromium; takes a few minutes.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

PICTURES = ("studio.webp", "studio-painting.webp", "studio-compare.webp", "studio-phone.webp")
FOLDER = Path(__file__).parent / "pictures"
STYLES = ("fauve", "mosaic", "woodcut", "pastel")
LAST, STRENGTH = "night", 0.6
MOST_BYTES = 95_000
FEW_BYTES = 65_000
LONG = 240_000  # milliseconds
MOVE = """value => {
    const slider = document.getElementById("strength");
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
}"""


@contextmanager
def studio() -> Iterator[str]:
    """A studio with an empty history; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "impasto", "studio", "--headless", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--folder", folder], stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        yield found[0]
        process.terminate()
        process.wait()


def save(page: Any, name: str, width: int, most: int = MOST_BYTES) -> None:
    """Photograph the page, in so many bytes."""
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(600)
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        height = round(shot.height * width / shot.width)
        small = shot.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    for quality in range(88, 40, -4):
        small.save(FOLDER / name, quality=quality, method=6)
        if (FOLDER / name).stat().st_size <= most:
            break


def paint(page: Any, style: str, size: str) -> None:
    """Begin a painting."""
    page.click(f"[data-style={style}]")
    page.select_option("#size", size)
    page.wait_for_timeout(2500)
    page.click("#paint")
    page.wait_for_selector("#run-text:has-text('step')", timeout=LONG)


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with studio() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        page.goto(address)
        page.click("#sample")
        page.wait_for_selector("body[data-preview]", timeout=LONG)
        for style in STYLES:
            paint(page, style, "256")
            page.wait_for_selector("#result:not([hidden])", timeout=LONG)
        page.evaluate(MOVE, STRENGTH)
        paint(page, LAST, "768")
        while int(re.findall(r"(\d+) %", page.inner_text("#run-title") + " 0 %")[0]) < 30:
            page.wait_for_timeout(100)
        save(page, "studio-painting.webp", 1100)
        page.wait_for_selector("#result:not([hidden])", timeout=LONG)
        save(page, "studio.webp", 1280)
        page.click("#compare-with")
        page.click("#history li:nth-child(3) button")
        page.wait_for_selector(".stage.beside")
        page.evaluate("document.getElementById('toast').hidden = true")
        save(page, "studio-compare.webp", 960, FEW_BYTES)
        phone = browser.new_context(
            viewport={"width": 390, "height": 844},
            color_scheme="dark",
            device_scale_factor=2,
            has_touch=True,
            is_mobile=True,
        ).new_page()
        phone.goto(address)
        phone.click("#history button")
        phone.wait_for_selector("#result:not([hidden])", timeout=LONG)
        save(phone, "studio-phone.webp", 440)
        browser.close()


if __name__ == "__main__":
    main()
