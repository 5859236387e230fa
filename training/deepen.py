"""Train the deep stages of mini alone, on stored features of the teacher.

    python training/deepen.py store --cache CACHE --initial RUN/checkpoint.pt --records R --count N
    python training/deepen.py train --cache CACHE --initial RUN/checkpoint.pt --records R --run RUN2

(with ``IMPASTO_WEIGHTS=FOLDER`` as for distil.py, whose checkpoints this reads and writes.)

In distil.py most of a step goes into VGG-19 and into the stages at full and half size, though what
mini predicts worst lies deeper. So freeze its first two stages and put on disk, once for each
crop, what comes out of them and what the teacher says at relu3_1, relu4_1, relu4_2 and relu5_1.
A step then costs a fifth, and each crop can be seen ten times.

Numbers are stored in 8 bits as square roots (features are sparse, with a long tail), and of the
larger layers only every second row or column. Twice during the training the student paints
new pictures, and those join the records: see distil.py for why.
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
from distil import Muon, Student, Teacher, losses, paint, validate
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.mini import STAGES, Trunk, tap_of

SIZE = 256  # of the crops
FROZEN = 2  # stages
INPUT = "input"
# (rows, columns, channels) that a record keeps of each layer.
SHAPES = {
    INPUT: (SIZE // 4, SIZE // 4, STAGES[FROZEN - 1][0]),
    "relu3_1": (SIZE // 8, SIZE // 8, 256),
    "relu4_1": (SIZE // 8, SIZE // 16, 512),
    "relu4_2": (SIZE // 8, SIZE // 16, 512),
    "relu5_1": (SIZE // 16, SIZE // 16, 512),
}
BYTES = sum(math.prod(shape) for shape in SHAPES.values())
TARGETS = tuple(name for name in SHAPES if name != INPUT)
LARGEST = 64.0  # in units of a layer's standard deviation; what is beyond is cut off
LAYER_WEIGHTS = {"relu3_1": 1.0, "relu4_1": 1.25, "relu4_2": 1.25, "relu5_1": 3.0}
PAINTED_SHARE = 0.3  # of a batch


def thin(features: Tensor, name: str, parity: int) -> Tensor:
    """Every second row and column of relu3_1, every second column of relu4_x, all of the rest."""
    row, column = parity % 2, parity // 2
    if name == "relu3_1":
        return features[:, :, row::2, column::2]
    return features[:, :, :, column::2] if name.startswith("relu4") else features


def compress(features: Tensor) -> Tensor:
    """``(N, C, h, w)`` of unit scale -> ``(N, h * w * C)`` uint8."""
    root = (features.float().clamp(0, LARGEST) / LARGEST).sqrt()
    return (root * 255).round().to(torch.uint8).permute(0, 2, 3, 1).flatten(1)


def expand(stored: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The opposite of :func:`compress`, as bfloat16 in channels-last memory."""
    root = stored.view(-1, *shape).permute(0, 3, 1, 2).to(torch.bfloat16)
    return root.square() * (LARGEST / 255**2)


