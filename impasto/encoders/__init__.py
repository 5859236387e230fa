"""Tensor -> features: the networks whose eyes impasto looks through."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from impasto.encoders.base import Encoder, Features
from impasto.encoders.mini import Mini, load_mini
from impasto.encoders.vgg import VGG, load_vgg
from impasto.encoders.weights import read_weights
from impasto.errors import UnknownNameError, WeightsError
from impasto.image.files import expanded
from impasto.machine.devices import in_own_modes, without_inference_tensors

__all__ = ["ENCODERS", "VGG", "Encoder", "Features", "Mini", "get_encoder", "pop_encoder"]

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "mini": lambda *, padding="zero", **_: load_mini(padding=padding),
    "vgg16": lambda **options: load_vgg("vgg16", **options),
    "vgg19": lambda **options: load_vgg("vgg19", **options),
}


@in_own_modes
def get_encoder(
    encoder: str | Path | Encoder = "mini",
    *,
    flavour: str | None = None,
    pooling: str = "max",
    padding: str = "zero",
) -> Encoder:
    """The encoder of that name, from that file of weights, or the object itself.

    ``flavour`` and ``pooling`` concern VGG only. Raises UnknownNameError for a name that is neither
    in ``ENCODERS`` nor a file, WeightsError where the weights cannot be had.
    """
    if isinstance(encoder, Encoder):
        return without_inference_tensors(encoder)
    if make := ENCODERS.get(str(encoder)):
        return make(flavour=flavour, pooling=pooling, padding=padding)
    path = expanded(encoder)
    if not os.path.isfile(path):
        raise UnknownNameError("encoder", str(encoder), [*ENCODERS, "a file of weights"])
    try:
        return load_mini(path, padding=padding)
    except WeightsError:
        weights = read_weights(path, flavour=flavour)
        return VGG.from_weights(weights, pooling=pooling, padding=padding)


def pop_encoder(settings: dict[str, Any]) -> Encoder | None:
    """Pop the encoder that is an object among ``settings``; a name stays, a path as a text."""
    encoder = settings.get("encoder")
    if isinstance(encoder, Encoder):
        return cast(Encoder, settings.pop("encoder"))
    if encoder is not None:
        settings["encoder"] = str(encoder)
    return None
