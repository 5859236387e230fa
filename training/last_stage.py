"""Train the last stage of mini anew, and nothing else: relu5_1 is what mini predicts worst.

    python training/last_stage.py store --cache CACHE --run RUN --count N
    python training/last_stage.py train --cache CACHE --run RUN --minutes M [--initial FILE]
    python training/last_stage.py paint --cache CACHE --run RUN
    python training/last_stage.py export --cache CACHE --run RUN --out FILE

(with ``IMPASTO_WEIGHTS=FOLDER`` as for distil.py.) Begins with the weights that ship. Stages 1 to 4
and their heads stay as they are to the bit. quick reads stage 5 too: train it on afterwards.

``store`` puts on disk, for each crop, what leaves stage 4 and what the teacher says at relu5_1; a
step of training then costs a tenth. ``paint``, which runs beside ``train`` from its first
checkpoint until it is stopped, adds pictures that the student as it is now paints, as a run would:
where it is wrong, that is where an optimiser goes.

The loss is distil.py's at one layer: the squared error over the variance, and the distance of Gram
matrices, three times as heavy.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from data import Crops, Pictures
from deepen import compress, expand
from distil import (
    PADDING,
    SIZES,
    STYLE_LAYERS,
    Muon,
    Student,
    capped_mean,
    channel_variance,
    fit_heads,
    gram_errors,
    squared_errors,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.mini import STAGES, Mini
from impasto.encoders.vgg import load_vgg
from impasto.losses import FeatureLoss, GramLoss, Objective
from impasto.optim.loop import optimize

SHIPPED = Path(__file__).parents[1] / "impasto" / "assets" / "mini.safetensors"
LAYER = "relu5_1"
SIZE = 320  # of the crops
INPUT_SHAPE = (SIZE // 8, SIZE // 8, STAGES[3][0])
TARGET_SHAPE = (SIZE // 16, SIZE // 16, 512)
BYTES = math.prod(INPUT_SHAPE) + math.prod(TARGET_SHAPE)
HELD = 240  # crops to judge by
BATCH = 16
GRAM_WEIGHT = 3.0
PAINTED_SHARE = 0.3  # of a batch
AVERAGE = 0.998  # decay of the running mean that is what one gets


class LastStage(nn.Module):
    """Stage 5 and the head of relu5_1: ``(N, 160, h, w)`` -> ``(N, 512, h / 2, w / 2)``."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.convolutions, self.head = student.trunk.stages[4], student.heads[LAYER]
        self.compute = [student.trunk.stage]  # in a list, so that its other stages are not ours

    def forward(self, x: Tensor) -> Tensor:
        *_, x = self.compute[0](5, x)
        return F.relu(self.head(x))


