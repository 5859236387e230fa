"""Where and how precisely to compute, and what that took."""

from __future__ import annotations

import ctypes
import inspect
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch

from impasto.errors import ConfigError
from impasto.machine.limits import usable_cpus

P = ParamSpec("P")
T = TypeVar("T")
ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

# From glibc's malloc.h: how many pieces may be mapped one by one; how much free memory is too much.
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA, then MPS, then the CPU; any other name is taken at its word.

    Raises ConfigError where there is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device is '{name}'", "use auto, cpu, cuda, cuda:1 or mps") from None
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, device.type == "cpu"):
        raise ConfigError(f"device is '{name}', which this machine has not", "use auto or cpu")
    return device


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in double precision; Apple's GPUs do not."""
    return device.type != "mps"


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The encoder's arithmetic: ``auto`` is bfloat16 where the hardware has it, else float32.

    On a CPU that must emulate bfloat16 it would be slower than float32, not faster. ``exact`` is
    float32, too; the rest of it is done by :class:`impasto.encoders.wrappers.QuantizedFeatures`.
    """
    if precision == "exact" and device.type == "mps":
        raise ConfigError("precision is 'exact', and mps has no float64", "use device cpu")
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_bfloat16() else torch.float32
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (avx512_bf16 or AMX)."""
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        if getattr(torch.cpu, probe, bool)():
            return True
    return False


def keep_freed_memory() -> bool:
    """Let this process keep the memory that tensors free, for the next step to use again.

    The C library would hand large pieces back to the system after each step, and each step would
    wait for fresh ones: an eighth of its time at 512 pixels, nearly two thirds at 3840. Large
    pictures pay with a quarter more memory at the peak, for the pieces do not fit without gaps. For
    a process that does nothing but paint; returns whether the C library could be told (glibc can).
    """
    try:
        told = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(told(M_MMAP_MAX, 0) and told(M_TRIM_THRESHOLD, -1))


def generator(seed: int) -> torch.Generator:
    """A source of randomness of its own: nothing in impasto touches the global one."""
    return torch.Generator().manual_seed(seed)


def most_threads() -> int:
    """How many threads this machine runs at once; at least two, that what was computed with two can
    be computed again anywhere. Many thousands crash OpenMP."""
    return max(2, os.cpu_count() or 1)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` CPU threads inside the block.

    None: as many as there are, but no more than :func:`impasto.machine.limits.usable_cpus` allows.
    Raises ConfigError for more than :func:`most_threads`.
    """
    if count and count > most_threads():
        raise ConfigError(
            f"threads is {count}, and this machine has {most_threads()}",
            f"give a number up to {most_threads()}",
        )
    before = torch.get_num_threads()
    wanted = count or min(before, usable_cpus())
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if wanted != before:
            torch.set_num_threads(before)


@contextmanager
def own_modes() -> Iterator[None]:
    """Compute inside the block as torch does by default, whatever modes the caller has set.

    Gradients are recorded (no ``torch.no_grad`` or ``torch.inference_mode``), new tensors are
    float32 on the CPU, and nothing is cast (``torch.autocast``). Costs nothing where that is so
    already; the default type of numbers is the process's, and so is its change.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.get_default_dtype() != torch.float32:
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def in_own_modes(function: Callable[P, T]) -> Callable[P, T]:
    """Run ``function``, or each step of a generator, in :func:`own_modes`.

    Between the steps of a generator the caller's modes hold.
    """
    if not inspect.isgeneratorfunction(function):

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with own_modes():
                return function(*args, **kwargs)

        return run

    @wraps(function)
    def generate(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
        steps = function(*args, **kwargs)
        try:
            while True:
                with own_modes():
                    try:
                        step = next(steps)
                    except StopIteration:
                        return
                yield step
        finally:
            steps.close()

    return cast(Callable[P, T], generate)


def without_inference_tensors(module: ModuleT) -> ModuleT:
    """``module`` itself, with copies of parameters and buffers that were made in
    ``torch.inference_mode``: no gradient can be computed through those."""
    with own_modes():
        for part in module.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None and parameter.is_inference():
                    copy = torch.nn.Parameter(parameter.clone(), parameter.requires_grad)
                    part._parameters[name] = copy
            for name, buffer in part._buffers.items():
                if buffer is not None and buffer.is_inference():
                    part._buffers[name] = buffer.clone()
    return module


def describe_machine(device: torch.device, dtype: torch.dtype) -> dict[str, str | int]:
    """What a run's result depends on beyond its settings; goes into the picture's metadata."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def peak_memory() -> int:
    """The largest resident set of this process so far, in bytes (0 where it cannot be told)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
