"""What user code finds in place of clocks, threads, processes and randomness while a world is open.

Each replacement asks whether a fiber runs: pytest, Hypothesis and everything else outside of the simulated program get
the real thing. Replacements are made once and ask for the world of the thread that calls them (``scenery``).
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
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim.boundary import gate
from actorgrid.sim.calendar import stand_in_for_date, stand_in_for_datetime
from actorgrid.sim.host import SimHost
from actorgrid.sim.randomness import FUNCTIONS, Randomness
from actorgrid.sim.scenery import Replaced, Scenery
from actorgrid.sim.threads import SimLock, SimpleQueue, SimRLock, Threads
from actorgrid.sim.worker import Worker

if TYPE_CHECKING:
    from actorgrid.sim.world import World

real_ident: Final = _thread.get_ident
#: Standard input, output and error.
LAST_STANDARD: Final = 2


class Patches:
    """What the replacements do in one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.fibers = world.fibers
        self.threads = Threads(world)
        self.randomness = Randomness(world, seed)
        self._thread = real_ident()
        self._outer: Patches | None = None

    def install(self) -> None:
        """Put every replacement in place; what the calling thread asks of them is answered for this world."""
        scenery.put_up()
        self._outer = _open.get(self._thread)
        _open[self._thread] = self
        self.randomness.seed_numpy()
        gate.open(self._simulated)

    def remove(self) -> None:
        """Put everything back."""
        gate.close(self._simulated)
        if self._outer is None:
            del _open[self._thread]
        else:
            _open[self._thread] = self._outer
        scenery.take_down()
        self.threads.bury()
        self.randomness.restore_numpy()

    def _simulated(self) -> bool:
        return self.fibers.current is not None and real_ident() == self._thread

    # -- processes

    def _home(self) -> SimHost | None:
        fiber = self.fibers.current
        home = fiber.home if fiber is not None else None
        return home if isinstance(home, SimHost) else None

    def getpid(self) -> int:
        """Stand for ``os.getpid``."""
        home = self._home()
        return home.pid if home is not None else 1000

    def _target(self, pid: int) -> Worker | None:
        grid = self.world.grid
        return grid.process(pid) if grid is not None else None

    def kill(self, pid: int, number: int) -> None:
        """Signal a simulated process."""
        target = self._target(pid)
        if target is None or not target.engine.alive:
            raise ProcessLookupError(3, "no simulated process has this id", pid)
        if number:
            target.grid.died(target, -number)

    def exit(self, status: int) -> NoReturn:
        """End the simulated process."""
        home = self._home()
        target = self._target(home.pid) if home is not None else None
        if target is not None:
            target.grid.died(target, status)
        sys.exit(status)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Stand for ``asyncio.new_event_loop``."""
        from actorgrid.sim.async_actor import SimLoop

        home = self._home()
        if home is not None:
            home.share()
        return SimLoop(self.world)


#: Thread -> the innermost world that it has open.
_open: Final[dict[int, Patches]] = {}


def _here() -> Patches:
    """Return what the calling thread, which runs simulated code, has open."""
    return _open[real_ident()]


def _simulated() -> bool:
    patches = _open.get(real_ident())
    return patches is not None and patches.fibers.current is not None


def _wall() -> float:
    return _here().world.clock.wall()


class _Builder:
    """Makes the replacements: of what there is now."""

    def __init__(self) -> None:
        self.made: list[Replaced] = []

    def build(self) -> list[Replaced]:
        """Return all of them."""
        self._time()
        self._threads()
        self._processes()
        self._randomness()
        for module in (asyncio.events, asyncio):
            self._gated(module, "new_event_loop", Patches.new_loop)
        return self.made

    def _gated(self, owner: Any, name: str, virtual: Callable[..., Any]) -> None:
        """Have ``virtual``, which is given the Patches, stand for ``owner.name`` where simulated code runs."""
        real = getattr(owner, name)
        find = _open.get

        def either(*args: Any, **kwargs: Any) -> Any:
            patches = find(real_ident())
            if patches is None or patches.fibers.current is None:
                return real(*args, **kwargs)
            return virtual(patches, *args, **kwargs)

        either.__name__ = name
        self._replace(owner, name, either)

    def _replace(self, owner: Any, name: str, stand_in: Any) -> None:
        self.made.append(Replaced(owner, name, vars(owner)[name], stand_in))

    def _refused(self, module: Any, name: str, why: str) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise SimulationError(f"the simulator cannot run {module.__name__}.{name}: {why}")

        self._gated(module, name, refuse)

    def _time(self) -> None:
        for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
            self._gated(time, name, lambda here: here.world.clock.monotonic())
            self._gated(time, f"{name}_ns", lambda here: int(here.world.clock.monotonic() * 1e9))
        self._gated(time, "time", lambda here: here.world.clock.wall())
        self._gated(time, "time_ns", lambda here: int(here.world.clock.wall() * 1e9))
        self._gated(time, "sleep", lambda here, seconds: here.world.sleep(seconds))
        for name in ("localtime", "gmtime", "ctime"):
            self._gated(time, name, self._of_time(getattr(time, name)))
        strftime, localtime = time.strftime, time.localtime
        self._gated(
            time, "strftime", lambda here, form, when=None: strftime(
                form, localtime(here.world.clock.wall()) if when is None else when
            )
        )  # fmt: skip
        self._replace(dt, "datetime", stand_in_for_datetime(_simulated, _wall))
        self._replace(dt, "date", stand_in_for_date(_simulated, _wall))

    @staticmethod
    def _of_time(real: Callable[[float], Any]) -> Callable[..., Any]:
        return lambda here, seconds=None: real(here.world.clock.wall() if seconds is None else seconds)

    def _randomness(self) -> None:
        for name in FUNCTIONS:
            if hasattr(random, name):
                self._gated(random, name, self._drawing(name))
        self._gated(
            random.Random, "seed", lambda here, generator, *args, **kwargs: here.randomness.reseed(
                generator, *args, **kwargs
            )
        )  # fmt: skip
        for module, name in ((random, "_urandom"), (os, "urandom")):
            self._gated(module, name, lambda here, size: here.randomness.urandom(size))
        uuid = sys.modules.get("uuid")
        if uuid is not None:
            self._refused(uuid, "uuid1", "it holds the machine's address and time; use uuid4")

    @staticmethod
    def _drawing(name: str) -> Callable[..., Any]:
        return lambda here, *args, **kwargs: getattr(here.randomness.generator(), name)(*args, **kwargs)

    def _threads(self) -> None:
        lock, rlock = threading.Lock, threading.RLock
        for name in ("Lock", "_allocate_lock"):
            self._gated(threading, name, lambda here: lock() if _importing() else SimLock(here.world))
        self._gated(threading, "RLock", lambda here: rlock() if _importing() else SimRLock(here.world))
        for module, name in ((threading, "_time"), (queue, "time")):
            self._gated(module, name, lambda here: here.world.clock.monotonic())
        self._gated(queue, "SimpleQueue", lambda here: SimpleQueue(here.world))
        self._gated(threading, "get_ident", lambda here: here.threads.ident())
        join, alive = threading.Thread.join, threading.Thread.is_alive
        self._gated(threading.Thread, "start", lambda here, thread: here.threads.start(thread))
        self._gated(
            threading.Thread, "join", lambda here, thread, timeout=None: here.threads.join(thread, timeout, join)
        )
        self._gated(threading.Thread, "is_alive", lambda here, thread: here.threads.is_alive(thread, alive))

    def _processes(self) -> None:
        self._gated(os, "getpid", Patches.getpid)
        self._gated(os, "kill", Patches.kill)
        self._gated(os, "_exit", Patches.exit)
        close = os.close
        self._gated(os, "close", lambda _here, fd: close(fd) if fd > LAST_STANDARD else _keep_open(fd))
        for name in ("fork", "forkpty"):
            self._refused(os, name, "a simulated process cannot be copied")
        self._refused(_thread, "start_new_thread", "use threading.Thread")
        self._gated(signal, "signal", lambda _here, number, _handler: signal.getsignal(number))
        for name in ("alarm", "setitimer"):
            self._refused(signal, name, "signals belong to the one real process")


def _importing() -> bool:
    """Return whether a module that is being imported asks: what it makes stays when the world is over."""
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001  # as inspect does
    while frame is not None and frame.f_globals is vars(threading):
        frame = frame.f_back  # a condition makes its lock
    spec = frame.f_globals.get("__spec__") if frame is not None else None
    return bool(getattr(spec, "_initializing", False))


def _keep_open(fd: int) -> NoReturn:
    raise SimulationError(f"the simulator cannot run os.close({fd}): all simulated processes share it")


scenery: Final = Scenery(lambda: _Builder().build())
