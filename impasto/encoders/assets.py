"""Networks whose weights ship with impasto: file -> tensors -> network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from impasto.errors import IntegrityError

__all__ = ["SCALE", "load_asset", "pack", "unpack"]

SCALE = ".scale"  # what a file calls the scales of a tensor's rows, where that is in 8 bits

Network = TypeVar("Network", bound=nn.Module)


def load_asset(
    asset: str,
    path: str | Path | None,
    network: str,
    make: Callable[[dict[str, Tensor], str], Network],
) -> Network:
    """What ``make`` makes of the tensors of the ``asset`` that ships, or of ``path``, and of the
    SHA-256 of the file.

    Raises IntegrityError for a file that is damaged or another ``network``'s.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    source = Path(path) if path else resources.files("impasto") / "assets" / asset
    data = source.read_bytes()
    try:
        with torch.random.fork_rng(devices=()):  # layers draw weights before they are given theirs
            return make(unpack(load(data)), hashlib.sha256(data).hexdigest())
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IntegrityError(
            f"{source} does not hold {network}'s weights ({error})", "reinstall impasto"
        ) from error


def pack(
    tensors: Mapping[str, Tensor], *, in_int8: Callable[[str, Tensor], bool]
) -> dict[str, Tensor]:
    """Tensors as they ship: those of which ``in_int8`` holds in 8 bits, each output channel with a
    scale of its own, the others in float16. ``unpack`` undoes it, but for the rounding."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if in_int8(name, tensor):
            rows = tensor.float().flatten(1)
            scale = rows.abs().amax(1).clamp_min(1e-8) / 127
            eighth = (rows / scale[:, None]).round().to(torch.int8)
            found |= {name: eighth.view_as(tensor).contiguous(), name + SCALE: scale}
        else:
            found[name] = tensor.half().contiguous()
    return found


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file, in which some are in 8 bits, each output channel with a scale of its
    own."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            scale = tensors[name + SCALE].float()
            found[name] = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        elif not name.endswith(SCALE):
            found[name] = tensor
    return found
