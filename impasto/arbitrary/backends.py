"""Who computes the parts of the network: torch, onnxruntime or OpenVINO.

All three are given the same picture and the same brush and return the same picture up to rounding;
statistics, transport and tiles are torch's in any case. For the other two the parts are exported
as ONNX, once: the graphs lie in the user's cache and are made anew when the weights change.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from copy import deepcopy
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from impasto.arbitrary.fused import (
    PAINT_INPUTS,
    SKETCH_INPUTS,
    Brush,
    Encode,
    Paint,
    Sketch,
    Taps,
    tap_channels,
    trunk_of,
)
from impasto.arbitrary.network import DEEP, FINE, LEVELS, STRIDES, WIDTHS, Quick
from impasto.encoders.weights import cache_folder
from impasto.errors import ConfigError, ImpastoError, MissingDependencyError
from impasto.image.files import read_bytes, write_bytes

PACKAGES = {"torch": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Backend -> the package that it is."""

EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""Backend -> the extra of impasto that installs it."""

KEPT = 150_000_000
"""How many numbers may go in and out of the networks that OpenVINO has compiled and that are kept,
together: those of a picture of 1024x1024 pixels, and of the smaller ones before it."""

PARTS = ("encode", "encode-fine", "sketch", "paint")
"""The parts as they are exported: Encode of all levels, of the FINE ones, Sketch, Paint."""

Graphs = dict[str, bytes]
"""Part -> ONNX."""

_EXPORTED: dict[str, Graphs] = {}

LOG = logging.getLogger(__name__)


class Backend(Protocol):
    """Computes the parts of one network for one picture at a time, ``(1, 3, H, W)``, sides that 16
    divides. ``dtype`` is the arithmetic of its convolutions."""

    name: str
    dtype: torch.dtype

    def encode(self, image: Tensor, *, fine: bool = False) -> Taps:
        """What :class:`~impasto.arbitrary.fused.Encode` returns; fresh tensors each time. With
        ``fine`` those of the FINE levels only."""

    def sketch(self, taps: Taps, brush: Brush) -> Tensor:
        """What :class:`~impasto.arbitrary.fused.Sketch` makes of the DEEP taps of a whole
        picture."""

    def paint(
        self, image: Tensor, sketch: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]
    ) -> Tensor:
        """What :class:`~impasto.arbitrary.fused.Paint` makes of FINE taps, float32; ``origin`` is
        where the top left pixel lies in the whole picture."""


class TorchBackend:
    """The parts as they are, on the device of ``model``; ``dtype``: default its encoder's."""

    name = "torch"

    def __init__(self, model: Quick, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or model.encoder.dtype
        trunk = trunk_of(model)
        if self.dtype != model.encoder.dtype:
            trunk = deepcopy(trunk).to(self.dtype)  # the model's own weights stay as they are
        self._encode = {False: Encode(trunk), True: Encode(trunk, FINE)}
        self._sketch, self._paint = (part(model.decoder, folded=True) for part in (Sketch, Paint))

    @torch.no_grad()
    def encode(self, image: Tensor, *, fine: bool = False) -> Taps:
        taps: Taps = self._encode[fine](image)
        return taps

    @torch.no_grad()
    def sketch(self, taps: Taps, brush: Brush) -> Tensor:
        corner = torch.zeros(2, dtype=torch.int64, device=taps[0].device)
        made: Tensor = self._sketch(*taps, *brush.for_sketch(), corner)
        return made

    @torch.no_grad()
    def paint(
        self, image: Tensor, sketch: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]
    ) -> Tensor:
        corner = torch.tensor(origin, device=image.device)
        painted: Tensor = self._paint(image, sketch, *taps, *brush.for_paint(), corner)
        return painted


