"""Spilling: objects that leave shared memory for the disk, and come back.

A client reads an object where it lies, without asking: it was told the place once. So an object leaves memory in steps:

1. The least recently used is *recalled*: every client that was told its place is asked to forget it, and answers that
   it did, or that something there reads it. A client that has not yet seen all that mentions the object to it (its
   grants tell) is about to read it. Whoever reads it keeps it in memory, and says so when that ends.
2. Once nobody knows the place, its bytes are copied to the spill file. Then its pages go back to the system; in the
   segment its range stays its own, so that it comes back to where it was and nobody need learn a new place.
3. A client that wants to read it after all *fetches* it: it waits for room, is copied back, and the client is told.

Who was told the place of an object and only lists it in a call pins nothing: the worker fetches the argument when it
comes to it. That an object exists is known without it: ``wait`` and the delivery of results touch no disk.

The copies are made by a process of their own (``runtime.spiller``), one after the other. While one is under way the
bytes belong to it: an object that is freed meanwhile is *abandoned*, and its range is used again only afterwards. When
that process dies nothing is lost: what it had not written is still in memory, and the head holds the file.

This file may not know who waits for room, or how much there must be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.extents import MAX_SEGMENT, ExtentAllocator, reserved
from actorgrid.core.head.effects import Effect, PunchExtent, Spill
from actorgrid.core.head.records import Object, Place
from actorgrid.core.messages import Answer, Extent, FailureKind, Status
from actorgrid.core.states import PLACE, PlaceInput, PlaceState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer

#: So often in a row the process that copies may die before it has copied anything.
MOST_DEATHS: Final = 3
P, PI = PlaceState, PlaceInput


def _is_copy(effect: Effect) -> bool:
    return isinstance(effect, Spill) and not isinstance(effect.order, m.SpillFree)


class Spilling:
    """Where the bytes of each object in shared memory are."""

    __slots__ = (
        "_deaths",
        "_disk",
        "_last_job",
        "_last_recall",
        "asked",
        "coming",
        "head",
        "jobs",
        "moves",
        "on",
        "used",
    )

    # Invariant: each place in memory that nobody is asked about is in self.used, in the order of its last use
    # Invariant: all(p.state is RECALLED or p.kept for p in self.asked.values())
    # Invariant: self.coming == sum(reserved(p.extent.size) for p in places if p.counted)

    def __init__(self, head: Head, *, on: bool) -> None:
        self.head = head
        self.on = on
        #: What may be recalled, the least recently used first.
        self.used: dict[int, Place] = {}
        #: What is recalled, or was and is in use.
        self.asked: dict[int, Place] = {}
        #: Copies under way.
        self.jobs: dict[int, Place] = {}
        #: Bytes that are about to become free.
        self.coming = 0
        #: Objects that have left memory, or come back.
        self.moves = 0
        #: What is free on the disk; None: nothing has ever gone there.
        self._disk: ExtentAllocator | None = None
        self._last_job = self._last_recall = 0
        self._deaths = 0

    @property
    def spilled_bytes(self) -> int:
        """Bytes of the spill file in use."""
        return 0 if self._disk is None else self._disk.used_bytes

    def _step(self, place: Place, given: PlaceInput) -> None:
        state = PLACE.get((place.state, given))
        if state is None:
            raise self.head.impossible(f"object {place.ident}", place.state, given)
        self.head.note(place.ident, place.state, given)
        place.state = state

    # -- what the other parts of the head say

    def stored(self, made: Object, extent: Extent) -> None:
        """An object was stored in shared memory."""
        if self.on:
            made.place = self.used[made.ident] = Place(made.ident, extent)

    def tell(self, place: Place, number: int) -> bool:
        """A client is about to be told where this object lies. Returns False if it must fetch it instead."""
        if place.state is not P.ARENA:
            return False
        place.told[number] = None
        self._touch(place)
        return True

    def _touch(self, place: Place) -> None:
        if self.used.pop(place.ident, None) is not None:
            self.used[place.ident] = place

    def freed(self, place: Place) -> None:
        """Nobody wants the object any more."""
        before = place.state
        self._step(place, PI.FREE)
        for number, request in place.fetchers:
            self._answer(number, request, "the object was freed", {"kind": FailureKind.OBJECT_LOST})
        place.fetchers.clear()
        if before in (P.ARENA, P.RECALLED):
            self._forget(place)
            self.head.memory.free(place.extent)
        elif place.state is P.GONE:
            self._free_on_disk(place)
            self.head.memory.free_spilled(place.extent)
            if before is P.WANTED:
                self.head.room.forget(place)
        # else: a copy is under way there, and frees it in the end

    def _forget(self, place: Place) -> None:
        self.used.pop(place.ident, None)
        self.asked.pop(place.ident, None)
        place.kept.clear()
        place.awaited.clear()
        self._count(place, counted=False)

    def _count(self, place: Place, *, counted: bool) -> None:
        if place.counted is not counted:
            place.counted = counted
            self.coming += reserved(place.extent.size) * (1 if counted else -1)

    def _free_on_disk(self, place: Place) -> None:
        if place.offset >= 0:
            extent = Extent(0, place.offset, place.extent.size)
            assert self._disk is not None
            self._disk.free(extent)
            self.head.effects.append(Spill(m.SpillFree(extent.offset, reserved(extent.size))))
            place.offset = -1

    # -- leaving memory

    def make_room(self, size: int) -> None:
        """Have ``size`` bytes leave memory, counting what is about to."""
        while self.used and self.coming < size:
            self._recall(next(iter(self.used.values())))

    def _recall(self, place: Place) -> None:
        self._step(place, PI.RECALL)
        del self.used[place.ident]
        self.asked[place.ident] = place
        self._count(place, counted=True)
        self._last_recall = place.number = self._last_recall + 1
        peers = self.head.peers
        place.awaited = {number: None for number in place.told if number in peers}
        place.told = dict(place.awaited)
        for number in place.awaited:
            self.head.reply(peers[number], m.Recall(place.ident, place.number))
        if not place.awaited:
            self._leave(place)

    def recalled(self, peer: Peer, message: m.Recalled) -> None:
        """A client answers a recall. The answer to one that is over means nothing: it counts as told until asked."""
        place = self.asked.get(message.oid)
        if place is None or place.number != message.number or peer.number not in place.awaited:
            return
        del place.awaited[peer.number]
        if message.used or self.head.objects.grants_of(place.ident, peer.number) > message.seen:
            place.kept[peer.number] = message.used
            self._stay(place)
            return
        del place.told[peer.number]
        if not place.awaited:
            self._leave(place)

    def _stay(self, place: Place) -> None:
        """It stays in memory, and is asked for again only when nobody reads it any more."""
        self._step(place, PI.STAY)
        place.awaited.clear()
        self._count(place, counted=False)
        if not place.kept:
            del self.asked[place.ident]
            self.used[place.ident] = place

    def _leave(self, place: Place) -> None:
        if not self.head.room.queue:  # whoever needed the room has it
            self._stay(place)
            return
        self._step(place, PI.LEAVE)
        del self.asked[place.ident]
        if self._disk is None:
            self._disk = ExtentAllocator()
            self._disk.add_segment(0, MAX_SEGMENT)
        disk = self._disk.allocate(place.extent.size)
        assert disk is not None, "the spill file is as long as it likes"
        place.offset = disk.offset
        self._copy(place)

    def _unkeep(self, place: Place, number: int) -> None:
        if place.kept.pop(number, None) is not None and not place.kept and place.state is P.ARENA:
            del self.asked[place.ident]
            self.used[place.ident] = place

    def unpinned(self, peer: Peer, message: m.Unpinned) -> None:
        """Nothing in that client reads the object any more."""
        place = self.asked.get(message.oid)
        if place is not None:
            self._unkeep(place, peer.number)

    def released(self, ident: int, number: int) -> None:
        """A client has no reference to an object in ``asked`` any more, and so does not read it."""
        place = self.asked[ident]
        place.told.pop(number, None)
        self._unkeep(place, number)
        if number in place.awaited:
            del place.awaited[number]
            if not place.awaited:
                self._leave(place)

    def drop_client(self, number: int) -> None:
        """A client is dead."""
        for ident, place in list(self.asked.items()):
            if ident in self.asked and (number in place.kept or number in place.awaited):
                self.released(ident, number)

    def look_again(self) -> None:
        """Time has passed and somebody still waits: do not count on those that do not answer; ask others again."""
        for place in list(self.asked.values()):
            if place.state is P.RECALLED:
                self._count(place, counted=False)
            for number in [number for number, reads in place.kept.items() if not reads]:
                self._unkeep(place, number)

    # -- copies

    def _copy(self, place: Place) -> None:
        """Have the bytes copied, out or in, as the state says."""
        if not place.job:
            self._last_job = place.job = self._last_job + 1
            self.jobs[place.job] = place
        order: m.SpillOut | m.SpillIn
        if place.state is P.RESTORING:
            order = m.SpillIn(place.job, place.extent, place.offset, place.checksum)
        else:
            order = m.SpillOut(place.job, place.extent, place.offset)
        self.head.effects.append(Spill(order))

    def hear(self, message: Any) -> None:
        """Take what the process that copies says; None: it is dead."""
        if message is None or isinstance(message, m.NoSpiller):
            self._orphaned("" if message is None else message.reason)
            return
        place = self.jobs[message.job]
        if isinstance(message, m.SpillFailed):
            self._deaths = 0
            if place.state is P.RESTORING:
                self._damaged(place, message.message)
            elif place.state is P.ABANDONED:
                self._over(place, PI.REFUSED)
            else:
                self._refused(place, message.message)
        elif isinstance(message, m.Written):
            place.checksum = message.checksum
            self._step(place, PI.WRITTEN)
        else:
            self._deaths = 0
            self.moves += 1
            self._over(place, PI.EMPTIED if isinstance(message, m.Emptied) else PI.READ)

    def _over(self, place: Place, given: PlaceInput) -> None:
        """A copy is done."""
        del self.jobs[place.job]
        place.job = 0
        self._count(place, counted=False)
        self._step(place, given)
        if place.state is P.GONE:
            self._free_on_disk(place)
            self.head.memory.free(place.extent)
        elif place.state is P.SPILLED:
            self.head.memory.leave(place.extent)
            if place.fetchers:
                self._want(place)
        elif place.state is P.ARENA:
            self._free_on_disk(place)
            self.used[place.ident] = place
            self._deliver(place)

    def _refused(self, place: Place, message: str, kind: FailureKind = FailureKind.OUT_OF_DISK) -> None:
        """The disk takes no more: the object stays, and whoever needed its room goes without."""
        self._over(place, PI.REFUSED)
        self.head.room.nothing_leaves(message, kind)

    def _stay_on_disk(self, place: Place, message: str) -> None:
        """It cannot be brought back now: whoever wants it goes without, and may try again."""
        fetchers, place.fetchers = place.fetchers, []
        self._over(place, PI.REFUSED)
        for number, request in fetchers:
            self._answer(number, request, message, {"kind": FailureKind.RESOURCE_LIMIT})

    def _damaged(self, place: Place, message: str) -> None:
        """What is on disk is not what was written there."""
        fetchers, place.fetchers = place.fetchers, []
        self._over(place, PI.DAMAGED)
        text = f"the object was spilled to disk and is lost: {message}"
        self.head.objects.lose(place.ident, self.head.failure(FailureKind.OBJECT_LOST, text))
        self._free_on_disk(place)
        self.head.memory.free(place.extent)
        for number, request in fetchers:
            self._answer(number, request, text, {"kind": FailureKind.OBJECT_LOST})

    def _orphaned(self, reason: str) -> None:
        """The process that copies is dead: what it had begun is begun anew, what it had not written is in memory.

        Or (``reason``) the system has not let it begin.
        """
        if not self.jobs:
            return
        self._deaths += 1
        # Copies that nobody was told to make yet are not for the next one: what they are about changes here.
        self.head.effects = [effect for effect in self.head.effects if not _is_copy(effect)]
        kind = FailureKind.RESOURCE_LIMIT if reason else FailureKind.OUT_OF_DISK
        many = reason or f"the process that copies objects to and from the disk died {self._deaths} times in a row"
        for place in list(self.jobs.values()):
            if place.state is P.ABANDONED:
                self._over(place, PI.ORPHANED)
            elif place.state is P.SPILLING and self._deaths < MOST_DEATHS:
                self._over(place, PI.REFUSED)
            elif place.state is P.SPILLING:
                self._refused(place, many, kind)
            elif place.state is P.EMPTYING:
                self.head.effects.append(PunchExtent(place.extent))
                self._over(place, PI.EMPTIED)
            elif self._deaths >= MOST_DEATHS and reason:
                self._stay_on_disk(place, reason)
            elif self._deaths >= MOST_DEATHS:
                self._damaged(place, many)
            else:
                self._step(place, PI.ORPHANED)
                self._copy(place)

    # -- coming back

    def fetch(self, peer: Peer, message: m.Fetch) -> None:
        """A client wants to read an object whose place it does not know."""
        made = self.head.objects.table.get(message.oid)
        place = made.place if isinstance(made, Object) else None
        if place is not None:
            place.fetchers.append((peer.number, message.request))
            self._want(place)
        elif isinstance(made, Object) and made.value is not None and made.value.status is Status.OK:
            self._answer(peer.number, message.request, "", {})
        else:
            failed = isinstance(made, Object) and made.value is not None and made.value.status is Status.FAILURE
            text = self.head.failure_of(made.value).message if failed else "the object was freed"  # type: ignore[union-attr]  # see the line above
            self._answer(peer.number, message.request, text, {"kind": FailureKind.OBJECT_LOST})

    def _want(self, place: Place) -> None:
        if place.state is P.RECALLED:
            self._stay(place)
        if place.state is P.ARENA:
            self._deliver(place)
            return
        waits = place.state is P.WANTED
        self._step(place, PI.WANT)
        if place.state is P.WANTED and not waits:
            self.head.room.wait_to_restore(place)

    def restore(self, place: Place) -> None:
        """There is room: bring it back."""
        self._step(place, PI.ROOM)
        self.head.memory.come_back(place.extent)
        self._copy(place)

    def give_up(self, place: Place, message: str, body: dict[str, Any]) -> None:
        """There is none: whoever wants it now goes without; it stays on disk."""
        self._step(place, PI.GIVE_UP)
        fetchers, place.fetchers = place.fetchers, []
        for number, request in fetchers:
            self._answer(number, request, message, body)

    def _deliver(self, place: Place) -> None:
        """It is in memory: tell whoever asked."""
        fetchers, place.fetchers = place.fetchers, []
        for number, request in fetchers:
            peer = self.head.peers.get(number)
            if peer is not None:
                self.tell(place, number)
                self.head.memory.show(peer, peer.outbox, place.extent)
                self.head.reply(peer, Answer(request))

    def _answer(self, number: int, request: int, error: str, body: dict[str, Any]) -> None:
        peer = self.head.peers.get(number)
        if peer is not None:
            self.head.reply(peer, Answer(request, body, error))
