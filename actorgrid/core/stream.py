"""The two ends of a stream: what its reader's process knows of it, and what the worker knows that runs its generator.

Rules for this file: those of ``core.client`` and of ``core.worker``, whose parts these are.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.messages import UNBOUNDED, Spec, Status, Taken, Value

if TYPE_CHECKING:
    from actorgrid.core.client import Client, Entry, Waiter

#: Below this bound each item that is taken counts at once; else half of the bound, while the reader does not rest.
EXACT: Final = 8
#: Stands for the value of an item that is on its way.
_COMING: Final = Value(Status.OK)


def streams(spec: Spec) -> bool:
    """Return whether calls of ``spec`` are generators whose items go to their caller as they come."""
    return spec.yields > 0 or spec.yields == UNBOUNDED


class Inflow:
    """The reader's end: items that have come and were not taken, and the object that tells the end.

    Whoever waits for the next item, or for the end, waits for this as for an object (see ``core.client.Awaited``).
    """

    __slots__ = (
        "bounded", "client", "closed", "end", "items", "known", "oid", "raised", "step", "taken", "told", "waiters",
    )  # fmt: skip

    # Invariant: (self in self.client.untold) == (self.bounded and self.told < self.taken)

    def __init__(self, client: Client, end: Entry, bound: int) -> None:
        self.client = client
        self.end = end
        self.oid = end.oid
        #: Items in their order. Each holds one reference to its entry, which goes to whoever takes it.
        self.items: deque[Entry] = deque()
        #: How many were taken, and how many of them the head knows of; how many it is told of at once.
        self.taken = self.told = 0
        self.step = 1 if bound < EXACT else bound // 2
        #: Its generator may have to wait until items are taken.
        self.bounded = bound > 0
        #: It was dismissed: nothing more is read.
        self.closed = False
        #: The error that ended it has been handed out.
        self.raised = False
        #: As an object would say: what comes is sent without asking.
        self.known = True
        self.waiters: list[Waiter] | None = None
        if end.waiters is None:
            end.waiters = []
        end.waiters.append(self)

    @property
    def value(self) -> Value | None:
        """What the next item is, or how it has ended; None if whoever reads on has to wait."""
        if self.items:
            return self.items[0].value or _COMING
        return _COMING if self.closed else self.end.value

    @property
    def ready(self) -> bool:
        """Whoever reads on need not wait."""
        return bool(self.items) or self.closed or self.end.value is not None

    @property
    def over(self) -> bool:
        """There is nothing more to read, and never will be."""
        if self.closed:
            return True
        value = self.end.value
        return not self.items and value is not None and (self.raised or value.status is Status.OK)

    @property
    def engine(self) -> Any:
        """The engine that it belongs to."""
        return self.client.host

    def hex(self) -> str:
        """The id of the object that tells its end, as text."""
        return self.end.hex()

    def add(self, entry: Entry) -> None:
        """The next item."""
        self.items.append(entry)
        self._tell()

    def take(self) -> Entry | None:
        """Return the next item, or (once) the error that ended it, and one reference to that; None if there is none."""
        if self.items:
            entry = self.items.popleft()
            self.taken += 1
            if self.bounded:
                if self.taken - self.told >= self.step:
                    self.tell()
                else:
                    self.client.untold[self] = None
            return entry
        if self.over or self.end.value is None:
            return None
        self.raised = True
        self.end.refs += 1
        return self.end

    def leave(self) -> None:
        """The generator object is gone. May be called from anywhere."""
        self.client.dismissed.append(self)
        self.end.drop()
        self.client.host.wake()

    def lift(self) -> None:
        """Let it run ahead: its end is waited for."""
        if self.bounded:
            self._unbind()
            self.client.outbox.append(Taken(self.oid, UNBOUNDED))

    def tell(self) -> None:
        """Tell how many were taken: its generator may wait for that."""
        self.client.untold.pop(self, None)
        self.told = self.taken
        outbox = self.client.outbox
        last = outbox[-1] if outbox else None
        if type(last) is Taken and last.task == self.oid:
            last.count = self.taken
        else:
            outbox.append(Taken(self.oid, self.taken))

    def _unbind(self) -> None:
        self.bounded = False
        self.client.untold.pop(self, None)

    def arrived(self, entry: Entry) -> None:
        """It has ended."""
        del entry
        self._unbind()
        self.client.streams.pop(self.oid, None)
        self._tell()

    def release(self) -> None:
        """The grid is gone: so is every wait (see ``Client.die``)."""

    def _tell(self) -> None:
        if self.waiters is not None:
            waiters, self.waiters = self.waiters, None
            for waiter in waiters:
                waiter.arrived(self)


class Outflow:
    """The worker's end: how much a generator has yielded, and how much of that its reader has taken."""

    __slots__ = ("at", "bound", "taken")

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.at = 0
        self.taken = 0

    @property
    def full(self) -> bool:
        """It is so far ahead of its reader that it must wait."""
        return 0 <= self.bound <= self.at - self.taken

    def credit(self, taken: int) -> None:
        """The reader has taken so many items; UNBOUNDED: never mind."""
        if taken == UNBOUNDED:
            self.bound = UNBOUNDED
        else:
            self.taken = taken
