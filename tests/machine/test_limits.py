"""Control groups as kernels write them: nested, of both versions, seen from inside and outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import impasto
from impasto.machine.limits import (
    ALONE,
    CROWDED,
    free_memory,
    is_crowded,
    share_cpus,
    usable_cpus,
)

GIB = 2**30


def put(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None
    assert usable_cpus(tmp_path) == 16


def test_cache_that_can_be_dropped_is_free(tmp_path: Path) -> None:
    """4 GiB, of which a large file that was read takes 3.9."""
    put(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": 4 * GIB,
            "sys/fs/cgroup/memory.current": 4 * GIB - 1000,
            "sys/fs/cgroup/memory.stat": f"anon 5\nactive_file 7\ninactive_file {int(3.9 * GIB)}",
        },
    )
    assert free_memory(tmp_path) == int(3.9 * GIB) + 1000


def test_the_narrowest_of_nested_groups_holds(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user.slice/run.scope"
    put(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/run.scope",
            f"{group}/memory.max": "max",
            f"{group}/memory.current": 5,
            f"{group}/cpu.max": "max 100000",
            "sys/fs/cgroup/user.slice/memory.max": 3 * GIB,
            "sys/fs/cgroup/user.slice/memory.high": 2 * GIB,
            "sys/fs/cgroup/user.slice/memory.current": GIB,
            "sys/fs/cgroup/user.slice/cpu.max": "250000 100000",
            "sys/fs/cgroup/cpu.max": "800000 100000",
        },
    )
    assert free_memory(tmp_path) == GIB
    assert usable_cpus(tmp_path) == 3


@pytest.mark.parametrize("seen_from_outside", [False, True])
def test_version_1(tmp_path: Path, seen_from_outside: bool) -> None:
    """In a container the path is often the host's, and the mount shows the container's group."""
    own = "" if seen_from_outside else "docker/12ab"
    memory, cpu = (tmp_path / "sys/fs/cgroup" / kind / own for kind in ("memory", "cpu"))
    put(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/12ab\n4:memory:/docker/12ab\n1:name=x:/",
            str(memory / "memory.limit_in_bytes"): 2 * GIB,
            str(memory / "memory.usage_in_bytes"): 2 * GIB,
            str(memory / "memory.stat"): f"inactive_file 3\ntotal_inactive_file {GIB}",
            str(cpu / "cpu.cfs_quota_us"): 150000,
            str(cpu / "cpu.cfs_period_us"): 100000,
        },
    )
    assert free_memory(tmp_path) == GIB
    assert usable_cpus(tmp_path) == 2


def test_version_1_without_limits(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n3:cpu:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": GIB,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
        },
    )
    assert free_memory(tmp_path) is None
    assert usable_cpus(tmp_path) == 16


@pytest.mark.parametrize("text", ["", "max", "x y", "-1", "0 0", "1" * 5000, "\0"])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, text: str) -> None:
    files = ("memory.max", "memory.current", "memory.stat", "cpu.max")
    put(tmp_path, {f"sys/fs/cgroup/{name}": text for name in files})
    put(tmp_path, {"proc/self/cgroup": text})
    assert (free_memory(tmp_path) or 0) >= 0
    assert usable_cpus(tmp_path) == 16


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    put(tmp_path, {"sys/fs/cgroup/memory.max": 10, "sys/fs/cgroup/memory.current": 12})
    assert free_memory(tmp_path) == 0


def test_a_tenth_of_a_cpu_is_one_thread(tmp_path: Path) -> None:
    put(tmp_path, {"sys/fs/cgroup/cpu.max": "10000 100000"})
    assert usable_cpus(tmp_path) == 1


def test_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    put(tmp_path, {"sys/fs/cgroup/cpu.max": "800000 100000"})
    assert usable_cpus(tmp_path) == 2


# --- sharing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "load", "quota", "crowded"),
    [
        (1, "0.20", "max", False),
        (1, "0.60", "max", True),
        (2, "0.00", "max", True),
        (9, "12.5", "max", True),
        (1, "0.00", "150000", True),  # it would wait on time that it pays for
    ],
)
def test_crowded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    running: int,
    load: str,
    quota: str,
    crowded: bool,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    put(
        tmp_path,
        {
            "proc/stat": f"cpu 1 2 3\nprocs_running {running}\nprocs_blocked 0",
            "proc/loadavg": f"{load} 0.50 0.40 {running}/300 77",
            "sys/fs/cgroup/cpu.max": f"{quota} 100000",
        },
    )
    assert is_crowded(tmp_path) is crowded


def test_half_the_cores_may_be_anothers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may run on four of sixteen minds no load of ten."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 2, 3, 4}, raising=False)
    put(tmp_path, {"proc/loadavg": "10.00 1 1 9/300 77", "proc/stat": "procs_running 9"})
    assert not is_crowded(tmp_path)
    put(tmp_path, {"proc/loadavg": "13.00 1 1 9/300 77"})
    assert is_crowded(tmp_path)


def test_share_cpus_keeps_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)
    assert not share_cpus(tmp_path)  # torch is there already
    monkeypatch.delitem(sys.modules, "torch")
    for load, spins in (("0.0", ALONE), ("40.0", CROWDED)):
        put(tmp_path, {"proc/loadavg": load})
        assert share_cpus(tmp_path)
        assert os.environ["GOMP_SPINCOUNT"] == str(spins)
        assert not share_cpus(tmp_path)
        del os.environ["GOMP_SPINCOUNT"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert not share_cpus(tmp_path)


def test_the_command_line_shares() -> None:
    """In a process where torch is not loaded yet."""
    code = (
        "import os; from impasto.cli import main; main(['--version']); print(os.environ.get('X'))"
    )
    environment = {x: y for x, y in os.environ.items() if x not in ("OMP_WAIT_POLICY",)}
    environment.pop("GOMP_SPINCOUNT", None)
    environment["PYTHONPATH"] = str(Path(impasto.__file__).parents[1])
    words = [sys.executable, "-c", code.replace("'X'", "'GOMP_SPINCOUNT'")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in (str(ALONE), str(CROWDED))
