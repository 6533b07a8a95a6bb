"""What the control groups of this process leave it: CPU time and memory.

A limit holds for a group and everything below it, so the least of a process's own group and all that contain it
counts. In a container the own group usually is the root that can be seen; under systemd or Slurm it is some levels
down. Both versions of the interface are read, as in `man 7 cgroups`; what is absent or cannot be read limits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
#: Version 1 says "no limit" with a number like this (bytes).
NO_LIMIT: Final = 1 << 60


def cpu_quota(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """Return how many CPUs' worth of time this process may use, None if nothing limits it."""
    quotas = []
    for folder in _folders(root, own, ""):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    for folder in _folders(root, own, "cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_left(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """Return how many bytes more the groups of this process may use, None if nothing limits them."""
    left = []
    for controller, limit_name, usage_name in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder in _folders(root, own, controller):
            limit, usage = _number(folder / limit_name), _number(folder / usage_name)
            if limit is not None and usage is not None:
                left.append(max(limit - usage, 0))
    return min(left, default=None)


def memory_use(root: Path = _ROOT, own: Path = _OWN) -> list[tuple[int, int]]:
    """Return (bytes in use, limit) per group of this process that has a limit; droppable files do not count."""
    found = []
    for controller, limit_name, usage_name, file_name in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in dict.fromkeys(_folders(root, own, controller)):
            limit, usage = _number(folder / limit_name), _number(folder / usage_name)
            if limit is None or usage is None or limit >= NO_LIMIT:
                continue
            words = dict(line.split(" ", 1) for line in _read(folder / "memory.stat").splitlines() if " " in line)
            files = words.get(file_name, "0")
            found.append((max(usage - (int(files) if files.isdigit() else 0), 0), limit))
    return found


def processes(root: Path = _ROOT, own: Path = _OWN) -> list[tuple[int, int]]:
    """Return (processes and threads, limit) per group of this process that has a limit."""
    found = []
    for controller in ("", "pids"):
        for folder in dict.fromkeys(_folders(root, own, controller)):
            limit, usage = _number(folder / "pids.max"), _number(folder / "pids.current")
            if limit is not None and usage is not None:
                found.append((usage, limit))
    return found


def oom_kills(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Return how often the system has killed a process of these groups for want of memory; -1 if that is not known."""
    counts = []
    for controller, name in (("", "memory.events"), ("memory", "memory.oom_control")):
        for folder in _folders(root, own, controller):
            counts += [
                int(line.split()[1]) for line in _read(folder / name).splitlines() if line.startswith("oom_kill ")
            ]
    return max(counts, default=-1)


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """Yield the folder of this process's group and those of the groups around it ("" is version 2)."""
    top = root / controller
    yield top
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        names = path.strip("/").split("/")
        if controller in controllers.split(",") and ".." not in names:  # ".." leads out of what can be seen from here
            for depth in range(1, len(names) + 1):
                yield top.joinpath(*names[:depth])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None
