"""What user code finds in place of clocks, threads, processes and randomness while a world is open.

Each replacement asks whether a fiber runs: pytest, Hypothesis and everything else outside of the simulated program get
the real thing.
"""

from __future__ import annotations

import _thread
import asyncio
import datetime as dt
import os
import queue
import random
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim.boundary import gate
from actorgrid.sim.calendar import stand_in_for_date, stand_in_for_datetime
from actorgrid.sim.host import SimHost
from actorgrid.sim.randomness import FUNCTIONS, Randomness
from actorgrid.sim.threads import SimLock, SimpleQueue, SimRLock, Threads
from actorgrid.sim.worker import Worker

if TYPE_CHECKING:
    from actorgrid.sim.world import World

real_ident: Final = _thread.get_ident
#: Standard input, output and error.
LAST_STANDARD: Final = 2
_LIBRARY: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_seen: list[Any] = [0, []]


def user_modules() -> list[ModuleType]:
    """Return the modules that belong neither to Python nor to an installed package, nor to this one."""
    if _seen[0] != len(sys.modules):
        _seen[:] = len(sys.modules), [module for module in list(sys.modules.values()) if _is_users(module)]
    found: list[ModuleType] = _seen[1]
    return found


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if name == "__main__":
        return True
    return isinstance(file, str) and name.partition(".")[0] != "actorgrid" and not file.startswith(_LIBRARY)


class Patches:
    """The replacements of one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.threads = Threads(world)
        self.randomness = Randomness(world, seed)
        self._replaced: list[tuple[Any, str, Any]] = []
        #: Real thing -> what stands for it, by identity, for modules that have imported it under a name of their own.
        self._stand_ins: dict[int, Any] = {}
        self._thread = _thread.get_ident()

    def install(self) -> None:
        """Put every replacement in place."""
        self._patch_time()
        self._patch_threads()
        self._patch_processes()
        self._patch_randomness()
        self._gated(asyncio.events, "new_event_loop", self._new_loop)
        self._gated(asyncio, "new_event_loop", self._new_loop)
        self._patch_aliases()
        gate.open(self._simulated)

    def remove(self) -> None:
        """Put everything back."""
        gate.close(self._simulated)
        for module, name, real in reversed(self._replaced):
            setattr(module, name, real)
        self._replaced.clear()
        self.threads.bury()
        self.randomness.restore_numpy()

    def _simulated(self) -> bool:
        return self.world.fibers.current is not None and real_ident() == self._thread

    def _gated(self, module: Any, name: str, virtual: Callable[..., Any]) -> None:
        """Have ``virtual`` stand for ``module.name`` where simulated code runs."""
        real = getattr(module, name)
        fibers, thread = self.world.fibers, self._thread

        def either(*args: Any, **kwargs: Any) -> Any:
            if fibers.current is None or real_ident() != thread:
                return real(*args, **kwargs)
            return virtual(*args, **kwargs)

        either.__name__ = name
        self._replace(module, name, either)

    def _replace(self, module: Any, name: str, stand_in: Any) -> None:
        real = vars(module)[name]
        self._replaced.append((module, name, real))
        self._stand_ins[id(real)] = stand_in
        setattr(module, name, stand_in)

    def _refused(self, module: Any, name: str, why: str) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise SimulationError(f"the simulator cannot run {module.__name__}.{name}: {why}")

        self._gated(module, name, refuse)

    def _patch_aliases(self) -> None:
        """Replace what the user's modules have imported by name (``from time import sleep``), too."""
        for module in user_modules():
            for name, value in list(vars(module).items()):
                stand_in = self._stand_ins.get(id(value))
                if stand_in is not None:
                    self._replaced.append((module, name, value))
                    setattr(module, name, stand_in)

    # -- time

    def _patch_time(self) -> None:
        clock = self.world.clock
        for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
            self._gated(time, name, clock.monotonic)
            self._gated(time, f"{name}_ns", lambda: int(clock.monotonic() * 1e9))
        self._gated(time, "time", clock.wall)
        self._gated(time, "time_ns", lambda: int(clock.wall() * 1e9))
        self._gated(time, "sleep", self.world.sleep)
        for name in ("localtime", "gmtime", "ctime"):
            self._gated(time, name, self._of_time(getattr(time, name), clock.wall))
        strftime, localtime = time.strftime, time.localtime
        self._gated(
            time, "strftime", lambda form, when=None: strftime(form, localtime(clock.wall()) if when is None else when)
        )
        self._replace(dt, "datetime", stand_in_for_datetime(self._simulated, clock.wall))
        self._replace(dt, "date", stand_in_for_date(self._simulated, clock.wall))

    @staticmethod
    def _of_time(real: Callable[[float], Any], wall: Callable[[], float]) -> Callable[..., Any]:
        return lambda seconds=None: real(wall() if seconds is None else seconds)

    # -- randomness

    def _patch_randomness(self) -> None:
        randomness = self.randomness
        for name in FUNCTIONS:
            if hasattr(random, name):
                self._gated(random, name, randomness.function(name))
        self._replace_seed(randomness)
        self._gated(random, "_urandom", randomness.urandom)
        self._gated(os, "urandom", randomness.urandom)
        uuid = sys.modules.get("uuid")
        if uuid is not None:
            self._refused(uuid, "uuid1", "it holds the machine's address and time; use uuid4")
        randomness.seed_numpy()

    def _replace_seed(self, randomness: Randomness) -> None:
        self._gated(random.Random, "seed", randomness.reseed)

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

    # -- processes

    def _patch_processes(self) -> None:
        self._gated(os, "getpid", self._getpid)
        self._gated(os, "kill", self._kill)
        self._gated(os, "_exit", self._exit)
        real_close = os.close
        self._gated(os, "close", lambda fd: real_close(fd) if fd > LAST_STANDARD else self._keep_open(fd))
        for name in ("fork", "forkpty"):
            self._refused(os, name, "a simulated process cannot be copied")
        self._refused(_thread, "start_new_thread", "use threading.Thread")
        self._gated(signal, "signal", lambda number, _handler: signal.getsignal(number))
        for name in ("alarm", "setitimer"):
            self._refused(signal, name, "signals belong to the one real process")

    @staticmethod
    def _keep_open(fd: int) -> NoReturn:
        raise SimulationError(f"the simulator cannot run os.close({fd}): all simulated processes share it")

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
        home = self._home()
        if number and home is not None and home is not target.engine:
            home.act("kills a process", target.victim)
        if number and target.engine.alive:
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

        home = self._home()
        if home is not None:
            home.share()
        return SimLoop(self.world)
