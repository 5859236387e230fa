"""What a file of VGG weights holds, told from its content: names, shapes, the first filter.

Nothing here trusts a name or an extension. A file is read as what its first bytes say, PyTorch
files only with ``weights_only``, and every tensor has to fit the table of the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

FLAVOURS = {
    "caffe": "BGR, 0-255, minus (103.939, 116.779, 123.68)",
    "torchvision": "RGB, 0-1, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)",
    "normalised": "as caffe; each channel scaled so that its mean activation is 1",
}
"""Flavour -> the input it wants. Where none is asked for, the first one that is found is taken."""

CONVOLUTIONS = {
    name: tuple(f"conv{stage}_{i}" for stage, n in enumerate(depths, 1) for i in range(1, n + 1))
    for name, depths in {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}.items()
}
"""Architecture -> its convolutions, shallow first: 13 of VGG-16, 16 of VGG-19."""

CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
"""Stage -> width of its convolutions."""

# Each convolution and each ReLU counts one in `features.N` of the PyTorch ports; so does the
# pooling that ends a stage.
FEATURE_INDEX = {
    name: {conv: 2 * i + int(conv[4]) - 1 for i, conv in enumerate(convolutions)}
    for name, convolutions in CONVOLUTIONS.items()
}
"""Architecture -> convolution -> N of ``features.N`` in torchvision's and neural-style-pt's files.

>>> FEATURE_INDEX["vgg19"]["conv4_1"], FEATURE_INDEX["vgg16"]["conv5_3"]
(19, 28)
"""

# conv1_1.weight[0, 0], row by row. No two of these networks agree in it, and neither half precision
# nor the scaling of the normalised flavour (each filter by a number of its own) turns it.
FIRST_FILTERS = {
    # from the file itself
    ("vgg19", "caffe"): (
        *(0.3411952, 0.3399920, -0.0448442, 0.2321592, 0.0897821),
        *(-0.3033143, -0.0726092, -0.2466750, -0.3368328),
    ),
    # as printed in public notebooks and tests
    ("vgg16", "caffe"): (
        *(0.42947057, 0.373467, -0.061360113, 0.27476987, 0.038680777),
        *(-0.36722335, -0.05746817, -0.26224968, -0.35009676),
    ),
    ("vgg19", "torchvision"): (
        *(-0.053474, -0.049257, -0.067942, 0.015314, 0.045068),
        *(0.0021444, 0.036226, 0.019999, 0.019864),
    ),
    ("vgg16", "torchvision"): (
        *(-0.5537, 0.1427, 0.5290, -0.5831, 0.3566),
        *(0.7657, -0.6902, -0.0480, 0.4841),
    ),
}

_KEY = re.compile(r"(?:module\.)?(?:features\.(\d+)|(conv\d_\d))\.(weight|bias)")
# The dense layers: of torchvision's and Caffe's files, and of timm's.
_DENSE = re.compile(r"(?:module\.)?(?:classifier\.|fc\d|pre_logits\.|head\.)")
_ONLY_VGG19 = re.compile(r"(?:module\.)?(?:features\.34|conv5_4)\.")


class OtherWeightsError(IntegrityError):
    """The file is whole, but of another architecture or flavour than was asked for."""


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """All that is called something in the file, and its metadata; by content, not by name."""
    with path.open("rb") as file:
        start = file.read(9)
    header = int.from_bytes(start[:8], "little")
    try:
        if start[8:] == b"{" and header <= path.stat().st_size:
            from safetensors import safe_open

            with safe_open(path, "pt") as tensors:
                # The dense layers are four fifths of a file that has them.
                keys = [key for key in tensors.keys() if not _DENSE.match(key)]  # noqa: SIM118
                return {k: tensors.get_tensor(k) for k in keys}, tensors.metadata() or {}
        if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
            import torch

            # Only the newer format can be mapped into memory, and only by name; but torch itself
            # goes by the extension when the name is .safetensors, so that one is opened for it.
            mmap = start[:1] == b"P" and path.suffix != ".safetensors"
            with path.open("rb") as file:
                state = torch.load(
                    path if mmap else file, map_location="cpu", weights_only=True, mmap=mmap
                )
            state = state.get("state_dict", state)
            return {str(key): value for key, value in state.items()}, {}
    except MemoryError:
        raise
    except Exception as error:  # what a damaged or hostile file makes these two raise is no list
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        if "weights_only" in str(error) or "Weights only" in reason:
            # torch would advise to switch the protection off
            reason = "it holds more than tensors, which might be code"
        raise IntegrityError(
            f"{path} cannot be read ({reason[:120]})", "it is damaged or unsafe: get it anew"
        ) from None
    raise IntegrityError(
        f"{path} is neither a safetensors nor a PyTorch file", "get it anew from its source"
    )


def recognise(path: Path, raw: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """The architecture, and canonical name -> float32 tensor, shallow first.

    Tensors are copies, so that nothing refers to the file any more. Raises IntegrityError unless
    each convolution is there, with finite numbers, and nothing but these and dense layers.
    """
    import torch

    def misfit(reason: str) -> IntegrityError:
        return IntegrityError(f"{path} does not hold VGG's weights: {reason}", "give another file")

    keys = [key for key in raw if not _DENSE.match(key)]
    architecture = "vgg19" if any(_ONLY_VGG19.match(key) for key in keys) else "vgg16"
    by_index = {str(index): conv for conv, index in FEATURE_INDEX[architecture].items()}
    found = {}
    for key in keys:
        match = _KEY.fullmatch(key)
        conv = match and (match[2] or by_index.get(match[1]))
        if not match or conv not in CONVOLUTIONS[architecture]:
            raise misfit(f"{architecture} has no {key[:60]!r}")
        found[f"{conv}.{match[3]}"] = raw[key]
    tensors, channels = {}, 3
    for conv in CONVOLUTIONS[architecture]:
        width = CHANNELS[int(conv[4])]
        for kind, shape in (("weight", (width, channels, 3, 3)), ("bias", (width,))):
            name = f"{conv}.{kind}"
            tensor = found.get(name)
            if not isinstance(tensor, torch.Tensor):
                raise misfit(f"{name} is not there, or not a tensor")
            if tuple(tensor.shape) != shape:
                raise misfit(f"{name} is {list(tensor.shape)}, not {list(shape)}")
            plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
            if not (plain and tensor.is_floating_point()):
                raise misfit(f"{name} is {tensor.dtype}, not a plain float")
            tensors[name] = tensor.detach().to(torch.float32, copy=True).contiguous()
            if not bool(tensors[name].isfinite().all()):
                raise IntegrityError(
                    f"{path} holds numbers in {name} that are not finite", "get it anew"
                )
        channels = width
    return architecture, tensors


def flavour_of(weight: Tensor, architecture: str) -> str | None:
    """The flavour whose first filter this is (see ``FIRST_FILTERS``), or None."""
    import torch

    own = weight[0, 0].flatten().double()
    for (of, flavour), numbers in FIRST_FILTERS.items():
        known = torch.tensor(numbers, dtype=torch.float64)
        if of == architecture and torch.cosine_similarity(own, known, dim=0) > 0.9999:
            scale = float(own.norm() / known.norm())
            if 0.98 < scale < 1.02:
                return flavour
            return "normalised" if flavour == "caffe" else None
    return None
