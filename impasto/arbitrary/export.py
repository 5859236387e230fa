"""Networks as ONNX files, for programs without torch; checked before they are written.

``quick`` becomes one graph: ``content``, ``style`` and ``strength`` in, ``picture`` out, for any
number of pictures of any size. The graph contains what
:func:`impasto.arbitrary.inference.transfer_style` does in Python: the padding to a multiple of 16,
the moments of both pictures, the transport. ONNX has no eigendecomposition, so the transport there
is computed by matrix products, see :func:`solve_by_products`.

:func:`export_feedforward` exports any other network from pictures to pictures.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from impasto.arbitrary.fused import (
    CoarseDecoder,
    FineDecoder,
    FusedQuick,
    FusedWeights,
    TrunkFeatures,
    encode_trunk,
    fuse,
    moments_after_head,
    trunk_of,
)
from impasto.arbitrary.inference import transfer_style
from impasto.arbitrary.network import DEEP, LEVELS, MULTIPLE, Quick, StyleTransform, style_transform
from impasto.arbitrary.transport import Moments, moments
from impasto.config.version import __version__
from impasto.encoders.base import IMAGE
from impasto.errors import ImpastoError, MissingDependencyError
from impasto.image.files import check_folder, quoted, write_bytes
from impasto.image.swatches import swatch

LIMIT = 1e-3
"""Largest difference between a graph's picture and torch's at any pixel, both in float32."""

SIZES = ((64, 96), (101, 67), (40, 33))
"""Heights and widths of the pictures on which a graph is checked."""

OPSET = 20

_FREE = torch.export.Dim.AUTO

Feed = dict[str, Tensor]


class ExportedQuick(nn.Module):
    """All of ``quick`` as one module, from pictures to pictures.

    ``content`` ``(N, 3, H, W)`` and ``style`` ``(N, 3, h, w)`` or ``(1, 3, h, w)`` in [0, 1],
    ``strength`` ``(1,)`` in [0, 1] -> ``(N, 3, H, W)`` in [0, 1].
    """

    def __init__(self, model: Quick) -> None:
        super().__init__()
        self.model, self.trunk = model, trunk_of(model)
        self.coarse, self.fine = CoarseDecoder(model.decoder), FineDecoder(model.decoder)

    def forward(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        image, style = _pad(content), _pad(style)
        features = encode_trunk(self.trunk, image)
        before = self._measure(image, features)
        found = self._measure(style, encode_trunk(self.trunk, style))
        # One style for all pictures, or one for each.
        own = torch.arange(content.shape[0]).clamp_max(style.shape[0] - 1)
        after = {name: Moments(m.mean[own], m.covariance[own]) for name, m in found.items()}
        decoder = self.model.decoder
        transform = style_transform(decoder, before, after, strength, solve=solve_by_products)
        painted = self._paint(image, *features, *self._flat_weights(transform))
        # As transfer_style does: below full strength the reconstruction error is subtracted.
        transform = style_transform(decoder, before, before, 0.0)
        given = (image, *features, *self._flat_weights(transform))
        own_picture = torch.cond((strength < 1).all(), self._reconstruct, _first, given)
        error = image - own_picture.view_as(image)
        painted = painted + (1 - strength)[:, None, None, None] * error
        painted = torch.where((strength == 0)[:, None, None, None], image, painted)
        return painted[..., : content.shape[2], : content.shape[3]].clamp(0, 1)

    def _flat_weights(self, transform: StyleTransform) -> tuple[Tensor, ...]:
        """FusedWeights as a flat tuple, which is what torch.cond takes."""
        matrices, offsets, *rest = fuse(self.model, transform)
        return (*matrices, *offsets, *rest)

    def _paint(self, image: Tensor, *rest: Tensor) -> Tensor:
        """``rest``: the trunk's features, then :meth:`_flat_weights`."""
        count, deep = len(LEVELS), len(DEEP)
        features, matrices, offsets = (rest[k * count : (k + 1) * count] for k in range(3))
        weights = FusedWeights(matrices, offsets, *rest[3 * count :])
        coarse = self.coarse(features[:deep], weights)
        painted: Tensor = self.fine(image, coarse, features[deep:], weights)
        return painted

    def _reconstruct(self, *given: Tensor) -> Tensor:
        return self._paint(*given).reshape(-1)  # branches must agree on strides, too

    def _measure(self, image: Tensor, features: TrunkFeatures) -> dict[str, Moments]:
        found = {
            name: moments_after_head(self.model, name, moments(own.permute(0, 3, 1, 2)))
            for name, own in zip(LEVELS, features, strict=True)
        }
        return found | {IMAGE: moments(image)}


