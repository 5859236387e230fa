"""Train the subject finder: a head on mini's taps that marks what a picture is of.

    python training/subject.py train --tars PAIRS.tar ... --val VAL.tar --cache CACHE --run RUN
    python training/subject.py evaluate --val VAL.tar --cache CACHE [--run RUN]
    python training/subject.py export --run RUN --out impasto/assets/finder.safetensors

A tar holds pairs ``<source>/img/NAME.jpg`` and ``<source>/mask/NAME.png`` of one size: 255 is the
subject, 0 is not, 64 to 191 is void and counts for nothing.

Mini is frozen, and most of a step's cost. So each batch is seen ECHO times (Choi et al. 2019,
"Faster neural network training with data echoing"), out of a pool of the features of the last POOL
batches, with other channels dropped each time. The finest tap, where half of the work is, comes in
late (COARSE): what the subject is takes long to learn, where it ends does not. The loss is cross
entropy and the soft F-measure, both with more weight near edges (Wei et al. 2020, "F3Net"); at the
coarser taps too, with half of the weight. While it learns, a batch normalisation stands behind the
convolutions; ``export`` folds it into them. The schedule follows the processor time that training
has taken, so a pause does no harm.

``train --begin`` goes on from the weights that ship, without norms, and wants a lower rate.
"""

from __future__ import annotations

import argparse
import copy
import functools
import io
import json
import math
import os
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from impasto.encoders.assets import pack, unpack
from impasto.encoders.mini import Mini, load_mini
from impasto.objective.finder import TAPS, WIDTHS, SubjectFinder, load_finder, mark, normalize

SIDES = 192  # the largest short side that is kept
VOID = (64, 191)  # grey levels of a mask, from and to, that count for nothing
# How often a picture of a source is drawn, in relation to those of others (not named: 1).
ODDS = {"pseudo": 1.8, "more": 1.3, "hand": 1.5, "voc": 1.4, "davis": 1.5, "ccp": 0.8, "horse": 0.7}
# Smaller than pictures are seen later, which helps (Touvron et al. 2019, "Fixing the train-test
# resolution discrepancy"): whole pictures are then a third larger, and so is all that is in them.
SHAPES = {"wide": (192, 256), "tall": (256, 192), "square": (224, 224)}
BATCH = 10
COARSE = 0.4  # part of the time in which the finest tap waits
ECHO, POOL = 6, 80
DROPPED = 0.05  # share of the channels of the taps that a step does not see
WHOLE = 0.6  # share of the crops that are nearly all of their picture
AVERAGE = 0.999
WEIGHT_DECAY = 0.02
COARSER = 0.5  # weight of the losses at the coarser taps, together
SHIFT = -1.0  # of what ships: soft F-measures leave logits too high for the hard one
# Twice as fast, or, without matrix units for it, three times as slow.
PRECISION = torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32
BETA2 = 0.3  # of the F-measure, as the field has it (Achanta et al. 2009)


