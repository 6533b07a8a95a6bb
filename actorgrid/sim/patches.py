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
from actorgrid.sim import replaced
from actorgrid.sim.boundary import gate
from actorgrid.sim.calendar import now_of, utcnow_of
from actorgrid.sim.holders import Replacements
from actorgrid.sim.late import Late
from actorgrid.sim.locks import SimLock, SimpleQueue, SimRLock
from actorgrid.sim.randomness import FUNCTIONS, Randomness
from actorgrid.sim.standins import Stage, simulating, stages
from actorgrid.sim.system import System
from actorgrid.sim.threads import Threads

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: What ``time.clock_gettime`` is asked for and shows the date.
WALL_CLOCKS: Final = (time.CLOCK_REALTIME, getattr(time, "CLOCK_TAI", time.CLOCK_REALTIME))


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
            Late("numpy.random", self._numpy_comes),
            Late("multiprocessing.process", self._multiprocessing_comes),
            Late("multiprocessing.resource_tracker", self._multiprocessing_comes),
        ]
        self._stage = Stage(world)
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
        self._patch_time()
        self._patch_threads()
        self.system.install(self._gated, self._refused)
        self._patch_randomness()
        self._patch_multiprocessing()
        for late in self._late:
            late.install()
        self._gated(asyncio.events, "new_event_loop", self._new_loop)
        self._gated(asyncio, "new_event_loop", self._new_loop)
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

    def _gated(self, module: Any, name: str, virtual: Callable[..., Any]) -> None:
        """Have ``virtual`` stand for ``module.name`` where simulated code runs."""
        self._stage.virtual[replaced.gate(module, name)] = virtual

    def _refused(self, module: Any, name: str, why: str) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
            shown = getattr(replaced.real(module, name), "__name__", name)
            raise SimulationError(f"the simulator cannot run {module.__name__}.{shown}: {why}")

        self._gated(module, name, refuse)

    # -- time

    def _patch_time(self) -> None:
        clock = self.world.clock
        for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
            self._gated(time, name, clock.monotonic)
            self._gated(time, f"{name}_ns", lambda: int(clock.monotonic() * 1e9))
        self._gated(time, "time", clock.wall)
        self._gated(time, "time_ns", lambda: int(clock.wall() * 1e9))
        self._gated(time, "sleep", self.world.waits.sleep)
        self._gated(time, "clock_gettime", lambda clock_id: self._clock(clock_id)())
        self._gated(time, "clock_gettime_ns", lambda clock_id: int(self._clock(clock_id)() * 1e9))
        for name in ("localtime", "gmtime", "ctime"):
            self._gated(time, name, self._of_time(replaced.real(time, name), clock.wall))
        strftime, localtime, asctime = (replaced.real(time, name) for name in ("strftime", "localtime", "asctime"))
        self._gated(
            time, "strftime", lambda form, when=None: strftime(form, localtime(clock.wall()) if when is None else when)
        )
        self._gated(time, "asctime", lambda when=None: asctime(localtime(clock.wall()) if when is None else when))
        self._gated(dt.datetime, "now", now_of(clock.wall))
        self._gated(dt.datetime, "utcnow", utcnow_of(clock.wall))

    def _clock(self, clock_id: int) -> Callable[[], float]:
        clock = self.world.clock
        return clock.wall if clock_id in WALL_CLOCKS else clock.monotonic

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
        self._gated(posix, "urandom", randomness.urandom)
        self._gated(os, "urandom", randomness.urandom)
        self._gated(os, "getrandom", lambda size, _flags=0: randomness.urandom(size))
        self._gated(tempfile, "_get_candidate_names", randomness.names)
        self._refused(uuid, "uuid1", "it holds the machine's address and time; use uuid4")
        self._patch_numpy()

    @contextmanager
    def _numpy_comes(self) -> Iterator[None]:
        # What it draws to seed itself it draws once, in the run that happens to import it.
        with self.randomness.unused():
            yield
        self._patch_numpy()

    def _patch_numpy(self) -> None:
        """Have each process draw from a generator of its own where numpy has one hidden generator."""
        numpy_random: Any = sys.modules.get("numpy.random")
        if hasattr(numpy_random, "RandomState"):
            self.randomness.seed_numpy()
            for name in dir(numpy_random.RandomState):
                if not name.startswith("_") and name in vars(numpy_random):
                    self._gated(numpy_random, name, self.randomness.numpy(name))

    def _replace_seed(self, randomness: Randomness) -> None:
        self._gated(random.Random, "seed", randomness.reseed)

    # -- threads

    def _patch_threads(self) -> None:
        world, threads = self.world, self.threads
        self._gated(threading, "Lock", lambda: SimLock(world))
        self._gated(threading, "_allocate_lock", lambda: SimLock(world, shared=True))
        self._gated(threading, "RLock", lambda: SimRLock(world))
        self._gated(threading, "_time", world.clock.monotonic)
        self._gated(queue, "time", world.clock.monotonic)
        self._gated(queue, "SimpleQueue", lambda: SimpleQueue(world))
        self._gated(threading, "get_ident", threads.ident)
        self._gated(threading, "get_native_id", lambda: threads.native_ident() or self.system.getpid())
        real_join, real_alive = (replaced.real(threading.Thread, name) for name in ("join", "is_alive"))
        self._gated(threading.Thread, "start", threads.start)
        self._gated(threading.Thread, "join", lambda thread, timeout=None: threads.join(thread, timeout, real_join))
        self._gated(threading.Thread, "is_alive", lambda thread: threads.is_alive(thread, real_alive))
        made = replaced.real(concurrent.futures.Future, "__init__")
        self._gated(concurrent.futures.Future, "__init__", lambda future: threads.future(future, made))

    @contextmanager
    def _multiprocessing_comes(self) -> Iterator[None]:
        yield
        self._patch_multiprocessing()

    def _patch_multiprocessing(self) -> None:
        module: Any = sys.modules.get("multiprocessing.process")
        if hasattr(module, "BaseProcess"):
            self._refused(module.BaseProcess, "start", "use remote functions and actors")
        tracker: Any = sys.modules.get("multiprocessing.resource_tracker")
        if hasattr(tracker, "register"):
            self._gated(tracker, "register", partial(_not_tracked, replaced.real(tracker, "register")))

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        from actorgrid.sim.async_actor import SimLoop

        self.system.share()
        return SimLoop(self.world)
