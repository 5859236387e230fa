"""Train a network for one style: :class:`Training`, the loop, and :func:`train` around it.

The objective is that of :mod:`impasto.transfer.stylization`: a content loss on the encoder's
features of a photo and a style loss on Gram matrices, relative to their targets. It is minimised
over the weights of a network, crop after crop, instead of the pixels of one picture (Johnson, Alahi
and Fei-Fei 2016).
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from impasto.config.stylize import ObjectiveConfig
from impasto.config.train import TrainConfig
from impasto.config.version import __version__
from impasto.encoders import Encoder, get_encoder
from impasto.errors import ConfigError, OutputExistsError, UsageError
from impasto.events import Event, Finished, Trained, Validated, pass_on
from impasto.feedforward.card import card
from impasto.feedforward.dataset import Crops, PhotoDataset, centre_crop, crop_size
from impasto.feedforward.network import MODEL, FeedForward, save_feedforward
from impasto.image.files import check_apart, expanded, quoted, write_bytes
from impasto.image.inputs import Source, fill_under_alpha, provenance_of, read_role
from impasto.image.io import Picture, resize, save_image, size_to_fit
from impasto.losses import FeatureLoss, Loss, Objective, TotalVariation
from impasto.losses.base import Evaluation, LossOptions
from impasto.machine.devices import choose_device, choose_dtype, describe_machine, in_own_modes
from impasto.objective.build import content_weight_factor, layer_weights, style_kinds
from impasto.objective.targets import StyleView
from impasto.runs import checkpoint as checkpoints

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from impasto.config.keywords import TrainKeywords

CHECKPOINT_SHARE, CHECKPOINT_PAUSE = 0.03, 5.0  # as in impasto.runs.base
WARM_UP = 50  # steps until the learning rate is at its highest
LAST_RATE = 0.01  # share of it at the end
CLIP = 1.0  # norm to which larger gradients are clipped
MOST_FAILURES = 10  # consecutive steps whose loss is not finite
SHOWN = 2  # held-out photos in a preview
PREVIEWS, STEP = "previews", "step-{}.png"
FILES = ("preview.png", "history.json", "README.md")
"""What a training writes into its folder beside the network."""
ENDS = {
    "steps": "all steps were made",
    "minutes": "the time was up",
    "patience": "the validation loss improved no more",
    "": "it was stopped",
}


class Training:
    """The training of a network to paint in the manner of ``style``, on the photos in ``images``.

    Iterate over it: it yields :class:`~impasto.events.Trained` after each step,
    :class:`~impasto.events.Validated` at each validation, and at the end
    :class:`~impasto.events.Finished` with a preview. At any time, :meth:`network` returns what has
    been learned and :meth:`save` writes it into ``folder``.

    A running training keeps a checkpoint and previews in ``folder`` (None: nothing is written).
    With ``resume`` it continues from the checkpoint. If ``steps`` are given, it then ends with the
    same weights, bit by bit, as an uninterrupted run; with ``minutes`` the clock decides.

    Raises ConfigError and UnknownNameError for bad settings or a checkpoint of another training,
    InputError for a folder or a style that cannot be used, OutputExistsError where ``folder`` holds
    a network already, unless ``overwrite`` or a checkpoint allows to replace it.
    """

    @in_own_modes
    def __init__(
        self,
        style: Source,
        images: str | Path,
        folder: str | Path | None = None,
        config: TrainConfig | None = None,
        *,
        encoder: Encoder | None = None,
        resume: bool = False,
        overwrite: bool = False,
        **settings: Any,
    ) -> None:
        self.config = config = (config or TrainConfig()).with_changes(**settings)
        self.folder = None if folder is None else expanded(folder)
        self.checkpoint = None if self.folder is None else checkpoint_in(self.folder)
        if self.folder is not None:
            check_output(self.folder, resume=resume, overwrite=overwrite)
        self.device = choose_device(config.device)
        self.dtype = choose_dtype(config.precision, self.device)
        encoder = get_encoder(encoder or config.encoder, padding="replicate")
        self.encoder: Encoder = encoder.to(self.device, self.dtype)
        self.photos = PhotoDataset(
            images,
            crop=config.crop,
            memory=round(config.photo_memory * 2**30),
            exclude=self.folder,
        )
        if self.folder is not None:
            styles = [style] if isinstance(style, str | os.PathLike) else []
            check_apart(_outputs_in(self.folder), [*styles, *self.photos.paths])
        numbers, self.held_out = self.photos.split()
        self.crops = Crops(self.photos, numbers, config.seed)
        picture = read_role("style", style, True)
        self.style = provenance_of(style, picture)
        self.style_terms = self._style_terms(fill_under_alpha(picture))
        full = config.width
        self.model = FeedForward((full, 2 * full, 4 * full), config.blocks, seed=config.seed)
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.average = deepcopy(self.model).eval().requires_grad_(False)
        self.best = self.average.state_dict()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)
        self.step, self.seconds, self.failures = 0, 0.0, 0
        self.history: list[dict[str, Any]] = []
        self.validations: list[dict[str, Any]] = []
        self.reason = ""
        if resume and self.checkpoint is not None:
            checkpoints.resume(self.checkpoint, self._fingerprint(), "training", self._restore)
        elif self.checkpoint is not None:
            checkpoints.check_is_ours(self.checkpoint)

    @in_own_modes
    def __iter__(self) -> Iterator[Event]:
        config, model = self.config, self.model.train()
        if self.step == 0 and self.folder is not None:
            for path in _previews_in(self.folder):
                path.unlink()  # left by a training that this one replaces
        began = time.perf_counter() - self.seconds
        saved_at, pause = time.perf_counter(), CHECKPOINT_PAUSE
        while True:
            if self.step and self.step % config.validate_every == 0 and not self._is_validated():
                yield self._validate()
                self.seconds = time.perf_counter() - began
            if reason := self._end_reason():
                break
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            self.optimizer.zero_grad()
            losses: dict[str, float] = {}
            for _ in range(config.batch):
                crop = self.crops.next(crop_size(self.progress, config.crop)).to(self.device)
                found = self._evaluate(model, crop)
                (found.total / config.batch).backward()  # type: ignore[no-untyped-call]  # torch's
                for name, value in found.terms.items():
                    losses[name] = losses.get(name, 0.0) + float(value.detach()) / config.batch
            self._update()
            self.step += 1
            self.seconds = time.perf_counter() - began
            total = sum(losses.values())
            self.history.append({"step": self.step, "total": total, "losses": losses})
            yield Trained(self.step, self.progress, total, losses, self.seconds)
            if self.checkpoint and time.perf_counter() - saved_at > pause:
                before = time.perf_counter()
                self.save_checkpoint()
                saved_at = time.perf_counter()
                pause = max(CHECKPOINT_PAUSE, (saved_at - before) / CHECKPOINT_SHARE)
        if not self._is_validated():
            yield self._validate()
        self.seconds = time.perf_counter() - began
        self.reason = reason
        yield Finished(self.seconds, self.step, self._preview())

    @property
    def progress(self) -> float:
        """The share of the training that is done, in [0, 1]: by steps, or by the clock."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (60 * self.config.minutes))

    @in_own_modes
    def network(self) -> FeedForward:
        """A copy of the network, with the averaged weights; after the end, with those that had the
        least validation loss."""
        network = deepcopy(self.average)
        if self.reason:
            network.load_state_dict(self.best)
        network.name = self._name()
        return network

    @in_own_modes
    def save(self) -> Path:
        """Write the network, its card, a preview and the history into the folder; return that."""
        if self.folder is None:
            raise UsageError("a training without a folder cannot be saved", "give it a folder")
        self.folder.mkdir(exist_ok=True)
        metadata = self.metadata()
        save_image(self.folder / "preview.png", self._preview())
        told = json.dumps({**metadata, "history": self.history}, indent=1)
        write_bytes(self.folder / "history.json", told.encode())
        write_bytes(self.folder / "README.md", card(metadata, self.folder.name).encode())
        save_feedforward(
            self.network(),
            self.folder / MODEL,
            style=self._name(),
            style_sha256=self.style["sha256"],
            encoder=self.encoder.name,
            steps=str(self.step),
            impasto=__version__,
            licence="unknown",
        )
        return self.folder

    def finish(self) -> Path:
        """Write everything, then delete the checkpoint; return the folder."""
        folder = self.save()
        if self.checkpoint is not None:
            checkpoints.remove_checkpoint(self.checkpoint)
        return folder

    def metadata(self) -> dict[str, Any]:
        """What was trained, on what, for how long, and its validation losses."""
        return {
            "impasto": __version__,
            "command": "train",
            "config": self.config.to_dict(),
            "style": {key: Path(x).name if key == "path" else x for key, x in self.style.items()},
            "photos": {
                "folder": self.photos.folder.resolve().name,
                "learned from": len({*self.crops.numbers} - self.photos.skipped),
                "held out": len(self.held_out),
                "skipped": len(self.photos.skipped),
            },
            "encoder": {"name": self.encoder.name, "sha256": self.encoder.sha256},
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "machine": describe_machine(self.device, self.dtype),
            "steps": self.step,
            "seconds": round(self.seconds, 1),
            "ended": ENDS[self.reason],
            "validations": self.validations,
        }

    def save_checkpoint(self) -> None:
        """Save the state now; call it only between two events."""
        if self.checkpoint is None or self.folder is None:
            return
        self.folder.mkdir(exist_ok=True)
        state = {
            "fingerprint": self._fingerprint(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "crops": self.crops.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "failures": self.failures,
            "history": self.history,
            "validations": self.validations,
        }
        checkpoints.save_checkpoint(self.checkpoint, state)

    def _restore(self, saved: dict[str, Any]) -> None:
        """Set what a checkpoint holds; ValueError for what cannot be."""
        checked, is_count = checkpoints.checked, checkpoints.is_count
        checked(is_count(saved["step"]) and is_count(saved["failures"]), "step")
        checked(checkpoints.is_finite(saved["seconds"], 0), "seconds")
        for name in ("history", "validations"):
            entries = saved[name]
            checked(isinstance(entries, list), name)
            told = (is_count(x["step"]) and isinstance(x["total"], float) for x in entries)
            checked(all(told), name)
        best = self.average.state_dict()
        checked(saved["best"].keys() == best.keys(), "best")
        checked(all(saved["best"][x].shape == best[x].shape for x in best), "best")
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.best = saved["best"]
        self.optimizer.load_state_dict(saved["optimizer"])
        self.crops.load_state_dict(saved["crops"])
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.failures, self.history = saved["failures"], saved["history"]
        self.validations = saved["validations"]

    def _fingerprint(self) -> dict[str, Any]:
        """What must be equal for a resumed training to end in the same network."""
        return {
            "config": self.config.to_dict(),
            "style": self.style["sha256"],
            "photos": self.photos.fingerprint(),
            "encoder": [self.encoder.name, self.encoder.sha256],
            "device": self.device.type,
            "precision": str(self.dtype),
            "number of threads": torch.get_num_threads(),
        }

    def _style_terms(self, style: Picture) -> dict[str, tuple[Loss, float]]:
        """The losses that make the style, weighted as in a stylisation."""
        config = self.config
        weights = layer_weights(config.style_layers, None)
        size = size_to_fit(*style.size, min(config.style_size, max(style.size)))
        view = StyleView(self.encoder, resize(style.pixels, size).to(self.device), weights)
        kinds = style_kinds(ObjectiveConfig(style_loss=config.style_loss))
        terms: dict[str, tuple[Loss, float]] = {}
        for name, kind, share in kinds:
            assert isinstance(kind, type)
            with torch.no_grad():
                [loss] = kind.from_styles([view], weights, LossOptions())
            key = "style" if len(kinds) == 1 else f"style-{name}"
            terms[key] = loss, config.style_weight * share * kind.scale
        return terms

    def _evaluate(self, model: FeedForward, photo: Tensor) -> Evaluation:
        """The objective of what ``model`` makes of one photo ``(1, 3, H, W)``."""
        config = self.config
        with torch.no_grad():
            target = self.encoder(photo, config.content_layers)
        content = FeatureLoss(target, normalization="relative")
        objective = Objective(
            content=(content, config.content_weight * content_weight_factor(config.strength)),
            **self.style_terms,
            tv=(TotalVariation(), config.tv_weight),
        )
        objective.on_step_start(self.step)
        return objective(self.encoder(model(photo), objective.layers))

    @torch.no_grad()
    def _validate(self) -> Validated:
        """Evaluate the averaged weights on the photos held out."""
        losses: dict[str, float] = {}
        for photo in self._held_out():
            for name, value in self._evaluate(self.average, photo).terms.items():
                losses[name] = losses.get(name, 0.0) + float(value) / len(self.held_out)
        total = sum(losses.values())
        best = all(total < found["total"] for found in self.validations)
        if best:
            self.best = deepcopy(self.average.state_dict())
        self.validations.append({"step": self.step, "total": total, "losses": losses})
        preview = self._preview()
        if self.folder is not None:
            folder = self.folder / PREVIEWS
            folder.mkdir(parents=True, exist_ok=True)
            save_image(folder / STEP.format(f"{self.step:06}"), preview)
        return Validated(self.step, total, losses, best, preview)

    def _held_out(self) -> Iterator[Tensor]:
        for number in self.held_out:
            photo = self.photos[number]
            assert photo is not None  # split() has read it
            yield centre_crop(photo, self.config.crop).to(self.device)

    @torch.no_grad()
    def _preview(self) -> Tensor:
        """Some of the photos held out, each beside its painting: ``(1, 3, H, W)``."""
        network = self.network()
        photos = list(islice(self._held_out(), SHOWN))
        rows = [torch.cat([photo, network(photo)], 3) for photo in photos]
        return torch.cat(rows, 2).cpu()

    def _is_validated(self) -> bool:
        return bool(self.validations) and self.validations[-1]["step"] == self.step

    def _update(self) -> None:
        """Take a step along the gradient, and move the average towards the new weights."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        if not norm.isfinite():  # happens for crops without any contrast
            self.failures += 1
            if self.failures >= MOST_FAILURES:
                raise ConfigError(
                    f"the loss was not finite in {self.failures} steps in a row",
                    "lower --learning-rate",
                )
            return
        self.failures = 0
        self.optimizer.step()
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, own in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(own, 1 - decay)

    def _rate(self) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        warm = min(1.0, (self.step + 1) / WARM_UP)
        return self.config.learning_rate * warm * (LAST_RATE + (1 - LAST_RATE) * cosine)

    def _end_reason(self) -> str:
        """The key of ENDS that says why the training is over; "" while it is not."""
        if self.progress >= 1:
            return "minutes" if self.config.steps is None else "steps"
        totals = [found["total"] for found in self.validations]
        since = len(totals) - 1 - totals.index(min(totals)) if totals else 0
        return "patience" if 0 < self.config.patience <= since else ""

    def _name(self) -> str:
        """The style's name: its swatch, or its file's name without suffix."""
        return str(self.style.get("swatch") or Path(self.style.get("path", "a picture")).stem)


def train(
    style: Source,
    images: str | Path,
    folder: str | Path,
    config: TrainConfig | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[TrainKeywords],
) -> FeedForward:
    """Train a network to paint like ``style`` on the photos in ``images``, write it into ``folder``
    and return it. Arguments and errors are those of :class:`Training`; ``on_event`` is called with
    each event.

    :func:`impasto.quick` takes the folder or the returned network as its ``model``.
    """
    training = Training(
        style, images, folder, config, resume=resume, overwrite=overwrite, **settings
    )
    pass_on(training, on_event)
    training.finish()
    return training.network()


def checkpoint_in(folder: Path) -> Path:
    """The path of the checkpoint of the training that writes into ``folder``."""
    return checkpoints.checkpoint_path(folder / MODEL)


def check_output(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise OutputExistsError or UsageError now, rather than after a long training."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{quoted(folder)} is a file", "give the name of a folder to make")
    if not os.path.isdir(folder.absolute().parent):
        raise UsageError(
            f"there is no folder {quoted(folder.absolute().parent)}", "make the folder first"
        )
    resumed = resume and os.path.exists(checkpoint_in(folder))
    if os.path.lexists(folder / MODEL) and not (overwrite or resumed):
        raise OutputExistsError(
            f"{quoted(folder)} holds a network already", "give another name, or allow overwriting"
        )
    there = [path for path in _outputs_in(folder) if os.path.lexists(path)]
    if there and not (overwrite or resumed):
        raise OutputExistsError(
            f"{quoted(there[0])} exists already", "give another name, or allow overwriting"
        )


def _outputs_in(folder: Path) -> list[Path]:
    """All that a training writes there, or has written."""
    return [*(folder / name for name in (MODEL, *FILES)), *_previews_in(folder)]


def _previews_in(folder: Path) -> Iterator[Path]:
    """The previews that a training has left in its folder."""
    with suppress(OSError):
        for path in sorted((folder / PREVIEWS).iterdir()):
            if re.fullmatch(r"step-\d{6,}\.png", path.name):
                yield path
