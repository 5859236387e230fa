"""Weights of VGG: which there are, where they lie, how they get here, and what a file holds.

Three flavours of the same two networks are in circulation (``FLAVOURS``); they differ in the input
that they want. Files are looked for on the search path: first each entry of the environment
variable ``IMPASTO_WEIGHTS`` (folders and files, separated as in ``PATH``), then the user's cache.
What is not found there is downloaded from where its authors publish it, unless ``IMPASTO_OFFLINE``
is set. Names only serve to find a file: its content decides how it is read and what it is.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.encoders.contents import (
    CONVOLUTIONS,
    FEATURE_INDEX,
    FLAVOURS,
    OtherWeightsError,
    flavour_of,
    read_tensors,
    recognise,
)
from impasto.encoders.download import TIMEOUT, Progress, fetch, fits, sha256_of
from impasto.errors import ConfigError, IntegrityError, UnknownNameError, WeightsNotFoundError
from impasto.image.files import check_apart, expanded, write_bytes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "CONVOLUTIONS",
    "FEATURE_INDEX",
    "FLAVOURS",
    "WEIGHTS",
    "LoadedWeights",
    "WeightSpec",
    "cache_folder",
    "convert",
    "download",
    "find_weights",
    "is_offline",
    "load_weights",
    "read_weights",
    "search_path",
    "verify",
]

PATH_VARIABLE, OFFLINE_VARIABLE = "IMPASTO_WEIGHTS", "IMPASTO_OFFLINE"


@dataclass(frozen=True)
class WeightSpec:
    """A file of weights that is known: what it holds and where its authors publish it.

    ``sha256`` is the full checksum, its leading digits (as far as the publisher's file name tells
    them), or "" where none is published. ``url`` is "" where nothing can be downloaded. ``size`` is
    in bytes, None where it is not known.
    """

    name: str
    flavour: str
    url: str
    sha256: str
    licence: str
    source: str
    size: int | None = None

    @property
    def architecture(self) -> str:
        """``vgg16`` or ``vgg19``."""
        return self.name.partition("-")[0]

    @property
    def filename(self) -> str:
        """What its publisher calls the file."""
        return self.url.rpartition("/")[2] or f"{self.name}.safetensors"

    @property
    def accepted_names(self) -> tuple[str, ...]:
        """Names under which such a file is found in a folder, in any case; the first wins."""
        own = [f"{self.name}{suffix}" for suffix in (".safetensors", ".pth", ".pt")]
        return tuple(dict.fromkeys([*own, self.filename]))


# The leading eight digits of each checksum are in the publisher's own file name. The rest of
# torchvision's, and the sizes, are what independent public manifests agree on; impasto's makers
# could not reach these hosts themselves.
WEIGHTS = {
    spec.name: spec
    for spec in (
        WeightSpec(
            name="vgg19-caffe",
            flavour="caffe",
            url="https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth",
            sha256="d01eb7cb",
            licence="CC BY 4.0",
            source="Simonyan & Zisserman 2014 (Oxford VGG), converted by J. Johnson",
        ),
        WeightSpec(
            name="vgg16-caffe",
            flavour="caffe",
            url="https://web.eecs.umich.edu/~justincj/models/vgg16-00b39a1b.pth",
            sha256="00b39a1b",
            licence="CC BY 4.0",
            source="Simonyan & Zisserman 2014 (Oxford VGG), converted by J. Johnson",
        ),
        WeightSpec(
            name="vgg19-torchvision",
            flavour="torchvision",
            url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
            sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            licence="BSD-3-Clause",
            source="torchvision, trained anew on ImageNet",
            size=574_673_361,
        ),
        WeightSpec(
            name="vgg16-torchvision",
            flavour="torchvision",
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            licence="BSD-3-Clause",
            source="torchvision, trained anew on ImageNet",
            size=553_433_881,
        ),
        # No checksum of this file is published, so it is never fetched unasked. Its author says it
        # was made from the model zoo's VGG, and his loss weights are those for plain VGG; should it
        # be the normalised one after all, its first filter tells.
        WeightSpec(
            name="vgg19-gatys",
            flavour="caffe",
            url="https://bethgelab.org/media/uploads/pytorch_models/vgg_conv.pth",
            sha256="",
            licence="CC BY 4.0 (as the original; its own are not stated)",
            source="Gatys et al., PytorchNeuralStyleTransfer",
        ),
        # Published as a Caffe model only, which impasto does not read.
        WeightSpec(
            name="vgg19-normalised",
            flavour="normalised",
            url="",
            sha256="",
            licence="not stated",
            source="Gatys et al., DeepTextures",
        ),
    )
}
"""Name -> what is known of that file; of two with one flavour the first is preferred."""


@dataclass(frozen=True)
class LoadedWeights:
    """What a file of weights holds.

    ``tensors`` maps ``conv1_1.weight`` ``(64, 3, 3, 3)``, ``conv1_1.bias`` ``(64,)`` and so on to
    float32 tensors. ``sha256`` is the whole file's.
    ``evidence`` says what told the flavour; ``spec`` is the known file, if the checksum is one's.
    """

    tensors: dict[str, Tensor] = field(repr=False)
    architecture: str
    flavour: str
    sha256: str
    path: Path
    evidence: str
    spec: WeightSpec | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def load_weights(
    architecture: str = "vgg19",
    *,
    flavour: str | None = None,
    path: str | Path | None = None,
    offline: bool | None = None,
    on_progress: Progress | None = None,
) -> LoadedWeights:
    """Weights of ``vgg16`` or ``vgg19``: from ``path``, else the search path, else a download.

    A file that IMPASTO_WEIGHTS names itself goes before what lies in folders. Among those, without
    a ``flavour``, ``FLAVOURS`` gives the order. ``offline`` defaults to IMPASTO_OFFLINE.

    Raises WeightsNotFoundError, whose remedy says which file to put where, and IntegrityError for
    a file that is damaged, of another network, or whose flavour cannot be told.
    """
    _check_request(architecture, flavour)
    if path is not None:
        return read_weights(path, architecture=architecture, flavour=flavour)
    for entry in search_path():
        if os.path.isfile(entry):
            with contextlib.suppress(OtherWeightsError):
                return read_weights(entry, architecture=architecture, flavour=flavour)
    specs = [
        spec
        for wanted in ([flavour] if flavour else FLAVOURS)
        for spec in WEIGHTS.values()
        if (spec.architecture, spec.flavour) == (architecture, wanted)
    ]
    for spec in specs:
        if found := find_weights(spec):
            return read_weights(found, architecture=architecture, flavour=flavour)
    trusted = [spec for spec in specs if spec.url and spec.sha256]
    if not trusted or is_offline(offline):
        what = f"{architecture} ({flavour})" if flavour else architecture
        reason = "offline nothing is downloaded"
        if not trusted:
            reason = "no download of them can be checked" if specs else "none are known"
        raise WeightsNotFoundError(f"no weights of {what} were found, and {reason}", _remedy(specs))
    file = download(trusted[0], offline=offline, on_progress=on_progress)
    return read_weights(file, architecture=architecture, flavour=flavour)


def search_path() -> list[Path]:
    """Where weights are looked for: the entries of IMPASTO_WEIGHTS, then the user's cache."""
    entries = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
    return [*(expanded(entry) for entry in entries if entry.strip()), cache_folder()]


