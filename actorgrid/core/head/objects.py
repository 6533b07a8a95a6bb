"""Objects and who refers to them.

Reference counting by grants: every time an id is sent to a client, or named by it (a submission, a put), the head
counts one grant for that client. A client that has no reference left gives back the grants it has seen since it last
did; only when all are back does the head forget the client as a holder. So a release that crosses a value in flight
frees nothing, and a release may be late but never early. Everything the head itself keeps (a task's arguments, the
contents of a stored value) is a pin.

This file may not know what a worker or a schedule is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.records import Actor, Held, Object, Place, Task
from actorgrid.core.messages import FailureKind as Kind
from actorgrid.core.messages import Put, Ready, Release, Status, Subscribe, Value

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer

#: Values at most this long are pushed even to a client whose link is congested.
TINY = 512


class Objects:
    """The table of everything that is counted."""

    __slots__ = ("_freeing", "head", "table")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.table: dict[int, Held] = {}
        #: Values that go; each may be the last to mention others, and such chains are long. None: nothing goes.
        self._freeing: list[tuple[Value, Place | None]] | None = None

    # -- counting

    def grant(self, peer: Peer, ident: int) -> None:
        """``ident`` is about to be sent to ``peer``."""
        held = self.table.get(ident)
        if held is None:
            held = self._lost(ident)
        number = peer.number
        if held.holder == number:
            held.grants += 1
        elif not held.holder:
            held.holder, held.grants = number, 1
            peer.held[ident] = None
        else:
            if held.others is None:
                held.others = {}
            held.others[number] = held.others.get(number, 0) + 1
            peer.held[ident] = None

    def pin(self, ident: int) -> None:
        """A record of the head mentions ``ident``."""
        held = self.table.get(ident)
        if held is None:
            held = self._lost(ident)
        held.pins += 1

    def unpin(self, ident: int) -> None:
        """A record that mentioned ``ident`` is gone."""
        held = self.table[ident]
        held.pins -= 1
        if not held.pins and not held.holder:
            self.unheld(held)

    def release(self, peer: Peer, message: Release) -> None:
        """``peer`` has no reference to these any more, as far as it has seen."""
        table, number, seen, asked = self.table, peer.number, message.seen, self.head.spilling.asked
        for index, ident in enumerate(message.oids):
            held = table.get(ident)
            if held is None:
                continue
            count = seen[index] if seen else 1
            if held.holder == number:
                held.grants -= count
                if held.grants > 0:
                    continue
                held.holder = held.grants = 0
                if held.others:
                    self._promote(held)
            else:
                if held.others is None or number not in held.others:
                    continue
                held.others[number] -= count
                if held.others[number] > 0:
                    continue
                del held.others[number]
            peer.held.pop(ident, None)
            if isinstance(held, Object) and held.subscribers:
                _unsubscribe(held, number)
            if not held.holder and not held.pins:
                self.unheld(held)
            elif ident in asked:
                self.head.spilling.released(ident, number)

    def drop_client(self, peer: Peer) -> None:
        """``peer`` is dead: all its grants are void."""
        while peer.held:
            ident, _ = peer.held.popitem()
            held = self.table.get(ident)
            if held is None:
                continue
            if held.holder == peer.number:
                held.holder = held.grants = 0
                if held.others:
                    self._promote(held)
            elif held.others is not None:
                held.others.pop(peer.number, None)
            if isinstance(held, Object) and held.subscribers:
                _unsubscribe(held, peer.number)
            if not held.holder and not held.pins:
                self.unheld(held)

    @staticmethod
    def _promote(held: Held) -> None:
        others = held.others
        assert others
        number = next(iter(others))
        held.holder, held.grants = number, others.pop(number)

    def _lost(self, ident: int) -> Object:
        """Somebody names an object that is gone (an id smuggled out of the grid and back): it becomes an error."""
        lost = Object(ident, None)
        self.table[ident] = lost
        lost.value = self.head.failure(
            Kind.OBJECT_LOST, "the object was freed: no counted reference was left when this one was used"
        )
        return lost

    # -- life

    def grant_first(self, peer: Peer, made: Object) -> None:
        """An object is new, and ``peer`` alone knows of it."""
        ident = made.ident
        made.holder, made.grants = peer.number, 1
        peer.held[ident] = None
        self.table[ident] = made

    def promise(self, peer: Peer, ident: int, task: Task) -> None:
        """``task``, submitted by ``peer``, will make object ``ident``."""
        self.grant_first(peer, Object(ident, task))

    def put(self, peer: Peer, message: Put) -> None:
        """Store what ``peer`` put."""
        self.head.memory.vouch(peer, message.value)
        peer.last_id = message.oid
        made = Object(message.oid, None)
        self.grant_first(peer, made)
        self.store(made, message.value, peer.number)
        if made.place is not None:
            made.place.told[peer.number] = None

    def fulfil(self, ident: int, value: Value, owner: int, submitter: int) -> None:
        """The object exists now: ``owner`` wrote it, ``submitter`` asked for it."""
        made = self.table.get(ident)
        if made is None:  # nobody wants it any more
            self.head.memory.discard(value)
            return
        assert isinstance(made, Object)
        made.task = None
        self.store(made, value, owner)
        if made.holder == submitter or (made.others and submitter in made.others):
            self._push(submitter, made)
        if made.subscribers:
            subscribers, made.subscribers = made.subscribers, None
            for number in subscribers:
                self._push(number, made)
        if made.waiters:
            waiters, made.waiters = made.waiters, None
            made.pins += 1  # a task that fails for this argument unpins it while we are still here
            for task in waiters:
                self.head.tasks.argument_ready(task)
            made.pins -= 1
        if not made.holder and not made.pins:
            self.unheld(made)

    def store(self, made: Object, value: Value, owner: int) -> None:
        """Here is the value of an object; ``owner`` wrote it."""
        made.value = value
        if value.extent is not None:
            made.owner = owner
            self.head.memory.adopt(value.extent)
            self.head.spilling.stored(made, value.extent)
        for ref in value.refs:
            self.pin(ref)

    def lose(self, ident: int, value: Value) -> None:
        """What was stored is damaged: ``value``, a failure, takes its place."""
        made = self.table[ident]
        assert isinstance(made, Object)
        assert made.value is not None
        lost, made.value, made.place = made.value, value, None
        for ref in lost.refs:
            self.unpin(ref)

    def grants_of(self, ident: int, number: int) -> int:
        """Return how often ``ident`` was sent to a client, or named by it, and was not given back."""
        held = self.table[ident]
        if held.holder == number:
            return held.grants
        return held.others.get(number, 0) if held.others else 0

    def unheld(self, held: Held) -> None:
        """Nobody refers to it any more. Invariant: not held.holder and not held.pins."""
        if isinstance(held, Object):
            del self.table[held.ident]
            if held.value is not None:
                self._free(held, held.value)
            # else: still to be made, and nobody will look: the promise goes, the task goes on. (Tasks that waited for
            # it and are over may still be in ``waiters``; one that is not over would pin it.)
        elif isinstance(held, Actor):
            self.head.actors.unheld(held)

    def _free(self, gone: Object, value: Value) -> None:
        if self._freeing is not None:
            self._freeing.append((value, gone.place))
            return
        self._freeing = [(value, gone.place)]
        try:
            while self._freeing:
                value, place = self._freeing.pop()
                if place is not None:
                    self.head.spilling.freed(place)
                elif value.extent is not None:
                    self.head.memory.free(value.extent)
                for ref in value.refs:
                    self.unpin(ref)
        finally:
            self._freeing = None

    # -- delivery

    def subscribe(self, peer: Peer, message: Subscribe) -> None:
        """Send these to ``peer`` as soon as they exist."""
        for ident in message.oids:
            held = self.table.get(ident)
            if held is None:
                held = self._lost(ident)
                self.grant(peer, ident)
            if not isinstance(held, Object):
                continue
            if held.value is not None:
                self._push(peer.number, held)
                continue
            if held.task is not None and held.task.stream is not None:
                self.head.streams.lift(held.task)
            if held.subscribers is None:
                held.subscribers = [peer.number]
            else:
                held.subscribers.append(peer.number)

    def _push(self, number: int, made: Object) -> None:
        peer = self.head.peers.get(number)
        if peer is None or not peer.alive:
            return
        value = made.value
        assert value is not None
        if not self.may_push(peer, made):
            return
        away = bool(value.extent is not None or value.refs) and self.show(peer, made)
        if not peer.outbox:
            self.head.dirty.append(peer)
        peer.outbox.append(Ready(made.ident, value, away))

    @staticmethod
    def may_push(peer: Peer, made: Object) -> bool:
        """Return whether a value may be sent now; else it is owed, and follows when the link has room."""
        if peer.congested and made.value is not None and len(made.value.data) > TINY:
            peer.owed.append(made.ident)
            return False
        return True

    def show(self, peer: Peer, made: Object) -> bool:
        """A value is about to be sent: grant what it mentions, tell where it lies. Returns whether it is away."""
        value, away = made.value, False
        assert value is not None
        if value.extent is not None:
            self.head.memory.show(peer, peer.outbox, value.extent)
            away = made.place is not None and not self.head.spilling.tell(made.place, peer.number)
        for ref in value.refs:
            self.grant(peer, ref)
        return away

    def drained(self, peer: Peer) -> None:
        """The link of ``peer`` has room again: send what it is owed."""
        peer.congested = False
        owed, budget = peer.owed, 1 << 20
        while owed and budget > 0:
            made = self.table.get(owed.popleft())
            if isinstance(made, Object) and made.value is not None:
                budget -= len(made.value.data)
                self._push(peer.number, made)
        if owed:
            peer.congested = True

    def status(self, ident: int) -> Status | None:
        """Return the status of an object's value, None while it does not exist."""
        held = self.table.get(ident)
        return held.value.status if isinstance(held, Object) and held.value is not None else None


def _unsubscribe(made: Object, number: int) -> None:
    """Client ``number`` has nobody left that waits for this object."""
    assert made.subscribers is not None
    made.subscribers = [other for other in made.subscribers if other != number]
