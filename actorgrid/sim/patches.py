"""What user code finds in place of clocks, threads, processes and randomness while a world is open.

Each replacement asks whether a fiber runs (see ``standins``): pytest, Hypothesis and everything else outside of the
simulated program get the real thing.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import datetime as dt
import os
import posix
import queue
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim import replaced, system
from actorgrid.sim.boundary import gate
from actorgrid.sim.calendar import now_of, utcnow_of
from actorgrid.sim.holders import Replacements
from actorgrid.sim.late import Late
from actorgrid.sim.locks import SimLock, SimpleQueue, SimRLock
from actorgrid.sim.randomness import FUNCTIONS, Randomness
from actorgrid.sim.standins import Stage, makers, simulating, stages
from actorgrid.sim.system import System
from actorgrid.sim.threads import Threads

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: What ``time.clock_gettime`` is asked for and shows the date.
WALL_CLOCKS: Final = (time.CLOCK_REALTIME, getattr(time, "CLOCK_TAI", time.CLOCK_REALTIME))
#: Modules that the program may import: what is in them is replaced then.
LATE: Final = ("numpy.random", "multiprocessing.process", "multiprocessing.resource_tracker")
#: Makes what stands for a function, given the patches of a world.
Maker = Callable[["Patches"], Callable[..., Any]]


def _simulated() -> bool:
    return simulating() is not None


def _touched(event: str, args: tuple[Any, ...]) -> None:
    world = simulating()
    if world is not None:
        world.files.touched(event, args)


def _not_tracked(register: Callable[[str, str], None], name: str, kind: str) -> None:
    """Remove a named semaphore, which is there already, and refuse it: who would remove it later is a process."""
    if kind != "semaphore":
        register(name, kind)
        return
    import _multiprocessing  # type: ignore[import-not-found]  # it has no stubs; whoever has made one has it

    _multiprocessing.sem_unlink(name)
    raise SimulationError("the simulator cannot run locks between real processes: use threading's, or actorgrid.util's")


class Patches:
    """The replacements of one world."""

    def __init__(self, world: World, seed: int) -> None:
        """Raises SimulationError while a world is open in another thread: each would take the other's grid for its."""
        self._thread = _thread.get_ident()
        if any(thread != self._thread for thread in stages):
            raise SimulationError(
                "a simulation is under way in another thread: a process simulates one program at a time"
            )
        self.world = world
        self.threads = Threads(world)
        self.system = System(world)
        self.randomness = Randomness(world, seed)
        #: Modules that are patched if somebody imports them, now or later.
        self._late = [
            Late(name, self._numpy_comes if name.startswith("numpy") else self._multiprocessing_comes) for name in LATE
        ]
        self._stage = Stage(world, self)
        self._aliases = Replacements(world, replaced.stand_ins)
        self._outer: Stage | None = None

    def __enter__(self) -> None:
        self.install()

    def __exit__(self, *_: object) -> None:
        self.remove()

    def install(self) -> None:
        """Put every replacement in place. If that fails, whatever was replaced is put back."""
        self._outer = stages.get(self._thread)
        stages[self._thread] = self._stage
        replaced.hold()
        try:
            self._replace_all()
        except BaseException:
            self._put_back()
            raise
        gate.open(_simulated, _touched)

    def _replace_all(self) -> None:
        # Which of them are there decides what is replaced; None, too.
        replaced.lay_out([sys.modules.get(name) for name in LATE], _lay_out)
        self.randomness.seed_numpy()
        for late in self._late:
            late.install()
        self._aliases.install()

    def remove(self) -> None:
        """Put everything back."""
        gate.close(_simulated)
        self._put_back()

    def _put_back(self) -> None:
        self._aliases.remove()
        replaced.release()
        if self._outer is None:
            del stages[self._thread]
        else:
            stages[self._thread] = self._outer
        self.threads.bury()
        for late in self._late:
            late.remove()
        self.randomness.restore_numpy()

    @contextmanager
    def _numpy_comes(self) -> Iterator[None]:
        # What it draws to seed itself it draws once, in the run that happens to import it.
        with self.randomness.unused():
            yield
        self.randomness.seed_numpy()
        _lay_out_numpy()

    @contextmanager
    def _multiprocessing_comes(self) -> Iterator[None]:
        yield
        _lay_out_multiprocessing()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """See ``asyncio.new_event_loop``."""
        from actorgrid.sim.loops import SimLoop

        self.system.share()
        return SimLoop(self.world)

    def clock(self, clock_id: int) -> float:
        """See ``time.clock_gettime``."""
        clock = self.world.clock
        return clock.wall() if clock_id in WALL_CLOCKS else clock.monotonic()

    def date(self, when: Any, localtime: Callable[[float], Any]) -> Any:
        """Return ``when``, and if that is None what is the date now."""
        return localtime(self.world.clock.wall()) if when is None else when


# -- what stands for what: names are replaced once for many worlds, and each makes of that what it calls


def _gated(module: Any, name: str, make: Maker) -> None:
    """Have what ``make`` makes of a world's patches stand for ``module.name`` where code of that world runs."""
    makers[replaced.gate(module, name)] = make


def _gated_system(module: Any, name: str, make: Callable[[System], Callable[..., Any]]) -> None:
    _gated(module, name, lambda of: make(of.system))


