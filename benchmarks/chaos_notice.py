"""How long until the death of a worker is noticed? See ``chaos.py``."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from contextlib import suppress
from typing import Any

import psutil

import actorgrid as ag
from actorgrid.testing import wait_until

#: A death that takes longer is not noticed (seconds).
LIMIT = 30.0
CPUS = 2


@ag.remote(num_cpus=0)
def victim(pipe: str, *, forks: bool) -> float:
    """Say who is to be killed, then wait for it; the next attempt says when it began."""
    began = time.monotonic()  # the same clock in all processes
    try:
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return began  # nobody listens any more: this is the next attempt
    child = 0
    if forks:
        child = os.fork()  # it has every descriptor of its parent, the links to the grid among them
        if not child:
            signal.pause()
    os.write(end, b"%d %d\n" % (os.getpid(), child))
    os.close(end)
    signal.pause()
    return began


@ag.remote
def rest() -> None:
    """Keep one CPU, so that two of these run in two workers: both are there."""
    time.sleep(0.01)


def _trial(pipe: str, *, forks: bool, retries: int) -> tuple[float, int]:
    """Kill a worker. Returns the seconds until its error is raised, or its call has begun anew, and its child."""
    ag.get([rest.remote() for _ in range(CPUS)])
    listener = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ref: Any = victim.options(max_retries=retries).remote(pipe, forks=forks)
        said = b""
        while not said.endswith(b"\n"):
            with suppress(BlockingIOError):
                said += os.read(listener, 100)
            time.sleep(0.001)
    finally:
        os.close(listener)
    pid, child = map(int, said.split())
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    try:
        return ag.get(ref, timeout=LIMIT) - killed, child
    except ag.exceptions.WorkerCrashedError:
        return time.monotonic() - killed, child
    except ag.exceptions.GetTimeoutError:
        return LIMIT, child


def notice(trials: int) -> dict[str, Any]:
    """Time from SIGKILL until ``get`` raises, and until the next attempt begins, on a grid that does nothing else."""
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, ag.init(num_cpus=CPUS, log_to_driver=False):
        pipe = f"{folder}/pipe"
        os.mkfifo(pipe)
        for retries, name in ((0, "the error is raised"), (1, "the call begins anew")):
            for forks in (False, True):
                found = [_trial(pipe, forks=forks, retries=retries) for _ in range(trials)]
                times = sorted(seconds for seconds, _ in found)
                children = [child for _, child in found if child]
                wait_until(lambda children=children: not any(map(psutil.pid_exists, children)), 10)
                rows[f"{name}, a grandchild holds the links" if forks else name] = {
                    "trials": trials,
                    "p50, ms": statistics.median(times) * 1e3,
                    "p99, ms": times[min(trials - 1, trials * 99 // 100)] * 1e3,
                    "p100, ms": times[-1] * 1e3,
                    "left behind": sum(map(psutil.pid_exists, children)),
                }
    return rows
