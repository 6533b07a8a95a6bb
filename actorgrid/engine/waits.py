"""Waiting for objects, in the three ways a program can: block, be called back, count pending calls."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Protocol

from actorgrid.core.client import Entry, failed
from actorgrid.exceptions import PendingCallsLimitExceeded


class Sleeper(Protocol):
    """What a thread sleeps on; a host may bring its own."""

    open: bool
    #: What to raise instead of going on, if it was released because its objects will never be.
    error: BaseException | None

    def arrived(self, entry: Entry) -> None:
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

    def arrived(self, entry: Entry) -> None:
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
        if timeout is None:
            return self.lock.acquire()
        return self.lock.acquire(timeout=min(max(timeout, 0.0), _thread.TIMEOUT_MAX))


class CallbackWaiter:
    """What is to happen once an object exists, or never will. It happens with the engine's lock held."""

    __slots__ = ("then",)

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def arrived(self, entry: Entry) -> None:
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