def export_quick(model: Quick, path: str | os.PathLike[str], *, overwrite: bool = True) -> float:
    """Write ``model`` as one ONNX graph; return the largest difference from torch at any pixel.

    Inputs ``content``, ``style`` and ``strength`` and output ``picture`` are those of
    :class:`ExportedQuick`, with any number, height and width. All is float32, and the file contains
    its weights.

    Raises MissingDependencyError without the extra ``onnx``, ImpastoError where the graph differs
    from torch by more than LIMIT (no file is written then), and the errors of
    :func:`impasto.image.files.write_bytes`.
    """
    _check_installed()
    check_folder(path, overwrite=overwrite)
    free = {0: _FREE, 2: _FREE, 3: _FREE}
    given = {
        "content": torch.rand(2, 3, 72, 88),
        "style": torch.rand(2, 3, 56, 64),
        "strength": torch.tensor([0.5]),
    }
    shapes = (free, free, None)
    data = as_onnx(ExportedQuick(model), given, shapes, ["picture"], _description(model))
    network, most = FusedQuick(model), 0.0
    for count, size in enumerate(SIZES, start=1):
        content = _pictures(count, size)
        styles = _pictures(count if count == 2 else 1, (51, 64)).flip(3)  # for each, or for all
        strength = 1.5 - count / 2
        wanted = [
            transfer_style(
                network, content[k : k + 1], [styles[k % len(styles)][None]], strength=strength
            )
            for k in range(count)
        ]
        feed = {"content": content, "style": styles, "strength": torch.tensor([strength])}
        most = max(most, _difference(data, feed, torch.cat(wanted)))
    return _write(path, data, most, overwrite)


def export_feedforward(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    described: Mapping[str, str] | None = None,
    overwrite: bool = True,
) -> float:
    """Write a network ``(N, 3, H, W)`` -> ``(N, 3, H, W)``, float32 on the CPU, as an ONNX graph.

    The input is ``content``, the output ``picture``, with any number, height and width.
    ``described`` goes into the file's metadata. Returns and raises as :func:`export_quick`.
    """
    _check_installed()
    check_folder(path, overwrite=overwrite)
    training = module.training
    module.eval()
    try:
        free = {0: _FREE, 2: _FREE, 3: _FREE}
        given = {"content": torch.rand(2, 3, 72, 88)}
        data = as_onnx(module, given, (free,), ["picture"], described or {})
        most = 0.0
        for count, size in enumerate(SIZES, start=1):
            content = _pictures(count, size)
            with torch.no_grad():
                most = max(most, _difference(data, {"content": content}, module(content)))
    finally:
        module.train(training)
    return _write(path, data, most, overwrite)


def solve_by_products(source: Tensor, target: Tensor, least: float) -> Tensor:
    """``A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)``; a
    :data:`~impasto.arbitrary.transport.Solve`."""
    root, inverse = product_roots(source, least)
    middle, _ = product_roots(root @ target @ root, least**2)
    return inverse @ middle @ inverse


