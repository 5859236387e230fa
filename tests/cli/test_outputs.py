"""What a run writes besides the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.cli.outputs import FRAMES, Outputs, Recorder, frame_steps, output_path
from impasto.config.stylize import StylizeConfig
from impasto.encoders.mini import Mini
from impasto.errors import OutputExistsError, UsageError
from impasto.events import Step
from impasto.image.io import load_image
from impasto.transfer.stylization import Stylization


@pytest.mark.parametrize("steps", [1, 2, 10, 59, 60, 61, 250, 1000])
def test_frames_are_denser_at_the_beginning(steps: int) -> None:
    chosen = sorted(frame_steps(steps))
    assert chosen[0] == 1
    assert chosen[-1] == steps
    assert len(chosen) <= FRAMES
    assert len(chosen) >= min(steps, FRAMES) * 0.6
    if steps > FRAMES:
        assert chosen[5] - chosen[4] < chosen[-1] - chosen[-2]


def make_run(photo: Tensor, painting: Tensor) -> Stylization:
    config = StylizeConfig(size=80, steps=(2, 2), precision="float32")
    torch.manual_seed(0)
    return Stylization(photo, painting, config, encoder=Mini(stages=((4, 1),) * 5))


def test_all_frames_have_the_final_shape_and_are_kept_as_bytes(
    photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    run = make_run(photo, painting)
    outputs = Outputs(tmp_path / "o.png", evolution=tmp_path / "e.gif", evolution_size=40)
    recorder = Recorder(run, outputs, print)
    for event in run:
        if isinstance(event, Step):
            recorder.on_step()
    frames = run.attachments["frames"]
    assert list(frames) == [1, 2, 3, 4] if len(run.levels) == 2 else [1, 2]
    assert {tuple(frame.shape) for frame in frames.values()} == {(1, 3, 30, 40)}
    assert {frame.dtype for frame in frames.values()} == {torch.uint8}


def test_previews_come_at_intervals_and_at_the_end(
    photo: Tensor, painting: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(photo, painting)
    outputs = Outputs(tmp_path / "o.png", preview=tmp_path / "p.png")
    recorder, times = Recorder(run, outputs, print), []
    for event in run:
        if isinstance(event, Step):
            recorder.on_step()
            times.append(recorder.previewed)
    assert times[0] > 0
    assert load_image(tmp_path / "p.png").shape == (1, 3, 60, 80)
    assert times[-1] > times[0] or len(times) == 1


def test_a_preview_that_cannot_be_written_ends_no_run(
    photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    run = make_run(photo, painting)
    told: list[str] = []
    outputs = Outputs(tmp_path / "o.png", preview=tmp_path / "gone" / "p.png")
    recorder = Recorder(run, outputs, told.append)
    for event in run:
        if isinstance(event, Step):
            recorder.on_step()
    assert run.done
    assert told
    assert all(text.startswith("there is no preview: ") for text in told)


@pytest.mark.parametrize(("given", "expected"), [(None, "a.png"), ("b.png", "b.png"), ("-", None)])
def test_where_the_picture_goes(given: str | None, expected: str | None) -> None:
    path = output_path(None if given is None else Path(given), "a.png")
    assert path == (None if expected is None else Path(expected))


def test_names_must_differ(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.png", preview=tmp_path / ".." / tmp_path.name / "a.png")
    with pytest.raises(UsageError, match="is an output already"):
        outputs.check([], steps=1)
    with pytest.raises(UsageError, match="is an input already"):
        Outputs(tmp_path / "a.png").check([tmp_path / "a.png"], steps=1)


def test_numbered_files_that_are_there_are_refused(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.png", save_every=50)
    (tmp_path / "a-00100.png").touch()
    outputs.check([], steps=99)
    with pytest.raises(OutputExistsError):
        outputs.check([], steps=100)


def test_standard_output_has_no_numbers() -> None:
    with pytest.raises(UsageError, match="no name to number"):
        Outputs(None, save_every=5).check([], steps=9)
