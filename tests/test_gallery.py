"""The gallery: a page for each knob, a picture for each command, and nothing left over."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from PIL import Image

import impasto
from impasto.cli import build
from impasto.cli.settings import parse_all, resolve
from impasto.config.base import Settings
from impasto.config.dream import DreamConfig
from impasto.config.groups import ColorConfig, MasksConfig
from impasto.config.presets import PRESETS
from impasto.config.quick import QuickConfig
from impasto.config.stylize import StylizeConfig, choices
from impasto.config.texts import flag_of
from impasto.losses import CONTENT_LOSSES, STYLE_LOSSES

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
PICTURES = GALLERY / "pictures"

CONFIGS: dict[str, type[Settings]] = {
    "stylize": StylizeConfig,
    "texture": StylizeConfig,
    "quick": QuickConfig,
    "dream": DreamConfig,
}

SHARED = {item.name for kind in (ColorConfig, MasksConfig) for item in fields(kind)} | {"subject"}

# What has no page of its own, and why.
EXCEPTIONS = {
    "device": "where it is computed: the picture is the same",
    "precision": "how it is computed: the picture is the same to the eye",
    "tile": "how it is computed: the picture is the same to the eye",
    "max_memory": "how it is computed: the picture is the same to the eye",
    "encoder": "the others need weights that do not ship; the presets' page names mini",
    "flavour": "of VGG's weights, which do not ship",
    "pooling": "of VGG only, whose weights do not ship; mini's is its own",
    "size": "in dream and quick the same as on the page of stylize",
    "seed": "in dream the same as on the page of stylize",
    "padding": "in dream the same as on the page of stylize",
    **dict.fromkeys(SHARED, "in quick the same as on the page of stylize"),
}
# Exceptions in dream and quick only.
SHOWN_IN_STYLIZE = {"size", "seed", "padding", *SHARED}


@cache
def gallery() -> ModuleType:
    """docs/make_gallery.py as a module."""
    path = GALLERY.parent / "make_gallery.py"
    spec = importlib.util.spec_from_file_location("make_gallery", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_gallery"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@cache
def commands() -> Any:
    return typer.main.get_command(build())


@cache
def table() -> list[Any]:
    """The pages; they do not change while the tests run."""
    return list(gallery().read_pages())


def entries() -> Iterator[tuple[Any, Any]]:
    for page in table():
        for entry in page.entries:
            yield page, entry


@cache
def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """The command's name and the values of its parameters; raises what the command line does."""
    words = shlex.split(command)
    assert words[0] == "impasto"
    group = commands()
    inner = group.commands[words[1]]
    context = inner.make_context(words[1], words[2:], parent=group.make_context("impasto", ["x"]))
    return words[1], context.params


def settings_of(params: dict[str, Any], config: type[Settings]) -> dict[str, str]:
    names = {item.name for item in fields(config)}  # type: ignore[arg-type]  # each is a dataclass
    return {k: v for k, v in params.items() if k in names and v is not None}


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(path) as picture:
        return picture.width, picture.height


# --- the pages and what they show ----------------------------------------------------------------


