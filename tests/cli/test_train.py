"""``impasto train`` from the outside, and ``impasto quick --model`` with what it made."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from impasto import read_image, read_metadata
from impasto.cli import main
from impasto.cli.progress import Progress
from impasto.events import Event, Trained
from impasto.feedforward.network import load_feedforward

Train = Callable[..., int]


@pytest.fixture
def train(photos: Path, encoder_file: Path) -> Train:
    """Run ``impasto train art.png --images photos -o model`` with more flags."""
    flags = (
        f"--encoder {encoder_file} --steps 6 --crop 32 --style-size 48 --width 4 --blocks 1 "
        "--validate-every 3 --precision float32 --threads 1"
    )

    def run(*more: str, output: str = "model") -> int:
        return main(["train", "art.png", "--images", "photos", "-o", output, *flags.split(), *more])

    return run


def names(folder: str = "model") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


WHOLE = ["README.md", "history.json", "model.safetensors", "preview.png", "previews"]


def test_trains_and_paints(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    err = capsys.readouterr().err
    assert "impasto: validation at step 3: loss " in err
    last = err.splitlines()[-1]
    assert last.startswith("impasto: model (6 steps, 0.")
    assert last.endswith("all steps were made); try: impasto quick PHOTO --model model")
    assert names() == WHOLE

    flags = ["--size", "64", "--precision", "float32", "--threads", "1"]
    assert main(["quick", "cat.png", "--model", "model", *flags]) == 0
    painted = read_image("cat-model.png").pixels
    assert painted.shape == (1, 3, 48, 64)
    told = read_metadata("cat-model.png")
    assert told["model"]["path"] == "model"
    assert told["model"]["style"] == "art"
    capsys.readouterr()
    assert main(["info", "--command", "cat-model.png"]) == 0
    command = capsys.readouterr().out
    assert command.startswith("impasto quick --model model -o cat-model.png")
    assert command.endswith(" -- cat.png\n")
    assert main(["quick", "--overwrite", "-q", *command.split()[2:]]) == 0
    assert (read_image("cat-model.png").pixels == painted).all()
    assert main(["info", "cat-model.png"]) == 0
    assert "model            model" in capsys.readouterr().out


def test_json(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--json", "-q") == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert captured.err == ""
    assert told["output"] == "model"
    assert told["steps"] == 6
    assert [found["step"] for found in told["validations"]] == [3, 6]


def test_a_network_that_is_there_stays(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-q") == 0
    before = Path("model/model.safetensors").read_bytes()
    assert train("-q") == 2
    assert "holds a network already" in capsys.readouterr().err
    assert Path("model/model.safetensors").read_bytes() == before
    assert train("-q", "--seed", "1", "--overwrite") == 0
    assert Path("model/model.safetensors").read_bytes() != before


@pytest.fixture
def send_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Send this process a signal after a step."""
    original = Progress.on_event

    def arm(step: int, number: int) -> None:
        def on_event(self: Progress, event: Event) -> None:
            original(self, event)
            if isinstance(event, Trained) and event.step == step:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Progress, "on_event", on_event)

    return arm


def test_ctrl_c_keeps_the_network_and_resume_goes_on(
    train: Train, send_at: Callable[[int, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(output="whole") == 0
    send_at(4, signal.SIGINT)
    assert train() == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "impasto: stopped after step 4; model has the network as far as it got; "
        "the same command with --resume goes on"
    )
    assert load_feedforward("model").about["steps"] == "4"
    assert names() == [".model.safetensors.checkpoint", *WHOLE]
    send_at(0, 0)
    assert train("--resume") == 0
    assert "going on after step 4" in capsys.readouterr().err
    assert names() == WHOLE
    whole, resumed = (Path(f"{name}/model.safetensors").read_bytes() for name in ("whole", "model"))
    assert whole == resumed


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM on Windows")
def test_sigterm_keeps_the_checkpoint(
    train: Train, send_at: Callable[[int, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    send_at(2, signal.SIGTERM)
    assert train() == 143
    assert "ended by SIGTERM after step 2" in capsys.readouterr().err
    assert names() == [".model.safetensors.checkpoint"]
    send_at(0, 0)
    assert train() == 0
    assert "starting anew; the checkpoint that is there" in capsys.readouterr().err
    assert names() == WHOLE


def test_resume_without_a_checkpoint(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--resume") == 0
    assert "there is no checkpoint to resume from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--images", "nowhere"], 3, "there is no folder 'nowhere'"),
        (["--images", "empty"], 3, "holds 0 pictures"),
        (["--steps", "none", "--minutes", "0"], 2, "minutes is 0"),
        (["--encoder", "minni"], 2, "did you mean 'mini'"),
        (["--style-loss", "grim"], 2, "grim"),
        (["--crop", "8"], 2, "crop is 8"),
    ],
)
def test_bad_requests_leave_nothing(
    train: Train, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, told: str
) -> None:
    Path("empty").mkdir()
    assert train(*flags, "-q") == code
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["waves", "--model", "model"], 2, "both styles and --model are given"),
        ([], 2, "there is no STYLE and no --model"),
        (["--model", "nowhere"], 3, "there is no file 'nowhere'"),
        (["--model", "art.png"], 4, "does not hold a network of impasto train"),
        (["--model", "model", "--blend", "1"], 2, "blend has no meaning for a model of one style"),
    ],
)
def test_quick_says_what_is_wrong(
    train: Train,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    assert train("-q", "--steps", "1") == 0
    assert main(["quick", "cat.png", *words, "-o", "out.png"]) == code
    assert told in capsys.readouterr().err
    assert not Path("out.png").exists()
