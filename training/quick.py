"""Train quick's decoder: any style in one pass.

    python training/data.py --tars ... --cache CACHE
    IMPASTO_WEIGHTS=FOLDER python training/quick.py train --cache CACHE --run RUN --minutes 80
    python training/quick.py export --run RUN --out impasto/assets/quick.safetensors

The encoder is mini, frozen; only the decoder learns. The loss is near to what the picture will be
judged by: |G - G_style|² over that of the untouched content (so 1 is "nothing was done"), the mean
of relu1_1 to relu5_1 (layer by layer, lest the first, which colours move, says it all), plus
--content times |F - F_content|² / |F_content|² at relu4_2.
The real VGG-19 measures it, or mini, which takes half of the time: PHASES say in what share of the
steps. Mini will do for the beginning; the end needs VGG-19, which sees grain that mini does not.
In some of the batches one crop gets its own style and shall come back as it was. Of the large crops
most (TWICE) are painted as pictures are by default, in half of their size and then in their own,
and the gradient goes through both; where the style's crop is large, too, most (AFAR) are judged, as
is the style, in half of their size: strokes can be too large for the judge's deepest layers to see.

The schedule follows the clock, so that training ends when it should on a machine that others use.
Under ``torchrun --nproc-per-node N -- training/quick.py ...`` (with OMP_NUM_THREADS=1) N processes
paint batches of their own and follow the mean of their gradients: on four cores that is twice as
fast as one process with four threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from distil import Muon
from pairs import LARGE, Pairs
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from impasto.arbitrary.inference import COARSE, carry_to_next_scale
from impasto.arbitrary.network import (
    DEEP,
    LEVELS,
    MULTIPLE,
    Decoder,
    Statistics,
    load_quick,
    statistics,
    style_transform,
)
from impasto.encoders import Encoder, get_encoder
from impasto.encoders.assets import pack
from impasto.encoders.base import IMAGE, Features
from impasto.encoders.mini import load_mini
from impasto.image.io import load_image, resize, size_to_fit, to_pil
from impasto.losses.gram import gram
from impasto.metrics.evaluate import CONTENT_LAYER, STYLE_LAYERS, score

JUDGED = (*STYLE_LAYERS, CONTENT_LAYER)
SEEN = (*LEVELS, IMAGE)  # what is moved
PIXELS = 20.0  # weight of the squared error of a crop in its own style
RANGE = 20.0  # weight of what leaves [0, 1]
# Of the untouched distance: pairs that are alike from the start count less, and so does a picture
# that is better than one that was as wrong as can be.
LEAST, MOST = 0.35, 1.0
AVERAGE = 0.998
# (part of the time from which on, [(size, batch, chance)], share of the steps judged by VGG-19)
PHASES = [
    (0.00, [(128, 2, 0.10), (192, 1, 0.20), (256, 1, 0.45), (320, 1, 0.25)], 1.0),
]
# Kernels that grow make activations that grow, and in the end ReLUs that let nothing through: the
# deepest level of an earlier version was found dead.
WEIGHT_DECAY = 0.1
# In what share of the steps with LARGE crops they are painted in two sizes, and judged from afar.
TWICE, AFAR = 0.6, 0.7
SMALL_STYLES = 0.6  # share of the style crops that are smaller than LARGE
OWN = 10  # of so many batches of several crops one has a crop in its own style
VALIDATION = [
    ("tubingen", "starry_night"),
    ("cornell", "mondrian"),
    ("hoovertowernight", "la_muse"),
    ("house", "brushstrokes"),
    ("yosemite", "sketch"),
    ("rugby", "woman_with_hat_matisse"),
]


def relative(a: Tensor, b: Tensor) -> Tensor:
    """``|a - b|² / |b|²`` for each of the batch."""
    difference = (a - b).square().flatten(1).sum(1)
    return difference / (b.square().flatten(1).sum(1) + 1e-6)


def moved_by(ours: Tensor, theirs: Tensor) -> Tensor:
    """``|F - F_content|² / |F_content|²``, where flat crops count as half of an ordinary one."""
    size = theirs.square().flatten(1).sum(1)
    return (ours - theirs).square().flatten(1).sum(1) / size.maximum(size.mean() / 2)


def bounded(untouched: Tensor) -> Tensor:
    """What a distance is divided by."""
    return untouched.clamp(LEAST, MOST).maximum(untouched / 5)  # flat styles are far from all


def grams(features: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: gram(features[n]) for n in STYLE_LAYERS}


def style_distance(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> Tensor:
    """``(layers, N)``."""
    return torch.stack([relative(ours[n], theirs[n]) for n in STYLE_LAYERS])


class Trainer:
    """What is learned (``network``, and its ``average``), how it paints, and how it is judged."""

    def __init__(self, content: float) -> None:
        self.phases, self.small_styles = PHASES, SMALL_STYLES
        self.twice, self.afar = TWICE, AFAR
        self.mini = load_mini(padding="replicate").to(torch.bfloat16)
        self.mini.to(memory_format=torch.channels_last)
        self.vgg: Encoder | None = None
        self.content = content
        self.decoder = Decoder().to(memory_format=torch.channels_last)
        self.network: nn.Module = self.decoder
        self.average: nn.Module = Decoder().to(memory_format=torch.channels_last)

    def go_on_from(self, weights: Path) -> None:
        """Begin with these instead of nothing."""
        tensors = load_quick(weights).decoder.state_dict()
        self.decoder.load_state_dict(tensors)
        self.average.load_state_dict(tensors)

    def calibrate(self, pairs: Pairs, batches: int = 30) -> None:
        """The decoder's idea of an ordinary feature: mean and deviation over some pictures."""
        rng = np.random.default_rng(7)
        found: dict[str, list[Tensor]] = {}
        with torch.no_grad():
            for number in range(batches):
                features = self.mini(pairs.batch(rng)[number % 2], SEEN)
                for name, f in features.items():
                    f = f.float()
                    both = torch.stack([f.mean((0, 2, 3)), f.square().mean((0, 2, 3))])
                    found.setdefault(name, []).append(both)
            for name, values in found.items():
                mean, square = torch.stack(values).mean(0)
                self.decoder.get_buffer(f"centre_{name}").copy_(mean)
                deviation = (square - mean.square()).clamp_min(0).sqrt()
                self.decoder.get_buffer(f"scale_{name}").copy_(
                    deviation.clamp_min(0.02 * deviation.mean())
                )
        self.average.load_state_dict(self.decoder.state_dict())

    def painted(self, features: Features, after: Statistics, strength: float = 1.0) -> Tensor:
        """What the decoder makes of features, in mini's units, on their way to a style's moments;
        what it misses of the picture itself is put back as in inference."""
        with torch.no_grad():
            before = statistics(features)
        origin = (int(torch.randint(2048, ())), int(torch.randint(2048, ())))  # of the noise

        def by(after: Statistics, strength: float) -> Tensor:
            transform = style_transform(self.decoder, before, after, strength)
            with torch.autocast("cpu", torch.bfloat16):
                moved = {n: m(features[n]) for n, m in transform.maps.items()}
                image: Tensor = self.decoder(moved, transform.code, origin)
            return image

        image = by(after, strength)
        if strength < 1:
            image = image + (1 - strength) * (features[IMAGE] - by(before, 0.0))
        return image

    def begun(self, contents: Tensor, after: Statistics) -> Tensor:
        """The photos with what painting them in half of their size has changed, as inference goes
        from coarse to fine."""
        small = F.avg_pool2d(contents, 2)
        painted = self.painted(self.mini(small, SEEN), after, COARSE)
        image = carry_to_next_scale(painted - small, contents)
        return image.contiguous(memory_format=torch.channels_last)

    def attempt(self, contents: Tensor, styles: Tensor, itself: bool, twice: bool) -> Tensor:
        """What is judged of a batch: the first that :meth:`painting` returns."""
        return self.painting(contents, styles, itself, twice)[0]

    def painting(
        self, contents: Tensor, styles: Tensor, itself: bool, twice: bool
    ) -> tuple[Tensor, Statistics]:
        """A batch painted, and the moments to which it went; if ``itself``, its last crop is its
        own style, if ``twice``, it is painted in two sizes."""
        after = statistics(self.mini(styles, SEEN))
        features = self.mini(self.begun(contents, after) if twice else contents, SEEN)
        for name, own in statistics(features).items() if itself else ():
            after[name].mean[-1] = own.mean[-1]
            after[name].covariance[-1] = own.covariance[-1]
        return self.painted(features, after), after

    def judged(
        self,
        contents: Tensor,
        styles: Tensor,
        by_vgg: bool,
        itself: bool,
        twice: bool = False,
        afar: bool = False,
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch; ``itself`` and ``twice`` as of :meth:`painting`; if ``afar``,
        pictures are judged in half of their size."""
        painted = self.attempt(contents, styles, itself, twice)
        outside = (painted - painted.clamp(0, 1)).square().mean()
        pixels = (painted[-1] - contents[-1]).square().mean() * itself
        judge: Encoder = self.mini
        if afar:
            contents, styles, painted = (F.avg_pool2d(x, 2) for x in (contents, styles, painted))
        if by_vgg:
            if self.vgg is None:
                self.vgg = get_encoder("vgg19", padding="replicate").to(
                    torch.bfloat16, memory_format=torch.channels_last
                )
            judge = self.vgg
        content, style = judge(contents, JUDGED), judge(styles, JUDGED)
        seen = judge(painted.contiguous(memory_format=torch.channels_last), JUDGED)
        target, origin = grams(style), grams(content)
        for name in target if itself else ():
            target[name][-1] = origin[name][-1]
        untouched = style_distance(origin, target)
        distance = style_distance(grams(seen), target)
        kept = moved_by(seen[CONTENT_LAYER].float(), content[CONTENT_LAYER].float())
        ratios = distance / bounded(untouched)
        # Half of the loss weighs layers by what they are off: so does the judge.
        whole = distance.mean(0) / bounded(untouched.mean(0))
        ratio = (ratios.mean(0) + whole) / 2
        loss = (
            (ratio + self.content * kept).mean() + RANGE * outside + PIXELS * pixels / len(contents)
        )
        others = len(contents) - itself
        left = whole[:others].mean()
        return loss, {
            "loss": float(loss.detach()),
            "left": float(left.detach()),
            "content": float(kept[:others].detach().mean()),
            **{
                n[4:]: float(r[:others].detach().mean())
                for n, r in zip(STYLE_LAYERS, ratios, strict=True)
            },
            "own": float(pixels.detach()),
            "outside": float(outside.detach()),
        }

    def update_average(self, step: int) -> None:
        decay = min(AVERAGE, (step + 1) / (step + 20))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    @torch.no_grad()
    def paint(self, content: Tensor, style: Tensor, encoder: Encoder) -> Tensor:
        """What the averaged weights make of a pair, in float32."""
        features = encoder(content, SEEN)
        after = statistics(encoder(style, SEEN))
        decoder = self.average
        assert isinstance(decoder, Decoder)
        transform = style_transform(decoder, statistics(features), after)
        moved = {n: m(features[n]) for n, m in transform.maps.items()}
        painted: Tensor = decoder(moved, transform.code).clamp(0, 1)
        return painted

    def validate(self, images: Path, out: Path, size: int = 384) -> dict[str, float]:
        """Mean gap and content distance on VGG-19 in float32; a sheet of the pictures."""
        from PIL import Image

        judge, encoder = get_encoder("vgg19"), load_mini(padding="replicate")
        sheet = Image.new("RGB", (3 * 384, len(VALIDATION) * 384))
        gaps, contents, layers = [], [], []
        for row, names in enumerate(VALIDATION):
            files = (images / "content" / names[0], images / "style" / names[1])
            content, style = (load_image(str(f) + ".jpg", size=size) for f in files)
            height, width = (side // MULTIPLE * MULTIPLE for side in content.shape[-2:])
            content = content[..., :height, :width]
            image = self.paint(content, style, encoder)
            found = score(image, content, style, judge)
            gaps.append(found.gap)
            contents.append(found.content)
            layers.append(list(found.layers.values()))
            for column, x in enumerate((content, style, image)):
                small = resize(x, size_to_fit(*x.shape[-2:], 384))
                sheet.paste(to_pil(small), (column * 384, row * 384))
        sheet.save(out)
        return {
            "gap": round(float(np.mean(gaps)), 4),
            "content distance": round(float(np.mean(contents)), 4),
            "gaps": [round(g, 3) for g in gaps],  # type: ignore[dict-item]
            "layers": np.mean(layers, 0).round(3).tolist(),
        }


class Team:
    """The processes that train together; one, where nothing says otherwise."""

    def __init__(self) -> None:
        self.many = "WORLD_SIZE" in os.environ
        if self.many:
            distributed.init_process_group("gloo")
        self.rank = distributed.get_rank() if self.many else 0

    def mean_gradient(self, parameters: list[nn.Parameter], usable: bool) -> int:
        """Leave the mean gradient over those whose batch is usable; returns how many those are."""
        own = [p.grad.flatten() for p in parameters if p.grad is not None]
        flat = torch.cat([*own, torch.ones(1)])
        if not usable:
            flat.zero_()
        if self.many:
            distributed.all_reduce(flat)
        *parts, count = flat.split([p.numel() for p in parameters] + [1])
        for p, part in zip(parameters, parts, strict=True):
            p.grad = (part / count.clamp_min(1)).view_as(p)
        return int(count)

    def agree(self, number: float) -> float:
        """The first one's ``number``."""
        told = torch.tensor([number], dtype=torch.float64)
        if self.many:
            distributed.broadcast(told, 0)
        return float(told)


def train(
    trainer: Trainer,
    cache: Path,
    run: Path,
    minutes: float,
    rate: float,
    images: Path | None,
    initial: Path | None,
) -> None:
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = run / "checkpoint.pt"
    team = Team()
    network = trainer.network
    kernels = [p for n, p in network.named_parameters() if p.ndim == 4 and "colour" not in n]
    chosen = {id(p) for p in kernels}
    others = [p for p in network.parameters() if id(p) not in chosen]
    optimisers = [
        Muon(kernels, lr=10 * rate, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(others, lr=rate, weight_decay=0, betas=(0.9, 0.99)),
    ]
    step, spent = 0, 0.0
    if initial and not checkpoint.exists():
        trainer.go_on_from(initial)
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        trainer.average.load_state_dict(saved["average"])
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        step, spent = saved["step"], saved["spent"]
        print(f"resumed at step {step}", flush=True)
    pairs = Pairs(cache, trainer.phases[0][1], 1000 + step, team.rank, trainer.small_styles)
    if step == 0 and not initial:
        trainer.calibrate(pairs)  # the same crops for all ranks
    torch.manual_seed(step + 100_000 * team.rank)
    rng = np.random.default_rng(step)  # what all do alike
    parameters = list(network.parameters())
    began, recent, last_check = time.time() - spent, [], time.time()
    for contents, styles in pairs:  # type: ignore[misc]
        spent = team.agree(time.time() - began)
        progress = min(1.0, spent / (60 * minutes))
        phase = [p for p in trainer.phases if p[0] <= progress][-1]
        pairs.sizes = phase[1]
        decay = min(1.0, (step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * progress)))
        for optimiser, peak in zip(optimisers, (10 * rate, rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * (decay * 0.995 + 0.005)
        by_vgg = bool(rng.random() < phase[2])
        if by_vgg:  # which takes its time
            styles = styles[..., : contents.shape[-2], : contents.shape[-1]]
        itself = step % OWN == 0 and len(contents) > 1
        large = not itself and contents.shape[-1] >= LARGE
        twice = large and bool(rng.random() < trainer.twice)
        afar = large and styles.shape[-1] >= LARGE and bool(rng.random() < trainer.afar)
        loss, report = trainer.judged(contents, styles, by_vgg, itself, twice, afar)
        network.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        # Now and then there is a crop without any contrast.
        if team.mean_gradient(parameters, bool(torch.isfinite(norm) and loss < 20)):
            for optimiser in optimisers:
                optimiser.step()
            trainer.update_average(step)
        step += 1
        recent.append(report | {"norm": float(norm)})
        if step % 50 == 0:
            mean = {k: round(sum(r[k] for r in recent) / len(recent), 4) for k in recent[0]}
            pace = {"step": step, "minutes": round(spent / 60, 1)}
            if team.rank == 0:
                print(json.dumps(pace | mean), flush=True)
            recent.clear()
        if team.rank == 0 and (progress >= 1 or step % 100 == 0):
            state = {
                "network": network.state_dict(),
                "average": trainer.average.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                "step": step,
                "spent": spent,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
        due = progress >= 1 or time.time() - last_check > 1200 or step == 300
        if images and team.rank == 0 and due:
            found = trainer.validate(images, run / f"sheet-{step:06}.png")
            print(json.dumps({"step": step, **found}), flush=True)
            last_check = time.time()
        if progress >= 1:
            break


def packed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As they ship: in float16; kernels of the two deep levels, half of all numbers, in 8 bits with
    a scale for each output channel, which no picture shows (PSNR above 60 dB)."""

    def is_deep_kernel(name: str, tensor: Tensor) -> bool:
        part, *level = name.split(".")[:2]
        return part in ("enter", "blocks") and int(level[0]) < len(DEEP) and tensor.ndim == 4

    return pack(tensors, in_int8=is_deep_kernel)


def export(run: Path, out: Path) -> None:
    """Write what ships: the averaged weights, packed, and a little metadata."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    tensors = packed(saved["average"])
    metadata = {
        "architecture": "quick",
        "encoder": "mini",
        "steps": str(saved["step"]),
        "licence": "MIT",
    }
    save_file(tensors, str(out), metadata)
    print(json.dumps({"bytes": out.stat().st_size, "steps": saved["step"]}))


def command_line(
    description: str | None,
    make: Callable[[float], Trainer],
    write: Callable[[Path, Path], None],
    *,
    minutes: float,
    rate: float,
    content: float,
) -> None:
    """Do what the command line says: train what ``make`` makes of a content weight, or ``write``
    what a run has learned. The numbers are defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("command", choices=["train", "export"])
    parser.add_argument("--cache", type=Path, help="folder made by data.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument(
        "--rate", type=float, default=rate, help="AdamW's peak; Muon's is ten times"
    )
    parser.add_argument("--content", type=float, default=content, help="weight of that distance")
    parser.add_argument(
        "--images", type=Path, help="folder with content/ and style/ to validate on"
    )
    parser.add_argument("--initial", type=Path, help="weights to go on from (safetensors)")
    parser.add_argument("--out", type=Path, help="safetensors file to write")
    a = parser.parse_args()
    if a.command == "train":
        torch.manual_seed(0)  # so that all begin with the same weights
        train(make(a.content), a.cache, a.run, a.minutes, a.rate, a.images, a.initial)
    else:
        write(a.run, a.out)


if __name__ == "__main__":
    command_line(__doc__, Trainer, export, minutes=80, rate=6e-4, content=0.1)
