"""Who waits for room in the object store: first come, first served.

A request waits while the spilling of least recently used objects, and whatever clients free or give back, makes room
for it. It is refused when nothing has moved for too long, with the list of what is in use and by whom (a disk that is
slow is no reason); or at once when the disk takes no more, and then it alone: the next one tries again.

While anybody waits, the bytes of a freed object go to the first that waits, not back to its writer; and every
``AGAIN`` seconds whatever may have changed without a word is looked at again.

This file may not know how an object leaves memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.extents import reserved
from actorgrid.core.head.records import RoomRequest
from actorgrid.core.messages import Answer, FailureKind, LeaseRequest, Squeeze

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer, Place

#: Seconds between two looks at what is in use, while somebody waits.
AGAIN: Final = 0.25
#: So many objects an error names that are in use.
MOST_NAMED: Final = 8


class Room:
    """The queue of those that wait for memory."""

    __slots__ = ("_again", "_last", "head", "patience", "queue", "wanted")

    # Invariant: self.wanted == sum(request.size for request in self.queue.values())
    # Invariant: (self._again != 0) == bool(self.queue)

    def __init__(self, head: Head, patience: float) -> None:
        """``patience``: seconds; 0: nobody waits, a request that does not fit is refused."""
        self.head = head
        self.patience = patience
        self.queue: dict[int, RoomRequest] = {}
        self.wanted = 0
        self._last = 0
        self._again = 0

    # -- waiting

    def wait_for_lease(self, peer: Peer, message: LeaseRequest) -> None:
        """``peer`` wants to write more than there is room for now."""
        self._wait(RoomRequest(self._next(), message.size, peer.number, message.request, None))

    def wait_to_restore(self, place: Place) -> None:
        """An object is to come back from disk."""
        self._wait(RoomRequest(self._next(), reserved(place.extent.size), 0, 0, place))

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _wait(self, request: RoomRequest) -> None:
        if not self.queue:
            self._squeeze()
            self._again = self.head.alarms.set(self.head.now + AGAIN, self._look_again, 0)
        self.queue[request.number] = request
        self.wanted += request.size
        self._arm(request)

    def _arm(self, request: RoomRequest) -> None:
        request.moves = self.head.spilling.moves
        request.alarm = self.head.alarms.set(self.head.now + self.patience, self._overdue, request.number)

    def _squeeze(self) -> None:
        """Ask for what was leased ahead and is not used."""
        for peer in self.head.peers.values():
            if peer.leased > peer.live_bytes:
                self.head.reply(peer, Squeeze())

    def _look_again(self, _: int) -> None:
        self._again = self.head.alarms.set(self.head.now + AGAIN, self._look_again, 0)
        self._squeeze()
        self.head.spilling.look_again()

    # -- the end of a wait

    def serve(self) -> None:
        """Give what room there is to the first that wait; have more made for the rest."""
        memory, spilling = self.head.memory, self.head.spilling
        while self.queue:
            first = next(iter(self.queue.values()))
            if first.size > memory.free_bytes:
                spilling.make_room(self.wanted - memory.free_bytes)
                return
            self._leave(first)
            if first.place is not None:
                spilling.restore(first.place)
            elif (peer := self.head.peers.get(first.client)) is not None:
                memory.grant(peer, first.request, first.size)

    def forget(self, place: Place) -> None:
        """Nobody wants this object back any more."""
        for request in [request for request in self.queue.values() if request.place is place]:
            self._leave(request)

    def drop_client(self, number: int) -> None:
        """A client is dead."""
        for request in [request for request in self.queue.values() if request.client == number]:
            self._leave(request)

    def nothing_leaves(self, message: str, kind: FailureKind) -> None:
        """Nothing can be spilled now: the first in the line goes without."""
        if self.queue:
            self._refuse(next(iter(self.queue.values())), message, {"kind": kind})

    def _overdue(self, number: int) -> None:
        request = self.queue[number]
        memory, spilling = self.head.memory, self.head.spilling
        if spilling.moves > request.moves:
            self._arm(request)
            return
        text = (
            f"the object store is full: {request.size} bytes wanted, {memory.free_bytes} of {memory.budget} bytes "
            f"free, and no more became free in {self.patience:g} s"
        )
        self._refuse(request, text, {"kind": FailureKind.STORE_FULL, "pins": self._pins()})

    def _refuse(self, request: RoomRequest, message: str, body: dict[str, Any]) -> None:
        self._leave(request)
        if request.place is not None:
            self.head.spilling.give_up(request.place, message, body)
        elif (peer := self.head.peers.get(request.client)) is not None:
            self.head.reply(peer, Answer(request.request, body, message))

    def _leave(self, request: RoomRequest) -> None:
        del self.queue[request.number]
        self.wanted -= request.size
        self.head.alarms.call_off(request.alarm)
        if not self.queue:
            self.head.alarms.call_off(self._again)
            self._again = 0

    # -- what a person is told

    def _pins(self) -> list[tuple[int, int, str]]:
        """Return what is in use: (object, bytes, by whom), the largest first."""
        kept = [place for place in self.head.spilling.asked.values() if place.kept or place.awaited]
        kept.sort(key=lambda place: (-place.extent.size, place.ident))
        return [
            (place.ident, place.extent.size, ", ".join(self._who(number) for number in place.kept or place.awaited))
            for place in kept[:MOST_NAMED]
        ]

    def _who(self, number: int) -> str:
        peer = self.head.peers.get(number)
        worker = peer.worker if peer is not None else None
        if worker is None:
            return "the driver" if number in self.head.drivers else "a process that is gone"
        if worker.actor is not None:
            return f"actor {worker.actor.spec.spec.name} (pid {worker.pid})"
        running = next(iter(worker.assigned.values()), None)
        name = running.spec.spec.name if running is not None else "nothing now"
        return f"worker {worker.pid} (running {name})"
