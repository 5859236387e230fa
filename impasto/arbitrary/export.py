"""Networks as ONNX files, for programs that know nothing of torch; checked before they are written.

``quick`` becomes one graph: ``content``, ``style`` and ``strength`` in, ``picture`` out, for any
number of pictures of any size. What :func:`impasto.arbitrary.inference.draft` does in Python is in
the graph: the padding to a multiple of 16, the moments of both pictures, the transport. ONNX has no
eigenvectors, so there the transport comes from products, see :func:`solve_by_products`.

Any other network that takes a picture and returns one is exported by :func:`export_feedforward`.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from impasto.arbitrary.backends import Graphs, session
from impasto.arbitrary.fused import (
    PAINT_INPUTS,
    SKETCH_INPUTS,
    Brush,
    Encode,
    Paint,
    Sketch,
    compose,
    through_head,
    trunk_of,
)
from impasto.arbitrary.inference import draft
from impasto.arbitrary.network import DEEP, FINE, LEVELS, MULTIPLE, Plan, Quick, plan_for
from impasto.arbitrary.transport import Moments, moments
from impasto.config.version import __version__
from impasto.encoders.base import IMAGE
from impasto.errors import ImpastoError, MissingDependencyError
from impasto.image.files import check_folder, quoted, write_bytes
from impasto.image.swatches import swatch

FORMAT = 4
"""Counts changes of the graphs of :func:`parts`; those that lie in a cache are made anew."""

LIMIT = 1e-3
"""How far a graph's picture may lie from torch's, at any pixel, both in float32."""

SIZES = ((64, 96), (101, 67), (40, 33))
"""Heights and widths of the pictures with which a graph is checked."""

OPSET = 20

_FREE = torch.export.Dim.AUTO

Feed = dict[str, Tensor]


class Whole(nn.Module):
    """All of ``quick`` in one.

    ``content`` ``(N, 3, H, W)`` and ``style`` ``(N, 3, h, w)`` or ``(1, 3, h, w)`` in [0, 1],
    ``strength`` ``(1,)`` in [0, 1] -> ``(N, 3, H, W)`` in [0, 1].
    """

    def __init__(self, model: Quick) -> None:
        super().__init__()
        self.model, self.encode = model, Encode(trunk_of(model))
        self.sketch, self.paint = Sketch(model.decoder), Paint(model.decoder)

    def forward(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        image, style = _padded(content), _padded(style)
        taps = self.encode(image)
        before = self._measured(image, taps)
        found = self._measured(style, self.encode(style))
        # One style for all pictures, or one for each.
        own = torch.arange(content.shape[0]).clamp_max(style.shape[0] - 1)
        after = {name: Moments(m.mean[own], m.covariance[own]) for name, m in found.items()}
        decoder = self.model.decoder
        plan = plan_for(decoder, before, after, strength, solve=solve_by_products)
        painted = self._painted(image, *taps, *self._flat(plan))
        # As draft does: where the style is not all, what the network misses is put back.
        plan = plan_for(decoder, before, before, 0.0)
        given = (image, *taps, *self._flat(plan))
        still = torch.cond((strength < 1).all(), self._still, _first, given).view_as(image)
        painted = painted + (1 - strength)[:, None, None, None] * (image - still)
        painted = torch.where((strength == 0)[:, None, None, None], image, painted)
        return painted[..., : content.shape[2], : content.shape[3]].clamp(0, 1)

    def _flat(self, plan: Plan) -> tuple[Tensor, ...]:
        brush = compose(self.model, plan)
        return (*brush.matrices, *brush.offsets, brush.colours, brush.base, brush.code)

    def _painted(self, image: Tensor, *rest: Tensor) -> Tensor:
        """``rest``: the taps and what :meth:`_flat` returns."""
        count, deep = len(LEVELS), len(DEEP)
        taps, corner = rest[:count], torch.zeros(2, dtype=torch.int64)
        brush = Brush(rest[count : 2 * count], rest[2 * count : 3 * count], *rest[3 * count :])
        sketch = self.sketch(*taps[:deep], *brush.for_sketch(), corner)
        painted: Tensor = self.paint(image, sketch, *taps[deep:], *brush.for_paint(), corner)
        return painted

    def _still(self, *given: Tensor) -> Tensor:
        return self._painted(*given).reshape(-1)  # branches must agree on strides, too

    def _measured(self, image: Tensor, taps: Sequence[Tensor]) -> dict[str, Moments]:
        found = {
            name: through_head(self.model, name, moments(tap.permute(0, 3, 1, 2)))
            for name, tap in zip(LEVELS, taps, strict=True)
        }
        return found | {IMAGE: moments(image)}


def export_quick(model: Quick, path: str | os.PathLike[str], *, overwrite: bool = True) -> float:
    """Write ``model`` as one ONNX graph and return how far it is from torch, at most, at any pixel.

    Inputs ``content``, ``style`` and ``strength`` and output ``picture`` as of :class:`Whole`;
    number, height and width are free. Everything is float32, and the file holds its weights.

    Raises MissingDependencyError without the extra ``onnx``, ImpastoError where the graph and torch
    differ by more than LIMIT (then no file is written), and what
    :func:`impasto.image.files.write_bytes` raises.
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
    data = as_onnx(Whole(model), given, shapes, ["picture"], _described(model))
    most = 0.0
    for count, size in enumerate(SIZES, start=1):
        content = _several(count, size)
        styles = _several(count if count == 2 else 1, (51, 64)).flip(3)  # for each, or for all
        strength = 1.5 - count / 2
        wanted = [
            draft(model, content[k : k + 1], [styles[k % len(styles)][None]], strength=strength)
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

    Input ``content``, output ``picture``; number, height and width are free. ``described`` goes
    into the file's metadata. Returns and raises as :func:`export_quick`.
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
            content = _several(count, size)
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
    """M^(1/2) and M^(-1/2) of symmetric positive M ``(N, C, C)`` by products alone.

    The coupled Newton-Schulz iteration (Higham 2008, eq. 6.35) with the scaling of Chen & Chow
    (2014), as in :func:`impasto.losses.wasserstein.root_trace`; here in a number of steps that is
    known beforehand, from how small a root may be (``least``), and without lifting small ones.

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


def parts(model: Quick) -> Graphs:
    """The parts of :mod:`~impasto.arbitrary.fused` as graphs, for one picture at a time of any size
    that 16 divides: what :mod:`impasto.arbitrary.backends` runs."""
    image, corner = torch.rand(1, 3, 80, 96), torch.tensor([16, 16])
    trunk, deep = trunk_of(model), len(DEEP)
    encode, sketch, paint = Encode(trunk), Sketch(model.decoder), Paint(model.decoder)
    with torch.no_grad():
        taps = encode(image)
        own = Whole(model)._measured(image, taps)
        brush = compose(model, plan_for(model.decoder, own, own))
        for_sketch = (*taps[:deep], *brush.for_sketch(), corner)
        for_paint = (image, sketch(*for_sketch), *taps[deep:], *brush.for_paint(), corner)
    made = {}
    for part, module, names, given, outputs in (
        ("encode", encode, ("image",), (image,), [f"tap_{name}" for name in LEVELS]),
        ("encode-fine", Encode(trunk, FINE), ("image",), (image,), [f"tap_{n}" for n in FINE]),
        ("sketch", sketch, SKETCH_INPUTS, for_sketch, ["sketch"]),
        ("paint", paint, PAINT_INPUTS, for_paint, ["picture"]),
    ):
        shapes = tuple(_free_axes(name) for name in names)
        named = {"sketch": 0, "paint": 2}.get(part, 1)  # the others come as *arguments
        nested = (*shapes[:named], *([shapes[named:]] if shapes[named:] else []))
        made[part] = as_onnx(module, dict(zip(names, given, strict=True)), nested, outputs, {})
    return made


def _free_axes(name: str) -> dict[int, Any] | None:
    """Of an input of :func:`parts`."""
    if name == "image":
        return {2: _FREE, 3: _FREE}
    return {1: _FREE, 2: _FREE} if name == "sketch" or name.startswith("tap_") else None


def as_onnx(
    module: nn.Module,
    given: Feed,
    shapes: tuple[Any, ...],
    outputs: list[str],
    described: Mapping[str, str],
) -> bytes:
    """A module as a serialised ONNX model that holds its weights.

    ``given`` are its inputs by name, in order; ``shapes`` says of each which axes are free, as for
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
    """Away with what the exporter notes at each node: stack traces, with this machine's paths. They
    are half of the file."""
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
    """The largest, between what the graph makes of ``feed`` and ``wanted``."""
    [found] = session(data).run(None, {name: value.numpy() for name, value in feed.items()})
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


def _described(model: Quick) -> dict[str, str]:
    return {
        "network": model.name,
        "decoder_sha256": model.sha256,
        "encoder": model.encoder.name,
        "encoder_sha256": model.encoder.sha256,
        "input": "content (N, 3, H, W) and style (N or 1, 3, h, w), sRGB in [0, 1]; strength (1,)",
        "output": "picture (N, 3, H, W), sRGB in [0, 1]",
        "licence": "MIT",
    }


def _several(count: int, size: tuple[int, int]) -> Tensor:
    """Up to three pictures ``(N, 3, H, W)``."""
    return torch.cat([swatch(name, size=size) for name in ("mosaic", "waves", "night")[:count]])


def _first(image: Tensor, *rest: Tensor) -> Tensor:
    """Nothing to put back."""
    return image.reshape(-1).clone()


def _padded(image: Tensor) -> Tensor:
    """As in inference, but with an index: the exporter cannot count a padding that it must find."""
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
    """The exporter warns of packages that nobody needs here, by logging and by warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
