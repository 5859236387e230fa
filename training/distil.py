"""Distil VGG-19 into mini: train the trunk, then fit a linear head for every layer of VGG.

    python training/data.py --tars ... --cache CACHE
    IMPASTO_WEIGHTS=FOLDER python training/distil.py train --cache CACHE --run RUN
    IMPASTO_WEIGHTS=FOLDER python training/distil.py export --cache CACHE --run RUN --out FILE

The loss has two parts for each layer. Features: the squared error of the linear prediction, over
the layer's variance (one minus R²). Moments: the squared distance of the Gram matrices of
prediction and teacher, image by image, over the teacher's; that is what a style loss will read.

Half of the crops are pictures that an optimiser made: every few hundred steps the current
student paints crops in the style of other crops, and those join the training pictures. The
optimiser visits images that no photo resembles, and finds the places where a student is wrong.

Training resumes from the last checkpoint in RUN. On two cores with bf16 matrix units a step of 16
crops takes about a third of a second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from data import Crops, Pictures
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.encoders.contents import CHANNELS
from impasto.encoders.mini import STAGES, Trunk, is_rectified, isometric, tap_of
from impasto.encoders.vgg import VGG, load_vgg

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LAYERS = (*STYLE_LAYERS, "relu4_2")
SIZES = [(128, 16, 0.40), (192, 7, 0.35), (256, 4, 0.25)]
MOMENT_WEIGHT = 2.0
LAYER_WEIGHTS = {"relu5_1": 1.5, "relu4_1": 1.25, "relu4_2": 1.5}  # the hard ones; the rest 1
# Shallow layers have positions in plenty: look at every fourth or second row and column of them.
STRIDES = {"relu1_1": 4, "relu2_1": 2}
PADDING = "replicate"  # as in use: what zeros at the border do need not be learned
POSITIONS = 2048  # of each batch, on which heads are fitted
STYLISED_EVERY, STYLISED_FROM, STYLISED_KEPT = 300, 1200, 960


class Student(nn.Module):
    """Trunk and one 1x1 convolution per layer of LAYERS."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(STAGES, PADDING)
        self.heads = nn.ModuleDict(
            {n: nn.Conv2d(self.trunk.widths[tap_of(n)], CHANNELS[int(n[4])], 1) for n in LAYERS}
        )
        for convolution in self.trunk.modules():
            if isinstance(convolution, nn.Conv2d):
                nn.init.kaiming_normal_(convolution.weight)
                nn.init.zeros_(convolution.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, offset: int | None = None) -> dict[str, Tensor]:
        """Predictions of the scaled features; thinned out (see :func:`thin`) if given an offset."""
        taps = self.trunk(images)
        return {name: self.predict(name, thin(taps[tap_of(name)], name, offset)) for name in LAYERS}

    def predict(self, name: str, tap: Tensor) -> Tensor:
        """The layer ``name`` from its tap."""
        features: Tensor = self.heads[name](tap)
        return F.relu(features) if is_rectified(name) else features

    def affine(self, name: str) -> Tensor:
        """The head of layer ``name`` as one matrix ``(C, k + 1)``."""
        head = self.heads[name]
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        return torch.cat([head.weight.flatten(1), head.bias[:, None]], 1).detach()


def thin(features: Tensor, layer: str, offset: int | None) -> Tensor:
    """Every n-th row and column of a shallow layer, from ``offset`` on; all of them if None."""
    stride = STRIDES.get(layer, 1) if offset is not None else 1
    return features[:, :, (offset or 0) % stride :: stride, (offset or 0) % stride :: stride]


def moments(features: Tensor) -> Tensor:
    """``(N, C, h, w)`` -> second moments ``(N, C, C)``: the Gram matrix over the positions."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]


def gram_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """``|G - G_target|² / |G_target|²`` of each picture: ``(N,)``."""
    ours, theirs = moments(prediction).float(), moments(target).float()
    return (ours - theirs).square().sum((1, 2)) / theirs.square().sum((1, 2))


def capped_mean(errors: Tensor) -> Tensor:
    """Flat crops have tiny Gram matrices and would shout down all others: cap at one."""
    return (errors / (1 + errors)).mean()


def squared_errors(prediction: Tensor, target: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Of features ``(N, C, h, w)`` over their variance ``(C,)``: all channels pooled; and each by
    itself as well, in the share that is trained on."""
    error = (prediction - target).float().square().mean((0, 2, 3))
    pooled = error.sum() / variance.sum()
    single = (error / variance.clamp_min(1e-2 * variance.mean())).mean()
    return pooled, 0.75 * pooled + 0.25 * single