class Pairs:
    """Pictures ``(3, H, W)`` uint8 and masks ``(H, W)`` uint8 of some tars, decoded once."""

    def __init__(self, tars: list[Path], cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.images: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.sources: list[str] = []
        for tar in tars:
            held = cache / f"{tar.stem}-{int(tar.stat().st_mtime)}.pt"
            if not held.exists():
                torch.save(_decoded(tar), held.with_suffix(".part"))
                os.replace(held.with_suffix(".part"), held)
            images, masks, sources = torch.load(held, weights_only=True)
            self.images += images
            self.masks += masks
            self.sources += sources

    def __len__(self) -> int:
        return len(self.images)


def _decoded(tar: Path) -> tuple[list[Tensor], list[Tensor], list[str]]:
    images, masks = {}, {}
    with tarfile.open(tar) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            source, kind, name = member.name.split("/")
            picture = Image.open(io.BytesIO(file.read()))
            picture = picture.convert("RGB" if kind == "img" else "L")
            scale = SIDES / min(picture.size)
            if scale < 1:
                size = (round(picture.width * scale), round(picture.height * scale))
                picture = picture.resize(size, Image.Resampling.BOX)
            pixels = torch.from_numpy(np.array(picture))
            where = images if kind == "img" else masks
            where[source, Path(name).stem] = pixels
    keys = sorted(images)
    return (
        [images[k].permute(2, 0, 1).contiguous() for k in keys],
        [masks[k] for k in keys],
        [source for source, _ in keys],
    )


class Batches:
    """Random crops ``(N, 3, h, w)`` in [0, 1] and their masks ``(N, 1, h, w)`` in [0, 1]."""

    def __init__(self, pairs: Pairs, seed: int) -> None:
        self.pairs, self.rng = pairs, np.random.default_rng(seed)
        self.of_shape: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for shape in SHAPES:
            numbers = [n for n, i in enumerate(pairs.images) if _fits(i.shape[-2:], shape)]
            weights = np.array([ODDS.get(pairs.sources[n], 1.0) for n in numbers])
            self.of_shape[shape] = np.array(numbers), weights
        total = [float(weights.sum()) for _, weights in self.of_shape.values()]
        self.content_weight_factor = np.array(total) / sum(total)

    def draw(self) -> tuple[Tensor, Tensor]:
        """One batch, of one of SHAPES."""
        shape = str(self.rng.choice(list(SHAPES), p=self.content_weight_factor))
        numbers, weights = self.of_shape[shape]
        chosen = self.rng.choice(numbers, BATCH, p=weights / weights.sum())
        crops = [self.crop(int(n), SHAPES[shape]) for n in chosen]
        images = torch.cat([image for image, _ in crops])
        return images, torch.cat([mask for _, mask in crops])

    def crop(self, number: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """A window of a pair, stretched to ``size``, recoloured, mirrored half of the time."""
        rng = self.rng
        image, mask = self.pairs.images[number], self.pairs.masks[number]
        height, width = image.shape[-2:]
        share = rng.uniform(0.85, 1) if rng.random() < WHOLE else rng.uniform(0.4, 0.9)
        # Between the picture's own aspect, where all of it fits, and that of the crop.
        stretch = (size[1] / size[0] / (width / height)) ** rng.uniform(0, 1)
        stretch *= math.exp(rng.uniform(-0.12, 0.12))
        h = min(height, round(height * math.sqrt(share / stretch)))
        w = min(width, round(width * math.sqrt(share * stretch)))
        top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        window = slice(top, top + h), slice(left, left + w)
        found = image[:, window[0], window[1]].float()[None] / 255
        where = mask[window[0], window[1]].float()[None, None] / 255
        if rng.random() < 0.25:  # from a smaller, softer picture
            less = rng.uniform(0.4, 0.9)
            small = (max(8, round(h * less)), max(8, round(w * less)))
            found = F.interpolate(found, small, mode="bilinear", antialias=True)
        found = F.interpolate(found, size, mode="bilinear", antialias=True)
        where = F.interpolate(where, size, mode="bilinear", antialias=True)
        if rng.random() < 0.5:
            found, where = found.flip(-1), where.flip(-1)
        return recolor(found, rng), where


def _fits(size: tuple[int, int], shape: str) -> bool:
    aspect = size[1] / size[0]
    return {"wide": aspect > 1.1, "tall": aspect < 0.91, "square": 0.7 < aspect < 1.45}[shape]


def recolor(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Contrast, gamma, colour cast, saturation and noise changed a little, now and then a lot."""
    force = 1.0 if rng.random() < 0.3 else 0.35
    image = image.clamp(1e-3, 1) ** math.exp(force * rng.normal(0, 0.5))
    grey = image.mean(1, keepdim=True)
    saturation = 0.0 if rng.random() < 0.06 else math.exp(force * rng.normal(0, 0.5))
    image = grey + saturation * (image - grey)
    cast = torch.from_numpy(np.exp(force * rng.normal(0, 0.15, (1, 3, 1, 1)))).float()
    middle = float(image.mean())
    image = (image * cast - middle) * math.exp(force * rng.normal(0, 0.35)) + middle
    if rng.random() < 0.2:
        image = image + float(rng.uniform(0, 0.05)) * torch.randn_like(image)
    return image.clamp(0, 1)


def with_norms(finder: SubjectFinder) -> SubjectFinder:
    """Put a batch normalisation behind each convolution of the lists of ``finder``, but for those
    that only carry a level down to the next."""
    for layers in (finder.enter, finder.context, finder.fuse):
        for number, layer in enumerate(layers):
            assert isinstance(layer, nn.Conv2d)
            layers[number] = nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))
    return finder


def without_norms(finder: SubjectFinder) -> SubjectFinder:
    """Fold what ``with_norms`` has put there into the convolutions."""
    finder.eval()
    for layers in (finder.enter, finder.context, finder.fuse):
        for number, (layer, norm) in enumerate(layers):  # type: ignore[misc]
            layers[number] = fuse_conv_bn_eval(layer, norm)
    return finder.requires_grad_(False)


class Learner(nn.Module):
    """The finder while it learns: with norms, and a decision at each of the coarser taps.

    One that has been ``begun`` goes without norms, and its coarser decisions say nothing at first.
    """

    def __init__(self, begun: SubjectFinder | None = None) -> None:
        super().__init__()
        self.norms = begun is None
        self.finder = begun.requires_grad_() if begun else with_norms(SubjectFinder())
        self.coarser = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in WIDTHS[1:])
        for parameter in self.coarser.parameters() if begun else ():
            nn.init.zeros_(parameter)

    def forward(self, taps: list[Tensor]) -> list[Tensor]:
        """Logits at each of the normalized TAPS, or at the last of them."""
        levels = self.finder.pyramid(taps)
        decisions = [self.finder.decide, *self.coarser][-len(taps) :]
        return [decide(x) for decide, x in zip(decisions, levels, strict=True)]

    def finest(self, taps: Sequence[Tensor], count: int) -> Tensor:
        """The logits that the last ``count`` of TAPS give."""
        logits: Tensor = self([normalize(tap) for tap in taps[-count:]])[0]
        return logits

    def finished(self) -> SubjectFinder:
        """The finder as it ships, norms folded."""
        finder = copy.deepcopy(self.finder)
        return without_norms(finder) if self.norms else finder.eval().requires_grad_(False)


class Aim(NamedTuple):
    """What logits of one size should say, ``(N, 1, h, w)``, and how much each of them counts."""

    mask: Tensor
    weight: Tensor


def aims_for(masks: Tensor) -> list[Aim]:
    """The aims at each of TAPS for ``masks`` of the size of the picture; void counts for nothing,
    what lies near an edge for up to five times as much as the inside."""
    known = ((masks < VOID[0] / 255) | (masks > VOID[1] / 255)).float()
    aims = []
    for tap in TAPS:
        stride = 2 ** (tap - 1)
        mask, weight = F.avg_pool2d(masks, stride), F.avg_pool2d(known, stride)
        reach = max(1, mask.shape[-2] // 12)
        around = F.avg_pool2d(mask, (2 * reach + 1, 1), 1, (reach, 0), count_include_pad=False)
        around = F.avg_pool2d(around, (1, 2 * reach + 1), 1, (0, reach), count_include_pad=False)
        aims.append(Aim(mask, weight * (1 + 4 * (around - mask).abs())))
    return aims


def loss_of(logits: Tensor, aim: Aim) -> Tensor:
    """Weighted cross entropy, and one minus the weighted soft F-measure of each picture."""
    logits, (mask, weight) = logits.float(), aim
    entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    entropy = (weight * entropy).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1)
    p = logits.sigmoid()
    both = (weight * p * mask).sum((1, 2, 3))
    marked, aimed = (weight * p).sum((1, 2, 3)), (weight * mask).sum((1, 2, 3))
    some = 0.004 * mask.shape[-2] * mask.shape[-1]  # an empty mask asks for few, not for none
    f = ((1 + BETA2) * both + some) / (BETA2 * aimed + marked + some)
    return (entropy + 1 - f).mean()


def taps_of(mini: Mini, images: Tensor) -> list[Tensor]:
    """What the finder sees of ``images``."""
    found = mini.trunk(images, TAPS[-1])
    return [normalize(found[tap]) for tap in TAPS]


def train(a: argparse.Namespace) -> None:
    a.run.mkdir(parents=True, exist_ok=True)
    checkpoint = a.run / "checkpoint.pt"
    torch.manual_seed(0)
    learner = Learner(load_finder() if a.begin else None)
    average = copy.deepcopy(learner)
    for module in (learner, average):
        module.to(memory_format=torch.channels_last)
    average.eval()
    kernels = [p for p in learner.parameters() if p.ndim == 4]
    others = [p for p in learner.parameters() if p.ndim < 4]
    groups = [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others}]
    optimiser = torch.optim.AdamW(groups, lr=a.rate, weight_decay=0, betas=(0.9, 0.99))
    step, spent, begun = 0, 0.0, 0  # begun: the step at which the finest tap came in
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        learner.load_state_dict(saved["learner"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent, begun = saved["step"], saved["spent"], saved["begun"]
        print(f"resumed at step {step}", flush=True)
    mini = load_mini().to(PRECISION, memory_format=torch.channels_last)
    batches = Batches(Pairs(a.tars, a.cache), step)
    held_out = Pairs([a.val], a.cache)
    print(json.dumps({"pairs": len(batches.pairs), **Counter(batches.pairs.sources)}), flush=True)
    torch.manual_seed(step)
    rng = np.random.default_rng(step)
    pool: list[tuple[list[Tensor], list[Aim]]] = []
    clock = time.process_time
    began, last_check, recent, fresh = clock() - spent, clock(), [], 0
    while True:
        spent = clock() - began
        progress = min(1.0, spent / (60 * a.minutes))
        warm = min(1.0, (step + 1) / 200)
        for group in optimiser.param_groups:
            group["lr"] = a.rate * warm * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * progress)))
        count = len(TAPS) - 1 if progress < COARSE else len(TAPS)
        if count == len(TAPS) and not begun:
            pool.clear()
            average.load_state_dict(learner.state_dict())
            begun, recent = step, []
        if len(pool) < POOL // 4 or rng.random() < 1 / ECHO:
            images, masks = batches.draw()
            with torch.no_grad():
                images = images.contiguous(memory_format=torch.channels_last)
                taps = taps_of(mini, images)[-count:]
            if len(pool) == POOL:
                pool.pop(int(rng.integers(POOL)))
            aims = aims_for(masks)[-count:]
            pool.append((taps, aims))
            fresh += len(images)
        else:
            taps, aims = pool[int(rng.integers(len(pool)))]
        learner.train()
        dropped = [F.dropout2d(tap, DROPPED) for tap in taps]
        with torch.autocast("cpu", torch.bfloat16, enabled=PRECISION is torch.bfloat16):
            logits = learner(dropped)
        losses = [*map(loss_of, logits, aims)]
        loss = losses[0] + COARSER / (len(losses) - 1) * sum(losses[1:])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
        optimiser.step()
        decay = min(AVERAGE, (step - begun + 1) / (step - begun + 20))
        with torch.no_grad():
            now = learner.state_dict()
            for name, mean in average.state_dict().items():
                if mean.is_floating_point():
                    mean.lerp_(now[name], 1 - decay)
        step += 1
        recent.append([float(x.detach()) for x in losses])
        if step % 100 == 0:
            pace = {"step": step, "minutes": round(spent / 60, 1), "crops": fresh}
            mean = np.mean(recent, 0).round(4).tolist()
            print(json.dumps(pace | {"losses": mean}), flush=True)
            recent.clear()
        if progress >= 1 or step % 200 == 0:
            state = {
                "learner": learner.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent": spent,
                "begun": begun,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
        if progress >= 1 or clock() - last_check > 60 * a.every:
            finder = functools.partial(average.finest, count=count)
            print(json.dumps({"step": step, **measure(finder, held_out)}), flush=True)
            last_check = clock()
        if progress >= 1:
            break


@torch.no_grad()
def measure(finder: Callable[[Sequence[Tensor]], Tensor], pairs: Pairs) -> dict[str, object]:
    """How well masks agree with those of ``pairs``, at their size, void pixels left out.

    F at a threshold of 0.5, the mean over the pictures; the same at the best of some thresholds;
    intersection over union. Pictures without a subject count apart: the share of them that is
    marked.
    """
    thresholds = torch.arange(1, 20) / 20
    mini = load_mini()
    found: dict[str, list[list[float]]] = defaultdict(list)
    curves, empty = [], []
    for image, mask, source in zip(pairs.images, pairs.masks, pairs.sources, strict=True):
        seen = mark(image[None].float() / 255, mini, finder)
        p = F.interpolate(seen, mask.shape, mode="bilinear", align_corners=False)[0, 0]
        known = (mask < VOID[0]) | (mask > VOID[1])
        p, truth = p[known], mask[known] > 127
        if not truth.any():
            empty.append(float((p > 0.5).float().mean()))
            continue
        marked = p > thresholds[:, None]
        hits = (marked & truth).sum(1)
        precision, recall = hits / marked.sum(1).clamp_min(1), hits / truth.sum()
        f = (1 + BETA2) * precision * recall / (BETA2 * precision + recall).clamp_min(1e-9)
        union = (marked | truth).sum(1)
        half = len(thresholds) // 2
        found[source].append([float(f[half]), float(hits[half] / union[half])])
        curves.append(f)
    scores = [score for source in found.values() for score in source]
    curve = torch.stack(curves).mean(0)
    report: dict[str, object] = {
        "F": round(float(np.mean([f for f, _ in scores])), 4),
        "max F": round(float(curve.max()), 4),
        "at": round(float(thresholds[curve.argmax()]), 2),
        "IoU": round(float(np.mean([i for _, i in scores])), 4),
        "empty": [round(share, 3) for share in empty],
    }
    for source, values in sorted(found.items()):
        f, overlap = np.mean(values, 0)
        report[source] = [round(float(f), 3), round(float(overlap), 3), len(values)]
    return report


def packed(finder: SubjectFinder) -> dict[str, Tensor]:
    """As they ship: kernels in 8 bits, a scale for each output channel, biases in float16."""
    return pack(finder.state_dict(), in_int8=lambda _, tensor: tensor.ndim == 4)


def average_of(run: Path, shift: float) -> tuple[SubjectFinder, int]:
    """The averaged weights of a run, ``shift`` added to their logits, and the steps behind them."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    norms = any("running_mean" in name for name in saved["average"])
    learner = Learner(None if norms else SubjectFinder())
    learner.load_state_dict(saved["average"])
    finder = learner.finished()
    assert finder.decide.bias is not None
    finder.decide.bias += shift
    return finder, saved["step"]


def evaluate(a: argparse.Namespace) -> None:
    pairs = Pairs([a.val], a.cache)
    if a.run:
        finder, _ = average_of(a.run, a.shift)
        print(json.dumps({"weights": "float32", **measure(finder, pairs)}), flush=True)
        finder = SubjectFinder(unpack(packed(finder)))
    else:
        finder = load_finder(a.weights)
    print(json.dumps({"weights": "as they ship", **measure(finder, pairs)}))


def export(a: argparse.Namespace) -> None:
    finder, steps = average_of(a.run, a.shift)
    metadata = {"architecture": "finder", "encoder": "mini", "steps": str(steps), "licence": "MIT"}
    save_file(packed(finder), str(a.out), metadata)
    print(json.dumps({"bytes": a.out.stat().st_size, "steps": steps}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["train", "evaluate", "export"])
    parser.add_argument("--tars", type=Path, nargs="+", help="pairs to train on")
    parser.add_argument("--val", type=Path, help="pairs that are held out")
    parser.add_argument("--cache", type=Path, help="folder for decoded pairs")
    parser.add_argument("--run", type=Path, help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=60, help="of processor time")
    parser.add_argument("--begin", action="store_true", help="with the weights that ship")
    parser.add_argument("--every", type=float, default=8, help="minutes between validations")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--weights", type=Path, help="safetensors to evaluate; default: as shipped")
    parser.add_argument(
        "--shift", type=float, default=SHIFT, help="added to logits, so that F is best near 0.5"
    )
    parser.add_argument("--out", type=Path, help="safetensors file to write")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    {"train": train, "evaluate": evaluate, "export": export}[a.command](a)


if __name__ == "__main__":
    main()
