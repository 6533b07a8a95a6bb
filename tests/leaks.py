"""What a test may not leave behind: processes, shared memory, descriptors, threads.

Every process that a test run starts, however indirectly, carries the run's mark in its environment, so it is found
even after its parents have died. Zombies have no environment: they are found as children.
"""

from __future__ import annotations

import gc
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Environment variable whose value tells one test run from all others on this machine.
MARK = "ACTORGRID_TEST_RUN"
SHARED_MEMORY = Path("/dev/shm")


def mark_this_run() -> str:
    """Put a mark that no other run has into the environment, for all that this run will start."""
    os.environ[MARK] = f"{os.getpid()}-{uuid.uuid4().hex}"
    return os.environ[MARK]


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Poll until ``condition()`` is true; return whether it became so within ``seconds``."""
    end = time.monotonic() + seconds
    pause = 0.001
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return True


def marked(variable: str, value: str) -> list[int]:
    """Return the ids of all living processes, but this one, that were started with ``variable=value``."""
    needle = f"{variable}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass  # gone, or another user's
    return sorted(found)


def _processes() -> set[int]:
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    return children | set(marked(MARK, os.environ[MARK]))


def _shared_memory() -> set[str]:
    return {entry.name for entry in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()


def _descriptors() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:
            pass  # the one that lists this folder
    return found


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"process {pid} ({process.status()}): {' '.join(process.cmdline())[:200] or process.name()}"
    except psutil.Error:
        return f"process {pid}"


@dataclass(frozen=True)
class Snapshot:
    """What there is now."""

    processes: set[int]
    shared_memory: set[str]
    descriptors: dict[int, str]
    threads: set[threading.Thread]

    @classmethod
    def take(cls) -> Snapshot:
        return cls(_processes(), _shared_memory(), _descriptors(), set(threading.enumerate()))

    def leaked(self) -> list[str]:
        """Say what there is now and was not then."""
        now = Snapshot.take()
        opened = [f"{fd} -> {to}" for fd, to in now.descriptors.items() if self.descriptors.get(fd) != to]
        # What was open and is now another file was closed by a test of its own accord; only a surplus is a leak.
        surplus = len(now.descriptors) - len(self.descriptors)
        return [
            *(_describe(pid) for pid in sorted(now.processes - self.processes)),
            *(f"shared memory: {name}" for name in sorted(now.shared_memory - self.shared_memory)),
            *([f"{surplus} descriptors more: {', '.join(opened)}"] if surplus > 0 else []),
            *(f"thread: {thread.name}" for thread in now.threads - self.threads),
        ]

    def kill_new_processes(self) -> None:
        """Kill what is left over, so that one leak does not spoil the tests that follow."""
        for pid in _processes() - self.processes:
            try:
                psutil.Process(pid).kill()
            except psutil.Error:
                pass

    def check(self, seconds: float = 5.0) -> None:
        """Raise AssertionError if something stays behind for ``seconds``."""

        def clean() -> bool:
            gc.collect()
            return not self.leaked()

        if not wait_until(clean, seconds):
            left = self.leaked()
            self.kill_new_processes()
            raise AssertionError("left behind:\n  " + "\n  ".join(left))