def losses(
    prediction: dict[str, Tensor],
    target: dict[str, Tensor],
    variance: dict[str, Tensor],
    weights: dict[str, float] = LAYER_WEIGHTS,
) -> tuple[Tensor, dict[str, float]]:
    total = torch.zeros(())
    report = {}
    for name in target:
        pooled, error = squared_errors(prediction[name], target[name], variance[name])
        weight = weights.get(name, 1.0)
        total = total + weight * error
        report[f"{name}.mse"] = float(pooled.detach())
        if name in STYLE_LAYERS:
            distance = gram_errors(prediction[name], target[name])
            total = total + weight * MOMENT_WEIGHT * capped_mean(distance)
            report[f"{name}.gram"] = float(distance.detach().median())
    return total, report


class Muon(torch.optim.Optimizer):
    """Momentum, then the nearest orthogonal matrix as the step (Jordan et al. 2024), for kernels.

    A convolution's kernel ``(out, in, 3, 3)`` is taken as the matrix ``(out, in * 9)``. All steps
    are of one size, so kernels grow for as long as one trains, but for ``weight_decay``: each step
    takes its ``lr``-fold off them, so that no singular value comes to more than its inverse.
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"])
                matrix = orthogonal(update.flatten(1))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(matrix.view_as(p), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Nearly U Vᵀ of the matrix U S Vᵀ, by a quintic Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(iterations):
        product = x @ x.T
        x = a * x + (b * product + c * product @ product) @ x
    x = x.float()
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Teacher:
    """VGG-19 with each layer divided by the root of its mean variance, so that all are near one."""

    def __init__(self, crops: Crops) -> None:
        self.vgg = load_vgg("vgg19", padding=PADDING).to(
            torch.bfloat16, memory_format=torch.channels_last
        )
        variance = channel_variance(self.vgg, crops)
        self.scale = {n: float(v.mean().sqrt()) for n, v in variance.items()}
        self.variance = {n: v / self.scale[n] ** 2 for n, v in variance.items()}

    def __call__(self, images: Tensor, offset: int | None = None) -> dict[str, Tensor]:
        with torch.inference_mode():
            features = self.vgg(images, LAYERS)
        return {n: thin(f, n, offset).clone() / self.scale[n] for n, f in features.items()}


def channel_variance(teacher: VGG, crops: Crops, batches: int = 24) -> dict[str, Tensor]:
    """Per-channel variance of the teacher's features over some batches: ``{layer: (C,)}``."""
    first: dict[str, list[Tensor]] = {n: [] for n in LAYERS}
    second: dict[str, list[Tensor]] = {n: [] for n in LAYERS}
    rng = np.random.default_rng(7)
    with torch.inference_mode():
        for _ in range(batches):
            for name, t in teacher(crops.batch(rng), LAYERS).items():
                first[name].append(t.float().mean((0, 2, 3)))
                second[name].append(t.float().square().mean((0, 2, 3)))
    mean = {n: torch.stack(v).mean(0) for n, v in first.items()}
    return {n: torch.stack(v).mean(0) - mean[n].square() for n, v in second.items()}


def paint(
    student: Student, pictures: Pictures, rng: np.random.Generator, size: int = 192, count: int = 8
) -> list[Tensor]:
    """Some pictures in the style of others, as the current student sees it, each in 3 states."""
    draw = Crops(pictures, [(size, count, 1.0)], seed=0)
    contents, styles = draw.batch(rng), draw.batch(rng)
    heads = {
        name: student.affine(name) if is_rectified(name) else isometric(student.affine(name))
        for name in LAYERS
    }
    for parameter in student.parameters():
        parameter.requires_grad_(False)

    def features(x: Tensor) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            taps = student.trunk(x)
            found = {
                n: F.conv2d(taps[tap_of(n)], m[:, :-1, None, None], m[:, -1])
                for n, m in heads.items()
            }
            return {n: F.relu(f) if is_rectified(n) else f for n, f in found.items()}

    with torch.no_grad():
        style_moments = {n: moments(f.float()) for n, f in features(styles).items()}
        content = features(contents)["relu4_2"].float()
    balance = float(10 ** rng.uniform(-2.5, 0))
    image = contents.clone() if rng.random() < 0.6 else torch.rand_like(contents)
    image.requires_grad_(True)
    optimiser = torch.optim.Adam([image], lr=float(rng.uniform(0.01, 0.05)))
    states = []
    snapshots = {int(rng.integers(5, 20)), int(rng.integers(20, 50)), 79}
    for step in range(80):
        found = features(image)
        loss = torch.zeros(())
        for name in STYLE_LAYERS:
            target = style_moments[name]
            distance = (moments(found[name].float()) - target).square().sum((1, 2))
            loss = loss + (distance / target.square().sum((1, 2))).sum()
        error = (found["relu4_2"].float() - content).square().sum((1, 2, 3))
        loss = loss + balance * (error / content.square().sum((1, 2, 3))).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        if step in snapshots:
            states += list((image.detach().permute(0, 2, 3, 1) * 255).round().to(torch.uint8))
    for parameter in student.parameters():
        parameter.requires_grad_(True)
    return states


