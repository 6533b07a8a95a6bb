"""Locks and queues of simulated code: flags that fibers wait for.

A lock that a parked fiber holds would stop the one real thread for ever, so simulated code gets locks that park. They
behave as ``threading``'s; conditions, events, semaphores, barriers and queues are built on them by the standard library
itself.

Such a lock may lie in a module, and then outlives its world, and all simulated processes find it there. So it keeps a
state for each process of the world that is open, as each real process has a lock of its own; code that is not simulated
finds a real lock. When its world ends it keeps nothing of that.
"""

from __future__ import annotations

import _queue
import _thread
import sys
from abc import ABC, abstractmethod
from collections import deque
from queue import Empty
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from actorgrid.sim.fibers import Fiber
from actorgrid.sim.standins import simulating

if TYPE_CHECKING:
    from actorgrid.sim.world import World


#: What is taken for whoever uses it; and whose locks are their own business: nobody comes in between there.
_BUILT_ON_LOCKS: Final = frozenset({__name__, "queue", "threading"})
_LIBRARIES: Final = frozenset({"actorgrid", "asyncio", "concurrent", "logging", "multiprocessing"})


class _Over:
    """What stands where a world was that is over."""

    over = True


_OVER: Final[Any] = _Over()


class _State(ABC):
    """Something of one process that fibers wait for."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[Fiber] = deque()

    @abstractmethod
    def forget(self) -> None:
        """Keep nothing of the world."""


S = TypeVar("S", bound=_State)


class OnePerProcess(ABC, Generic[S]):
    """Something of which each process has its own."""

    def __init__(self, world: World, *, shared: bool = False) -> None:
        """``shared``: it is not one of a process but of whoever waits, as the locks in a condition are."""
        self._world = world
        self._shared = shared
        self._states: dict[Any, S] = {}
        self._last: S | None = None
        world.surroundings.locks.add(self)

    @abstractmethod
    def _make(self) -> S:
        """Return the state of a process that has none yet."""

    def _here(self) -> S | None:
        """Return the state of the process whose code runs; None if this is not simulated code."""
        world = simulating()
        if world is None:
            # Between two steps of an open world: a finalizer, say, or who looks at it from outside.
            return None if self._world.over else self._last or self._of(None)
        if world is not self._world:
            self._world = world
            self._states.clear()
            world.surroundings.locks.add(self)
        fiber = None if self._shared else world.fibers.current
        return self._of(getattr(fiber.home, "worker", None) if fiber is not None else None)

    def world_ends(self) -> None:
        """Keep nothing of the world but, for who releases it later, whether it was locked."""
        self._world = _OVER
        for state in self._states.values():
            state.forget()
        self._states.clear()

    def _of(self, process: Any) -> S:
        state = self._states.get(process)
        if state is None:
            state = self._states[process] = self._make()
        self._last = state
        return state


def wait_in(waiting: deque[Fiber], world: World, why: str, until: float | None, over: Any) -> bool:
    """Park the fiber that runs until it is woken, or until it is late. Returns whether it was not late."""
    left = None if until is None else until - world.clock.now
    if left is not None and left <= 0:
        return False
    fiber = world.fibers.current
    if fiber is None:
        raise RuntimeError("code outside of the simulation waits for a lock that simulated code holds")
    waiting.append(fiber)
    try:
        world.waits.wait(why, left, over)
    finally:
        if fiber in waiting:
            waiting.remove(fiber)
    world.takes_turn("goes on")
    return True


def _is_the_librarys() -> bool:
    """Return whether a lock is asked for by a module that keeps it to itself, and not by the program."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  # Python's own way to look at one's caller
    while frame is not None and frame.f_globals.get("__name__") in _BUILT_ON_LOCKS:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES


class _Held(_State):
    """A lock of one process."""

    __slots__ = ("count", "locked", "owner")

    def __init__(self) -> None:
        super().__init__()
        self.locked = False
        #: For RLock: who holds it, how often.
        self.owner: Any = None
        self.count = 0

    def forget(self) -> None:
        """See ``_State``."""
        self.waiting.clear()
        self.owner = None

    def comes(self, world: World) -> None:
        """A thread is about to take it: others of its process may come before."""
        fiber = world.fibers.current
        if fiber is not None and fiber.home is not None and fiber.home.has_threads() and not _is_the_librarys():
            fiber.home.takes_turn("takes a lock")

    def acquire(self, world: World, blocking: bool, timeout: float) -> bool:
        until = None if timeout < 0 else world.clock.now + timeout
        while self.locked:
            if not blocking or not wait_in(self.waiting, world, "a lock", until, lambda: not self.locked):
                return False
        self.locked = True
        return True

    def release(self, world: World) -> None:
        if not self.locked:
            raise RuntimeError("release unlocked lock")
        self.locked = False
        if self.waiting:
            world.fibers.wake(self.waiting.popleft())


