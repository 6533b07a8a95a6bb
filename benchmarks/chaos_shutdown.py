"""How long does ``shutdown`` take, whatever the workers do? See ``chaos.py``."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import chaos_cancel
import chaos_memory
import psutil

import actorgrid as ag
from actorgrid.testing import marks
from actorgrid.testing.processes import RealGrid

CPUS = 2


@ag.remote
def idle(path: str) -> None:
    Path(path).write_text("0\n", encoding="ascii")
    time.sleep(0.01)  # each of them in a worker of its own


@ag.remote
def refuse(path: str) -> None:
    """Hear neither SIGTERM nor SIGINT, and compute."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    Path(path).write_text("0\n", encoding="ascii")
    for _ in itertools.count():
        pass


@ag.remote
def catch(path: str) -> None:
    """Catch whatever is raised here, and go on."""
    Path(path).write_text("0\n", encoding="ascii")
    while True:
        try:
            time.sleep(3600)
        except BaseException:  # noqa: BLE001  # that is the point
            continue


#: What the workers do when the grid is ended; None: they are only starting.
CASES: dict[str, Any] = {
    "idle": idle,
    "in time.sleep(3600)": chaos_cancel.sleep,
    "in a loop, SIGTERM and SIGINT ignored": refuse,
    "catching every exception": catch,
    "stuck in C": chaos_cancel.hold,
    "still starting": None,
}


def _trial(task: Any, mark: str, folder: str) -> tuple[float, int, int]:
    """End a grid. Returns the seconds, and how many processes and bytes of shared memory are left."""
    segments: set[int] = set()
    ag.init(num_cpus=CPUS, log_to_driver=False)
    try:
        if task is not None:
            paths = [f"{folder}/{number}" for number in range(CPUS)]
            refs = [task.remote(path) for path in paths]
            kept = ag.put(bytes(1_000_000))
            for path in paths:
                chaos_cancel.begun(path)
            if task is idle:
                ag.get(refs)
            head = psutil.Process(RealGrid().head.pid)
            segments = set(chaos_memory.held([os.getpid(), head.pid, *(p.pid for p in head.children(recursive=True))]))
            assert segments
            del refs, kept
    finally:
        began = time.monotonic()
        ag.shutdown()
        took = time.monotonic() - began
    left = [process for process in marks.marked(mark) if process.pid != os.getpid()]
    return took, len(left), chaos_memory.left(segments, patience=0.0)


def shutdown(trials: int) -> dict[str, dict[str, Any]]:
    """Time that ``shutdown`` takes, and what is left when it returns. Workers are killed, there is no grace."""
    rows: dict[str, dict[str, Any]] = {}
    mark, before = marks.new_mark(), os.environ.get(marks.MARKS)
    marks.put(mark, os.environ)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, task in CASES.items():
                found = [_trial(task, mark, folder) for _ in range(trials)]
                rows[name] = {
                    "trials": trials,
                    **chaos_cancel.times("", [took for took, _, _ in found]),
                    "left behind": sum(left for _, left, _ in found),
                    "bytes left": sum(memory for _, _, memory in found),
                }
    finally:
        if before is None:
            del os.environ[marks.MARKS]
        else:
            os.environ[marks.MARKS] = before
    return rows
