"""The documentation site: make docs. The root of its sources is the repository's, one source for
the site and for whoever reads the Markdown as it is."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_parser.parsers.sphinx_ import MystParser
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from impasto import __version__  # noqa: E402
from impasto.config.base import Settings  # noqa: E402

project, author, copyright = "impasto", "The impasto developers", "the impasto developers"
release = version = __version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/**.rst",
    "docs/lessons/0*.py",
    "impasto/assets/*.md",
    "training/README.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "dist", "out", "tests", "impasto/[!a]*", "**/__pycache__"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".py": "lesson"}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # slugs as on GitHub, which tests/test_docs.py checks too
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

html_theme = "furo"
html_title = "impasto"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "to_docs.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}


SHOWN = {
    "01": "pictures/features.webp",
    "02": "pictures/reconstructions.webp",
    "03": "pictures/grams.webp",
    "04": "pictures/strengths.webp",
    "05": "pictures/evolution.webp",
    "06": "pictures/sizes.webp",
    "07": "gallery/pictures/quick-3.webp",
    "08": "pictures/dreams.webp",
}
"""A picture for the page of each lesson, whose own pictures are made by whoever runs it."""


class LessonParser(MystParser):  # type: ignore[misc]  # sphinx's types are loose here
    """A lesson (docs/lessons, a script in the percent format) as the page that it is."""

    supported = ("lesson",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Its cells of text are Markdown, those of code are blocks."""
        notebook = jupytext.reads(inputstring, "py:percent")
        notebook.metadata = {}
        picture = f"![what this lesson shows](../{SHOWN[Path(document['source']).name[:2]]})"
        text = re.sub(
            r"^# .+$", rf"\g<0>\n\n{picture}", jupytext.writes(notebook, "md"), count=1, flags=re.M
        )
        super().parse(text, document)


# --- formulas without a script --------------------------------------------------------------------


def visit_math(writer: Any, node: nodes.Element) -> None:
    """A formula as MathML, which browsers draw without a network."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext().strip(), as_block=block)
    writer.body.append(f"<div class='formula'>{formula}</div>" if block else formula)
    raise nodes.SkipNode


# --- pages of source, and links to their lines ----------------------------------------------------

FOLDERS = {
    "docs/decisions": "docs/decisions/index",
    "docs/lessons": "docs/lessons/index",
    "examples": "source/examples/index",
}
"""Where links to folders lead."""
SOURCES = [
    path.relative_to(ROOT)
    for folder in ("impasto", "examples", "benchmarks", "training")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)\)(\n\n```py\n(.*?)^```$)?", re.M | re.S)


def link_to_source(app: Sphinx, docname: str, content: list[str]) -> None:
    """Let links to Python files and folders lead to their pages here, those above a quote to its
    first line."""
    page = Path(app.env.doc2path(docname))
    up = "../" * docname.count("/")

    def linked(match: re.Match[str]) -> str:
        text, target, below, quote = match.groups()
        file = (page.parent / target).resolve()
        name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""
        if name in FOLDERS:
            place = f"{FOLDERS[name]}.html"
        elif Path(name) in SOURCES:
            line = first_line(file.read_text("utf-8"), quote) if quote else None
            place = f"source/{name[:-3]}.html" + (f"#line-{line}" if line else "")
        else:
            return match[0]
        return f'<a class="reference internal" href="{up}{place}">{text}</a>{below or ""}'

    if page.suffix in (".md", ".py"):
        content[0] = LINK.sub(linked, content[0])


def first_line(text: str, quote: str) -> int | None:
    """The number of the line at which ``quote`` begins in ``text``, however it is indented."""
    lines = [line.strip() for line in text.splitlines()]
    wanted = [line.strip() for line in quote.strip().splitlines()]
    starts = (k for k in range(len(lines)) if lines[k : k + len(wanted)] == wanted)
    return next((k + 1 for k in starts), None)


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each Python file that a reader may want to see."""
    formatter = HtmlFormatter(lineanchors="line", linenos="inline", anchorlinenos=True)
    for path in SOURCES:
        code = highlight((ROOT / path).read_text("utf-8"), PythonLexer(), formatter)
        body = f"<h1>{path.as_posix()}</h1>{code}"
        yield (
            f"source/{path.with_suffix('').as_posix()}",
            {"title": path.name, "body": body},
            ("page.html"),
        )
    items = [
        f'<li><a href="{path.stem}.html">{path.name}</a></li>'
        for path in SOURCES
        if path.parent.name == "examples"
    ]
    body = f"<h1>Examples</h1><ul>{''.join(items)}</ul>"
    yield "source/examples/index", {"title": "Examples", "body": body}, "page.html"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """The page of source that defines a documented object; all of those stand in docs/api."""
    thing: Any = sys.modules.get(info["module"])
    for part in info["fullname"].split("."):
        thing = getattr(thing, part, None)
    try:
        thing = inspect.unwrap(thing)
        file = Path(inspect.getsourcefile(thing) or "").resolve()
        line = inspect.getsourcelines(thing)[1]
    except (TypeError, OSError):
        return None
    if not file.is_relative_to(ROOT / "impasto"):
        return None
    return f"../../source/{file.relative_to(ROOT).with_suffix('').as_posix()}.html#line-{line}"


# --- settings -------------------------------------------------------------------------------------


def short_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """``StylizeConfig(**settings)``: fifty settings are no signature."""
    is_config = isinstance(thing, type) and issubclass(thing, Settings)
    return ("(**settings)", returns) if is_config else None


def list_settings(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Every setting of a class of settings, with its default and its help."""
    if isinstance(thing, type) and issubclass(thing, Settings):
        for item in fields(thing):  # type: ignore[arg-type]  # each subclass is a dataclass
            least, most = item.metadata.get("least"), item.metadata.get("most")
            limits = f"; from {least}" if least is not None else ""
            limits += f" to {most}" if most is not None else ""
            lines += ["", f"``{item.name}`` (default ``{item.default!r}``{limits})"]
            lines += ["   " + item.metadata["help"].replace("*", "\\*")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_source_parser(LessonParser)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", link_to_source)
    app.connect("html-collect-pages", source_pages)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-process-docstring", list_settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


html_math_renderer = "mathml"
