"""What is to be painted: matrices and manifests, named, each with a key of its content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from impasto.batch.manifest import (
    Item,
    check_settings,
    expand,
    fill,
    hash_of,
    matrix,
    natural,
    read_manifest,
)
from impasto.errors import ConfigError, InputError, UnknownNameError
from impasto.image.io import save_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("10.png", "9.png", "trip/1.png"):
        save_image(folder / name, torch.rand(1, 3, 8, 8))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_in_natural_order_with_its_folders(photos: Path, tmp_path: Path) -> None:
    items = matrix([str(photos)], ["waves", "night"], tmp_path / "out")
    names = [item.output.relative_to(tmp_path / "out").as_posix() for item in items]
    assert names == [
        *("9-waves.png", "9-night.png", "10-waves.png", "10-night.png"),
        *("trip/1-waves.png", "trip/1-night.png"),
    ]


def test_patterns_and_files(photos: Path) -> None:
    assert [Path(x).name for x, _ in expand([str(photos / "*.png")])] == ["9.png", "10.png"]
    with pytest.raises(InputError, match="no picture"):
        list(expand([str(photos / "*.jpg")]))


def test_what_varies_is_in_the_name(photos: Path, tmp_path: Path) -> None:
    vary = {"strength": [0.3, 0.7]}
    items = matrix([str(photos / "9.png")], ["waves+night"], tmp_path, vary=vary)
    assert [item.output.name for item in items] == [
        "9-waves+night-strength-0.3.png",
        "9-waves+night-strength-0.7.png",
    ]
    assert items[0].styles == ("waves", "night")
    assert items[0].settings == {"strength": 0.3}


def test_a_default_that_varies_has_a_name_too(photos: Path, tmp_path: Path) -> None:
    items = matrix([str(photos / "9.png")], ["waves"], tmp_path, vary={"strength": [0.5, 1.0]})
    assert [x.output.name for x in items] == [
        "9-waves-strength-0.5.png",
        "9-waves-strength-1.0.png",
    ]


def test_two_items_of_one_name_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would be made of"):
        matrix([str(photos)], ["waves"], tmp_path, name="same.png")


@pytest.mark.parametrize("template", ["{nothing}.png", "../{content}.png", "{content"])
def test_names_that_cannot_be(template: str) -> None:
    with pytest.raises(ConfigError):
        fill(template, {"content": "cat"})


def test_csv(photos: Path, tmp_path: Path) -> None:
    table = photos / "orders.csv"
    table.write_text(
        "content,style,output,strength,engine,steps\n"
        "9.png,waves,nine.jpg,0.4,,\n"
        '10.png,waves+night,,,optimised,"5,3"\n',
        encoding="utf-8",
    )
    nine, ten = read_manifest(table, tmp_path)
    assert nine.output == tmp_path / "nine.jpg"
    assert nine.settings == {"strength": 0.4}
    assert Path(nine.content) == photos / "9.png"
    assert ten.engine == "optimised"
    assert ten.settings == {"steps": [5, 3]}
    assert ten.output.name == "10-waves+night.png"


def test_json_lines(photos: Path, tmp_path: Path) -> None:
    lines = photos / "orders.jsonl"
    lines.write_text('{"content": "9.png", "style": ["waves", "night"], "blend": [2, 1]}\n')
    [item] = read_manifest(lines, tmp_path, settings={"strength": 0.8})
    assert item.styles == ("waves", "night")
    assert item.settings == {"strength": 0.8, "blend": [2.0, 1.0]}
    lines.write_text("{")
    with pytest.raises(InputError, match="line 1"):
        read_manifest(lines, tmp_path)


def test_a_bad_row_is_named(photos: Path, tmp_path: Path) -> None:
    table = photos / "orders.csv"
    table.write_text("content,style,strenght\n9.png,waves,0.4\n")
    with pytest.raises(ConfigError, match=r"row 1 .*strenght.*did you mean 'strength'"):
        read_manifest(table, tmp_path)


def test_a_key_is_of_what_decides(photos: Path, tmp_path: Path) -> None:
    item = Item(str(photos / "9.png"), ("waves",), tmp_path / "a.png", "quick", {})
    moved = replace(item, content=str(photos / "copy.png"))
    (photos / "copy.png").write_bytes((photos / "9.png").read_bytes())
    assert moved.key() == item.key()
    others = [
        replace(item, styles=("night",)),
        replace(item, settings={"strength": 0.5}),
        replace(item, content=str(photos / "10.png")),
        replace(item, engine="optimised"),
    ]
    assert len({other.key() for other in [item, *others]}) == 5


def test_settings_are_checked() -> None:
    assert check_settings("quick", {"strength": 1.0}) == {}
    with pytest.raises(UnknownNameError, match="engine"):
        check_settings("slow", {})
    with pytest.raises(ConfigError):
        check_settings("quick", {"strength": 2})


def test_a_swatch_has_a_hash() -> None:
    assert hash_of("waves") != hash_of("night")
    assert natural("a2") < natural("a10")
