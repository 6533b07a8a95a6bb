"""What user code finds in place of clocks, threads, processes and randomness while a world is open.

Each replacement asks whether a fiber runs: pytest, Hypothesis and everything else outside of the simulated program get
the real thing.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim.host import SimHost
from actorgrid.sim.threads import SimLock, SimpleQueue, SimRLock, Threads
from actorgrid.sim.worker import Worker

if TYPE_CHECKING:
    from actorgrid.sim.world import World

real_ident: Final = _thread.get_ident


class Patches:
    """The replacements of one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.threads = Threads(world)
        self._replaced: list[tuple[Any, str, Any]] = []
        self._random_state: Any = None

    def install(self) -> None:
        """Put every replacement in place."""
        clock = self.world.clock
        self._time("time", clock.wall)
        self._time("monotonic", clock.monotonic)
        self._time("perf_counter", clock.monotonic)
        self._time("time_ns", lambda: int(clock.wall() * 1e9))
        self._time("monotonic_ns", lambda: int(clock.monotonic() * 1e9))
        self._time("perf_counter_ns", lambda: int(clock.monotonic() * 1e9))
        self._gated(time, "sleep", self.world.sleep)
        self._gated(os, "getpid", self._getpid)
        self._gated(os, "kill", self._kill)
        self._gated(os, "_exit", self._exit)
        self._gated(asyncio.events, "new_event_loop", self._new_loop)
        self._gated(asyncio, "new_event_loop", self._new_loop)
        self._patch_threads()
        self._gated(os, "fork", self._refuse("os.fork: a simulated process cannot be copied"))
        self._random_state = random.getstate()
        random.seed(self.seed)

    def remove(self) -> None:
        """Put everything back."""
        for module, name, real in reversed(self._replaced):
            setattr(module, name, real)
        self._replaced.clear()
        self.threads.bury()
        if self._random_state is not None:
            random.setstate(self._random_state)

    def _gated(self, module: Any, name: str, virtual: Callable[..., Any]) -> None:
        real = getattr(module, name)
        fibers = self.world.fibers

        def either(*args: Any, **kwargs: Any) -> Any:
            if fibers.current is None or real_ident() != thread:
                return real(*args, **kwargs)
            return virtual(*args, **kwargs)

        thread = _thread.get_ident()
        either.__name__ = name
        self._replaced.append((module, name, real))
        setattr(module, name, either)

    def _time(self, name: str, virtual: Callable[[], Any]) -> None:
        self._gated(time, name, virtual)

    # -- threads

    def _patch_threads(self) -> None:
        world, threads = self.world, self.threads
        for name in ("Lock", "_allocate_lock"):
            self._gated(threading, name, lambda: SimLock(world))
        self._gated(threading, "RLock", lambda: SimRLock(world))
        self._gated(threading, "_time", world.clock.monotonic)
        self._gated(queue, "time", world.clock.monotonic)
        self._gated(queue, "SimpleQueue", lambda: SimpleQueue(world))
        self._gated(threading, "get_ident", threads.ident)
        real_join, real_alive = threading.Thread.join, threading.Thread.is_alive
        self._gated(threading.Thread, "start", threads.start)
        self._gated(threading.Thread, "join", lambda thread, timeout=None: threads.join(thread, timeout, real_join))
        self._gated(threading.Thread, "is_alive", lambda thread: threads.is_alive(thread, real_alive))

    @staticmethod
    def _refuse(what: str) -> Callable[..., NoReturn]:
        def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise SimulationError(f"the simulator cannot run {what}")

        return refuse

    # -- processes

    def _home(self) -> SimHost | None:
        fiber = self.world.fibers.current
        home = fiber.home if fiber is not None else None
        return home if isinstance(home, SimHost) else None

    def _getpid(self) -> int:
        home = self._home()
        return home.pid if home is not None else 1000

    def _target(self, pid: int) -> Worker | None:
        grid = self.world.grid
        return grid.process(pid) if grid is not None else None

    def _kill(self, pid: int, number: int) -> None:
        """Signal a simulated process."""
        target = self._target(pid)
        if target is None or not target.engine.alive:
            raise ProcessLookupError(3, "no simulated process has this id", pid)
        if number:
            target.grid.died(target, -number)

    def _exit(self, status: int) -> NoReturn:
        """End the simulated process."""
        home = self._home()
        target = self._target(home.pid) if home is not None else None
        if target is not None:
            target.grid.died(target, status)
        sys.exit(status)

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        from actorgrid.sim.async_actor import SimLoop

        return SimLoop(self.world)
