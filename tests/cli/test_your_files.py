"""No command overwrites what goes into it, what appears meanwhile, or what is not its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import impasto
from impasto import load_image, save_image
from impasto.cli import main
from impasto.cli.outputs import Recorder
from impasto.cli.stale_files import remove_stale_files
from tests.cli.conftest import Stylize

LONG = "n" * 246
DREAM = ["dream", "cat.png", "--octaves", "1", "--steps", "1", "--size", "64"]


def fails_and_keeps(command: list[str], path: Path) -> None:
    before = path.read_bytes()
    assert main(command) == 2
    assert path.read_bytes() == before


@pytest.fixture
def names(folder: Path) -> Path:
    """The photo under two more names, and a mask, settings, and a table of pairs."""
    (folder / "linked.png").symlink_to("cat.png")
    os.link(folder / "cat.png", folder / "hard.png")
    save_image(folder / "mask.png", load_image(folder / "cat.png"))
    (folder / "mine.toml").write_text("strength = 0.5\n")
    (folder / "pairs.csv").write_text("content,style\ncat.png,art.png\n")
    return folder


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["-o", "cat.png"], "cat.png"),
        (["-o", "./hard.png"], "hard.png"),
        (["-o", "linked.png"], "cat.png"),
        (["-o", "mask.png", "--keep", "mask.png"], "mask.png"),
        (["-o", "art.png"], "art.png"),
        (["--save-config", "cat.png"], "cat.png"),
        (["--save-config", "hard.png"], "hard.png"),
        (["--config", "mine.toml", "--save-config", "mine.toml"], "mine.toml"),
        (["--preview", "art.png"], "art.png"),
        (["--plot", "linked.png"], "cat.png"),
        (["--evolution", "hard.png"], "hard.png"),
        (["-o", "same.png", "--save-config", "same.png"], "cat.png"),
        (["--init", "mask.png", "--preview", "mask.png"], "mask.png"),
    ],
)
def test_stylize(names: Path, stylize: Stylize, flags: list[str], kept: str) -> None:
    before = (names / kept).read_bytes()
    assert stylize("--overwrite", *flags) == 2
    assert (names / kept).read_bytes() == before
    assert not (names / "out.png").exists()


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (["quick", "cat.png", "art.png", "-o", "hard.png"], "hard.png"),
        ([*DREAM, "-o", "linked.png"], "cat.png"),
        ([*DREAM, "--frames", "2", "-o", "hard.png"], "hard.png"),
        (["look", "cat.png", "-o", "hard.png"], "hard.png"),
        (["texture", "art.png", "-o", "art.png"], "art.png"),
        (["evaluate", "cat.png", "art.png", "mask.png", "--sheet", "mask.png"], "mask.png"),
        (["evaluate", "--pairs", "pairs.csv", ".", "--sheet", "cat.png"], "cat.png"),
        (["swatches", "waves", "-o", "w.png", "--sheet", "w.png"], "cat.png"),
    ],
)
def test_the_other_commands(names: Path, command: list[str], kept: str) -> None:
    save_image("cat-art.png", load_image("art.png"))
    fails_and_keeps([*command, "--overwrite"], names / kept)


def test_weights_and_encoders(names: Path, stylize: Stylize, encoder_file: Path) -> None:
    before = encoder_file.read_bytes()
    assert stylize("--save-config", str(encoder_file), "--overwrite") == 2
    os.link(encoder_file, names / "weights.toml")
    assert stylize("--save-config", "weights.toml", "--overwrite") == 2
    assert encoder_file.read_bytes() == before


def test_a_training_overwrites_no_photo_and_no_notes(
    photos: Path, encoder_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "art.png", "--images", "photos", "--encoder", str(encoder_file)]
    (photos.parent / "notes").mkdir()
    notes = photos.parent / "notes" / "README.md"
    notes.write_text("mine")
    assert main([*command, "-o", "notes"]) == 2
    assert "README.md' exists already" in capsys.readouterr().err
    os.link(photos / "0.png", photos.parent / "notes" / "preview.png")
    fails_and_keeps([*command, "-o", "notes", "--overwrite"], photos / "0.png")
    assert notes.read_text() == "mine"


# --- what appears meanwhile -----------------------------------------------------------------------


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Do something after a step of the run."""
    original = Recorder.on_step

    def arm(step: int, action: Callable[[], object]) -> None:
        def on_step(self: Recorder) -> None:
            original(self)
            if len(self.run.history) == step:
                action()

        monkeypatch.setattr(Recorder, "on_step", on_step)

    return arm


AtStep = Callable[[int, Callable[[], object]], None]


@pytest.mark.parametrize("how", ["file", "hard", "link"])
def test_what_appears_during_the_run_stays(
    folder: Path, stylize: Stylize, at_step: AtStep, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder / "mine.txt"
    mine.write_text("mine")
    out = folder / "out.png"
    make = {
        "file": lambda: out.write_text("mine"),
        "hard": lambda: os.link(mine, out),
        "link": lambda: out.symlink_to(mine),
    }
    at_step(2, make[how])
    assert stylize() == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == mine.read_text() == "mine"
    at_step(99, lambda: None)
    assert stylize("--resume") == 2  # a picture of impasto's would be one that it wrote itself
    assert stylize("--resume", "--overwrite") == 0
    assert load_image(folder / "out.png").shape == (1, 3, 48, 64)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--evolution", "e.gif"], "e.gif"),
        (["--plot", "p.svg"], "p.svg"),
        (["--save-every", "3"], "out-00006.png"),
        (["--preview", "later.png"], "later.png"),
    ],
)
def test_so_do_the_other_outputs(
    folder: Path, stylize: Stylize, at_step: AtStep, flags: list[str], name: str
) -> None:
    def put() -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text("m")

    at_step(1, put)
    stylize(*flags)
    assert (folder / name).read_text() == "m"
    assert (folder / "out.png").exists()


