"""What ``/proc`` says of processes: memory, CPU time, descendants."""

from __future__ import annotations

import os
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the processes that descend from ``pid``, without itself."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def field(pid: int, file: str, name: str) -> int:
    """Return a number from a ``name: value`` file of a process, 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def pss(pids: list[int]) -> float:
    """Return the proportional set size of processes, in MB."""
    return sum(field(pid, "smaps_rollup", "Pss") for pid in pids) / 1024


def rss(pid: int) -> int:
    """Return the resident size of a process in bytes."""
    return field(pid, "status", "VmRSS") * 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, to the nanosecond: all its threads, as the scheduler counted."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except (OSError, IndexError):
            continue
    return total / 1e9


def wakeups(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep of their own accord."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            for line in task.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def titles(pids: list[int]) -> dict[str, list[int]]:
    """Return processes by the first two words of what ``ps`` shows for them."""
    found: dict[str, list[int]] = {}
    for pid in pids:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found.setdefault(" ".join(line.split()[:2]), []).append(pid)
    return found


def everything_started() -> list[int]:
    """Return the processes that this one has started, directly or not, also those that moved to another session."""
    return descendants(os.getpid())