def test_pages_are_up_to_date(tmp_path: Path) -> None:
    gallery().write_pages(table(), tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")}
    there = {path.name: path.read_text(encoding="utf-8") for path in GALLERY.glob("*.md")}
    assert there == made, "run: python docs/make_gallery.py --pages"


def test_every_page_is_in_the_index() -> None:
    pages = table()
    slugs = [page.slug for page in pages]
    assert len(set(slugs)) == len(slugs)
    index = (GALLERY / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == set(slugs)
    assert {path.stem for path in GALLERY.glob("*.md")} == {*slugs, "README"}


def test_every_picture_is_there_and_shown() -> None:
    shown = {
        name
        for path in GALLERY.glob("*.md")
        for name in re.findall(r"\]\(pictures/([\w.-]+)\)", path.read_text(encoding="utf-8"))
    }
    assert shown == gallery().picture_names(table())
    there = {path.name for path in PICTURES.glob("*")}
    assert shown == there, "run: python docs/make_gallery.py"


def test_pictures_are_small() -> None:
    files = list(PICTURES.glob("*.webp"))
    for path in files:
        long_side = max(size_of(path))
        assert long_side <= 448
        assert path.stat().st_size <= 16_000 * max(1, long_side / gallery().LONG_SIDE) ** 2
    everything = [path for path in GALLERY.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in everything) < 2_850_000


def test_no_page_shows_one_picture_only() -> None:
    assert [page.slug for page in table() if len(page.entries) < 2] == []


# --- commands ------------------------------------------------------------------------------------


def test_commands_are_valid() -> None:
    wrong = []
    for _, entry in entries():
        try:
            name, params = parsed(entry.command)
            given = settings_of(params, CONFIGS[name])
            if name in ("stylize", "texture"):
                resolve(params["preset"], params["config"], given)
            else:
                CONFIGS[name]().with_changes(**parse_all(given, CONFIGS[name]))
            if str(params["output"]) != entry.file:
                wrong.append(f"{entry.command}: writes {params['output']}")
        except Exception as error:  # of any kind: the list says which
            wrong.append(f"{entry.command}: {error!r}")
    assert wrong == []


def test_files_that_commands_read_are_written(tmp_path: Path) -> None:
    gallery().write_inputs(tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    for page, entry in entries():
        read = set(re.findall(r"[\w-]+\.png", entry.command)) - {entry.file}
        assert read <= there, entry.command
        assert {name for name in page.shows if name not in impasto.SWATCHES} <= there
    assert size_of(tmp_path / "cup.png") == size_of(tmp_path / "coffee.png") == (600, 400)
    assert size_of(tmp_path / "face.png") == size_of(tmp_path / "astronaut.png")


# --- nothing is left out -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stylize", "quick", "dream"])
def test_every_setting_has_a_page(name: str) -> None:
    """A page whose commands give the setting at least two values (its default counts)."""
    config = CONFIGS[name]
    varied = set()
    for page in table():
        values: dict[str, set[str]] = {}
        for entry in page.entries:
            command, params = parsed(entry.command)
            if CONFIGS[command] is not config:
                continue
            given = settings_of(params, config)
            for item in fields(config):  # type: ignore[arg-type]  # each is a dataclass
                values.setdefault(item.name, set()).add(given.get(item.name, "default"))
        varied |= {setting for setting, found in values.items() if len(found) > 1}
    excused = set(EXCEPTIONS) - (SHOWN_IN_STYLIZE if name == "stylize" else set())
    missing = {item.name for item in fields(config)} - varied - excused  # type: ignore[arg-type]
    assert not missing, "add a page to docs/gallery/pages.toml, or a reason to EXCEPTIONS"


def test_no_exception_is_idle() -> None:
    known = {item.name for config in CONFIGS.values() for item in fields(config)}  # type: ignore[arg-type]
    assert set(EXCEPTIONS) <= known


@pytest.mark.parametrize("name", ["stylize", "quick", "dream"])
def test_every_choice_is_shown(name: str) -> None:
    """Each value of each setting that is a choice stands in a command."""
    config, given = CONFIGS[name], [entry.command for _, entry in entries()]
    for item in fields(config):  # type: ignore[arg-type]  # each is a dataclass
        if item.name in EXCEPTIONS and (name != "stylize" or item.name not in SHOWN_IN_STYLIZE):
            continue
        for value in choices(item.name, config):
            wanted = f"{flag_of(item.name)} {value} "
            assert any(wanted in f"{command} " for command in given), wanted


@pytest.mark.parametrize("setting", ["content_loss", "style_loss"])
def test_losses_are_compared_and_have_pages(setting: str) -> None:
    """Of the losses that are compared each has a page, on which its weight varies."""
    pages = {page.slug: page for page in table()}
    flag = flag_of(setting)
    compared = {
        loss
        for entry in pages[f"{setting.replace('_', '-')}es"].entries
        for loss in re.findall(rf"{flag} ([\w-]+) ", entry.command)
    }
    assert compared <= set(CONTENT_LOSSES if setting == "content_loss" else STYLE_LOSSES)
    assert len(compared) >= 3
    for loss in compared:
        weights = {
            found[0]
            for entry in pages[f"loss-{loss}"].entries
            if (found := re.findall(rf"{flag} \S*?{loss}(=[\d.]+)?", entry.command))
        }
        assert len(weights) > 1, f"the page loss-{loss} does not vary the loss's weight"


def test_every_preset_and_swatch_is_shown() -> None:
    words = {word for _, entry in entries() for word in shlex.split(entry.command)}
    assert set(PRESETS) <= words
    assert set(impasto.SWATCHES) <= words


# --- painting ------------------------------------------------------------------------------------


def test_a_page_can_be_painted(tmp_path: Path) -> None:
    """Commands are run once each, in the folder of the inputs, and shown."""
    module = gallery()
    path = tmp_path / "pages.toml"
    path.write_text(
        '[[page]]\nslug = "tiny"\ntitle = "Tiny"\ngroup = "Test"\ntext = "Small."\n'
        'shows = ["cup.png", "waves"]\nrepeat = [1, 2]\ncommands = """\n'
        "impasto stylize coffee.png waves --size 64 --steps 2  # As it is.\n"
        "impasto stylize coffee.png waves --size 64 --steps 2\n"
        "impasto stylize coffee.png waves --size 64 --steps 2 --strength 0.9\n"
        '"""\n',
        encoding="utf-8",
    )
    work, out = tmp_path / "work", tmp_path / "out"
    out.mkdir()
    module.write_inputs(work)
    [page] = module.read_pages(path)
    here = Path.cwd()
    module.paint(page, work, out, {})
    assert Path.cwd() == here
    assert {path.name for path in out.iterdir()} == module.picture_names([page])
    assert size_of(out / "tiny-1.webp") == (128, 43)
    made = [impasto.load_image(work / f"tiny-{k}.png") for k in (1, 2, 3)]
    assert made[0].equal(made[1])
    assert not made[0].equal(made[2])
    module.write_pages([page], out)
    text = (out / "tiny.md").read_text(encoding="utf-8")
    assert "stylize coffee.png waves --steps 2](pictures/tiny-1.webp)\n\n```sh\nimpasto" in text
    assert "-o tiny-1.png\n```\n\nAs it is.\n" in text


def test_a_command_that_fails_stops_the_painting(tmp_path: Path) -> None:
    module = gallery()
    entry = module.Entry("impasto stylize nowhere.png waves -o a.png", "", "a.png", "a.webp")
    page = module.Page("a", "A", "Test", "", (), (entry,))
    with pytest.raises(SystemExit, match=r"exit code 3: impasto stylize nowhere\.png"):
        module.paint(page, tmp_path, tmp_path, {})


def test_long_commands_are_wrapped_and_stay_the_same() -> None:
    for _, entry in entries():
        lines = gallery().wrapped(entry.command)
        assert max(map(len, lines)) <= 110
        assert shlex.split("\n".join(lines).replace("\\\n", " ")) == shlex.split(entry.command)
