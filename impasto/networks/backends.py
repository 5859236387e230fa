"""Who computes the two halves of the network: torch, onnxruntime or OpenVINO.

All three are given the same picture and the same brush and return the same picture up to rounding;
statistics, transport and tiles are torch's in any case. For the other two the halves are exported
as ONNX, once: the graphs lie in the user's cache and are made anew when the weights change.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from impasto.devices import cpu_has_bfloat16
from impasto.encoders.weights import cache_folder
from impasto.errors import ConfigError, ImpastoError, MissingDependencyError
from impasto.files import read_bytes, write_bytes
from impasto.networks.halves import INPUTS, Brush, Encode, Paint, Taps, tap_channels
from impasto.networks.quick import STRIDES, Quick

PACKAGES = {"torch": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Backend -> the package that it is."""

EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""Backend -> the extra of impasto that installs it."""

ORDER = {True: ("openvino", "torch", "onnxruntime"), False: ("torch", "openvino", "onnxruntime")}
"""Backends on a CPU, the fastest first, as measured in docs/quick.md; True: in bfloat16."""

SHAPES = 12
"""Sizes of pictures for which OpenVINO's networks are kept."""

_EXPORTED: dict[str, tuple[bytes, bytes]] = {}

LOG = logging.getLogger(__name__)


class Backend(Protocol):
    """Computes both halves of one network for one picture at a time, ``(1, 3, H, W)``, sides that
    16 divides. ``dtype`` is the arithmetic of its convolutions."""

    name: str
    dtype: torch.dtype

    def encode(self, image: Tensor) -> Taps:
        """What :class:`~impasto.networks.halves.Encode` returns; fresh tensors each time."""

    def paint(self, image: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]) -> Tensor:
        """What :class:`~impasto.networks.halves.Paint` returns, float32; ``origin`` is where the
        top left pixel lies in the whole picture."""


class TorchBackend:
    """The halves as they are, on the device of ``model``; ``dtype``: default its encoder's."""

    name = "torch"

    def __init__(self, model: Quick, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or model.encoder.dtype
        encode = Encode(model)
        if self.dtype != model.encoder.dtype:
            encode = deepcopy(encode).to(self.dtype)  # the model's own weights stay as they are
        self._encode, self._paint = encode, Paint(model, folded=True)

    @torch.no_grad()
    def encode(self, image: Tensor) -> Taps:
        taps: Taps = self._encode(image)
        return taps

    @torch.no_grad()
    def paint(self, image: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]) -> Tensor:
        corner = torch.tensor(origin, device=image.device)
        painted: Tensor = self._paint(image, *taps, *brush.flat(), corner)
        return painted


