"""What this machine has: CPUs, memory, and how much of it a grid may use."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig

#: Share of the memory that the object store may fill, and the least it gets.
STORE_SHARE: Final = 0.3
LEAST_STORE: Final = 16 << 20
_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USAGE: Final = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def cpu_count() -> int:
    """Return how many CPUs this process may use: affinity and cgroup quota, at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(count, math.ceil(quota)) if quota else count)


def _quota() -> float | None:
    words = (_read("/sys/fs/cgroup/cpu.max") or "").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        return int(words[0]) / int(words[1])
    quota = _number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period = _number("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: str) -> int | None:
    text = (_read(path) or "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def total_memory() -> int:
    """Return the bytes of memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def store_budget() -> int:
    """Return the default size of the object store: 30 % of memory, and no more than the cgroup has left."""
    budget = int(total_memory() * STORE_SHARE)
    for limit_path, usage_path in zip(_CGROUP_LIMITS, _CGROUP_USAGE, strict=True):
        limit, usage = _number(limit_path), _number(usage_path)
        if limit and usage is not None:
            budget = min(budget, limit - usage)
    return max(budget, LEAST_STORE)


def capacity(start: StartConfig) -> dict[str, float]:
    """Return what a grid started with ``start`` has, by resource name."""
    cpus = float(cpu_count() if start.num_cpus is None else start.num_cpus)
    store = start.object_store_memory if start.object_store_memory is not None else store_budget()
    have = {
        "CPU": cpus,
        "memory": float(max(total_memory() - store, 0)),
        "object_store_memory": float(store),
        "node:127.0.0.1": 1.0,
        "node:__internal_head__": 1.0,
        **start.resources,
    }
    if start.num_gpus:
        have["GPU"] = float(start.num_gpus)
    return {name: amount for name, amount in have.items() if amount}
