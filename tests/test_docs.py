"""What the README and the docs say is so: code runs, commands parse, quotes and links are right."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import torch
import typer

import impasto
from impasto.cli import COMMANDS, build, main
from impasto.cli.settings import resolve
from impasto.config.base import Settings
from impasto.config.stylize import StylizeConfig
from impasto.config.train import TrainConfig
from impasto.dream import deepdream
from impasto.encoders import ENCODERS, Encoder
from impasto.encoders.mini import load_mini
from impasto.encoders.weights import WEIGHTS
from impasto.errors import ImpastoError
from impasto.feedforward import dataset as photos
from impasto.image import io as images
from impasto.optim import loop as engine
from impasto.optim import pyramid
from impasto.transfer import prepare as transfer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
LESSONS = sorted((ROOT / "docs" / "lessons").glob("0*.py"))
GENERATED = {"settings.md", "cli.md", "../impasto/config/keywords.py"}


@pytest.fixture(autouse=True)
def one_mini(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, not for each run."""
    monkeypatch.setitem(ENCODERS, "mini", lambda **_: _mini())


@cache
def _mini() -> Encoder:
    return load_mini()


@cache
def script(name: str) -> ModuleType:
    """A script of the docs as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def command_line() -> Any:
    return typer.main.get_command(build())


def read(page: Path) -> str:
    """The Markdown of a page; of a lesson, that of its cells of text."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        text = "\n".join(re.findall(r"^#(?: (.*)|)$", text, re.MULTILINE))
    return text


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    text = read(page)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


# --- code that runs ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other in one namespace, on tiny pictures and with few steps."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "waves.jpg"):
        images.save_image(name, impasto.swatch("waves", size=(48, 64)))
    load, fit, plan, optimize = images.load_image, images.size_to_fit, pyramid.plan, engine.optimize

    def small_load(source: Any, *, size: int) -> Any:
        return load(source, size=min(size, 64))

    def few_steps(*objects: Any, steps: int, **options: Any) -> Any:
        return optimize(*objects, steps=min(steps, 2), **options)

    def small_plan(height: int, width: int, *_: Any) -> list[pyramid.Level]:
        return plan(height, width, (2,))

    monkeypatch.setattr(photos, "load_image", load)  # which may be imported only now
    monkeypatch.setattr(images, "load_image", small_load)
    monkeypatch.setattr(transfer, "size_to_fit", lambda h, w, size: fit(h, w, min(size, 64)))
    monkeypatch.setattr(transfer, "plan", small_plan)
    monkeypatch.setattr(deepdream, "size_to_fit", lambda h, w, size: fit(h, w, min(size, 64)))
    monkeypatch.setattr(deepdream, "plan", small_plan)
    monkeypatch.setattr(engine, "optimize", few_steps)
    if "photos" in page.read_text(encoding="utf-8"):
        Path("photos").mkdir()
        for number in range(3):
            images.save_image(f"photos/{number}.jpg", torch.rand(1, 3, 40, 40))

    def small_config(config: TrainConfig | None = None, **settings: Any) -> TrainConfig:
        short = {"steps": 1, "crop": 32, "style_size": 32, "width": 4, "blocks": 1}
        return with_changes(config or TrainConfig(), **{**settings, **short})

    with_changes = Settings.with_changes
    monkeypatch.setattr(TrainConfig, "with_changes", small_config)
    namespace: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)


# --- commands that parse -------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command in a shell block, with the page it stands on."""
    for page in PAGES:
        if page.parent.name == "gallery":  # see test_gallery.py
            continue
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip():
                    yield page.name, shlex.split(line.partition(" > ")[0], comments=True)


def test_commands_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("strength = 0.7\n", encoding="utf-8")
    wrong, right = [], 0
    for page, words in commands():
        try:
            check_command(words)
            right += 1
        except Exception as error:  # of any kind: the list says which
            wrong.append(f"{page}: {shlex.join(words)}: {error!r}")
    assert wrong == []
    assert right > 50


def check_command(words: list[str]) -> None:
    """Raise unless readers can give this command."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
        return
    if words[0] == "pip":
        assert words[1:3] == ["install", "-c"]
        assert (ROOT / words[3]).is_file()
        return
    if words[0] == "python":
        assert (ROOT / words[1]).is_file()
        return
    assert words[0] == "impasto", "a shell block holds commands that readers can give"
    command = command_line()
    context = command.make_context("impasto", words[1:])
    while context.command is command and hasattr(command, "commands"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    if words[1] == "stylize":
        names = StylizeConfig().to_dict()
        settings = {key: value for key, value in context.params.items() if key in names}
        resolve(context.params["preset"], context.params["config"], settings)


@cache
def all_flags() -> set[str]:
    """The flags of all commands."""
    flags = {"--debug", "--help"}
    todo = [command_line()]
    while todo:
        command = todo.pop()
        todo += getattr(command, "commands", {}).values()
        flags |= {flag for parameter in command.params for flag in parameter.opts}
    return flags


def test_flags_and_commands_in_the_text_exist() -> None:
    flags, wrong, seen = all_flags(), [], 0
    for page in PAGES:
        text = prose(page)
        if page.name == "coming-from.md":  # the flags of others stand in the first column
            text = re.sub(r"^\| (?!---).*? \| ", "", text, flags=re.MULTILINE)
        for code in re.findall(r"`([^`\n]+)`", text):
            used = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code))
            command = re.match(r"impasto ([a-z]+)", code)
            seen += len(used) + (command is not None)
            if not used <= flags or (command and command[1] not in COMMANDS):
                wrong.append(f"{page.name}: {code}")
    assert wrong == []
    assert seen > 200


def test_readme_lists_the_commands() -> None:
    assert re.findall(r"^\| `impasto (\w+)", README.read_text("utf-8"), re.MULTILINE) == [*COMMANDS]


def neural_style_command() -> list[str]:
    """Ours beside neural-style's, from the table of flags."""
    page = ROOT / "docs" / "coming-from.md"
    [command, *_] = [words for name, words in commands() if name == page.name]
    return command[1:]