def shallow(trunk: Trunk, images: Tensor) -> Tensor:
    """What the first convolution that is trained is given."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return F.avg_pool2d(trunk(images, FROZEN)[-1], 2)


def deep(student: Student, x: Tensor, parity: int) -> dict[str, Tensor]:
    """Predictions at TARGETS, thinned out, from the output of :func:`shallow`."""
    taps: dict[int, Tensor] = {}
    x = F.interpolate(x, scale_factor=2)  # the stage begins with the pooling, which undoes this
    for number in range(FROZEN + 1, len(STAGES) + 1):
        *_, x = student.trunk.stage(number, x)
        taps[number] = x
    return {name: student.predict(name, thin(taps[tap_of(name)], name, parity)) for name in TARGETS}


class Records:
    """Stored crops: a file of ``(n, BYTES)`` uint8 that grows. Record i was thinned by i mod 4."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = {kind: folder / f"{kind}.u8" for kind in ("pictures", "painted")}

    def count(self, kind: str) -> int:
        file = self.files[kind]
        return file.stat().st_size // BYTES if file.exists() else 0

    def append(
        self, kind: str, images: Tensor, trunk: Trunk, teacher: Teacher, unit: float
    ) -> None:
        """Four crops ``(4, 3, SIZE, SIZE)``, one for each parity."""
        features = teacher(images)
        parts = [compress(shallow(trunk, images) / unit)]
        for name in TARGETS:
            rows = [thin(features[name][p : p + 1], name, p) for p in range(4)]
            parts.append(torch.cat([compress(row) for row in rows]))
        with self.files[kind].open("ab") as file:
            file.write(torch.cat(parts, 1).numpy().tobytes())

    def read(self, kind: str, numbers: np.ndarray) -> Tensor:
        with self.files[kind].open("rb") as file:
            rows = [os.pread(file.fileno(), BYTES, int(n) * BYTES) for n in numbers]
        return torch.from_numpy(np.frombuffer(bytearray(b"".join(rows)), np.uint8)).view(-1, BYTES)

    def batches(self, size: int, seed: int) -> Iterator[tuple[Tensor, int]]:
        """Endless ``(records, parity)``, read by a thread."""
        rng = np.random.default_rng(seed)
        ready: queue.Queue[tuple[Tensor, int]] = queue.Queue(maxsize=6)

        def work() -> None:
            while True:
                parity = int(rng.integers(4))
                share = PAINTED_SHARE if self.count("painted") >= 64 else 0.0
                painted = int(rng.binomial(size, share))
                parts = []
                for kind, number in (("pictures", size - painted), ("painted", painted)):
                    if number:
                        groups = rng.integers(self.count(kind) // 4, size=number)
                        parts.append(self.read(kind, groups * 4 + parity))
                ready.put((torch.cat(parts), parity))

        threading.Thread(target=work, daemon=True).start()
        while True:
            yield ready.get()


def unpack(records: Tensor) -> dict[str, Tensor]:
    parts = records.split([math.prod(shape) for shape in SHAPES.values()], dim=1)
    return {
        name: expand(part.contiguous(), SHAPES[name])
        for name, part in zip(SHAPES, parts, strict=True)
    }


def crops_of(pictures: Pictures, seed: int, extra: list[Tensor] = []) -> Crops:  # noqa: B006
    crops = Crops(pictures, [(SIZE, 4, 1.0)], seed=seed, extra_share=0.2)
    crops.extra = extra
    return crops


def prepare(cache: Path, initial: Path) -> tuple[Student, Teacher, float, list[Tensor]]:
    """Student and teacher, the unit of the student's shallow features, pictures painted before."""
    saved = torch.load(initial, weights_only=True)
    student = Student()
    student.load_state_dict(saved["student"])
    teacher = Teacher(crops_of(Pictures(cache), seed=2))
    with torch.no_grad():  # other crops, other units
        for name, head in student.heads.items():
            for parameter in head.parameters():
                parameter.mul_(saved["scale"][name] / teacher.scale[name])
    images = crops_of(Pictures(cache), seed=4).batch(np.random.default_rng(4))
    unit = float(shallow(student.trunk, images).float().square().mean().sqrt())
    return student, teacher, unit, saved["extra"]


def store(cache: Path, initial: Path, folder: Path, count: int) -> None:
    student, teacher, unit, extra = prepare(cache, initial)
    records = Records(folder)
    began = time.perf_counter()
    first = records.count("pictures")
    for images in crops_of(Pictures(cache), 11 + first, extra):
        done = records.count("pictures")
        if done >= count:
            break
        records.append("pictures", images, student.trunk, teacher, unit)
        if done % 400 == 0:
            pace = (time.perf_counter() - began) / max(1, done - first)
            print(f"{done} of {count}, {pace:.3f} s each", flush=True)


def train(cache: Path, initial: Path, folder: Path, run: Path, steps: int, rate: float) -> None:
    run.mkdir(parents=True, exist_ok=True)
    student, teacher, unit, extra = prepare(cache, initial)
    student.trunk.stages[:FROZEN].requires_grad_(False)
    records = Records(folder)
    training, held_out = Pictures(cache), Pictures(cache, held_out=True)
    named = [(n, p) for n, p in student.named_parameters() if p.requires_grad]
    kernels = [p for name, p in named if name.startswith("trunk") and p.ndim == 4]
    others = [p for name, p in named if not (name.startswith("trunk") and p.ndim == 4)]
    optimisers = [Muon(kernels, lr=10 * rate), torch.optim.AdamW(others, lr=rate, weight_decay=0)]
    start, checkpoint = 0, run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(saved["student"])
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        start, extra = saved["step"], saved["extra"]
        print(f"resumed at step {start}", flush=True)
    painting = {round(steps * share) for share in (0.15, 0.45)}
    began, recent = time.perf_counter(), []
    for step, (stored, parity) in enumerate(records.batches(8, seed=start), start=start):
        if step in painting:
            extra = extend(records, student, teacher, unit, training, step)
        if step >= steps:
            break
        decay = 0.5 * (1 + math.cos(math.pi * step / steps))
        for optimiser, peak in zip(optimisers, (10 * rate, rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * min(1.0, (step + 1) / 200) * (decay * 0.99 + 0.01)
        target = unpack(stored)
        x = target.pop(INPUT) * unit
        with torch.autocast("cpu", torch.bfloat16):
            prediction = deep(student, x, parity)
            loss, report = losses(prediction, target, teacher.variance, LAYER_WEIGHTS)
        student.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
        for optimiser in optimisers:
            optimiser.step()
        recent.append({"loss": float(loss.detach()), **report})
        if (step + 1) % 100 == 0:
            mean = {k: round(sum(r[k] for r in recent) / len(recent), 4) for k in recent[0]}
            pace = (time.perf_counter() - began) / (step + 1 - start)
            print(json.dumps({"step": step + 1, "s/step": round(pace, 3), **mean}), flush=True)
            recent.clear()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            state = {
                "student": student.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                "step": step + 1,
                "scale": teacher.scale,
                "extra": extra,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
        if (step + 1) % 2000 == 0 or step + 1 == steps:
            r2, gram = validate(student, teacher, held_out)
            line = {n: (round(r2[n], 3), round(gram[n], 4)) for n in r2}
            print(json.dumps({"step": step + 1, "held out (R2, gram)": line}), flush=True)


def extend(
    records: Records, student: Student, teacher: Teacher, unit: float, pictures: Pictures, seed: int
) -> list[Tensor]:
    """Let the student paint pictures and add them to the records; returns them as well."""
    rng = np.random.default_rng(seed)
    fresh: list[Tensor] = []
    for _ in range(12):
        fresh += paint(student, pictures, rng, SIZE, 4)
    student.trunk.stages[:FROZEN].requires_grad_(False)
    order = rng.permutation(len(fresh))
    for group in order[: len(order) // 4 * 4].reshape(-1, 4):
        images = torch.stack([fresh[i] for i in group]).permute(0, 3, 1, 2) / 255
        images = images.contiguous(memory_format=torch.channels_last)
        records.append("painted", images, student.trunk, teacher, unit)
    print(f"painted {len(fresh)} pictures; {records.count('painted')} records", flush=True)
    return fresh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["store", "train"])
    parser.add_argument("--cache", type=Path, required=True, help="folder made by data.py")
    parser.add_argument("--initial", type=Path, required=True, help="checkpoint of distil.py")
    parser.add_argument("--records", type=Path, required=True, help="folder of the stored features")
    parser.add_argument("--count", type=int, default=16000, help="crops to store (1.1 MB each)")
    parser.add_argument("--run", type=Path, help="folder of the new checkpoints")
    parser.add_argument("--steps", type=int, default=16000)
    parser.add_argument("--rate", type=float, default=7e-4, help="AdamW's peak; Muon's is 10 times")
    a = parser.parse_args()
    if a.command == "store":
        store(a.cache, a.initial, a.records, a.count)
    else:
        train(a.cache, a.initial, a.records, a.run, a.steps, a.rate)


if __name__ == "__main__":
    main()