class Scene:
    """Teacher, student and the units of both, the same in each process of a run."""

    def __init__(self, cache: Path, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.cache, self.run = cache, run
        self.teacher = load_vgg("vgg19", padding=PADDING)
        self.teacher.to(torch.bfloat16, memory_format=torch.channels_last)
        torch.manual_seed(0)
        self.student = Student()
        tensors = load_file(SHIPPED)
        shallow = {
            key.removeprefix("trunk."): tensor.float()
            for key, tensor in tensors.items()
            if key.startswith("trunk.") and not key.startswith("trunk.stages.4")
        }
        self.student.trunk.load_state_dict(shallow, strict=False)
        self.scale, self.variance, self.unit = self._units(run / "units.pt")
        with torch.no_grad():
            for name, head in self.student.heads.items():
                affine = tensors[f"heads.{name}"].float() / self.scale[name]
                if name != LAYER:
                    head.weight.copy_(affine[:, :-1, None, None])
                    head.bias.copy_(affine[:, -1])
        self.student.requires_grad_(False)
        self.last = LastStage(self.student)

    def crops(self, seed: int, held_out: bool = False) -> Crops:
        return Crops(Pictures(self.cache, held_out=held_out), [(SIZE, 4, 1.0)], seed=seed)

    def shallow(self, images: Tensor) -> Tensor:
        """What leaves stage 4."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return self.student.trunk(images, 4)[-1]

    def records(self, images: Tensor) -> bytes:
        """What is stored of some crops, one row of BYTES after another."""
        with torch.inference_mode():
            target = self.teacher(images, LAYER)[LAYER].float() / self.scale[LAYER]
        rows = torch.cat([compress(self.shallow(images) / self.unit), compress(target)], 1)
        return rows.numpy().tobytes()

    def unpack(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        stored = torch.from_numpy(np.array(rows))
        x, target = stored.split([math.prod(INPUT_SHAPE), math.prod(TARGET_SHAPE)], 1)
        unit = self.unit
        return expand(x.contiguous(), INPUT_SHAPE) * unit, expand(target.contiguous(), TARGET_SHAPE)

    def _units(self, file: Path) -> tuple[dict[str, float], Tensor, float]:
        if not file.exists():
            variance = channel_variance(self.teacher, self.crops(2))
            scale = {name: float(v.mean().sqrt()) for name, v in variance.items()}
            images = self.crops(4).batch(np.random.default_rng(4))
            with torch.no_grad():
                unit = float(self.student.trunk(images, 4)[-1].square().mean().sqrt())
            saved = {"scale": scale, "variance": variance[LAYER] / scale[LAYER] ** 2, "unit": unit}
            torch.save(saved, file)
        saved = torch.load(file, weights_only=True)
        return saved["scale"], saved["variance"], saved["unit"]


def store(scene: Scene, count: int) -> None:
    """Crops of photos and paintings, and HELD of held-out ones to judge by."""
    for name, wanted, held_out in (("held", HELD, True), ("pictures", count, False)):
        file = scene.run / f"{name}.u8"
        done = file.stat().st_size // BYTES if file.exists() else 0
        began, first = time.perf_counter(), done
        for images in scene.crops(11 + done, held_out):
            if done >= wanted:
                break
            with file.open("ab") as out:
                out.write(scene.records(images))
            done += len(images)
            if done % 400 == 0:
                pace = (time.perf_counter() - began) / (done - first)
                print(f"{name}: {done} of {wanted}, {pace:.3f} s each", flush=True)


def rows_of(run: Path, name: str) -> np.ndarray:
    """The records of a file, not read yet."""
    file = run / f"{name}.u8"
    count = file.stat().st_size // BYTES if file.exists() else 0
    shape = (count, BYTES)
    return np.memmap(file, np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8)


def batches(scene: Scene, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches, read by a thread, with what was painted meanwhile."""
    rng = np.random.default_rng(seed)
    ready: queue.Queue[tuple[Tensor, Tensor]] = queue.Queue(maxsize=4)

    def work() -> None:
        while True:
            pictures, painted = (rows_of(scene.run, name) for name in ("pictures", "painted"))
            for _ in range(50):
                few = int(rng.binomial(BATCH, PAINTED_SHARE)) if len(painted) >= BATCH else 0
                rows = [painted[i] for i in rng.integers(max(1, len(painted)), size=few)]
                rows += [pictures[i] for i in rng.integers(len(pictures), size=BATCH - few)]
                x, target = scene.unpack(np.stack(rows))
                if rng.random() < 0.5:
                    x, target = x.flip(-1), target.flip(-1)
                ready.put((x, target))

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield ready.get()


@torch.inference_mode()
def validate(scene: Scene) -> dict[str, float]:
    """R² and the median Gram error on the held-out crops."""
    rows, errors, grams = rows_of(scene.run, "held"), 0.0, []
    total, square, positions = torch.zeros(512), 0.0, 0
    for first in range(0, len(rows), BATCH):
        x, target = scene.unpack(rows[first : first + BATCH])
        with torch.autocast("cpu", torch.bfloat16):
            prediction = scene.last(x).float()
        errors += float((prediction - target).square().sum())
        total, square = total + target.float().sum((0, 2, 3)), square + float(target.square().sum())
        positions += target.numel() // 512
        grams.append(gram_errors(prediction, target.float()))
    variance = square - float(total.square().sum()) / positions
    return {"R2": 1 - errors / variance, "gram": float(torch.cat(grams).median())}


def train(scene: Scene, minutes: float, rate: float, initial: Path | None) -> None:
    last = scene.last.requires_grad_(True)
    if initial:
        last.load_state_dict(torch.load(initial, weights_only=True)["average"])
    kernels = list(last.convolutions.parameters())
    kernels, others = [p for p in kernels if p.ndim == 4], [p for p in kernels if p.ndim == 1]
    others += list(last.head.parameters())
    optimisers = [Muon(kernels, lr=10 * rate), torch.optim.AdamW(others, lr=rate, weight_decay=0)]
    average = {name: tensor.clone() for name, tensor in last.state_dict().items()}
    step, spent, checkpoint = 0, 0.0, scene.run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        last.load_state_dict(saved["last"])
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        average, step, spent = saved["average"], saved["step"], saved["spent"]
        print(f"resumed at step {step}", flush=True)
    began, recent = time.perf_counter() - spent, []
    for x, target in batches(scene, seed=5 + step):
        spent = time.perf_counter() - began
        share = spent / 60 / minutes
        decay = 0.5 * (1 + math.cos(math.pi * min(1, share)))
        for optimiser, peak in zip(optimisers, (10 * rate, rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * min(1.0, (step + 1) / 100) * (decay * 0.99 + 0.01)
        with torch.autocast("cpu", torch.bfloat16):
            prediction = last(x)
            _, error = squared_errors(prediction, target, scene.variance)
            gram = capped_mean(gram_errors(prediction, target))
        last.zero_grad()
        (error + GRAM_WEIGHT * gram).backward()
        nn.utils.clip_grad_norm_(last.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        with torch.no_grad():
            for name, tensor in last.state_dict().items():
                average[name].lerp_(tensor, max(1 - AVERAGE, 10 / (step + 10)))
        recent.append((float(error.detach()), float(gram.detach())))
        if step % 500 == 0 or share >= 1:
            now = {name: tensor.clone() for name, tensor in last.state_dict().items()}
            last.load_state_dict(average)
            judged = validate(scene)
            last.load_state_dict(now)
            mean = np.mean(recent, 0).round(4).tolist()
            print(json.dumps({"step": step, "error, gram": mean, **judged}), flush=True)
            recent.clear()
            states = [optimiser.state_dict() for optimiser in optimisers]
            saved = {"last": now, "average": average, "optimisers": states}
            torch.save(saved | {"step": step, "spent": spent}, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
        if share >= 1:
            break


def paint(scene: Scene, seed: int) -> None:
    """One picture after another, in two states each, by the student as its checkpoint is now."""
    rng, crops = np.random.default_rng(seed), Crops(Pictures(scene.cache), [(SIZE, 1, 1.0)], seed=0)
    while True:
        encoder = Mini(merged(scene), padding=PADDING)
        encoder.to(torch.bfloat16).to(memory_format=torch.channels_last)
        for _ in range(8):
            content, style = crops.batch(rng), crops.batch(rng)
            with torch.no_grad():
                objective = Objective(
                    style=(GramLoss(encoder(style, STYLE_LAYERS), normalization="relative"), 1.0),
                    content=(
                        FeatureLoss(encoder(content, ["relu4_2"]), normalization="relative"),
                        float(10 ** rng.uniform(-2.2, -0.5)),
                    ),
                )
            first = content if rng.random() < 0.85 else torch.rand_like(content)
            steps, rate = int(rng.integers(35, 60)), float(rng.uniform(0.02, 0.05))
            states = {int(rng.integers(8, 24)), steps}
            for step in optimize(first, encoder, objective, steps=steps, learning_rate=rate):
                if step.index in states:
                    picture = (step.image * 255).round() / 255
                    rows = scene.records(picture.contiguous(memory_format=torch.channels_last))
                    with (scene.run / "painted.u8").open("ab") as out:
                        out.write(rows)
        print(f"{len(rows_of(scene.run, 'painted'))} painted", flush=True)


def merged(scene: Scene) -> dict[str, Tensor]:
    """The shipped tensors, but for stage 5 and relu5_1, which are the checkpoint's running mean."""
    saved = torch.load(scene.run / "checkpoint.pt", weights_only=True)
    scene.last.load_state_dict(saved["average"])
    tensors = {k: t for k, t in load_file(SHIPPED).items() if not k.startswith("trunk.stages.4")}
    tensors[f"heads.{LAYER}"] = (scene.student.affine(LAYER) * scene.scale[LAYER]).half()
    for key, tensor in scene.student.trunk.state_dict().items():
        if key.startswith("stages.4"):
            tensors[f"trunk.{key}"] = tensor.half()
    return tensors


def export(scene: Scene, out: Path, batches: int) -> None:
    """What :func:`merged` gives, with the heads of conv5_1 to relu5_4 but relu5_1 fitted anew."""
    tensors = merged(scene)
    print(json.dumps(validate(scene)))
    with safe_open(SHIPPED, "pt") as file:
        metadata = file.metadata()
    deep = [name for name in scene.teacher.layers if name[4] == "5" and name != LAYER]
    crops = Crops(Pictures(scene.cache), SIZES, seed=5)
    heads = fit_heads(scene.student.trunk, scene.teacher, crops, deep, batches)
    tensors |= {f"heads.{name}": head.half() for name, head in heads.items()}
    metadata |= {"stages": json.dumps(STAGES)}
    save_file({k: t.contiguous() for k, t in tensors.items()}, str(out), metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["store", "train", "paint", "export"])
    parser.add_argument("--cache", type=Path, required=True, help="folder made by data.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of records and checkpoints")
    parser.add_argument("--count", type=int, default=11000, help="crops to store (0.46 MB each)")
    parser.add_argument("--minutes", type=float, default=76)
    parser.add_argument("--rate", type=float, default=7e-4, help="AdamW's peak; Muon's is 10 times")
    parser.add_argument("--initial", type=Path, help="checkpoint whose running mean to begin with")
    parser.add_argument("--seed", type=int, default=1, help="of what is painted")
    parser.add_argument("--out", type=Path, help="safetensors file to write")
    parser.add_argument("--batches", type=int, default=100, help="batches to fit heads on")
    a = parser.parse_args()
    scene = Scene(a.cache, a.run)
    if a.command == "store":
        store(scene, a.count)
    elif a.command == "train":
        train(scene, a.minutes, a.rate, a.initial)
    elif a.command == "paint":
        paint(scene, a.seed)
    else:
        export(scene, a.out, a.batches)


if __name__ == "__main__":
    main()