def _refused(module: Any, name: str, why: str) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        shown = getattr(replaced.real(module, name), "__name__", name)
        raise SimulationError(f"the simulator cannot run {module.__name__}.{shown}: {why}")

    _gated(module, name, lambda _: refuse)


def _lay_out() -> None:
    _lay_out_time()
    _lay_out_threads()
    system.lay_out(_gated_system, _refused)
    _lay_out_randomness()
    _lay_out_numpy()
    _lay_out_multiprocessing()
    _gated(asyncio.events, "new_event_loop", lambda of: of.new_loop)
    _gated(asyncio, "new_event_loop", lambda of: of.new_loop)


def _lay_out_time() -> None:
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        _gated(time, name, lambda of: of.world.clock.monotonic)
        _gated(time, f"{name}_ns", lambda of: lambda: int(of.world.clock.monotonic() * 1e9))
    _gated(time, "time", lambda of: of.world.clock.wall)
    _gated(time, "time_ns", lambda of: lambda: int(of.world.clock.wall() * 1e9))
    _gated(time, "sleep", lambda of: of.threads.sleep)
    _gated(time, "clock_gettime", lambda of: of.clock)
    _gated(time, "clock_gettime_ns", lambda of: lambda clock_id: int(of.clock(clock_id) * 1e9))
    for name in ("localtime", "gmtime", "ctime"):
        _gated(time, name, _of_time(replaced.real(time, name)))
    strftime, localtime, asctime = (replaced.real(time, name) for name in ("strftime", "localtime", "asctime"))
    _gated(time, "strftime", lambda of: lambda form, when=None: strftime(form, of.date(when, localtime)))
    _gated(time, "asctime", lambda of: lambda when=None: asctime(of.date(when, localtime)))
    _gated(dt.datetime, "now", lambda of: now_of(of.world.clock.wall))
    _gated(dt.datetime, "utcnow", lambda of: utcnow_of(of.world.clock.wall))


def _of_time(real: Callable[[float], Any]) -> Maker:
    return lambda of: lambda seconds=None: real(of.world.clock.wall() if seconds is None else seconds)


def _lay_out_randomness() -> None:
    for name in FUNCTIONS:
        if hasattr(random, name):
            _gated(random, name, _drawing(name))
    _gated(random.Random, "seed", lambda of: of.randomness.reseed)
    for module, name in ((random, "_urandom"), (posix, "urandom"), (os, "urandom")):
        _gated(module, name, lambda of: of.randomness.urandom)
    _gated(os, "getrandom", lambda of: lambda size, _flags=0: of.randomness.urandom(size))
    _gated(tempfile, "_get_candidate_names", lambda of: of.randomness.names)
    _refused(uuid, "uuid1", "it holds the machine's address and time; use uuid4")


def _drawing(name: str) -> Maker:
    return lambda of: of.randomness.function(name)


def _lay_out_numpy() -> None:
    """Have each process draw from a generator of its own where numpy has one hidden generator."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if hasattr(numpy_random, "RandomState"):
        for name in dir(numpy_random.RandomState):
            if not name.startswith("_") and name in vars(numpy_random):
                _gated(numpy_random, name, _drawing_of_numpy(name))


def _drawing_of_numpy(name: str) -> Maker:
    return lambda of: of.randomness.numpy(name)


def _lay_out_threads() -> None:
    _gated(threading, "Lock", lambda of: lambda: SimLock(of.world))
    _gated(threading, "_allocate_lock", lambda of: lambda: SimLock(of.world, shared=True))
    _gated(threading, "RLock", lambda of: lambda: SimRLock(of.world))
    _gated(threading, "_time", lambda of: of.world.clock.monotonic)
    _gated(queue, "time", lambda of: of.world.clock.monotonic)
    _gated(queue, "SimpleQueue", lambda of: lambda: SimpleQueue(of.world))
    _gated(threading, "get_ident", lambda of: of.threads.ident)
    _gated(threading, "get_native_id", lambda of: lambda: of.threads.native_ident() or of.system.getpid())
    join, is_alive = (replaced.real(threading.Thread, name) for name in ("join", "is_alive"))
    thread_made = replaced.real(threading.Thread, "__init__")
    _gated(threading.Thread, "__init__", lambda of: partial(of.threads.make, thread_made))
    _gated(threading.Thread, "start", lambda of: of.threads.start)
    _gated(threading.Thread, "join", lambda of: lambda thread, timeout=None: of.threads.join(thread, timeout, join))
    _gated(threading.Thread, "is_alive", lambda of: lambda thread: of.threads.is_alive(thread, is_alive))
    made = replaced.real(concurrent.futures.Future, "__init__")
    _gated(concurrent.futures.Future, "__init__", lambda of: lambda future: of.threads.future(future, made))


def _lay_out_multiprocessing() -> None:
    module: Any = sys.modules.get("multiprocessing.process")
    if hasattr(module, "BaseProcess"):
        _refused(module.BaseProcess, "start", "use remote functions and actors")
    tracker: Any = sys.modules.get("multiprocessing.resource_tracker")
    if hasattr(tracker, "register"):
        register = replaced.real(tracker, "register")
        _gated(tracker, "register", lambda _: partial(_not_tracked, register))