def cache_folder() -> Path:
    """Where downloads go: ``~/.cache/impasto/weights`` on Linux."""
    import platformdirs

    return platformdirs.user_cache_path("impasto", appauthor=False) / "weights"


def is_offline(offline: bool | None = None) -> bool:
    """``offline`` itself, or what IMPASTO_OFFLINE says where that is None."""
    value = os.environ.get(OFFLINE_VARIABLE, "").strip().lower()
    return value not in ("", "0", "false", "no", "off") if offline is None else offline


def find_weights(spec: WeightSpec) -> Path | None:
    """The first file on the search path that bears one of the spec's names, or None."""
    for entry in search_path():
        here = {entry.name.lower(): entry} if os.path.isfile(entry) else {}
        with contextlib.suppress(OSError):  # no such folder, or none of ours
            here = here or {file.name.lower(): file for file in sorted(entry.iterdir())}
        for name in spec.accepted_names:
            if (file := here.get(name.lower())) and os.path.isfile(file):
                return file
    return None


def verify(path: str | Path) -> LoadedWeights:
    """Read a file of weights, or the one that is found under the name of a spec, and check it all.

    Raises as :func:`load_weights`.
    """
    spec = WEIGHTS.get(str(path))
    if spec is None:
        return read_weights(path)
    if (file := find_weights(spec)) is None:
        raise WeightsNotFoundError(f"no weights called {spec.name} were found", _remedy([spec]))
    return read_weights(file, architecture=spec.architecture)


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    flavour: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write any file that is read here as safetensors with canonical names; return its path.

    In a folder the file is called ``vgg19-caffe.safetensors`` and the like. ``half`` stores float16
    (half the size; promoted again when loaded). Metadata tell what it is and where it came from.

    Raises as :func:`load_weights`, and OutputExistsError unless ``overwrite``.
    """
    import torch
    from safetensors.torch import save

    loaded = read_weights(source, flavour=flavour)
    known = WEIGHTS.get(f"{loaded.architecture}-{loaded.flavour}")
    spec = loaded.spec or known
    metadata = {"format": "pt", "source": spec.source, "licence": spec.licence} if spec else {}
    metadata |= {
        **loaded.metadata,
        "architecture": loaded.architecture,
        "flavour": loaded.flavour,
        "input": FLAVOURS[loaded.flavour],
        "original": loaded.path.name,
        "original_sha256": loaded.sha256,
    }
    tensors = loaded.tensors
    if half:
        tensors = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ConfigError("these weights do not fit in half precision", "leave out --half")
    target = expanded(destination)
    if os.path.isdir(target):
        target /= f"{loaded.architecture}-{loaded.flavour}.safetensors"
    check_apart([target], [source])
    return write_bytes(target, save(tensors, metadata), overwrite=overwrite)


# --- reading a file -------------------------------------------------------------------------------


def read_weights(
    path: str | Path, *, architecture: str | None = None, flavour: str | None = None
) -> LoadedWeights:
    """Read and check one file; ``architecture`` and ``flavour`` are what it is expected to hold.

    The names of its tensors tell the architecture. The flavour is told by the checksum of a known
    file, by the first filter or by metadata; where all three are silent, ``flavour`` is believed,
    or else the file's name.
    """
    _check_request(architecture, flavour)
    path = expanded(path)
    digest = _digest(path)
    known = next((s for s in WEIGHTS.values() if s.sha256 and fits(digest, [s.sha256])), None)
    named = next((s for s in WEIGHTS.values() if path.name.lower() in s.accepted_names), None)
    if named and path.name.lower() == named.filename and not fits(digest, [named.sha256]):
        raise IntegrityError(
            f"{path} has the checksum {digest[:16]}..., published is {named.sha256[:16]}",
            f"delete it, then: impasto weights download {named.name}",
        )
    raw, metadata = read_tensors(path)
    found, tensors = recognise(path, raw)
    if architecture not in (None, found):
        raise OtherWeightsError(
            f"{path} holds weights of {found}, not of {architecture}", "give another file"
        )
    claims = {
        "checksum": known and known.flavour,
        "first filter": flavour_of(tensors["conv1_1.weight"], found),
        "metadata": metadata.get("flavour"),
        "request": flavour,
        "file name": named and named.flavour,
    }
    evidence = next((name for name, claim in claims.items() if claim in FLAVOURS), None)
    if evidence is None:
        raise IntegrityError(
            f"{path} does not tell the flavour of its weights",
            f"add --flavour with one of: {', '.join(FLAVOURS)}",
        )
    if flavour not in (None, claims[evidence]):
        raise OtherWeightsError(
            f"{path} holds {claims[evidence]} weights (so says its {evidence}), not {flavour}",
            "leave out the flavour, or give another file",
        )
    return LoadedWeights(
        tensors, found, str(claims[evidence]), digest, path, evidence, known, metadata
    )


def _digest(path: Path) -> str:
    if not os.path.isfile(path):
        what = "is not a file" if os.path.exists(path) else "does not exist"
        raise WeightsNotFoundError(f"{path} {what}", "give the path of a file of weights")
    try:
        return sha256_of(path)
    except OSError as error:
        raise WeightsNotFoundError(
            f"{path} cannot be read: {error.strerror or error}", "change its permissions"
        ) from None


# --- getting a file -------------------------------------------------------------------------------


def download(
    spec: WeightSpec | str,
    *,
    sha256: str | None = None,
    offline: bool | None = None,
    on_progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> Path:
    """Download a known file into the cache, if it is not there yet, and return its path.

    ``sha256`` (whole or its first eight digits and more) has to fit beside what is published. Of a
    file without a published checksum, the content is examined instead before it is taken.

    Raises WeightsNotFoundError when it cannot be had, IntegrityError when it is not the right one.
    """
    if isinstance(spec, str):
        if spec not in WEIGHTS:
            raise UnknownNameError("file of weights", spec, WEIGHTS)
        spec = WEIGHTS[spec]
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
        raise ConfigError(f"the checksum is '{sha256}'", "give 8 to 64 hexadecimal digits")
    remedy = _remedy([spec])
    if not spec.url or is_offline(offline):
        reason = "while offline" if spec.url else "from anywhere that impasto knows"
        raise WeightsNotFoundError(f"{spec.name} cannot be downloaded {reason}", remedy)
    expected = [digits for digits in (spec.sha256, sha256) if digits]
    return fetch(
        spec.url,
        cache_folder() / spec.filename,
        sha256=expected,
        check=None if expected else lambda p: read_weights(p, architecture=spec.architecture),
        remedy=remedy,
        on_progress=on_progress,
        timeout=timeout,
    )


def _remedy(specs: list[WeightSpec]) -> str:
    names = ", ".join(name for spec in specs for name in spec.accepted_names)
    folders = " or ".join(str(entry) for entry in search_path() if not os.path.isfile(entry))
    urls = ", ".join(spec.url for spec in specs if spec.url)
    return (
        (f"put one of these files: {names}; into {folders}" if names else "give a file")
        + f" (or name a folder or a file in {PATH_VARIABLE})"
        + (f"; published at {urls}" if urls else "")
        + "; or use --encoder mini, which needs no download"
    )


def _check_request(architecture: str | None, flavour: str | None) -> None:
    if architecture is not None and architecture not in CONVOLUTIONS:
        raise UnknownNameError("architecture", architecture, CONVOLUTIONS)
    if flavour is not None and flavour not in FLAVOURS:
        raise UnknownNameError("flavour of weights", flavour, FLAVOURS)
