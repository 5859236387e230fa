"""The encoder as an eye: which of its layers to look through, and with channels to call by name."""

from __future__ import annotations

from typing import Protocol

import torch

from impasto.config.layers import Selection
from impasto.encoders import Encoder, Mini, get_encoder
from impasto.encoders.mini import load_mini
from impasto.errors import UnknownNameError


class EncoderSettings(Protocol):
    """The settings that choose an encoder."""

    @property
    def flavour(self) -> str | None: ...

    @property
    def pooling(self) -> str: ...

    @property
    def padding(self) -> str: ...


def prepare_encoder(
    encoder: str | Encoder,
    settings: EncoderSettings,
    device: torch.device,
    dtype: torch.dtype,
    *,
    by_channel: bool = False,
) -> Encoder:
    """The encoder by its name, from a file or as an object, ready on ``device`` in ``dtype``.

    With ``by_channel`` one whose channels are VGG's: mini's features are, at most layers, a
    rotation of those (see :mod:`impasto.encoders.mini`), which is all the same to losses that take
    all channels together, and not to somebody who asks for the seventh.
    """
    if by_channel and not isinstance(encoder, Encoder):
        found = _predicting(encoder, settings)
    else:
        found = get_encoder(
            encoder, flavour=settings.flavour, pooling=settings.pooling, padding=settings.padding
        )
    found.to(device, dtype)
    found.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    return found


def default_layers(encoder: Encoder) -> tuple[Selection, ...]:
    """What to dream of where nobody says: the last layer of stage 4 and the first of stage 5.

    Those of stage 3 see edges and make stripes of them; deeper ones than these see so much at once
    that they leave most of a photo alone. An encoder that has neither dreams with its last layer.
    """
    relus = [name for name in encoder.layers if name.startswith("relu")]
    fourth = [name for name in relus if name.startswith("relu4")][-1:]
    fifth = [name for name in relus if name.startswith("relu5")][:1]
    return tuple(Selection(name) for name in fourth + fifth or encoder.layers[-1:])


def check_layers(encoder: Encoder, layers: tuple[str, ...]) -> None:
    """Raise UnknownNameError for a layer that the encoder has not."""
    for layer in layers:
        if layer not in encoder.layers:
            raise UnknownNameError(f"layer of {encoder.name}", layer, encoder.layers)


def _predicting(encoder: str, settings: EncoderSettings) -> Encoder:
    """Mini so that it gives VGG's channels; other encoders as they are."""
    if encoder == "mini":
        return load_mini(padding=settings.padding, predict=True)
    found = get_encoder(
        encoder, flavour=settings.flavour, pooling=settings.pooling, padding=settings.padding
    )
    return (
        load_mini(encoder, padding=settings.padding, predict=True)
        if isinstance(found, Mini)
        else found
    )