@torch.inference_mode()
def validate(
    trunk_and_heads: Student, teacher: Teacher, pictures: Pictures
) -> tuple[dict[str, float], dict[str, float]]:
    """Pooled R² per layer and the median relative Gram error, on untouched held-out crops."""
    rng = np.random.default_rng(1)
    crops = Crops(pictures, [(192, 8, 1.0)], seed=1)
    error = dict.fromkeys(LAYERS, 0.0)
    first: dict[str, Tensor] = {}
    second = dict.fromkeys(LAYERS, 0.0)
    grams: dict[str, list[Tensor]] = {n: [] for n in LAYERS}
    count = 12
    for _ in range(count):
        batch = crops.batch(rng)
        target = teacher(batch)
        with torch.autocast("cpu", torch.bfloat16):
            prediction = trunk_and_heads(batch)
        for n in LAYERS:
            p, t = prediction[n].float(), target[n].float()
            error[n] += float((p - t).square().mean((0, 2, 3)).sum())
            first[n] = first.get(n, torch.zeros(())) + t.mean((0, 2, 3))
            second[n] += float(t.square().mean((0, 2, 3)).sum())
            grams[n].append(gram_errors(p, t))
    r2 = {
        n: 1 - error[n] / count / (second[n] / count - float((first[n] / count).square().sum()))
        for n in LAYERS
    }
    return r2, {n: float(torch.cat(g).median()) for n, g in grams.items()}


