"""Waiting for objects, in the three ways a program can: block, be called back, count pending calls."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from time import monotonic  # by name: user code may replace that of the module
from typing import Final, Protocol, TypeVar

from actorgrid.core.client import Awaited, Entry, failed
from actorgrid.engine.interrupts import breathe
from actorgrid.exceptions import PendingCallsLimitExceeded

T = TypeVar("T")

#: Whoever waits for room among the pending tasks waits for a ``SPARE``-th of them, not for each.
SPARE: Final = 10
#: So often (seconds) the main thread looks whether it was interrupted: a signal that comes just before it falls asleep
#: does not wake it, and ``_thread.interrupt_main`` never does. Other threads are not interrupted.
GLANCE: Final = 0.2


def at_a_time() -> float:
    """Return how long the calling thread may sleep at a time (seconds)."""
    return GLANCE if _thread.get_ident() == threading.main_thread().ident else _thread.TIMEOUT_MAX


def in_glances(sleep: Callable[[float], T], timeout: float | None) -> T:
    """Call ``sleep(seconds)`` until it returns something true, or ``timeout`` seconds have passed. Returns the last."""
    left = _thread.TIMEOUT_MAX if timeout is None else min(max(timeout, 0.0), _thread.TIMEOUT_MAX)
    most = at_a_time()
    deadline = monotonic() + left
    while not (found := sleep(min(left, most))):
        breathe()
        left = deadline - monotonic()
        if left <= 0:
            break
    return found


class Sleeper(Protocol):
    """What a thread sleeps on; a host may bring its own."""

    open: bool
    #: What to raise instead of going on, if it was released because its objects will never be.
    error: BaseException | None

    def arrived(self, entry: Awaited) -> None:
        """One of the objects exists now."""

    def release(self) -> None:
        """Let the thread go on."""

    def wait(self, timeout: float | None) -> bool:
        """Sleep until released or until ``timeout`` seconds have passed. Returns whether it was released."""


class BlockingWaiter:
    """A thread that waits until ``need`` of its objects exist, or (``eager``) one of them is an error.

    ``arrived`` is called by whichever thread reads, with the engine's lock held; the waiting one sleeps on a bare lock.
    """

    __slots__ = ("eager", "error", "left", "lock", "open")

    def __init__(self, need: int, *, eager: bool) -> None:
        self.left = need
        self.eager = eager
        self.open = False
        self.error: BaseException | None = None
        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def arrived(self, entry: Awaited) -> None:
        """One of the objects exists now."""
        self.left -= 1
        if not self.open and (self.left <= 0 or (self.eager and entry.value is not None and failed(entry.value))):
            self.release()

    def release(self) -> None:
        """Let the thread go on."""
        if not self.open:
            self.open = True
            self.lock.release()

    def wait(self, timeout: float | None) -> bool:
        """Sleep until released or until ``timeout`` seconds have passed. Returns whether it was released."""
        return in_glances(lambda seconds: self.lock.acquire(timeout=seconds), timeout)


class CallbackWaiter:
    """What is to happen once an object exists, or never will. It happens with the engine's lock held."""

    __slots__ = ("then",)

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def arrived(self, entry: Awaited) -> None:
        """The object exists."""
        del entry
        self.release()

    def release(self) -> None:
        """Let it happen."""
        self.then()


class PendingCalls:
    """Counts the unfinished calls of one actor from this process, for ``max_pending_calls``."""

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.limit = limit

    def check(self) -> None:
        """Raise PendingCallsLimitExceeded if one more call would be too many."""
        if self.count >= self.limit:
            raise PendingCallsLimitExceeded(
                f"this actor has {self.count} pending calls from this process, and max_pending_calls={self.limit}; "
                "wait for some of them first"
            )

    def add(self, entry: Entry) -> None:
        """One more call, which ends when ``entry`` exists. It is held until then: else we would not hear of it."""
        self.count += 1
        entry.refs += 1
        if entry.waiters is None:
            entry.waiters = []
        entry.waiters.append(self)

    def arrived(self, entry: Entry) -> None:
        """A call is over."""
        self.count -= 1
        entry.drop()

    def release(self) -> None:
        """The grid is gone."""
        self.count = 0


class PendingTasks:
    """The unfinished tasks of this process, for ``max_pending_tasks``.

    Each is held until it ends: else we would not hear of that.
    """

    __slots__ = ("entries", "limit", "refuses")

    def __init__(self, limit: int, *, refuses: bool) -> None:
        """``refuses``: one task more is an error; else whoever submits it waits."""
        self.limit = limit
        self.refuses = refuses
        self.entries: dict[Entry, None] = {}

    def add(self, entry: Entry) -> None:
        """One more task, which ends when ``entry`` exists. Called with the engine's lock held."""
        self.entries[entry] = None
        entry.refs += 1
        if entry.waiters is None:
            entry.waiters = []
        entry.waiters.append(self)

    def excess(self) -> int:
        """Return how many must end before one more may be submitted, and some to spare; 0: none."""
        too_many = len(self.entries) - self.limit + 1
        return too_many + self.limit // SPARE if too_many > 0 else 0

    def check(self, *, may_wait: bool) -> None:
        """Raise PendingCallsLimitExceeded if one more cannot be waited for."""
        if may_wait and not self.refuses:
            return
        why = "" if self.refuses else ", and an event loop cannot wait here"
        raise PendingCallsLimitExceeded(
            f"{len(self.entries)} tasks of this process are not over, which are as many as init(max_pending_tasks="
            f"{self.limit}) allows{why}: get or await some of them first"
        )

    def arrived(self, entry: Entry) -> None:
        """A task is over."""
        self.entries.pop(entry, None)
        entry.drop()

    def release(self) -> None:
        """The grid is gone."""
        self.entries.clear()
