"""The client: what a process (a driver or a worker) knows of the objects and actors it refers to.

Rules for this file

* No input or output, no locks: the host calls every method with its lock held, except ``Entry.drop``, which may run
  anywhere at all (inside the garbage collector, inside a lock) and therefore only appends to a deque.
* Everything said to the head goes through ``outbox``, one FIFO: submissions, puts, results and releases keep their
  order, so a release may be late, never early.

Flush rule (after Nagle): a frame is sent at once while the head keeps answering. The second frame without an answer
asks for one; until it comes, messages gather in ``outbox``. A blocking call always sends what is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from actorgrid.core.ids import client_of, first_id
from actorgrid.core.messages import (
    OK,
    Answer,
    Dismiss,
    Item,
    Ready,
    Recall,
    Recalled,
    Release,
    Subscribe,
    Unpinned,
    Value,
)
from actorgrid.core.stream import Inflow

#: So many dropped references may wait for the next words to the head; values longer than this (bytes) may not wait.
MOST_DROPPED: Final = 256
LIGHT: Final = 4096


class Host(Protocol):
    """What a client needs from the process it lives in."""

    def wake(self) -> None:
        """Have ``collect`` called soon. Called from anywhere: may not lock, block or raise."""


class Awaited(Protocol):
    """What can be waited for: an object, or the next item of a stream."""

    oid: int
    client: Client
    #: It comes without asking.
    known: bool
    waiters: list[Waiter] | None

    @property
    def value(self) -> Value | None:
        """What it is, None if it does not exist yet."""

    def hex(self) -> str:
        """The id as text."""


class Waiter(Protocol):
    """Somebody who waits for objects."""

    def arrived(self, entry: Any) -> None:
        """One of the objects exists now."""

    def release(self) -> None:
        """The grid is gone: stop waiting."""


class Entry:
    """One object or actor that this process refers to."""

    __slots__ = (
        "__weakref__",
        "actor",
        "away",
        "client",
        "fault",
        "heavy",
        "known",
        "oid",
        "pins",
        "read",
        "recalled",
        "refs",
        "seen",
        "value",
        "waiters",
    )

    def __init__(self, client: Client, oid: int) -> None:
        self.client = client
        self.oid = oid
        #: References in this process: Python objects, values that mention it, arrays that lie in it.
        self.refs = 0
        #: How often the head sent us this id; 0 if nobody granted it to us, so that there is nothing to give back.
        self.seen = 1
        self.value: Value | None = None
        #: The value will be sent to us without asking.
        self.known = False
        #: It is an actor, not an object.
        self.actor = False
        #: Its release matters at once: it is an actor, or it holds shared memory, other references, or much data.
        self.heavy = False
        #: Somebody has asked for the value, or handed the object on: if it is an error, it has been noticed.
        self.read = False
        self.waiters: list[Waiter] | None = None
        #: It exists, but must be fetched before it is read: it may be on disk.
        self.away = False
        #: What reads it in shared memory, or is about to: while there is any, it stays there.
        self.pins = 0
        #: The head wants to know when nothing does any more.
        self.recalled = False
        #: Why it could not be fetched for a callback, for whoever reads it next.
        self.fault: Answer | None = None

    def drop(self, most: int = MOST_DROPPED) -> None:
        """One reference less. May be called from anywhere, also when the names of this module are gone already."""
        client = self.client
        dropped = client.dropped
        dropped.append(self)
        if self.heavy or self.value is None or len(dropped) > most:
            client.host.wake()

    def unpin(self) -> None:
        """One pin, and the reference that went with it, less. May be called from anywhere."""
        self.client.unpinned.append(self)
        self.drop()

    @property
    def engine(self) -> Any:
        """The engine that this entry belongs to."""
        return self.client.host

    def hex(self) -> str:
        """The id as text."""
        text: str = self.client.render(self.oid)
        return text

    def reduce(self) -> tuple[Any, ...]:
        """How a reference to this pickles."""
        reduced: tuple[Any, ...] = self.client.reduce(self)
        return reduced


class Client:
    """The references of one process and what it has to say to the head."""

    def __init__(self, number: int, host: Host, render: Callable[[int], str], reduce: Callable[[Entry], Any]) -> None:
        """``number`` was given by the head; ``render`` and ``reduce`` are the host's."""
        self.number = number
        self.host = host
        self.render = render
        self.reduce = reduce
        self.entries: dict[int, Entry] = {}
        #: References that went away and are not counted down yet. Only appended to outside the host's lock.
        self.dropped: deque[Entry] = deque()
        #: Pins that went away and are not counted down yet; the same reference is in ``dropped``, later.
        self.unpinned: deque[Entry] = deque()
        #: Streams that this process reads and that are not over, by the object that tells their end.
        self.streams: dict[int, Inflow] = {}
        #: Streams of which the head does not know yet how much was taken.
        self.untold: dict[Inflow, None] = {}
        #: Streams that went away and are not dismissed yet; the reference to their end is in ``dropped``, later.
        self.dismissed: deque[Inflow] = deque()
        self.outbox: list[Any] = []
        self._next_id = first_id(number)
        self._next_request = 0
        self._answers: dict[int, Callable[[Answer], None]] = {}
        #: The head has sent a frame.
        self.has_heard = False
        #: Frames sent since the head last sent one: 0, 1, or 2 with an acknowledgement asked for.
        self.unanswered = 0
        #: Errors that nobody asked for before their last reference went, for the host to say; the oldest are forgotten.
        self.unread: deque[Value] = deque(maxlen=MOST_DROPPED)
        #: Set once the grid is gone: what every later wait ends with.
        self.dead: BaseException | None = None

    # -- ids

    def take_ids(self, count: int) -> int:
        """Return the first of ``count`` consecutive new ids."""
        first = self._next_id
        self._next_id = first + (count or 1)
        return first

    def request(self, then: Callable[[Answer], None]) -> int:
        """Return a request number whose answer goes to ``then`` (called with the host's lock held)."""
        self._next_request += 1
        self._answers[self._next_request] = then
        return self._next_request

    # -- references

    def promise(self, oid: int) -> Entry:
        """Return the entry of an object that a call of ours will make; its value comes without asking."""
        entry = Entry(self, oid)
        entry.known = True
        self.entries[oid] = entry
        return entry

    def own(self, oid: int, value: Value) -> Entry:
        """Return the entry of an object that we put."""
        entry = self.promise(oid)
        entry.value = value
        entry.heavy = heavy(value)
        for ref in value.refs:
            if ref not in self.entries:  # a handle that holds nothing
                self.entries[ref] = self.ungranted(ref)
            self.entries[ref].refs += 1
        return entry

    def ungranted(self, oid: int) -> Entry:
        """Return an entry, which nobody finds, of an actor whose life does not depend on us."""
        entry = Entry(self, oid)
        entry.seen = 0
        return entry

    def granted(self, oid: int) -> Entry:
        """The head sent us ``oid``: count it."""
        entry = self.entries.get(oid)
        if entry is None:
            entry = self.entries[oid] = Entry(self, oid)
        else:
            entry.seen += 1
        return entry

    def hold(self, oids: tuple[int, ...]) -> None:
        """The head sent us ``oids`` inside a payload: count them and keep them until ``let_go``."""
        for oid in oids:
            self.granted(oid).refs += 1

    def let_go(self, oids: tuple[int, ...]) -> None:
        """The payload that mentions ``oids`` is gone."""
        for oid in oids:
            entry = self.entries.get(oid)
            if entry is not None:
                self.dropped.append(entry)

    def collect(self) -> None:
        """Count down every dropped reference and tell the head about those that were the last."""
        dropped = self.dropped
        oids: list[int] = []
        seen: list[int] = []
        plain = True
        left: list[Inflow] = []
        while dropped:
            entry = dropped.popleft()
            while self.unpinned:  # after the line above: whoever sees the drop sees the pin that went before it
                self.unpin(self.unpinned.popleft())
            while self.dismissed:  # ... and the stream
                left.append(self._leave(self.dismissed.popleft()))
            entry.refs -= 1
            if entry.refs or self.entries.get(entry.oid) is not entry:
                continue
            del self.entries[entry.oid]
            oids.append(entry.oid)
            seen.append(entry.seen)
            plain = plain and entry.seen == 1
            value = entry.value
            if value is not None:
                if value.refs:
                    self.let_go(value.refs)
                if value.status is not OK and not entry.read:
                    self.unread.append(value)
        for stream in left:
            self.dismiss(stream, stop=self.entries.get(stream.oid) is not stream.end)
        if oids:
            self.outbox.append(Release(tuple(oids), () if plain else tuple(seen)))

    # -- streams

    def open(self, oid: int, bound: int) -> Inflow:
        """Return the reader's end of a stream that a call of ours will make."""
        stream = self.streams[oid] = Inflow(self, self.promise(oid), bound)
        return stream

    def rest(self) -> None:
        """This process is about to wait for something: say what was taken."""
        while self.untold:
            next(iter(self.untold)).tell()

    def item(self, message: Item) -> None:
        """A stream has one item more."""
        value = message.value
        entry = self.entries[message.oid] = Entry(self, message.oid)
        entry.known = True
        entry.refs = 1
        if value is not None:
            if value.refs:
                self.hold(value.refs)
            entry.value = value
            entry.away = message.away
            entry.heavy = heavy(value) or failed(value)
        stream = self.streams.get(message.task)
        if stream is None:
            self.dropped.append(entry)  # nobody reads it any more
        else:
            stream.add(entry)

    def _leave(self, stream: Inflow) -> Inflow:
        """Nobody reads on: what was not taken goes."""
        self.streams.pop(stream.oid, None)
        self.dropped += stream.items
        stream.items.clear()
        return stream

    def dismiss(self, stream: Inflow, *, stop: bool) -> None:
        """Nobody here reads on. ``stop``: nor shall it go on."""
        self._leave(stream)
        self.untold.pop(stream, None)
        if not stream.closed:
            stream.closed = True
            if stream.end.value is None and self.dead is None:
                self.outbox.append(Dismiss(stream.oid, stop))

    # -- pins

    def unpin(self, entry: Entry) -> None:
        """One pin less. Called with the host's lock held."""
        entry.pins -= 1
        if entry.recalled and not entry.pins:
            entry.recalled = False
            self.outbox.append(Unpinned(entry.oid))

    def recall(self, message: Recall) -> None:
        """Forget where an object lies, unless something here reads it."""
        if self.dropped:
            self.collect()
        entry = self.entries.get(message.oid)
        if entry is None:
            self.outbox.append(Recalled(message.oid, message.number))
        elif entry.pins:
            entry.recalled = True
            self.outbox.append(Recalled(message.oid, message.number, entry.seen, used=True))
        else:
            entry.away = True
            self.outbox.append(Recalled(message.oid, message.number, entry.seen))

    # -- values

    def ready(self, message: Ready) -> None:
        """An object exists."""
        value = message.value
        entry = self.entries.get(message.oid)
        if value.refs:
            self.hold(value.refs)
        if entry is None or entry.value is not None:
            if value.refs:  # nobody here wants it any more (or it came twice)
                self.let_go(value.refs)
            if entry is None and failed(value) and client_of(message.oid) == self.number:
                self.unread.append(value)
            return
        entry.value = value
        entry.away = message.away
        if heavy(value) or failed(value):
            entry.heavy = True
        if entry.waiters is not None:
            waiters, entry.waiters = entry.waiters, None
            for waiter in waiters:
                waiter.arrived(entry)

    def watch(self, entries: Sequence[Awaited], waiter: Waiter) -> None:
        """Have ``waiter`` told of each of these pending objects; ask the head for those it would not send by itself."""
        ask: list[int] = []
        for entry in entries:
            if entry.waiters is None:
                entry.waiters = [waiter]
            else:
                entry.waiters.append(waiter)
            if not entry.known:
                entry.known = True
                ask.append(entry.oid)
        if ask:
            self.outbox.append(Subscribe(tuple(ask)))

    @staticmethod
    def unwatch(entries: Sequence[Awaited], waiter: Waiter) -> None:
        """``waiter`` gave up."""
        for entry in entries:
            if entry.waiters is not None and waiter in entry.waiters:
                entry.waiters.remove(waiter)
                if not entry.waiters:
                    entry.waiters = None

    def answered(self, message: Answer) -> None:
        """The head answered a request."""
        then = self._answers.pop(message.request, None)
        if then is not None:
            then(message)

    def die(self, error: BaseException) -> list[Waiter]:
        """The grid is gone. Returns everybody who waits; requests are answered with an error."""
        if self.dead is None:
            self.dead = error
        waiters: list[Waiter] = []
        awaited: list[Awaited] = [*self.streams.values(), *self.entries.values()]
        for entry in awaited:
            if entry.waiters is not None:
                waiters += entry.waiters
                entry.waiters = None
        for request in list(self._answers):
            self.answered(Answer(request, error="dead"))
        return list(dict.fromkeys(waiters))

    # -- sending

    def heard(self) -> None:
        """The head sent a frame."""
        self.unanswered = 0
        self.has_heard = True


def heavy(value: Value) -> bool:
    """Return whether the release of an object with this value must not wait."""
    return value.extent is not None or bool(value.refs) or len(value.data) > LIGHT


def failed(value: Value) -> bool:
    """Return whether a value stands for an error."""
    return value.status is not OK