def train(cache: Path, run: Path, steps: int, rate: float, initial: Path | None) -> None:
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = run / "checkpoint.pt"
    torch.manual_seed(0)
    student = Student()
    named = list(student.named_parameters())
    kernels = [p for name, p in named if name.startswith("trunk") and p.ndim == 4]
    others = [p for name, p in named if not (name.startswith("trunk") and p.ndim == 4)]
    optimisers = [Muon(kernels, lr=10 * rate), torch.optim.AdamW(others, lr=rate, weight_decay=0)]
    training, held_out = Pictures(cache), Pictures(cache, held_out=True)
    start = 0
    extra: list[Tensor] = []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(saved["student"])
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        start, extra = saved["step"], saved["extra"]
        print(f"resumed at step {start}", flush=True)
    elif initial:
        saved = torch.load(initial, weights_only=True)
        student.load_state_dict(saved["student"])
        extra = saved["extra"]
    crops = Crops(training, SIZES, seed=1000 + start, extra_share=0.5)
    teacher = Teacher(crops)
    crops.extra = extra
    began, recent = time.perf_counter(), []
    for step, batch in enumerate(crops, start=start):
        if step >= steps:
            break
        warm = min(1.0, (step + 1) / 200)
        decay = 0.5 * (1 + math.cos(math.pi * step / steps))
        for optimiser, peak in zip(optimisers, (10 * rate, rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * warm * (decay * 0.99 + 0.01)
        target = teacher(batch, offset=step)
        with torch.autocast("cpu", torch.bfloat16):
            loss, report = losses(student(batch, offset=step), target, teacher.variance)
        student.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        recent.append({"loss": float(loss.detach()), **report})
        if (step + 1) % 100 == 0:
            mean = {k: round(sum(r[k] for r in recent) / len(recent), 4) for k in recent[0]}
            pace = (time.perf_counter() - began) / (step + 1 - start)
            print(json.dumps({"step": step + 1, "s/step": round(pace, 3), **mean}), flush=True)
            recent.clear()
        if step + 1 >= STYLISED_FROM and (step + 1) % STYLISED_EVERY == 0:
            rng = np.random.default_rng(step)
            fresh = [p for _ in range(4) for p in paint(student, training, rng)]
            crops.extra = (crops.extra + fresh)[-STYLISED_KEPT:]
        if (step + 1) % 300 == 0 or step + 1 == steps:
            state = {
                "student": student.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                "step": step + 1,
                "scale": teacher.scale,
                "extra": crops.extra,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
        if (step + 1) % 1500 == 0 or step + 1 == steps:
            r2, gram = validate(student, teacher, held_out)
            line = {n: (round(r2[n], 3), round(gram[n], 4)) for n in LAYERS}
            print(json.dumps({"step": step + 1, "held out (R2, gram)": line}), flush=True)


@torch.inference_mode()
def fit_heads(trunk: Trunk, teacher: VGG, crops: Crops, layers: Sequence[str], batches: int
              ) -> dict[str, Tensor]:  # fmt: skip
    """Least squares from the taps (and a constant) to each layer of VGG: ``{layer: (C, k+1)}``."""
    gram: dict[int, Tensor] = {}
    cross: dict[str, Tensor] = {}
    rng = np.random.default_rng(3)
    for _ in range(batches):
        batch = crops.batch(rng)
        target = teacher(batch, layers)
        with torch.autocast("cpu", torch.bfloat16):
            taps = trunk(batch)
        flat: list[Tensor] = []
        chosen: list[Tensor] = []
        for number, tap in enumerate(taps):  # (N, k, h, w) -> (positions, k + 1)
            rows = tap.permute(0, 2, 3, 1).flatten(0, 2)
            chosen.append(torch.from_numpy(rng.integers(len(rows), size=POSITIONS)))
            rows = rows[chosen[-1]].float()
            flat.append(torch.cat([rows, torch.ones(len(rows), 1)], 1))
            gram[number] = gram.get(number, torch.zeros(())) + (flat[-1].T @ flat[-1]).double()
        for name in layers:
            t = target[name].permute(0, 2, 3, 1).flatten(0, 2)[chosen[tap_of(name)]].float()
            cross[name] = cross.get(name, torch.zeros(())) + (flat[tap_of(name)].T @ t).double()
    heads = {}
    for name in layers:
        a = gram[tap_of(name)]
        ridge = 1e-5 * a.diagonal().mean() * torch.eye(len(a), dtype=a.dtype)
        heads[name] = torch.linalg.solve(a + ridge, cross[name]).T.float().contiguous()
    return heads


def export(cache: Path, run: Path, out: Path, batches: int) -> None:
    """Fit the heads of all 32 layers; write what ships: float16 tensors and a little metadata."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    student = Student()
    student.load_state_dict(saved["student"])
    crops = Crops(Pictures(cache), SIZES, seed=5)
    teacher = Teacher(crops)
    crops.extra = saved["extra"]
    heads = fit_heads(student.trunk, teacher.vgg, crops, teacher.vgg.layers, batches)
    for name in LAYERS:  # these were trained for their moments as well
        heads[name] = student.affine(name) * saved["scale"][name]
    tensors = {f"heads.{n}": h.half() for n, h in heads.items()}
    tensors |= {f"trunk.{k}": v.half() for k, v in student.trunk.state_dict().items()}
    metadata = {
        "architecture": "mini",
        "stages": json.dumps(STAGES),
        "teacher": "VGG-19 (Simonyan & Zisserman 2014)",
        "steps": str(saved["step"]),
        "licence": "MIT",
    }
    save_file({k: t.contiguous() for k, t in tensors.items()}, str(out), metadata)
    teacher.scale = saved["scale"]  # the units in which the student predicts
    r2, gram = validate(student, teacher, Pictures(cache, held_out=True))
    print(json.dumps({"R2": r2, "gram": gram, "bytes": out.stat().st_size}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["train", "export"])
    parser.add_argument("--cache", type=Path, required=True, help="folder made by data.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument(
        "--rate", type=float, default=7e-4, help="AdamW's peak; Muon's is ten times that"
    )
    parser.add_argument("--initial", type=Path, help="checkpoint to start a new run from")
    parser.add_argument("--out", type=Path, help="safetensors file to write")
    parser.add_argument("--batches", type=int, default=150, help="batches to fit heads on")
    a = parser.parse_args()
    if a.command == "train":
        train(a.cache, a.run, a.steps, a.rate, a.initial)
    else:
        export(a.cache, a.run, a.out, a.batches)


if __name__ == "__main__":
    main()
