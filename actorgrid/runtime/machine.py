"""What this machine has: CPUs, memory, and how much of it a grid may use."""

from __future__ import annotations

import math
import os
import tempfile
from typing import TYPE_CHECKING, Final

from actorgrid.runtime import cgroups, devices

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig

#: Share of the memory that the object store may fill, and the least it gets.
STORE_SHARE: Final = 0.3
LEAST_STORE: Final = 16 << 20


def cpu_count() -> int:
    """Return how many CPUs this process may use: affinity and cgroup quota, at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    quota = cgroups.cpu_quota()
    return max(1, min(count, math.ceil(quota)) if quota else count)


def total_memory() -> int:
    """Return the bytes of memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def store_budget() -> int:
    """Return the default size of the object store: 30 % of memory, and no more than the cgroup has left."""
    budget = int(total_memory() * STORE_SHARE)
    left = cgroups.memory_left()
    return max(LEAST_STORE, budget if left is None else min(budget, left))


def spill_directory(start: StartConfig) -> str:
    """Return where objects go that memory cannot hold, "" if nowhere."""
    given = start.object_spilling_directory
    return tempfile.gettempdir() if given is None else given


def capacity(start: StartConfig) -> dict[str, float]:
    """Return what a grid started with ``start`` has, by resource name."""
    cpus = float(cpu_count() if start.num_cpus is None else start.num_cpus)
    store = start.object_store_memory if start.object_store_memory is not None else store_budget()
    have = {
        "CPU": cpus,
        "memory": float(max(total_memory() - store, 0) if start.memory is None else start.memory),
        "object_store_memory": float(store),
        "node:127.0.0.1": 1.0,
        "node:__internal_head__": 1.0,
        **start.resources,
    }
    have["GPU"] = float(devices.detect() if start.num_gpus is None else start.num_gpus)
    if have["GPU"] and (model := devices.model()):
        have.setdefault(f"accelerator_type:{model}", 1.0)
    return {name: amount for name, amount in have.items() if amount}