def test_a_command_of_neural_style_is_found_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of the page, at the size and with the steps of a test."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "waves.jpg"):
        images.save_image(name, impasto.swatch("waves", size=(48, 64)))
    words = neural_style_command()
    for flag, value in {"--size": "64", "--steps": "2"}.items():
        words[words.index(flag) + 1] = value
    assert main(words) == 0
    made = impasto.read_metadata(tmp_path / "out.png")
    assert made is not None
    assert made["config"]["color"] == "keep"
    assert made["config"]["content_layers"] == ["relu4_2"]


def test_flags_of_others_have_ours_beside_them() -> None:
    text = (ROOT / "docs" / "coming-from.md").read_text("utf-8")
    for section, rows in (("neural-style(-pt)", 25), ("style-transfer-pytorch", 18)):
        table = text.partition(f"| {section} |")[2].partition("\n\n")[0]
        lines = [line.split(" | ") for line in table.splitlines()[2:]]
        assert len(lines) >= rows
        assert all(len(cells) >= 3 and cells[1].strip() for cells in lines)


# --- tables and maps that agree with the code ----------------------------------------------------


@pytest.mark.parametrize("page", sorted(GENERATED))
def test_generated_page_is_up_to_date(page: str) -> None:
    made = script("make_settings").PAGES[page]()
    assert (ROOT / "docs" / page).read_text("utf-8") == made, "run: python docs/make_settings.py"


