"""How long until a task that is cancelled has ended, and the next one has run? See ``chaos.py``."""

from __future__ import annotations

import hashlib
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

import actorgrid as ag
from actorgrid.testing import wait_until

#: A cancellation that takes longer has no effect (seconds).
LIMIT = 30.0


def _begun(path: str) -> None:
    Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")


@ag.remote(max_retries=0)
def loop(path: str) -> None:
    _begun(path)
    while True:
        pass


@ag.remote(max_retries=0)
def sleep(path: str) -> None:
    _begun(path)
    time.sleep(3600)


@ag.remote(max_retries=0)
def hold(path: str) -> None:
    """One call into C that never ends, lets nobody else run, and looks for no signals."""
    _begun(path)
    all(itertools.repeat(True))


@ag.remote(max_retries=0)
def derive(path: str) -> None:
    """One long call into C beside which other threads may run."""
    _begun(path)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


@ag.remote
def following() -> int:
    return os.getpid()


CASES: dict[str, tuple[Any, bool]] = {
    "soft: a loop in Python": (loop, False),
    "soft: time.sleep": (sleep, False),
    "force: a loop in Python": (loop, True),
    "force: stuck in C, nobody else can run": (hold, True),
    "force: stuck in C, others can": (derive, True),
}


def begun(path: str) -> int:
    """Wait until a task has begun, and forget it; return the process in which it runs."""
    file = Path(path)
    assert wait_until(lambda: file.exists() and file.read_text(encoding="ascii").endswith("\n"), LIMIT)
    pid = int(file.read_text(encoding="ascii"))
    file.unlink()
    return pid


def _trial(task: Any, path: str, *, force: bool) -> tuple[float, float, bool, int]:
    """Cancel it. Returns seconds until ``get`` raises, and until the next task has run; in another process? The first.

    There is one CPU: the next task runs when the one before has ended.
    """
    ref = task.remote(path)
    pid = begun(path)
    began = time.monotonic()
    ag.cancel(ref, force=force)
    raised = ended = LIMIT
    try:
        ag.get(ref, timeout=LIMIT)
        raise AssertionError("a task that never ends has ended")
    except ag.exceptions.TaskCancelledError:
        raised = time.monotonic() - began
    except ag.exceptions.GetTimeoutError:
        pass
    other = False
    try:
        other = ag.get(following.remote(), timeout=LIMIT) != pid
        ended = time.monotonic() - began
    except ag.exceptions.GetTimeoutError:
        ag.cancel(ref, force=True)
    return raised, ended, other, pid


def cancel(trials: int) -> dict[str, dict[str, Any]]:
    """Time from ``cancel`` until ``get`` of the task raises, and until the next task has run."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, ag.init(num_cpus=1, log_to_driver=False):
        for name, (task, force) in CASES.items():
            found = [_trial(task, f"{folder}/begun", force=force) for _ in range(trials)]
            killed = [pid for *_, pid in found] if force else []
            wait_until(lambda killed=killed: not any(map(psutil.pid_exists, killed)), 10)  # type: ignore[misc]
            rows[name] = {
                "trials": trials,
                **times("", [raised for raised, *_ in found]),
                **times("next task: ", [ended for _, ended, *_ in found]),
                "in another process": sum(other for _, _, other, _ in found),
                "left behind": sum(map(psutil.pid_exists, killed)),
            }
    return rows


def times(what: str, found: list[float]) -> dict[str, float]:
    """Return the columns for these seconds."""
    found = sorted(found)
    return {
        f"{what}p50, ms": statistics.median(found) * 1e3,
        f"{what}p99, ms": found[min(len(found) - 1, len(found) * 99 // 100)] * 1e3,
        f"{what}p100, ms": found[-1] * 1e3,
    }
