"""The shared memory of grids, as the kernel sees it: it has no names, only processes that map it or hold it open."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from actorgrid.testing import wait_until

_NAME = "/memfd:actorgrid"


def held(pids: Iterable[int]) -> dict[int, int]:
    """Return the segments that these processes map or hold open: inode -> bytes."""
    found: dict[int, int] = {}
    for pid in pids:
        try:
            segments = [*_mapped(pid), *_open(pid)]
        except OSError:
            continue  # gone
        for inode, size in segments:
            found[inode] = max(size, found.get(inode, 0))
    return found


def left(segments: Collection[int], but: Collection[int] = (), patience: float = 1.0) -> int:
    """Return the bytes of these segments that any process, ``but`` some, still holds when it has had time to end."""

    def now() -> int:
        found = held(pid for pid in psutil.pids() if pid not in but)
        return sum(size for inode, size in found.items() if inode in segments)

    wait_until(lambda: not now(), patience)
    return now()


def _mapped(pid: int) -> list[tuple[int, int]]:
    sizes: dict[int, int] = {}
    for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith(_NAME):
            first, _, last = fields[0].partition("-")
            sizes[int(fields[4])] = sizes.get(int(fields[4]), 0) + int(last, 16) - int(first, 16)
    return list(sizes.items())


def _open(pid: int) -> list[tuple[int, int]]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()).startswith(_NAME):
                state = entry.stat()
                found.append((state.st_ino, state.st_size))
        except OSError:
            pass  # closed meanwhile
    return found
