"""The recipe of the shipped weights: its parts, on little data. (Training itself takes hours.)"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from impasto import swatch
from impasto.arbitrary.network import Decoder, load_quick

FOLDER = Path(__file__).parents[1] / "training"
SCRIPTS = ("data", "distil", "deepen", "quick", "upsampler", "subject", "labels")


@pytest.fixture(scope="module")
def training() -> Iterator[dict[str, ModuleType]]:
    """The scripts as modules; they import each other from their own folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: import_module(name) for name in SCRIPTS}
    finally:
        sys.path.remove(str(FOLDER))


def test_orthogonal_is_nearly_that(training: dict[str, ModuleType]) -> None:
    """Newton and Schulz: all singular values near one, the singular vectors kept."""
    for shape in ((24, 27), (40, 12)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        found = training["distil"].orthogonal(matrix)
        assert found.shape == shape
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.5
        assert values.max() < 1.3
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        cosine = (found * (u @ v)).sum() / found.norm() / (u @ v).norm()
        assert cosine > 0.97


def test_eight_bits_keep_what_matters(training: dict[str, ModuleType]) -> None:
    deepen = training["deepen"]
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 4, 6, generator=draw).relu() ** 2 * 2
    restored = deepen.expand(deepen.compress(features), (4, 6, 5)).float()
    assert restored.shape == features.shape
    error = (restored - features).abs()
    assert (error <= 0.02 + 0.07 * features.sqrt() + 0.01 * features).all()
    assert torch.equal(restored == 0, features < 1e-4)


def test_thinning_leaves_every_position_to_one_parity(training: dict[str, ModuleType]) -> None:
    deepen = training["deepen"]
    x = torch.arange(64.0).view(1, 1, 8, 8)
    four = torch.cat([deepen.thin(x, "relu3_1", parity).flatten() for parity in range(4)])
    assert sorted(four.tolist()) == x.flatten().tolist()
    assert deepen.thin(x, "relu4_1", 3).shape == (1, 1, 8, 4)
    assert deepen.thin(x, "relu5_1", 3) is x


