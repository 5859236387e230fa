"""A page to look at: all pictures of a batch, each with what it was made of."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from impasto.batch.manifest import Item

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>impasto batch</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 2em; background: #fafafa; color: #222 }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 16px }
figure { margin: 0 } img { width: 100%; height: auto; background: #eee }
figcaption { overflow-wrap: anywhere; color: #555 } .failed { color: #a00 }
</style></head><body>
"""


def summary_page(items: Sequence[Item], folder: Path, failed: Mapping[str, str]) -> str:
    """An HTML page in ``folder`` that shows the pictures from their files; browsers load those
    that are scrolled to. ``failed`` has the errors of outputs that are not there."""
    parts = [HEAD, f"<h1>{len(items)} pictures</h1>"]
    if failed:
        parts.append(f'<p class="failed">{len(failed)} of them failed.</p>')
    parts.append("<main>")
    for item in items:
        place = Path(os.path.relpath(item.output, folder)).as_posix()
        settings = ", ".join(f"{key} {value}" for key, value in item.settings.items())
        styles = " + ".join(Path(style).stem for style in item.styles)
        words = f"{Path(item.content).stem}, {styles}{', ' if settings else ''}{settings}"
        caption = html.escape(words)
        if place in failed:
            shown = f'<p class="failed">{html.escape(failed[place])}</p>'
        elif item.output.is_file():
            link = html.escape(quote(place))
            shown = f'<a href="{link}"><img src="{link}" alt="{caption}" loading="lazy"></a>'
        else:
            shown = "<p>still to come</p>"
        parts.append(f"<figure>{shown}<figcaption>{caption}</figcaption></figure>")
    return "\n".join([*parts, "</main></body></html>\n"])