def test_a_run_that_waited_for_another_does_not_replace_its_picture(
    folder: Path, stylize: Stylize, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one ends between this one's checks and its lock."""
    original = remove_stale_files  # called as soon as the lock is held

    def late(place: Path) -> int:
        (folder / "out.png").write_text("another's")
        return original(place)

    monkeypatch.setattr("impasto.cli.run.remove_stale_files", late)
    assert stylize() == 2
    assert (folder / "out.png").read_text() == "another's"


def test_quick_does_not_replace_what_appears(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = impasto.Result.save

    def late(self: impasto.Result, *arguments: Any, **options: Any) -> Any:
        (folder / "out.png").write_text("another's")
        return original(self, *arguments, **options)

    monkeypatch.setattr(impasto.Result, "save", late)
    flags = ["--size", "64", "--threads", "1"]
    assert main(["quick", "cat.png", "art.png", "-o", "out.png", *flags]) == 2
    assert (folder / "out.png").read_text() == "another's"


# --- helper files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".out.png.checkpoint", ".out.png.lock"])
@pytest.mark.parametrize("how", ["file", "hard", "link", "folder"])
def test_what_has_a_helpers_name_stays(
    folder: Path, stylize: Stylize, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder / "mine.txt"
    mine.write_text("mine")
    taken = folder / name
    if how == "folder":
        taken.mkdir()
    elif how == "link":
        taken.symlink_to(mine)
    elif how == "hard":
        os.link(mine, taken)
    else:
        taken.write_text("mine")
    for flags in ([], ["--overwrite"]):
        assert stylize(*flags) == 2
        assert "which is another file" in capsys.readouterr().err
    assert stylize("--resume") in (2, 4)
    assert os.path.lexists(taken)
    assert taken.is_dir() if how == "folder" else taken.read_text() == "mine"
    assert mine.read_text() == "mine"
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize("bytes_", [235, 240, 248, 251, 255])
def test_names_of_helpers_fit_where_the_outputs_fits(
    folder: Path, stylize: Stylize, bytes_: int
) -> None:
    for letter in "né":
        count, rest = divmod(bytes_ - 4, len(letter.encode()))
        name = letter * count + "x" * rest + ".png"
        assert len(name.encode()) == bytes_
        assert stylize("--steps", "2", output=name) == 0
        (folder / name).unlink()
    assert sorted(path.name for path in folder.iterdir()) == ["art.png", "cat.png"]


def test_a_long_name_that_is_stopped_is_resumed(folder: Path, stylize: Stylize) -> None:
    name, original = LONG + ".png", Recorder.on_step
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    with pytest.MonkeyPatch.context() as patch:

        def on_step(self: Recorder) -> None:
            original(self)
            if len(self.run.history) == 2:
                os.kill(os.getpid(), signal.SIGHUP)

        patch.setattr(Recorder, "on_step", on_step)
        try:
            assert stylize(output=name) == 129
        finally:
            signal.signal(signal.SIGHUP, before)
    assert not (folder / name).exists()
    assert stylize("--resume", output=name) == 0
    assert stylize() == 0
    assert load_image(folder / name).equal(load_image("out.png"))


@pytest.mark.parametrize(
    "flags", [["--save-every", "2"], ["--preview", "p" * 256 + ".png"], ["--plot", "p" * 260]]
)
def test_a_name_that_does_not_fit_is_refused_before_painting(
    folder: Path, stylize: Stylize, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize(*flags, output=LONG + ".png" if "--save-every" in flags else "out.png") == 2
    assert "level 1" not in capsys.readouterr().err
    assert stylize(output="n" * 252 + ".png") == 2
    assert "give a shorter name" in capsys.readouterr().err


def test_a_default_name_that_is_too_long_is_shortened(folder: Path, photo: Tensor) -> None:
    save_image(folder / (LONG + ".png"), photo)
    flags = ["--size", "64", "--threads", "1"]
    assert main(["quick", LONG + ".png", "waves", *flags]) == 0
    assert main(["quick", LONG + ".png", "mosaic", *flags]) == 0
    made = [path for path in folder.iterdir() if path.name.startswith("nnn") and "~" in path.name]
    assert len(made) == 2
    assert {len(path.name) for path in made} == {255}


def test_nothing_is_written_through_a_temporary_link(folder: Path, stylize: Stylize) -> None:
    """Files that look like impasto's are deleted only if they are files."""
    mine = folder / "mine.txt"
    mine.write_text("mine")
    link = folder / ".impasto-99999999-0123abcd.tmp"
    link.symlink_to(mine)
    os.utime(link, (1, 1), follow_symlinks=False)
    part = folder / ".out.png.checkpoint.99999999.part"
    part.write_text("mine, too")
    os.utime(part, (1, 1))
    assert stylize() == 0
    assert link.is_symlink()
    assert mine.read_text() == "mine"
    assert part.read_text() == "mine, too"
