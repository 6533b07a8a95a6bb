"""Fibers: lines of execution that take turns in one thread.

Every thread of every simulated process is a fiber, a greenlet. Exactly one runs at a time; it runs until it parks, and
then the hub decides who is next. Greenlets are pooled: a fresh one costs 8 microseconds, a used one half of one. Where
many worlds open and close one after the other, those of one serve the next.

A killed fiber is never resumed while the world lives: SIGKILL runs no ``finally``. Dropping a parked greenlet would run
them, so the dead are kept until the verdict is in and unwound then (``unwind``).

This file may not know what a fiber runs or what it waits for.
"""

from __future__ import annotations

import contextvars
import sys
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from greenlet import getcurrent, greenlet

#: How often code that runs on after the end of its world may call us before it is given up on.
PATIENCE: Final = 1000


class WorldOver(BaseException):
    """Thrown into what still runs when a simulation is over; raised by every call that it makes then."""


class DriverKilled(BaseException):
    """Thrown into the main program when its process is killed. What it does after that nobody hears."""


class Fiber:
    """A line of execution of a simulated process (``home``: whatever the world needs to find again)."""

    __slots__ = (
        "calls_after_end",
        "chain",
        "dead",
        "error",
        "glet",
        "home",
        "ident",
        "name",
        "parked",
        "pending",
        "timer",
        "watch",
        "went",
    )

    def __init__(self, home: Any, name: str, chain: Any) -> None:
        self.home = home
        self.name = name
        #: The chain of calls that it belongs to (see ``choices``).
        self.chain = chain
        self.glet: greenlet | None = None
        #: What it waits for, in words; "" while it runs or may run.
        self.parked = ""
        #: It was woken before it could park.
        self.pending = False
        #: What it is resumed with.
        self.error: BaseException | None = None
        self.timer: Any = None
        self.dead = False
        self.calls_after_end = 0
        #: What looks at the code that it runs (see ``readonly``): not at what others do while it is parked.
        self.watch: Any = None
        #: What it takes for its thread's identifier; 0: the main thread's.
        self.ident = 0
        #: What the last time is called that it went on; 0: nobody has asked.
        self.went = 0

    def frame(self) -> FrameType | None:
        """Return its innermost frame while it is parked."""
        return None if self.glet is None else self.glet.gr_frame

    def __repr__(self) -> str:
        return f"<fiber {self.name}>"


class _Pool:
    """Greenlets that run one job after the other."""

    def __init__(self) -> None:
        self._idle: list[greenlet] = []
        #: What each of them runs next; a job returns who goes on when it is over.
        self._jobs: dict[greenlet, Callable[[], greenlet]] = {}

    def take(self, job: Callable[[], greenlet], parent: greenlet) -> greenlet:
        """Return a greenlet that will run ``job``."""
        if self._idle:
            glet = self._idle.pop()
            glet.parent = parent
        else:
            glet = greenlet(self._serve, parent)
        self._jobs[glet] = job
        return glet

    def _serve(self) -> None:
        """Run one job after the other: the life of a pooled greenlet."""
        me = getcurrent()
        while True:
            job = self._jobs.pop(me, None)
            if job is None:
                return
            next_one = job()
            self._idle.append(me)
            del job  # nothing of a world that is over is kept
            next_one.switch()

    def drop(self, glet: greenlet) -> None:
        """Forget the job of a greenlet that will not run it."""
        self._jobs.pop(glet, None)

    def rest(self, here: greenlet) -> None:
        """A world is over: have the idle not keep its hub."""
        for glet in self._idle:
            glet.parent = here

    def drain(self) -> None:
        """End the idle ones."""
        here = getcurrent()
        for glet in self._idle:
            glet.parent = here
            glet.switch()
        self._idle.clear()


#: Thread -> the pool that its worlds share at the moment.
_pools: Final[dict[int, _Pool]] = {}


@contextmanager
def pooled() -> Iterator[None]:
    """While the block lasts, the worlds that this thread opens share their greenlets."""
    thread = get_ident()
    if thread in _pools:
        yield
        return
    pool = _pools[thread] = _Pool()
    try:
        yield
    finally:
        del _pools[thread]
        pool.drain()