def test_records_come_back_as_they_went_in(training: dict[str, ModuleType], tmp_path: Path) -> None:
    distil, deepen = training["distil"], training["deepen"]
    channels = {"relu3_1": 256, "relu4_1": 512, "relu4_2": 512, "relu5_1": 512}
    strides = {"relu3_1": 4, "relu4_1": 8, "relu4_2": 8, "relu5_1": 16}
    draw = torch.Generator().manual_seed(0)

    def teacher(images: Tensor) -> dict[str, Tensor]:
        side = images.shape[-1]
        return {
            n: torch.rand(4, c, side // strides[n], side // strides[n], generator=draw)
            for n, c in channels.items()
        }

    features = teacher(torch.zeros(4, 3, deepen.SIZE, deepen.SIZE))
    student = distil.Student()
    records = deepen.Records(tmp_path)
    images = torch.rand(4, 3, deepen.SIZE, deepen.SIZE, generator=draw)
    records.append("painted", images, student.trunk, lambda _: features, 1.0)
    assert (records.count("painted"), records.count("pictures")) == (4, 0)
    found = deepen.unpack(records.read("painted", np.array([2])))
    assert set(found) == set(deepen.SHAPES)
    for name in channels:
        expected = deepen.thin(features[name][2:3], name, 2)
        assert found[name].shape == expected.shape
        assert (found[name].float() - expected).abs().max() < 0.08
    # And the student's deep half takes it up where its shallow half left off.
    whole = {n: f[2:3] for n, f in student(images).items()}
    halves = deepen.deep(student, deepen.shallow(student.trunk, images)[2:3].float(), 2)
    for name, ours in halves.items():
        theirs = deepen.thin(whole[name], name, 2)
        assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_losses_of_a_perfect_prediction_are_zero(training: dict[str, ModuleType]) -> None:
    distil = training["distil"]
    features = {n: torch.rand(2, 8, 4, 4) for n in distil.LAYERS}
    variance = {n: torch.ones(8) for n in distil.LAYERS}
    total, report = distil.losses(features, features, variance)
    assert total == 0
    assert set(report) == {f"{n}.mse" for n in distil.LAYERS} | {
        f"{n}.gram" for n in distil.STYLE_LAYERS
    }
    worse, _ = distil.losses({n: f * 0.5 for n, f in features.items()}, features, variance)
    assert worse > 0


def test_packed_weights_come_back(training: dict[str, ModuleType], tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {k: torch.randn_like(v) for k, v in Decoder().state_dict().items()}
    packed = training["quick"].packed(tensors)
    assert sum(t.nbytes for t in packed.values()) < 2_000_000
    save_file(packed, tmp_path / "quick.safetensors")
    found = load_quick(tmp_path / "quick.safetensors").decoder.state_dict()
    assert found.keys() == tensors.keys()
    eighths = [name for name, tensor in packed.items() if tensor.dtype == torch.int8]
    assert {name.split(".")[1] for name in eighths} == {"0", "1"}
    for name, tensor in tensors.items():
        largest = tensor.flatten(1).abs().amax(1) if name in eighths else tensor.abs().max()
        error = (found[name] - tensor).abs()
        error = error.flatten(1).amax(1) if name in eighths else error.max()
        assert (error <= largest / (2 * 127) + 1e-6).all()


def test_only_the_upsampler_learns(training: dict[str, ModuleType]) -> None:
    """From nothing, in a few steps on one pair, judged by mini."""
    torch.manual_seed(0)
    trainer = training["upsampler"].UpsamplerTrainer(0.13)
    before = {name: tensor.clone() for name, tensor in trainer.decoder.state_dict().items()}
    contents, styles = (
        torch.cat([swatch(name, size=96) for name in names])
        for names in (("waves", "night"), ("mosaic", "woodcut"))
    )
    optimiser = torch.optim.Adam(trainer.network.parameters(), lr=1.5e-3)
    losses = []
    for _ in range(12):
        torch.manual_seed(0)  # of the noise's place
        loss, _ = trainer.judged(contents, styles, by_vgg=False, itself=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(before[n], t) for n, t in trainer.decoder.state_dict().items())


@pytest.fixture
def pairs(training: dict[str, ModuleType], tmp_path: Path) -> Any:
    """Eight pairs in a tar: bright discs on dark grounds of several shapes; the last is empty."""
    rng = np.random.default_rng(0)
    with tarfile.open(tmp_path / "pairs.tar", "w") as archive:
        for number in range(8):
            height, width = ((60, 80), (80, 60), (72, 72))[number % 3]
            rows, columns = np.mgrid[:height, :width]
            disc = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (number < 7) * 400
            image = (200 * disc[..., None] + rng.uniform(0, 50, (height, width, 3))).astype("u1")
            mask = (255 * disc).astype("u1")
            mask[:3] = 128
            for kind, pixels in (("img", image), ("mask", mask)):
                data = io.BytesIO()
                Image.fromarray(pixels).save(data, "png")
                member = tarfile.TarInfo(f"discs/{kind}/{number:04}.png")
                member.size = data.tell()
                data.seek(0)
                archive.addfile(member, data)
    return training["subject"].Pairs([tmp_path / "pairs.tar"], tmp_path)


def test_pairs_come_as_they_were_packed(pairs: Any, tmp_path: Path) -> None:
    assert len(pairs) == 8
    assert pairs.images[1].shape == (3, 80, 60)
    assert pairs.masks[1].shape == (80, 60)
    assert pairs.sources == ["discs"] * 8
    assert len(list(tmp_path.glob("*.pt"))) == 1


def test_the_finder_learns_discs(training: dict[str, ModuleType], pairs: Any) -> None:
    """In a few steps on one batch; and what ships is what has learned."""
    subject = training["subject"]
    torch.manual_seed(0)
    images, masks = subject.Batches(pairs, 0).draw()
    assert images.shape[2:] == masks.shape[2:]
    assert tuple(images.shape[2:]) in subject.SHAPES.values()
    with torch.no_grad():
        taps = subject.taps_of(subject.load_mini(), images)
    aims = subject.aims_for(masks)
    learner = subject.Learner()
    optimiser = torch.optim.Adam(learner.parameters(), lr=2e-3)
    losses = []
    for _ in range(10):
        loss = sum(map(subject.loss_of, learner(taps), aims))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    learner.eval()
    finder = learner.finished()
    with torch.no_grad():
        expected = learner(taps)[0]
        found = finder.decide(finder.pyramid(taps)[0])
        assert torch.allclose(found, expected, atol=1e-3)
        rounded = type(finder)(subject.unpack(subject.packed(finder)))
        found = rounded.decide(rounded.pyramid(taps)[0])
        assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_a_finder_that_goes_on_gives_what_it_gave(
    training: dict[str, ModuleType], pairs: Any
) -> None:
    """Until its first step: it has no norms, and its coarser decisions say nothing."""
    subject = training["subject"]
    images, _ = subject.Batches(pairs, 0).draw()
    finder = subject.load_finder()
    learner = subject.Learner(subject.load_finder())
    with torch.no_grad():
        taps = subject.taps_of(subject.load_mini(), images)
        finest, *coarser = learner(taps)
        assert torch.equal(finest, finder.decide(finder.pyramid(taps)[0]))
        assert all(torch.equal(logits, torch.zeros_like(logits)) for logits in coarser)
    assert all(parameter.requires_grad for parameter in learner.parameters())
    assert not any(p.requires_grad for p in learner.finished().parameters())


def test_teachers_make_a_label_together(training: dict[str, ModuleType]) -> None:
    subject, classes = np.zeros((2, 100, 100), dtype=np.uint8)
    subject[10:50, 10:50] = 250
    subject[60:64, 10:20] = 30  # faint
    classes[70:90, 70:90] = 15  # a person whom the other teacher missed
    classes[70:90, 10:30] = 9  # a chair
    mask = training["labels"].label(subject, classes, [(60, 5, 20, 20)])
    assert (mask[12:48, 12:48] == 255).all()
    assert (mask[72:88, 72:88] == 136).all()
    assert (mask[61:63, 11:19] == 136).all()
    assert mask[15, 70] == 255  # the face
    assert (mask[65:, 5:35] == 0).all()


@pytest.mark.parametrize("level", [0, 120, 255])
def test_teachers_who_see_nothing_all_or_mush_make_none(
    training: dict[str, ModuleType], level: int
) -> None:
    subject = np.full((40, 40), level, dtype=np.uint8)
    assert training["labels"].label(subject, np.zeros_like(subject), []) is None


def test_what_is_drawn_finds_its_edges(training: dict[str, ModuleType]) -> None:
    """A block drawn two pixels to the right of where it is."""
    pixels = np.full((100, 200, 3), 40, dtype=np.uint8)
    pixels[20:80, 60:140] = (220, 180, 90)
    photo = Image.fromarray(pixels)
    mask = training["labels"].outline(photo, "31,20 71,20 71,80 31,80 | 0,0 10,0 10,100 0,100")
    assert mask.shape == (100, 200)
    assert (mask[24:76, 61:139] > 127).all()
    assert (mask[:, 141:] < 127).all()
    assert (mask[:, :20] == 128).all()


def test_masks_are_measured(
    training: dict[str, ModuleType], pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is marked where half should be: a precision of a half, a recall of one."""
    subject = training["subject"]
    pairs.images, pairs.sources = pairs.images[-2:], pairs.sources[-2:]
    pairs.masks = [torch.zeros(72, 72, dtype=torch.uint8) for _ in range(2)]
    pairs.masks[0][:, :36] = 255
    pairs.masks[0][0] = 128  # void
    monkeypatch.setattr(subject, "mark", lambda *_: torch.full((1, 1, 9, 9), 0.7))
    found = subject.measure(None, pairs)
    expected = 1.3 * 0.5 / (0.3 * 0.5 + 1)
    assert found["F"] == pytest.approx(expected, abs=1e-4)
    assert found["max F"] == pytest.approx(expected, abs=1e-4)
    assert found["discs"] == [pytest.approx(expected, abs=1e-3), 0.5, 1]
    assert found["empty"] == [1.0]
