from __future__ import annotations

import json
import platform

import pytest
import torch

from impasto.errors import ConfigError
from impasto.machine import devices

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


def machine(
    patch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False, bfloat16: bool = False
) -> None:
    """Pretend to be on a machine that has these, and hardware for bfloat16 or not."""
    patch.setattr(torch.cuda, "is_available", lambda: cuda)
    patch.setattr(torch.backends.mps, "is_available", lambda: mps)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
    patch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16, raising=False)
    patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, CUDA), (True, False, CUDA), (False, True, MPS), (False, False, CPU)],
)
def test_auto_takes_the_fastest_device(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: torch.device
) -> None:
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert devices.choose_device() == expected


def test_a_name_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=True)
    assert devices.choose_device("cpu") == CPU
    assert devices.choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "meta", "gpu", "", "cpu0"])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine(monkeypatch)
    with pytest.raises(ConfigError, match=f"device is '{name}'"):
        devices.choose_device(name)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_auto_is_bfloat16_only_where_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    machine(monkeypatch, bfloat16=True)
    assert devices.choose_dtype("auto", device) == torch.bfloat16
    machine(monkeypatch, bfloat16=False)
    assert devices.choose_dtype("auto", device) == torch.float32


def test_amx_counts_as_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert devices.cpu_has_bfloat16()


def test_a_torch_without_the_probes_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert devices.cpu_has_bfloat16() is False


def test_mps_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, bfloat16=True)
    assert devices.choose_dtype("auto", MPS) == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_precision_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for bfloat16 in (True, False):
        machine(monkeypatch, bfloat16=bfloat16)
        assert devices.choose_dtype(name, CPU) == getattr(torch, name)


def test_generators_are_repeatable_and_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    first = torch.rand(4, generator=devices.generator(7))
    assert torch.equal(first, torch.rand(4, generator=devices.generator(7)))
    assert not torch.equal(first, torch.rand(4, generator=devices.generator(8)))
    assert torch.equal(before, torch.get_rng_state())
    devices.generator(2**63 - 1)  # the largest seed that a config takes


def test_threads_are_restored() -> None:
    before = torch.get_num_threads()
    with devices.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with devices.threads(None):
        assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), devices.threads(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_the_machine_is_described_in_json() -> None:
    told = devices.describe_machine(CPU, torch.bfloat16)
    assert json.loads(json.dumps(told)) == told
    assert (told["device"], told["dtype"]) == ("cpu", "bfloat16")
    assert told["torch"] == torch.__version__
    assert told["threads"] == torch.get_num_threads()


def test_peak_memory_is_in_bytes() -> None:
    assert 10 * 2**20 < devices.peak_memory() < 2**40


def test_freed_memory_is_kept_where_the_c_library_can() -> None:
    told = devices.keep_freed_memory()
    assert told == (platform.libc_ver()[0] == "glibc")