class SimLock(OnePerProcess[_Held]):
    """``threading.Lock`` for fibers."""

    def __init__(self, world: World, *, shared: bool = False) -> None:
        super().__init__(world, shared=shared)
        self._real: Any = _thread.allocate_lock()

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.lock' object")

    def _make(self) -> _Held:
        return _Held()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See ``threading.Lock.acquire``."""
        held = self._here()
        if held is None:
            return bool(self._real.acquire(blocking, timeout))
        held.comes(self._world)
        return held.acquire(self._world, blocking, timeout)

    def release(self) -> None:
        """See ``threading.Lock.release``. A world may have begun, or ended, since it was acquired."""
        held = self._here()
        if held is None and not self._real.locked() and self._last is not None and self._last.locked:
            self._last.locked = False
        elif held is None or (not held.locked and self._real.locked()):
            self._real.release()
        else:
            held.release(self._world)

    def locked(self) -> bool:
        """See ``threading.Lock.locked``."""
        held = self._here()
        return bool(self._real.locked()) if held is None else held.locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._states.clear()
        self._last = None
        self._real._at_fork_reinit()  # noqa: SLF001  # what threading calls


class SimRLock(OnePerProcess[_Held]):
    """``threading.RLock`` for fibers."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._real: Any = _thread.RLock()

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.RLock' object")

    def _make(self) -> _Held:
        return _Held()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See ``threading.RLock.acquire``."""
        held = self._here()
        if held is None:
            return bool(self._real.acquire(blocking, timeout))
        me = self._world.fibers.current
        if held.count and held.owner is me:
            held.count += 1
            return True
        held.comes(self._world)
        if held.acquire(self._world, blocking, timeout):
            held.owner = me
            held.count = 1
            return True
        return False

    def release(self) -> None:
        """See ``threading.RLock.release``. A world may have begun, or ended, since it was acquired."""
        held = self._here()
        ours = bool(self._real._is_owned())  # noqa: SLF001  # what threading.Condition asks of a lock
        if held is None and not ours and self._last is not None and self._last.count:
            self._last.count -= 1
            self._last.locked = bool(self._last.count)
            return
        if held is None or (ours and not self._owns(held)):
            self._real.release()
            return
        if not self._owns(held):
            raise RuntimeError("cannot release un-acquired lock")
        held.count -= 1
        if not held.count:
            held.owner = None
            held.release(self._world)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _owns(self, held: _Held) -> bool:
        return bool(held.count) and held.owner is self._world.fibers.current

    # What threading.Condition asks of a lock.

    def _is_owned(self) -> bool:
        held = self._here()
        return bool(self._real._is_owned()) if held is None else self._owns(held)  # noqa: SLF001  # see above

    def _recursion_count(self) -> int:
        held = self._here()
        return int(self._real._recursion_count()) if held is None else held.count  # noqa: SLF001  # see above

    def _release_save(self) -> Any:
        held = self._here()
        if held is None:
            return self._real._release_save()  # noqa: SLF001  # see above
        state = held.count, held.owner
        held.count, held.owner = 0, None
        held.release(self._world)
        return state

    def _acquire_restore(self, state: Any) -> None:
        held = self._here()
        if held is None:
            self._real._acquire_restore(state)  # noqa: SLF001  # see above
            return
        held.acquire(self._world, blocking=True, timeout=-1)
        held.count, held.owner = state

    def _at_fork_reinit(self) -> None:
        self._states.clear()
        self._last = None
        self._real._at_fork_reinit()  # noqa: SLF001  # what threading calls


class _Items(_State):
    """A queue of one process."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[Any] = deque()

    def forget(self) -> None:
        """See ``_State``."""
        self.waiting.clear()
        self.items.clear()


class SimpleQueue(OnePerProcess[_Items]):
    """``queue.SimpleQueue`` for fibers."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._real: Any = _queue.SimpleQueue()

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_queue.SimpleQueue' object")

    def _make(self) -> _Items:
        return _Items()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """See ``queue.SimpleQueue.put``."""
        del block, timeout
        here = self._here()
        if here is None:
            self._real.put(item)
            return
        here.items.append(item)
        if here.waiting:
            self._world.fibers.wake(here.waiting.popleft())

    def put_nowait(self, item: Any) -> None:
        """See ``queue.SimpleQueue.put_nowait``."""
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """See ``queue.SimpleQueue.get``."""
        here = self._here()
        if here is None:
            return self._real.get(block, timeout)
        world = self._world
        until, waited = None if timeout is None else world.clock.now + timeout, False
        while not here.items:
            if not block or world.fibers.current is None:
                raise Empty
            if not wait_in(here.waiting, world, "a queue", until, lambda: bool(here.items)):
                raise Empty
            waited = True
        item = here.items.popleft()
        if not waited:
            world.takes_turn("goes on")
        return item

    def get_nowait(self) -> Any:
        """See ``queue.SimpleQueue.get_nowait``."""
        return self.get(block=False)

    def empty(self) -> bool:
        """See ``queue.SimpleQueue.empty``."""
        here = self._here()
        return bool(self._real.empty()) if here is None else not here.items

    def qsize(self) -> int:
        """See ``queue.SimpleQueue.qsize``."""
        here = self._here()
        return int(self._real.qsize()) if here is None else len(here.items)
