"""How much memory is in use here, and by whom: what the system tells, in bytes.

The machine counts, and each control group of this process that has a limit; the one that is fullest matters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from actorgrid.runtime import cgroups

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MEMINFO: Final = Path("/proc/meminfo")


def usage(meminfo: Path = _MEMINFO) -> tuple[int, int]:
    """Return (bytes in use, limit) of whatever is fullest; (0, 1) if the system tells nothing."""
    found = [(0, 1), *cgroups.memory_use()]
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        total, available = (int(lines[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable"))
        found.append((total - available, total))
    except (OSError, ValueError, KeyError):
        pass  # not mounted, or another system
    return max(found, key=lambda pair: pair[0] / pair[1])


def resident(pid: int) -> int:
    """Return the bytes that a process has in memory and shares with nobody's file or segment; 0 if it has gone."""
    try:
        _, pages, shared = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[:3]
    except (OSError, ValueError):
        return 0
    return (int(pages) - int(shared)) * _PAGE


def residents(pids: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the same for several: (number, pid) pairs to bytes by number."""
    return {number: resident(pid) for number, pid in pids if pid}
