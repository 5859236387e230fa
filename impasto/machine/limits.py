"""What a container, and other programs, leave to this process: memory and CPUs.

Control groups are nested, and each may have a limit; the narrowest holds. Both versions are read:
version 2 has one tree, version 1 one for each kind (Linux, Documentation/admin-guide/cgroup-v1 and
cgroup-v2.rst). Where there are none, as on other systems, there is no limit.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

UNLIMITED = 1 << 60
"""Bytes from which on version 1 means no limit; it writes a number near 2**63."""


def free_memory(root: Path = Path("/")) -> int | None:
    """The bytes that this process's control groups leave it, or None without a limit.

    Files that were read and can be dropped again (``inactive_file``) count as free: a group that
    has read a large file would otherwise seem full. ``root`` is where the file system begins.
    """
    left = []
    for folder in _groups(root, ""):
        for name in ("memory.max", "memory.high"):
            left.append(_left(folder, name, "memory.current", "inactive_file"))
    for folder in _groups(root, "memory"):
        names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        left.append(_left(folder, *names))
    found = [max(0, number) for number in left if number is not None]
    return min(found) if found else None


def usable_cpus(root: Path = Path("/")) -> int:
    """How many CPUs this process may use at once, at least 1: those that it may run on (affinity),
    or the time that its control groups allow, in whole CPUs."""
    shares = [_share(_text(folder / "cpu.max")) for folder in _groups(root, "")]
    for folder in _groups(root, "cpu"):
        quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        shares.append(_share(f"{quota} {period}"))
    return max(
        1, min([_allowed_cpus(), *(math.ceil(share) for share in shares if share is not None)])
    )


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those around it, in the tree of a ``controller``
    of version 1, or of version 2 ("").

    In a container the path may be that of the host, where the container sees its own group only;
    what is not there is passed over.
    """
    mounts = [root / "sys/fs/cgroup" / name for name in ([controller] if controller else ["."])]
    if not controller:
        mounts.append(root / "sys/fs/cgroup/unified")
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if controller in kinds.split(","):
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for mount in mounts:
                for length in range(len(parts), -1, -1):
                    yield mount.joinpath(*parts[:length])
            return
    yield from mounts


def _left(folder: Path, limit: str, used: str, cache: str) -> int | None:
    """The bytes that one group leaves, None without a limit."""
    try:
        most, now = int(_text(folder / limit)), int(_text(folder / used))
    except ValueError:  # not there, or "max"
        return None
    if most >= UNLIMITED:
        return None
    lines = (line.split() for line in _text(folder / "memory.stat").splitlines())
    dropped = sum(int(line[1]) for line in lines if len(line) == 2 and line[0] == cache)
    return most - max(0, now - dropped)


def _share(text: str) -> float | None:
    """CPUs, from a quota and its period in microseconds; None without a limit."""
    try:
        quota, period = map(int, text.split())
    except ValueError:  # not there, or "max"
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    """What a file of the system says; nothing where it is not there."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


# --- sharing them ---------------------------------------------------------------------------------

ALONE, CROWDED = 100_000, 0
"""How often one of torch's threads looks for work before it sleeps (libgomp's GOMP_SPINCOUNT).

Its own default is 300,000. While a thread looks, nobody else has its core. See docs/speed.md for
what each costs.
"""

_TUNED = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def share_cpus(root: Path = Path("/")) -> bool:
    """Let torch's threads hand their cores to other programs while they wait for each other.

    Where the machine is crowded (:func:`is_crowded`) they do so at once, else after a moment. The
    number of threads stays, and so does every bit of a picture. Call it before torch is imported,
    whose threads are set up then; the command line does. Returns False, and does nothing, where it
    is too late, or the environment has GOMP_SPINCOUNT or OMP_WAIT_POLICY already.

    ::

        from impasto.machine.limits import share_cpus
        share_cpus()
        import impasto
    """
    if "torch" in sys.modules or any(name in os.environ for name in _TUNED):
        return False
    os.environ["GOMP_SPINCOUNT"] = str(CROWDED if is_crowded(root) else ALONE)
    return True


def is_crowded(root: Path = Path("/")) -> bool:
    """Whether other programs want the CPUs that this process may use.

    So it is where as many tasks run just now, or have run in the last minute, as there are CPUs
    beside one; and where a quota gives less than the CPUs that there are, so that waiting would use
    it up.
    """
    there = os.cpu_count() or 1
    running = re.search(r"^procs_running (\d+)$", _text(root / "proc/stat"), re.MULTILINE)
    others = int(running[1]) - 1 if running else 0
    load = _text(root / "proc/loadavg").split()
    recent = float(load[0]) if load else 0.0
    mine = usable_cpus(root)
    return max(others, recent) > there - mine + 0.5 or mine < _allowed_cpus()


def _allowed_cpus() -> int:
    """The CPUs on which this process may run."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
