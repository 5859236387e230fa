"""impasto stylize, from flags to files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import impasto
from impasto.cli import main
from impasto.config.presets import read_toml
from impasto.config.stylize import StylizeConfig
from impasto.image.io import load_image, read_image, read_metadata, save_image
from tests.cli.conftest import Stylize


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cat.png", "art.png"}


def test_makes_what_the_library_makes(
    stylize: Stylize, folder: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize() == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\x1b" not in captured.err
    assert captured.err.splitlines()[:2] == [
        "impasto: content cat.png; style art.png",
        "impasto: level 1/1 (48x64): 3 steps",
    ]
    config = StylizeConfig(encoder=str(encoder_file), size=64, steps=(4, 3), precision="float32")
    with impasto.machine.devices.threads(1):
        result = impasto.stylize("cat.png", "art.png", config)
    result.save("library.png")
    assert load_image("out.png").equal(load_image("library.png"))
    assert names(folder) == {"out.png", "library.png"}


def test_default_name_and_quiet(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stylize", "cat.png", "waves", "-q", *small]) == 0
    assert names(folder) == {"cat-waves.png"}
    assert capsys.readouterr() == ("", "")
    assert read_metadata("cat-waves.png")["style"]["swatch"] == "waves"


def test_json(stylize: Stylize, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "out.png"
    assert told["size"] == [48, 64]
    assert told["losses"]["total"] > 0
    assert {"content", "style-gram", "style-local", "tv"} <= set(told["losses"])
    assert told["metadata"]["finished"] is True
    assert told["seconds"] >= 0


def test_standard_output(
    stylize: Stylize, folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert stylize("-q", output="-") == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as picture:
        assert picture.size == (64, 48)
        assert json.loads(picture.info["impasto"])["content"]["path"] == "cat.png"
    assert names(folder) == set()


def test_an_output_that_is_there_is_refused_before_the_run(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out.png").write_bytes(b"precious")
    assert stylize() == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "out.png").read_bytes() == b"precious"
    assert stylize("--overwrite") == 0
    assert load_image("out.png").shape == (1, 3, 48, 64)


@pytest.mark.parametrize(
    "flags",
    [
        ["--evolution", "e.avi"],
        ["--plot", "p.txt"],
        ["--preview", "p.gif"],
        ["--evolution", "none/e.gif"],
        ["--preview", "out.png"],
        ["--preview", "cat.png", "--overwrite"],
        ["--save-every", "1"],
        ["--save-config", "none/c.toml"],
    ],
)
def test_side_outputs_are_checked_before_the_run(
    flags: list[str], stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out-00002.png").write_bytes(b"precious")
    before = (folder / "cat.png").read_bytes()
    assert stylize(*flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert names(folder) == {"out-00002.png"}
    assert (folder / "cat.png").read_bytes() == before


def test_the_output_may_not_be_the_input(stylize: Stylize, folder: Path) -> None:
    before = (folder / "cat.png").read_bytes()
    assert stylize("--overwrite", output="cat.png") == 2
    assert (folder / "cat.png").read_bytes() == before


def test_all_side_outputs(stylize: Stylize, folder: Path, small: list[str]) -> None:
    flags = "--evolution e.gif --evolution-size 32 --plot p.svg --save-every 2 --preview v.jpg"
    assert stylize(*flags.split()) == 0
    assert names(folder) == {"out.png", "e.gif", "p.svg", "v.jpg", "out-00002.png"}
    with Image.open("e.gif") as animation:
        assert animation.size == (32, 24)
        assert animation.n_frames == 3
    assert load_image("v.jpg").shape == (1, 3, 48, 64)


def test_depth_16(stylize: Stylize, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize("--depth", "16") == 0
    assert read_image("out.png").depth == 16
    assert stylize("--depth", "16", output="out.jpg") == 2


def test_config_is_saved_and_used_again(stylize: Stylize, folder: Path) -> None:
    assert stylize("--tv-weight", "0.7", "--save-config", "mine.toml") == 0
    assert read_toml("mine.toml").tv_weight == 0.7
    flags = ["--config", "mine.toml", "--threads", "1", "-o", "again.png"]
    assert main(["stylize", "cat.png", "art.png", *flags]) == 0
    assert load_image("again.png").equal(load_image("out.png"))


def test_dry_run_paints_nothing(
    stylize: Stylize, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize("--dry-run", "--size", "96") == 0
    assert "level 2  72x96, 3 steps" in capsys.readouterr().out
    assert stylize("--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["levels"] == [{"size": [48, 64], "steps": 3}]
    assert names(folder) == set()


def test_max_pixels(stylize: Stylize) -> None:
    assert stylize("--max-pixels", "1000") == 3


def test_threads_are_given_back(stylize: Stylize) -> None:
    before = torch.get_num_threads()
    assert stylize() == 0
    assert torch.get_num_threads() == before
    assert read_metadata("out.png")["machine"]["threads"] == 1


def test_strength_0_still_writes_all(stylize: Stylize, folder: Path) -> None:
    assert stylize("--strength", "0", "--evolution", "e.png", "--preview", "v.png") == 0
    assert names(folder) == {"out.png", "e.png", "v.png"}


def test_a_transparent_picture_stays_transparent(
    folder: Path, small: list[str], photo: torch.Tensor
) -> None:
    alpha = torch.ones(1, 1, 96, 128)
    alpha[..., :40] = 0
    save_image("hole.png", photo, alpha=alpha)
    assert main(["stylize", "hole.png", "art.png", "-o", "out.webp", *small]) == 0
    made = read_image("out.webp").alpha
    assert made is not None
    assert made[..., :15].max() == 0


def test_no_such_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "cat.png", "waves", "--encoder", "vgg16"]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def halves(folder: Path) -> list[str]:
    """Two masks of cat.png, in files."""
    left = torch.zeros(1, 3, 96, 128)
    left[..., :64] = 1
    save_image(folder / "left.png", left)
    save_image(folder / "right.png", 1 - left)
    return ["--regions", "left.png,right.png"]


def test_several_styles_by_region(
    folder: Path, small: list[str], encoder_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stylize", "cat.png", "art.png", "waves", *small, *halves(folder)]
    assert main([*words, "-q"]) == 0
    told = read_metadata("cat-art-waves.png")
    assert [Path(x.get("path", "")).name for x in told["style"]] == ["art.png", ""]
    assert [Path(x["path"]).name for x in told["regions"]] == ["left.png", "right.png"]
    config = StylizeConfig(encoder=str(encoder_file), size=64, steps=(4, 3), precision="float32")
    masks = [load_image("left.png")[:, :1], load_image("right.png")[:, :1]]
    with impasto.machine.devices.threads(1):
        result = impasto.stylize("cat.png", ["art.png", "waves"], config, regions=masks)
    assert torch.allclose(result.image, load_image("cat-art-waves.png"), atol=2 / 255)
    assert main([*words, "--dry-run", "-o", "x.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines].count("regions") == 2
    assert "style    swatch waves" in lines
    assert main([*words, "-o", "left.png", "--overwrite"]) == 2
    assert "'left.png' is an input already" in capsys.readouterr().err
    assert main([*words, "-o", "x.png", "--regions", "left.png,none.png"]) == 3
    assert "regions: " in capsys.readouterr().err


def test_masks_have_no_places_on_standard_output(
    folder: Path, small: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["stylize", "cat.png", "art.png", "waves", "-o", "-", "-q", *small, *halves(folder)]
    assert main(words) == 0
    (folder / "piped.png").write_bytes(capsysbinary.readouterr().out)
    told = read_metadata("piped.png")
    assert [x["path"] for x in told["regions"]] == ["left.png", "right.png"]
    assert told["style"][0]["path"] == "art.png"


def test_a_blend(folder: Path, small: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--blend",
        "0.7,0.3",
        "--layers-per-style",
        "fine,relu4_1+relu5_1",
        "--style-scale",
        "2",
    ]
    assert main(["stylize", "cat.png", "art.png", "waves", "-q", *small, *flags]) == 2
    assert "no style gives relu3_1" in capsys.readouterr().err
    flags[3] = "fine,coarse"
    assert main(["stylize", "cat.png", "art.png", "waves", "-q", *small, *flags]) == 0
    config = read_metadata("cat-art-waves.png")["config"]
    assert config["blend"] == [0.7, 0.3]
    assert config["style_scale"] == [2.0]


def test_an_output_without_its_flag(
    folder: Path, small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stylize", "cat.png", "waves", "result.png", *small]) == 2
    assert "if the picture is to go there: -o result.png" in capsys.readouterr().err