class Fibers:
    """The fibers of one world, and the hub they switch to."""

    def __init__(self, enter: Callable[[Fiber], None]) -> None:
        """``enter`` is called before a fiber goes on."""
        self._enter = enter
        self.ready: deque[Fiber] = deque()
        self.current: Fiber | None = None
        #: Every fiber that has not ended. Ordered by birth.
        self.alive: dict[Fiber, None] = {}
        shared = _pools.get(get_ident())
        self._pool, self._is_shared = shared or _Pool(), shared is not None
        self.hub: greenlet | None = None
        #: The killed: kept so that nothing of them runs before the end.
        self.graves: list[Fiber] = []
        self.over = False

    # -- birth

    def adopt(self, home: Any, name: str, chain: Any) -> Fiber:
        """Make a fiber of the code that runs now."""
        fiber = Fiber(home, name, chain)
        fiber.glet = getcurrent()
        self.alive[fiber] = None
        self.current = fiber
        return fiber

    def spawn(self, home: Any, name: str, chain: Any, body: Callable[[], None]) -> Fiber:
        """Make a fiber that will run ``body``, which must not raise."""
        fiber = Fiber(home, name, chain)

        def job() -> greenlet:
            self.current = fiber
            try:
                contextvars.Context().run(body)
            except WorldOver:
                pass
            finally:
                self.current = None
                self.alive.pop(fiber, None)
                fiber.glet = None
            assert self.hub is not None
            return self.hub

        assert self.hub is not None
        fiber.glet = self._pool.take(job, self.hub)
        self.alive[fiber] = None
        self.ready.append(fiber)
        return fiber

    # -- turns

    def park(self, why: str) -> None:
        """Let others run until somebody wakes this fiber. Raises what ``wake`` was given, WorldOver at the end."""
        fiber = self.current
        assert fiber is not None, "only fibers park"
        if self.over:
            self.check_over(fiber)
        assert self.hub is not None
        if fiber.pending:
            fiber.pending = False
            return
        watch = fiber.watch
        if watch is not None:
            watch.end()
        fiber.parked = why
        loop = _running_loop()
        if loop is not None:
            _set_running_loop(None)
        # Finalizers run anywhere: what they see as current must be whose stack they are on.
        self.current = None
        self.hub.switch()
        self.current = fiber
        if loop is not None:
            _set_running_loop(loop)
        if watch is not None:
            watch.begin()
        error, fiber.error = fiber.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def check_over(self, fiber: Fiber) -> None:
        """The world is over: stop the calling fiber."""
        fiber.calls_after_end += 1
        if fiber.calls_after_end > PATIENCE and self.hub is not None:
            self.hub.switch()  # it swallows everything that is thrown at it: leave it where it is
        raise WorldOver

    def wake(self, fiber: Fiber, error: BaseException | None = None) -> None:
        """Let a parked fiber go on, with ``error`` if given."""
        if fiber.dead:
            return
        if not fiber.parked:
            fiber.pending = fiber is self.current  # it is about to park: a finalizer runs in between
            return
        fiber.parked = ""
        fiber.error = error
        self.ready.append(fiber)

    def run_one(self) -> None:
        """Give the fiber that has waited longest its turn."""
        fiber = self.ready.popleft()
        if fiber.dead or fiber.glet is None:
            return
        self._enter(fiber)
        fiber.glet.switch()

    def kill(self, fiber: Fiber) -> None:
        """Never let a fiber run again while the world lives."""
        fiber.dead = True
        fiber.parked = ""  # it waits for nothing any more: nobody shall offer it what it waited for
        self.alive.pop(fiber, None)
        self.graves.append(fiber)

    # -- the end

    def unwind(self) -> None:
        """End everything that is still parked, the dead too. Called from outside of every fiber but the first."""
        self.over = True
        here = getcurrent()
        hub, self.hub = self.hub, here  # whoever parks now comes back to us
        if hub is not None and hub and hub is not here:
            hub.parent = here
            _throw(hub)
        for fiber in [*self.alive, *self.graves]:
            glet = fiber.glet
            if glet is None or glet is here or glet.dead:
                continue
            self._pool.drop(glet)
            if not glet:
                continue  # a greenlet that never started is simply dropped
            self.current = fiber
            glet.parent = here
            _throw(glet)
        if self._is_shared:
            self._pool.rest(here)
        else:
            self._pool.drain()
        self.alive.clear()
        self.graves.clear()
        self.current = None


def _throw(glet: greenlet) -> None:
    try:
        glet.throw(WorldOver)
    except WorldOver:
        pass


def _running_loop() -> Any:
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()  # noqa: SLF001  # asyncio's own protocol for loops


def _set_running_loop(loop: Any) -> None:
    sys.modules["asyncio.events"]._set_running_loop(loop)  # noqa: SLF001  # see above
