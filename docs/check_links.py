"""Follow every link of the site that was built: python docs/check_links.py build/docs

Pages, anchors, pictures and scripts must be there, on disk; nothing but links that a reader follows
may lead to a network. Prints what is wrong and ends with 1.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"link": "href", "script": "src", "img": "src"}  # what a browser fetches by itself


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        given = dict(attrs)
        self.anchors |= {given[name] or "" for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag in LOADED and given.get(LOADED[tag]):
            self.loaded.append(given[LOADED[tag]] or "")


def check(folder: Path) -> tuple[int, list[str]]:
    """How many links there are, and what is wrong with some of them."""
    pages = {path.resolve(): Page(path) for path in folder.rglob("*.html")}
    count, wrong = 0, []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            count += 1
            if parts.scheme in ("http", "https"):
                if link in page.loaded:
                    wrong.append(f"{path.relative_to(folder.resolve())} needs a network: {link}")
                continue
            if parts.scheme:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = file in pages or file.is_file()
            anchor = unquote(parts.fragment)
            if not there or (anchor and file in pages and anchor not in pages[file].anchors):
                wrong.append(f"{path.relative_to(folder.resolve())} links to {link}")
    return count, wrong


def main() -> None:
    folder = Path(sys.argv[1])
    count, wrong = check(folder)
    for line in wrong:
        print(line)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{count} links, {len(wrong)} of them wrong; {size / 1e6:.0f} MB")
    if wrong or not count:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
