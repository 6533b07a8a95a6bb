"""Threads, locks and queues of simulated code: fibers and flags.

A lock that a parked fiber holds would stop the one real thread for ever, so simulated code gets locks that park. They
behave as ``threading``'s; conditions, events, semaphores, barriers and queues are built on them by the standard library
itself. What simulated code starts as a thread is a fiber of its process.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from actorgrid.sim.fibers import Fiber, WorldOver

if TYPE_CHECKING:
    from actorgrid.sim.world import World


class SimLock:
    """``threading.Lock`` for fibers."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.lock' object")

    def __init__(self, world: World) -> None:
        self._world = world
        self._locked = False
        self._waiting: deque[Fiber] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See ``threading.Lock.acquire``."""
        if not self._locked:
            self._locked = True
            return True
        if not blocking:
            return False
        return self._wait(None if timeout < 0 else timeout)

    def _wait(self, timeout: float | None) -> bool:
        world = self._world
        until = None if timeout is None else world.clock.now + timeout
        while self._locked:
            left = None if until is None else until - world.clock.now
            if left is not None and left <= 0:
                return False
            fiber = world.fibers.current
            if fiber is None:
                raise RuntimeError("code outside of the simulation waits for a lock that simulated code holds")
            self._waiting.append(fiber)
            try:
                world.wait("a lock", left, lambda: not self._locked)
            finally:
                if fiber in self._waiting:
                    self._waiting.remove(fiber)
        self._locked = True
        return True

    def release(self) -> None:
        """See ``threading.Lock.release``."""
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        self._locked = False
        if self._waiting:
            self._world.fibers.wake(self._waiting.popleft())

    def locked(self) -> bool:
        """See ``threading.Lock.locked``."""
        return self._locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._locked = False


class SimRLock:
    """``threading.RLock`` for fibers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._block = SimLock(world)
        self._owner: Any = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See ``threading.RLock.acquire``."""
        me = self._world.fibers.current
        if self._count and self._owner is me:
            self._count += 1
            return True
        if self._block.acquire(blocking, timeout):
            self._owner = me
            self._count = 1
            return True
        return False

    def release(self) -> None:
        """See ``threading.RLock.release``."""
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # What threading.Condition asks of a lock.

    def _is_owned(self) -> bool:
        return bool(self._count) and self._owner is self._world.fibers.current

    def _release_save(self) -> tuple[int, Any]:
        state = self._count, self._owner
        self._count, self._owner = 0, None
        self._block.release()
        return state

    def _acquire_restore(self, state: tuple[int, Any]) -> None:
        self._block.acquire()
        self._count, self._owner = state


class SimpleQueue:
    """``queue.SimpleQueue`` for fibers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._items: deque[Any] = deque()
        self._waiting: deque[Fiber] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """See ``queue.SimpleQueue.put``."""
        del block, timeout
        self._items.append(item)
        if self._waiting:
            self._world.fibers.wake(self._waiting.popleft())

    def put_nowait(self, item: Any) -> None:
        """See ``queue.SimpleQueue.put_nowait``."""
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """See ``queue.SimpleQueue.get``."""
        from queue import Empty

        world = self._world
        until = None if timeout is None else world.clock.now + timeout
        while not self._items:
            left = None if until is None else until - world.clock.now
            fiber = world.fibers.current
            if not block or (left is not None and left <= 0) or fiber is None:
                raise Empty
            self._waiting.append(fiber)
            try:
                world.wait("a queue", left, lambda: bool(self._items))
            finally:
                if fiber in self._waiting:
                    self._waiting.remove(fiber)
        return self._items.popleft()

    def get_nowait(self) -> Any:
        """See ``queue.SimpleQueue.get_nowait``."""
        return self.get(block=False)

    def empty(self) -> bool:
        """See ``queue.SimpleQueue.empty``."""
        return not self._items

    def qsize(self) -> int:
        """See ``queue.SimpleQueue.qsize``."""
        return len(self._items)


class Threads:
    """The simulated threads of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._done: dict[threading.Thread, bool] = {}
        self._joining: dict[threading.Thread, list[Fiber]] = {}
        self._real_ident = threading.get_ident()

    def ident(self) -> int:
        """Return what ``threading.get_ident`` says."""
        fiber = self.world.fibers.current
        return self._real_ident if fiber is None or not fiber.ident else fiber.ident

    def start(self, thread: threading.Thread) -> None:
        """See ``threading.Thread.start``."""
        if thread in self._done:
            raise RuntimeError("threads can only be started once")
        self._done[thread] = False
        world, here = self.world, self.world.fibers.current
        assert here is not None
        if here.home is None:
            world.shared = True
        else:
            here.home.share()
        fiber = world.fibers.spawn(here.home, thread.name, world.chain(thread.name), lambda: self._live(thread, fiber))
        fiber.ident = world.new_ident()
        thread._ident = fiber.ident  # type: ignore[attr-defined]  # noqa: SLF001  # as Thread._bootstrap does
        thread._started.set()  # type: ignore[attr-defined]  # noqa: SLF001  # see above

    def _live(self, thread: threading.Thread, fiber: Fiber) -> None:
        threading._active[fiber.ident] = thread  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        try:
            thread.run()
        except (WorldOver, SystemExit):
            pass
        except BaseException:  # noqa: BLE001  # as a real thread: shown, and nobody else's business
            threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), thread]))
        finally:
            threading._active.pop(fiber.ident, None)  # type: ignore[attr-defined]  # noqa: SLF001  # see above
            self._done[thread] = True
            for waiting in self._joining.pop(thread, ()):
                self.world.fibers.wake(waiting)

    def join(self, thread: threading.Thread, timeout: float | None, real: Callable[..., None]) -> None:
        """See ``threading.Thread.join``."""
        if thread not in self._done:
            real(thread, timeout)
            return
        fiber = self.world.fibers.current
        if not self._done[thread] and fiber is not None:
            self._joining.setdefault(thread, []).append(fiber)
            self.world.wait(f"thread {thread.name}", timeout, lambda: self._done[thread])

    def is_alive(self, thread: threading.Thread, real: Callable[..., bool]) -> bool:
        """See ``threading.Thread.is_alive``."""
        return not self._done[thread] if thread in self._done else real(thread)

    def bury(self) -> None:
        """The world is over: let the interpreter, which waits for threads at its end, take these for ended."""
        pools = sys.modules.get("concurrent.futures.thread")
        for thread in self._done:
            if pools is not None:
                pools._threads_queues.pop(thread, None)  # noqa: SLF001  # which it joins at exit
            if hasattr(thread, "_is_stopped"):  # before CPython 3.13, which waits for real threads only
                thread._is_stopped = True  # noqa: SLF001  # as Thread._stop