class OnnxBackend:
    """onnxruntime on the CPU, in float32."""

    name = "onnxruntime"
    dtype = torch.float32

    def __init__(self, model: Quick) -> None:
        self._sessions = {part: session(graph) for part, graph in graphs(model).items()}

    def encode(self, image: Tensor, *, fine: bool = False) -> Taps:
        return self._run("encode-fine" if fine else "encode", {"image": image})

    def sketch(self, taps: Taps, brush: Brush) -> Tensor:
        given = (*taps, *brush.for_sketch(), torch.zeros(2, dtype=torch.int64))
        return self._run("sketch", dict(zip(SKETCH_INPUTS, given, strict=True)))[0]

    def paint(
        self, image: Tensor, sketch: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]
    ) -> Tensor:
        given = (image, sketch, *taps, *brush.for_paint(), torch.tensor(origin))
        return self._run("paint", dict(zip(PAINT_INPUTS, given, strict=True)))[0]

    def _run(self, part: str, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        feed = {name: tensor.contiguous().numpy() for name, tensor in given.items()}
        return tuple(torch.from_numpy(found) for found in self._sessions[part].run(None, feed))


class OpenVinoBackend:
    """OpenVINO on the CPU. It compiles the graphs for each size of picture that it meets (a tenth
    of a second each): with sizes left open it would take half as long again for each picture."""

    name = "openvino"

    def __init__(self, model: Quick, dtype: torch.dtype = torch.float32) -> None:
        import openvino

        self.dtype = dtype
        self._channels = tap_channels(model)
        self._openvino, self._core = openvino, openvino.Core()
        self._graphs = graphs(model)
        self._requests: OrderedDict[tuple[Any, ...], tuple[int, Any]] = OrderedDict()
        # Left to itself it takes bfloat16 wherever the CPU has it.
        self._options = {
            "INFERENCE_PRECISION_HINT": {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # the cores are not ours alone
        }

    def encode(self, image: Tensor, *, fine: bool = False) -> Taps:
        height, width = image.shape[-2:]
        kinds = zip(LEVELS, STRIDES, self._channels, strict=True)
        taps = {
            f"tap_{name}": torch.empty(1, height // n, width // n, channels, dtype=self.dtype)
            for name, n, channels in kinds
            if name in FINE or not fine
        }
        self._run("encode-fine" if fine else "encode", {"image": image}, taps)
        return tuple(taps.values())

    def sketch(self, taps: Taps, brush: Brush) -> Tensor:
        given = (*taps, *brush.for_sketch(), torch.zeros(2, dtype=torch.int64))
        made = taps[-1].new_empty(*taps[-1].shape[:3], WIDTHS[len(DEEP) - 1])
        self._run("sketch", dict(zip(SKETCH_INPUTS, given, strict=True)), {"sketch": made})
        return made

    def paint(
        self, image: Tensor, sketch: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]
    ) -> Tensor:
        given = (image, sketch, *taps, *brush.for_paint(), torch.tensor(origin))
        painted = torch.empty(image.shape)
        self._run("paint", dict(zip(PAINT_INPUTS, given, strict=True)), {"picture": painted})
        return painted

    def _run(self, part: str, given: dict[str, Tensor], made: dict[str, Tensor]) -> None:
        """Compute ``part`` from ``given`` into the tensors ``made``, all by their names."""
        key = (part, *(tuple(tensor.shape) for tensor in given.values()))
        if key not in self._requests:
            numbers = sum(tensor.numel() for tensor in (given | made).values())
            while self._requests and numbers + sum(n for n, _ in self._requests.values()) > KEPT:
                self._requests.popitem(last=False)  # first: memory would hold both
            request = self._compile(part, given, made).create_infer_request()
            self._requests[key] = (numbers, request)
        self._requests.move_to_end(key)
        _, request = self._requests[key]
        shared = {name: tensor.contiguous() for name, tensor in (given | made).items()}
        for name, tensor in shared.items():
            request.set_tensor(name, self._shared(tensor))
        request.infer()

    def _compile(self, part: str, given: dict[str, Tensor], made: dict[str, Tensor]) -> Any:
        """For these sizes; what is bfloat16 goes from one part to the next without being
        converted."""
        graph = self._core.read_model(self._graphs[part])
        graph.reshape({name: list(tensor.shape) for name, tensor in given.items()})
        conversion = self._openvino.preprocess.PrePostProcessor(graph)
        for side, tensors in ((conversion.input, given), (conversion.output, made)):
            for name, tensor in tensors.items():
                if tensor.dtype == torch.bfloat16:
                    side(name).tensor().set_element_type(self._openvino.Type.bf16)
        return self._core.compile_model(conversion.build(), "CPU", self._options)

    def _shared(self, tensor: Tensor) -> Any:
        """The same memory as a tensor of OpenVINO's."""
        if tensor.dtype != torch.bfloat16:
            return self._openvino.Tensor(tensor.numpy(), shared_memory=True)
        bits = tensor.view(torch.int16).numpy()  # numpy knows no bfloat16
        shape = self._openvino.Shape(list(tensor.shape))
        return self._openvino.Tensor(bits, shape, self._openvino.Type.bf16)


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """``auto`` -> torch: a picture is there soonest, of any size, since nothing has to be prepared
    for it, and of many pictures the others make hardly more in an hour (docs/quick.md).

    Raises MissingDependencyError for one that is not installed, ConfigError for one that cannot do
    what is asked.
    """
    if name in ("auto", "torch"):
        return "torch"
    if device.type != "cpu":
        raise ConfigError(
            f"the backend {name} computes on the CPU, and device is '{device.type}'",
            "use device cpu, or backend torch",
        )
    if name == "onnxruntime" and precision == "bfloat16":
        raise ConfigError(
            "the backend onnxruntime computes in float32, and precision is 'bfloat16'",
            "use precision float32, or backend torch or openvino",
        )
    if not is_installed(name):
        raise MissingDependencyError(f"the backend {name}", EXTRAS[name])
    return name


def is_installed(name: str) -> bool:
    """Whether a backend can be used: it is there, and so is what exports its graphs."""
    return all(find_spec(package) is not None for package in (PACKAGES[name], "onnx", "onnxscript"))


def make_backend(name: str, model: Quick, dtype: torch.dtype) -> Backend:
    """The backend called ``name`` for ``model``; ``dtype`` is its arithmetic if it has a choice."""
    if name == "onnxruntime":
        return OnnxBackend(model)
    if name == "openvino":
        return OpenVinoBackend(model, dtype)
    return TorchBackend(model, dtype)


def version(name: str) -> str:
    """The version of a backend's package."""
    return metadata.version(PACKAGES[name])


def session(graph: bytes) -> Any:
    """An onnxruntime session that computes ``graph`` with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    # A large picture's tiles have several sizes, and it would keep the memory of each.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    # Its threads would spin while torch computes the statistics, and the other way round.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def graphs(model: Quick) -> Graphs:
    """The PARTS of ``model`` as ONNX: from the user's cache, or exported into it.

    Exporting takes some seconds, and the log says so. Where nothing can be written, it is done each
    time.
    """
    from impasto.arbitrary import export  # it loads half of torch

    digest = hashlib.sha256(f"{export.FORMAT} {torch.__version__}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.float().contiguous().cpu().numpy().tobytes())
    key = digest.hexdigest()[:32]
    if key in _EXPORTED:
        return _EXPORTED[key]
    folder = cache_folder().parent / "networks"
    paths = {part: folder / f"{key}-{part}.onnx" for part in PARTS}
    if all(path.is_file() for path in paths.values()):
        found = {part: read_bytes(path) for part, path in paths.items()}
        return _EXPORTED.setdefault(key, found)
    LOG.info("preparing the network for this machine, which takes ten seconds or more, once")
    made = _EXPORTED.setdefault(key, export.parts(model))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, path in paths.items():
            write_bytes(path, made[part])
    except (OSError, ImpastoError):
        pass
    return made