def test_settings_page_has_every_setting() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` ", text, re.MULTILINE)
    assert sorted(found) == sorted(StylizeConfig().to_dict())


def test_readme_has_every_exit_code() -> None:
    def tree(kind: type[ImpastoError]) -> Iterator[type[ImpastoError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    codes = {kind.exit_code for kind in tree(ImpastoError)}
    listed = set(map(int, re.findall(r"^\| (\d+) \|", README.read_text("utf-8"), re.MULTILINE)))
    assert codes <= listed


def test_readme_has_every_file_of_weights() -> None:
    rows = re.findall(r"^\| `(vgg[\w-]+)` \| `([^`]+)` ", README.read_text("utf-8"), re.MULTILINE)
    assert rows == [(spec.name, spec.filename) for spec in WEIGHTS.values()]


def test_house_map_matches_the_tree() -> None:
    """Rooms with their files' names below, and files that stand alone."""
    text = README.read_text(encoding="utf-8")
    [house] = re.findall(r"^```\n(impasto/\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    drawn: set[str] = set()
    room = ""
    for line in house.splitlines():
        indent, name, rest = re.match(r"( *)(\S+)(.*)", line).groups()  # type: ignore[union-attr]
        if not indent:
            assert (ROOT / name).is_dir(), f"there is no {name}"
        elif len(indent) == 2:
            room = name
            assert (ROOT / "impasto" / name).exists(), f"there is no impasto/{name}"
            drawn |= {f"{name}__init__.py"} if name.endswith("/") else {name}
        else:
            drawn |= {f"{room}{stem}.py" for stem in [name, *rest.split()]}
    package = ROOT / "impasto"
    there = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    assert drawn - {"assets/__init__.py"} == there


# --- quotes, links, pictures ---------------------------------------------------------------------


def quotes() -> Iterator[tuple[Path, str]]:
    """What is quoted, with the file that it is said to be from: the link above the block."""
    pattern = r"^\[([\w./]+\.py)\]\(([^)]+)\)\n+```py\n(.*?)^```$"
    for page in [*PAGES, *LESSONS]:
        text = read(page)
        found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
        assert len(found) == len(blocks(page, "py")), f"{page.name}: a quote without its file"
        for name, link, quote in found:
            assert (page.parent / link).resolve() == ROOT / name
            yield ROOT / name, quote


def _stripped(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


# Pictures of the docs that another script makes: a benchmark from what it measured, a browser.
PLOTS = {
    "time-to-quality.webp": "benchmarks/time_to_quality.py",
    **dict.fromkeys(
        ("studio.webp", "studio-painting.webp", "studio-compare.webp", "studio-phone.webp"),
        "docs/make_studio_pictures.py",
    ),
}


def test_quotes_are_in_their_files() -> None:
    found = list(quotes())
    wrong = [
        f"{path.name}: {quote[:80]}"
        for path, quote in found
        if f"\n{_stripped(quote)}\n" not in f"\n{_stripped(path.read_text(encoding='utf-8'))}\n"
    ]
    assert wrong == []
    assert found


def test_every_formula_has_its_line() -> None:
    """A section with a formula quotes the code that computes it; in a lesson the whole lesson."""
    without, seen = [], 0
    for page in [*PAGES, *LESSONS]:
        sections = re.split(r"^## ", read(page), flags=re.MULTILINE)
        for section in sections if page.suffix == ".md" else ["\n".join(sections)]:
            if re.search(r"^\$\$", section, re.MULTILINE):
                seen += 1
                if "```py\n" not in section:
                    without.append(f"{page.name}: {section[:40]}")
    assert without == []
    assert seen >= 20


def test_links_resolve() -> None:
    pages = [*PAGES, *LESSONS, CONTRIBUTING]
    found = [(page, target) for page in pages for target in links(page)]
    wrong = [
        f"{page.name} links to {target}: {fault}"
        for page, target in found
        if (fault := fault_of_link(page, target))
    ]
    assert wrong == []
    assert len(found) > 300


def links(page: Path) -> list[str]:
    """The targets of a page's links to files and headings of this repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not target.startswith("https://")]


def fault_of_link(page: Path, target: str) -> str:
    """What is wrong with a link; empty where nothing is."""
    place, _, anchor = target.partition("#")
    file = (page.parent / place).resolve() if place else page
    if file.parent == ROOT / "docs" / "pictures" and file.name not in PLOTS:
        if file.name not in script("make_pictures").PICTURES:
            return "docs/make_pictures.py does not make it"
        there = file.is_file() or not file.parent.exists()
        return "" if there else "run: python docs/make_pictures.py"
    if not file.is_relative_to(ROOT) or not file.exists():
        return "there is no such file"
    return "" if not anchor or anchor in slugs(file) else "there is no such heading"


def test_pictures_are_small_and_all_used() -> None:
    made = script("make_pictures").PICTURES
    pages = [page for page in PAGES if page.parent.name != "gallery"]  # see test_gallery.py
    shown = {name for page in pages for name in re.findall(r"pictures/([\w.-]+)", prose(page))}
    assert shown == set(made) | set(PLOTS)
    assert all((ROOT / drawn_by).is_file() for drawn_by in PLOTS.values())
    files = list((ROOT / "docs" / "pictures").glob("*"))
    assert {file.name for file in files} <= set(made) | set(PLOTS)
    sizes = [file.stat().st_size for file in files]
    assert max(sizes, default=0) <= 100_000
    assert sum(sizes) < 2_400_000


def test_pictures_can_be_made() -> None:
    module = script("make_pictures")
    make, _ = module.PICTURES["evolution.webp"]
    rows = make(module.Studio(64, (2,), "mini"))
    sheet = module.sheet(rows, 32)
    assert sheet.width == 38 * max(map(len, rows)) + 6


def test_lines_fit() -> None:
    """Long lines only in tables, in formulas and in what a script has written."""
    long = [
        f"{page.name}: {line}"
        for page in PAGES
        if page.name not in GENERATED
        for line in page.read_text(encoding="utf-8").splitlines()
        if len(line) > 110 and not line.startswith(("|", "$$", "!"))
    ]
    assert long == []


def test_every_public_name_is_in_the_reference() -> None:
    pages = sorted((ROOT / "docs" / "api").glob("*.rst"))
    text = "\n".join(page.read_text("utf-8") for page in pages)
    documented = re.findall(
        r"^\.\. (?:auto(?:function|class|exception)|py:data):: impasto\.(\w+)$", text, re.MULTILINE
    )
    assert sorted(documented) == sorted(set(impasto.__all__) - {"__version__"})


def test_reference_gives_shapes_and_errors() -> None:
    for name in impasto.__all__:
        thing = getattr(impasto, name)
        if isinstance(thing, FunctionType):
            told = inspect.getdoc(thing) or ""
            assert re.search(r"\bRaises\b|Error\b|errors are those", told), name


def test_every_claim_has_a_page_a_line_and_a_picture() -> None:
    text = (ROOT / "docs" / "claims.md").read_text("utf-8")
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\|.+\|$", text, re.MULTILINE)[2:]]
    assert len(rows) >= 15
    for _, page, code, seen in rows:
        assert ".md" in page
        assert re.search(r"\]\(\.\./impasto/[\w/]+\.py\)", code)
        assert re.search(r"\]\((?:lessons|pictures|gallery)/", seen)


def test_no_place_on_one_machine() -> None:
    place = re.compile(r"/(work|home|root|Users|tmp)/")
    assert [page.name for page in PAGES if place.search(page.read_text("utf-8"))] == []


def test_decisions_have_one_form() -> None:
    for number, path in enumerate(sorted((ROOT / "docs" / "decisions").glob("*.md")), start=1):
        assert path.name.startswith(f"{number:04}-")
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequence"]
