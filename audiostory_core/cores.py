"""What this process may use of the machine: processor cores, and memory."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")  # version 2
OWN_CGROUP = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")


def count_cores() -> int:
    """Count the cores this process may keep busy: its affinity, bounded by its group's quota."""
    cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min([cores, *_quotas()])))


def available_bytes() -> float:
    """Return the memory that is free for more processes here; infinite where nobody says."""
    free = [limit - used for limit, used in _limits()]
    for line in _read(MEMORY).splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            free.append(int(amount.split()[0]) * 1024)
    return min(free, default=math.inf)


def _quotas() -> Iterator[float]:
    """Yield how many cores each group around this process may keep busy, where it is bounded."""
    for folder in _groups():
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit():
            yield int(quota) / int(period)


def _limits() -> Iterator[tuple[int, int]]:
    """Yield the bytes that each group around this process may have, and has."""
    for folder in _groups():
        limit, used = (_read(folder / f"memory.{name}").strip() for name in ("max", "current"))
        if limit.isdigit() and used.isdigit():
            yield int(limit), int(used)


def _groups() -> Iterator[Path]:
    """Yield the folder of this process's group, and those of the groups around it."""
    for line in _read(OWN_CGROUP).splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            inner = Path(path.lstrip("/"))
            yield from (CGROUPS / group for group in (inner, *inner.parents))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
