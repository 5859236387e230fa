"""``impasto quick`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from impasto import load_image, read_image, read_metadata, save_image
from impasto.cli import main

SMALL = ["--size", "64", "--precision", "float32", "--threads", "1"]


def test_writes_the_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *SMALL]) == 0
    assert read_image("out.png").pixels.shape == (1, 3, 48, 64)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == "impasto: content cat.png; style art.png"
    assert second.startswith("impasto: out.png (48x64, ")


def test_a_picture_smaller_than_its_photo_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["quick", "cat.png", "art.png", "-o", "out.png", "--overwrite", "--threads", "1"]
    told = "impasto: painted at 48x64; the photo has 96x128: --size none for all of it\n"
    assert main([*request, "--size", "64"]) == 0
    assert capsys.readouterr().err.endswith(f" s)\n{told}")
    for flags in (["--size", "64", "--quiet"], ["--size", "64", "--json"], []):
        assert main([*request, *flags]) == 0
        assert "the photo has" not in capsys.readouterr().err
    assert read_image("out.png").pixels.shape == (1, 3, 96, 128)
    assert main([*request, "--size", "much"]) == 2
    assert "--size is 'much'; give a whole number, or auto, or none" in capsys.readouterr().err


def test_json_and_a_mixture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--blend", "3,1", "--strength", "0.5", "--json"]
    assert main(["quick", "cat.png", "waves", "art.png", *SMALL, *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "cat-waves-art.png"
    assert len(told["metadata"]["style"]) == 2
    assert told["metadata"]["config"]["blend"] == [3, 1]
    assert told["metadata"]["config"]["strength"] == 0.5


def test_a_draft(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--quality", "draft"]
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *SMALL, *flags]) == 0
    assert read_image("out.png").pixels.shape == (1, 3, 48, 64)
    assert main(["info", "--command", "out.png"]) == 0
    assert "--quality draft" in capsys.readouterr().out
    flags = ["--quality", "best"]
    assert main(["quick", "cat.png", "art.png", "-o", "out2.png", *SMALL, *flags]) == 2
    assert "draft, standard" in capsys.readouterr().err


def test_info_tells_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["quick", "cat.png", "waves", "art.png", "-o", "out.png", "--blend", "3.0,1.0"]
    assert main([*words, *SMALL, "-q"]) == 0
    assert main(["info", "--command", "out.png"]) == 0
    command = capsys.readouterr().out
    assert command.startswith("impasto quick -o out.png --size 64 --blend 3.0")
    assert command.endswith(" -- cat.png waves art.png\n")
    before = read_image("out.png").pixels
    assert main(["quick", "--overwrite", "-q", *command.split()[2:]]) == 0
    assert (read_image("out.png").pixels == before).all()
    assert main(["info", "out.png"]) == 0
    assert "style            swatch waves" in capsys.readouterr().out


def test_replay_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quick", "cat.png", "waves", "-o", "out.png", *SMALL, "-q"]) == 0
    assert main(["replay", "out.png", "-o", "again.png"]) == 2
    assert "impasto info --command" in capsys.readouterr().err
    assert not Path("again.png").exists()


def test_standard_output(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["quick", "cat.png", "art.png", "-o", "-", *SMALL, "-q"]) == 0
    data = capfdbinary.readouterr().out
    assert data.startswith(b"\x89PNG")
    assert str(folder).encode() not in data


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--strength", "2"], 2, "strength is 2"),
        (["--blend", "1,2"], 2, "2 numbers for 1 styles"),
        (["--blend", "much"], 2, "--blend is 'much'"),
        (["--depth", "12"], 2, "--depth is 12"),
        (["--tile", "3"], 2, "tile is 3"),
        (["--device", "abacus"], 2, "abacus"),
        (["--precision", "half"], 2, "half"),
        (["--max-pixels", "10"], 3, "pixels"),
    ],
)
def test_bad_requests(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, told: str
) -> None:
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *SMALL, *flags]) == code
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not Path("out.png").exists()


def test_regions_and_what_stays(folder: Path) -> None:
    """Masks are files, and no file that is read is written to."""
    mask = torch.zeros(1, 1, *load_image("cat.png").shape[-2:])
    mask[..., ::2] = 1
    save_image("mask.png", mask.expand(-1, 3, -1, -1))
    flags = ["--regions", "mask.png,rest", "--color", "keep", "--keep", "mask.png"]
    request = ["quick", "cat.png", "waves", "art.png", *SMALL]
    assert main([*request, *flags[:4], "-o", "out.png"]) == 0
    told = read_metadata("out.png")
    assert [x.get("path", x.get("word")) for x in told["regions"]] == ["mask.png", "rest"]
    assert told["config"]["color"] == "keep"
    assert main([*request[:2], "art.png", *SMALL, *flags[4:], "-o", "mask.png", "--overwrite"]) == 2


def test_inputs_and_files_that_are_there_are_safe(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quick", "cat.png", "art.png", "-o", "art.png", "--overwrite", *SMALL]) == 2
    Path("out.png").write_bytes(b"mine")
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *SMALL]) == 2
    assert Path("out.png").read_bytes() == b"mine"
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", "--overwrite", *SMALL]) == 0
    assert read_metadata("out.png")["encoder"]["name"] == "quick"
