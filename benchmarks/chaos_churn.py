"""Grids and workers that come and go: does anything stay of each? See ``chaos.py``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import psutil

import actorgrid as ag
from actorgrid.testing.processes import RealGrid

#: What must be the same in the end: one more for each grid, or worker, is a leak. Memory is printed.
FLAT = ("descriptors", "threads", "processes", "files")
SAMPLES = 20


def _files() -> int:
    """Return how many files of ours lie where files lie that somebody forgot."""
    return sum(len(list(Path(folder).glob("*actorgrid*"))) for folder in ("/dev/shm", tempfile.gettempdir()))


def _state(process: psutil.Process) -> dict[str, float]:
    return {
        "memory, kB": process.memory_info().rss / 1024,
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "processes": len(process.children(recursive=True)),
        "files": _files(),
    }


def _rows(name: str, samples: list[dict[str, float]]) -> dict[str, Any]:
    """Return first, middle and last of every figure. The first fifth is left out: caches fill."""
    late = samples[len(samples) // 5 :]
    return {
        f"{name}: {what}": {"first": late[0][what], "middle": late[len(late) // 2][what], "last": late[-1][what]}
        for what in late[0]
    }


def grids(times: int) -> dict[str, Any]:
    """Start a grid, run a task, end it; again and again."""
    samples: list[dict[str, float]] = []
    for number in range(times):
        with ag.init(num_cpus=2):
            assert ag.get(ag.remote(abs).remote(-number)) == number
        if number % max(1, times // SAMPLES) == 0:
            samples.append(_state(psutil.Process()))
    return _rows("driver", samples)


def workers(times: int) -> dict[str, Any]:
    """Have each of many tasks run in a worker of its own."""
    once = ag.remote(max_calls=1)(os.getpid)
    samples: list[dict[str, float]] = []
    with ag.init(num_cpus=2):
        pids: set[int] = set()
        head = psutil.Process(RealGrid().head.pid)
        for number in range(times):
            pids.add(ag.get(once.remote()))
            if number % max(1, times // SAMPLES) == 0:
                samples.append(_state(head))
        assert len(pids) > times // 2  # the system gives a number again after some thousands
    return _rows("head", samples)


def churn(times: int) -> dict[str, Any]:
    """Return both."""
    return {"grids": times, "workers": times} | grids(times) | workers(times)


def leaks(rows: dict[str, Any]) -> list[str]:
    """Return which figures have grown that may not."""
    return [
        name
        for name, row in rows.items()
        if isinstance(row, dict) and name.partition(": ")[2] in FLAT and row["last"] > row["first"] + _slack(name)
    ]


def _slack(name: str) -> int:
    """A worker may be on its way in or out just now: two links, a pipe, a segment; itself."""
    return {"head: descriptors": 8, "head: processes": 2}.get(name, 0)
