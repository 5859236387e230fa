"""``impasto video``, as its users see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import Tensor

from impasto.cli import main
from impasto.cli.video import default_output, parse_settings
from impasto.errors import ConfigError
from impasto.image.io import save_image

pytest.importorskip("cv2")


@pytest.fixture
def frames(tmp_path: Path, photo: Tensor, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 5):
        save_image(folder / f"{number:04}.png", photo.roll(number, 3)[..., ::2, ::2])
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_becomes_a_folder(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "frames", "waves", "-o", "out", "--subject", "off"]) == 0
    assert sorted(x.name for x in Path("out").iterdir())[0] == "0001.png"
    assert "4 frames of 48x64" in capsys.readouterr().err
    assert main(["video", "frames", "waves", "-o", "out"]) == 2  # it is there


def test_json_tells_where_the_time_went(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["video", "frames", "waves", "-o", "out.gif", "--subject", "off", "--loop"]
    assert main([*words, "--preview", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 4
    assert set(told["timings"]) == {"decode", "flow", "paint", "keep", "encode"}
    assert Path("out-sheet.png").is_file()


def test_a_plan_keeps_nothing(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "frames", "waves", "-o", "out.webp", "--dry-run"]) == 0
    assert "4 frames of 48x64: about" in capsys.readouterr().out
    assert sorted(x.name for x in Path().iterdir()) == ["frames"]


def test_resume_needs_the_same_command(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "frames", "waves", "-o", "out", "--resume", "--subject", "off"]) == 0
    assert "no checkpoint to resume from" in capsys.readouterr().err


def test_a_flag_of_the_other_engine_is_refused(
    frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["video", "frames", "waves", "--steps", "5"]) == 2
    assert "the engine quick does not have it" in capsys.readouterr().err
    assert parse_settings({"engine": "optimised", "steps": "5", "every": "2"}) == {
        "engine": "optimised",
        "steps": (5,),
        "every": 2,
    }
    with pytest.raises(ConfigError):
        parse_settings({"every": "often"})


def test_shots_are_shared_out(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["video", "frames", "waves", "-o", "out", "--subject", "off", "--threads", "1"]
    assert main([*words, "--workers", "1"]) == 0
    assert len(list(Path("out").iterdir())) == 4
    assert "4 frames of 48x64" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--workers", "1", "--scheduler", "tcp://x:1"]) == 2
    assert "both workers and a scheduler" in capsys.readouterr().err


def test_bad_clips_end_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert main(["video", "nowhere.mp4", "waves"]) == 3
    assert main(["video", "empty", "waves", "-o", "out"]) == 3


def test_names() -> None:
    assert default_output("clip.avi", ["art/waves.jpg"]) == Path("clip-waves.mp4")
    assert default_output("clip.webm", []) == Path("clip-keys.webm")
