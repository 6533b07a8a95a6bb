"""What several contract tests use: an actor that tasks meet at, and one that holds CPUs."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import actorgrid as ag

#: No test waits longer for something that must happen.
DEADLINE = 20.0


@ag.remote(num_cpus=0)
class Gate:
    """Tasks arrive and may wait until it opens; tests wait for arrivals and open it."""

    def __init__(self) -> None:
        self.arrived: list[Any] = []
        self.opened = asyncio.Event()
        self.changed = asyncio.Condition()

    async def arrive(self, who: Any = None) -> None:
        async with self.changed:
            self.arrived.append(who)
            self.changed.notify_all()

    async def pass_through(self, who: Any = None) -> None:
        await self.arrive(who)
        await self.opened.wait()

    async def open(self) -> None:
        self.opened.set()

    async def arrivals(self, at_least: int = 0) -> list[Any]:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.arrived) >= at_least)
        return self.arrived


@ag.remote
class Holder:
    """Holds the resources it is created with until it is killed."""

    def ready(self) -> int:
        return os.getpid()


def hold(**options: Any) -> Any:
    """Return the handle of an actor that holds resources now."""
    holder = Holder.options(**options).remote()
    ag.get(holder.ready.remote(), timeout=DEADLINE)
    return holder


def count_run(path: Path) -> int:
    """Note in a file that this code runs once more, and return how often it has: it outlives any process."""
    with path.open("a", encoding="ascii") as file:
        file.write("x")
    return path.stat().st_size


def runs(path: Path) -> int:
    """Return how often ``count_run`` was called."""
    return path.stat().st_size if path.exists() else 0


def kill_this_process() -> None:
    """Die without a word."""
    os.kill(os.getpid(), signal.SIGKILL)