def product_roots(matrix: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """M^(1/2) and M^(-1/2) of symmetric positive M ``(N, C, C)``, by matrix products alone.

    The coupled Newton-Schulz iteration (Higham 2008, eq. 6.35) with the scaling of Chen & Chow
    (2014), as in :func:`impasto.losses.wasserstein.root_trace`. Here the number of steps is fixed,
    by the bound ``least`` of how small a root may be, and small roots are not lifted.

    >>> root, inverse = product_roots(torch.diag(torch.tensor([4.0, 9.0])).unsqueeze(0), 0.1)
    >>> root.diagonal(dim1=1, dim2=2).round(decimals=4).tolist()
    [[2.0, 3.0]]
    """
    norm = matrix.square().sum((-2, -1), keepdim=True).sqrt()
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    y, z = matrix / norm, one
    low, first = least, True  # all roots of y lie from low to one
    while low < 1 - 1e-8:
        stretch = 3 / (1 + low + low**2)
        product = y if first else z @ y
        step = 1.5 * stretch**0.5 * one - 0.5 * stretch**1.5 * product
        y, z = y @ step, step if first else step @ z
        low, first = 0.5 * stretch**0.5 * low * (3 - stretch * low**2), False
    return y * norm.sqrt(), z / norm.sqrt()


def as_onnx(
    module: nn.Module,
    given: Feed,
    shapes: tuple[Any, ...],
    outputs: list[str],
    described: Mapping[str, str],
) -> bytes:
    """A module as a serialised ONNX model that contains its weights.

    ``given`` are its inputs by name, in order; ``shapes`` their dynamic axes, as for
    ``torch.export``; ``described`` goes into the metadata. Needs the extra ``onnx``.
    """
    import onnx

    with _silence():
        program = torch.onnx.export(
            module,
            tuple(given.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(given),
            output_names=outputs,
            opset_version=OPSET,
            optimize=True,
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
    _strip(model.graph)
    onnx.helper.set_model_props(model, {"impasto": __version__, **described})
    data: bytes = model.SerializeToString()
    return data


def _strip(graph: Any) -> None:
    """Remove the exporter's notes at each node: stack traces with paths of this machine, which are
    half of the file."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _strip(attribute.g)
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    del graph.metadata_props[:]


def _difference(data: bytes, feed: Feed, wanted: Tensor) -> float:
    """The largest difference between the graph's picture of ``feed`` and ``wanted``."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # its builds for Windows send some
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {name: value.numpy() for name, value in feed.items()})
    if found.shape != wanted.shape:
        raise ImpastoError(
            f"the exported graph returns {found.shape} where torch returns {tuple(wanted.shape)}",
            "export a network that keeps the picture's size",
        )
    difference = float((torch.from_numpy(found) - wanted).abs().max())
    return difference if difference == difference else float("inf")


def _write(path: str | os.PathLike[str], data: bytes, most: float, overwrite: bool) -> float:
    if most > LIMIT:
        raise ImpastoError(
            f"the exported graph is up to {most:.2g} from torch; at most {LIMIT:g} is allowed, and "
            f"{quoted(path)} was not written",
            "try the versions of torch and onnxruntime in constraints.txt, or report this",
        )
    write_bytes(path, data, overwrite=overwrite)
    return most


def _description(model: Quick) -> dict[str, str]:
    return {
        "network": model.name,
        "decoder_sha256": model.sha256,
        "encoder": model.encoder.name,
        "encoder_sha256": model.encoder.sha256,
        "input": "content (N, 3, H, W) and style (N or 1, 3, h, w), sRGB in [0, 1]; strength (1,)",
        "output": "picture (N, 3, H, W), sRGB in [0, 1]",
        "licence": "MIT",
    }


def _pictures(count: int, size: tuple[int, int]) -> Tensor:
    """Up to three pictures ``(N, 3, H, W)``."""
    return torch.cat([swatch(name, size=size) for name in ("mosaic", "waves", "night")[:count]])


def _first(image: Tensor, *rest: Tensor) -> Tensor:
    """The branch at full strength: the error to subtract is zero."""
    return image.reshape(-1).clone()


def _pad(image: Tensor) -> Tensor:
    """As in inference, but by indexing: the exporter does not support a padding of dynamic size."""
    for axis in (2, 3):
        length = image.shape[axis]
        padded = (length + MULTIPLE - 1) // MULTIPLE * MULTIPLE
        image = image.index_select(axis, torch.arange(padded).clamp_max(length - 1))
    return image


def _check_installed() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingDependencyError("exporting a network", "onnx")


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the exporter, which warns of packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