class OnnxBackend:
    """onnxruntime on the CPU, in float32."""

    name = "onnxruntime"
    dtype = torch.float32

    def __init__(self, model: Quick) -> None:
        self._encode, self._paint = (session(graph) for graph in graphs(model))

    def encode(self, image: Tensor) -> Taps:
        found = self._encode.run(None, {"image": image.contiguous().numpy()})
        return tuple(torch.from_numpy(f) for f in found)

    def paint(self, image: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]) -> Tensor:
        given = (image, *taps, *brush.flat(), torch.tensor(origin))
        feed = {k: v.contiguous().numpy() for k, v in zip(INPUTS, given, strict=True)}
        return torch.from_numpy(self._paint.run(None, feed)[0])


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
        self._requests: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        # Left to itself it takes bfloat16 wherever the CPU has it.
        self._options = {
            "INFERENCE_PRECISION_HINT": {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # the cores are not ours alone
        }

    def encode(self, image: Tensor) -> Taps:
        height, width = image.shape[-2:]
        taps = tuple(
            torch.empty(1, height // stride, width // stride, channels, dtype=self.dtype)
            for stride, channels in zip(STRIDES, self._channels, strict=True)
        )
        request = self._request(0, image.shape[-2:], self._compile_encode)
        given = image.contiguous()
        request.set_input_tensor(0, self._shared(given))
        for number, tap in enumerate(taps):
            request.set_output_tensor(number, self._shared(tap))
        request.infer()
        return taps

    def paint(self, image: Tensor, taps: Taps, brush: Brush, origin: tuple[int, int]) -> Tensor:
        request = self._request(1, image.shape[-2:], self._compile_paint)
        given = [x.contiguous() for x in (image, *taps, *brush.flat(), torch.tensor(origin))]
        for number, tensor in enumerate(given):
            request.set_input_tensor(number, self._shared(tensor))
        painted = torch.empty_like(given[0])
        request.set_output_tensor(0, self._shared(painted))
        request.infer()
        return painted

    def _request(self, half: int, size: torch.Size, compile: Callable[..., Any]) -> Any:
        key = (half, *size)
        if key not in self._requests:
            if len(self._requests) == SHAPES:
                self._requests.popitem(last=False)
            self._requests[key] = compile(*size).create_infer_request()
        self._requests.move_to_end(key)
        return self._requests[key]

    def _compile_encode(self, height: int, width: int) -> Any:
        graph = self._core.read_model(self._graphs[0])
        graph.reshape([1, 3, height, width])
        return self._compile(graph, graph.outputs, "output")

    def _compile_paint(self, height: int, width: int) -> Any:
        graph = self._core.read_model(self._graphs[1])
        shapes = {"image": [1, 3, height, width]}
        for name, stride, channels in zip(INPUTS[1:], STRIDES, self._channels, strict=False):
            shapes[name] = [1, height // stride, width // stride, channels]
        graph.reshape(shapes)
        return self._compile(graph, graph.inputs[1 : 1 + len(STRIDES)], "input")

    def _compile(self, graph: Any, taps: list[Any], side: str) -> Any:
        """With taps of ``dtype``: they go from one half to the other without being converted."""
        if self.dtype == torch.bfloat16:
            conversion = self._openvino.preprocess.PrePostProcessor(graph)
            for tap in taps:
                tensor = getattr(conversion, side)(tap.get_any_name()).tensor()
                tensor.set_element_type(self._openvino.Type.bf16)
            graph = conversion.build()
        return self._core.compile_model(graph, "CPU", self._options)

    def _shared(self, tensor: Tensor) -> Any:
        """The same memory as a tensor of OpenVINO's."""
        if tensor.dtype != torch.bfloat16:
            return self._openvino.Tensor(tensor.numpy(), shared_memory=True)
        bits = tensor.view(torch.int16).numpy()  # numpy knows no bfloat16
        shape = self._openvino.Shape(list(tensor.shape))
        return self._openvino.Tensor(bits, shape, self._openvino.Type.bf16)


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """``auto`` -> the fastest that is installed, in the order measured in docs/quick.md.

    On a GPU it is torch. Raises MissingDependencyError for one that is not installed, ConfigError
    for one that cannot do what is asked.
    """
    if name == "auto":
        halved = precision == "bfloat16" or (precision == "auto" and cpu_has_bfloat16())
        order = ORDER[halved] if device.type == "cpu" else ()
        return next((each for each in order if is_installed(each)), "torch")
    if name == "torch":
        return name
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
    needed = [PACKAGES[name]] if name == "torch" else [PACKAGES[name], "onnx", "onnxscript"]
    return all(find_spec(package) is not None for package in needed)


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


def graphs(model: Quick) -> tuple[bytes, bytes]:
    """Both halves of ``model`` as ONNX: from the user's cache, or exported into it.

    Exporting takes some seconds, and the log says so. Where nothing can be written, it is done each
    time.
    """
    from impasto.networks import export  # it loads half of torch

    digest = hashlib.sha256(f"{export.FORMAT} {torch.__version__}".encode())
    for name, tensor in model.state_dict().items():
        if not name.startswith("encoder.trunk.stages.4"):  # not used
            digest.update(name.encode() + tensor.float().contiguous().cpu().numpy().tobytes())
    key = digest.hexdigest()[:32]
    if key in _EXPORTED:
        return _EXPORTED[key]
    folder = cache_folder().parent / "networks"
    paths = [folder / f"{key}-{half}.onnx" for half in ("encode", "paint")]
    if all(path.is_file() for path in paths):
        first, second = (read_bytes(path) for path in paths)
        return _EXPORTED.setdefault(key, (first, second))
    LOG.info("preparing the network for this machine, which takes ten seconds or more, once")
    made = _EXPORTED.setdefault(key, export.halves(model))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in zip(paths, made, strict=True):
            write_bytes(path, data)
    except (OSError, ImpastoError):
        pass
    return made
