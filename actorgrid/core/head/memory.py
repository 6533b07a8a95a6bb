"""Shared memory, as the head sees it: who may fill how much, and what lies where.

The head never maps memory. It keeps a descriptor of every segment (its shell does), so that objects outlive their
writers; it grants bytes ahead (leases), so that writers allocate without a round trip; it tells a writer which of its
extents are unused again, so that warm pages are filled again.

This file may not know what an object is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.extents import reserved
from actorgrid.core.head.effects import DropSegment, PunchExtent, ShowSegment
from actorgrid.core.head.records import Peer, SegmentRecord
from actorgrid.core.messages import Answer, Extent, Freed, LeaseRequest, LeaseReturn, NewSegment, Segment, Value
from actorgrid.exceptions import InternalError

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head


class Memory:
    """Segments, extents and leases."""

    __slots__ = ("budget", "head", "leased", "orphaned", "segments")

    # Invariant: self.leased == sum(p.leased for p in head.peers.values()) + self.orphaned
    # Invariant: self.leased <= self.budget

    def __init__(self, head: Head, budget: int) -> None:
        self.head = head
        self.budget = budget
        self.leased = 0
        #: Bytes of live objects whose writers are dead.
        self.orphaned = 0
        self.segments: dict[int, SegmentRecord] = {}

    def lease(self, peer: Peer, message: LeaseRequest) -> None:
        """Grant ``message.size`` bytes, and more ahead if there is plenty."""
        free = self.free_bytes
        ahead = min(32 << 20, self.budget // 16)
        granted = max(message.size, ahead) if free >= max(message.size, ahead) + self.budget // 2 else message.size
        room = self.head.room
        if free < granted or room.queue:
            if room.patience and message.size <= self.budget:
                room.wait_for_lease(peer, message)
                return
            error = (
                f"the object store is full: {message.size} bytes wanted, {free} of {self.budget} bytes free; "
                "drop references, or raise object_store_memory"
            )
            self.head.reply(peer, Answer(message.request, error=error))
            return
        self.grant(peer, message.request, granted)

    def grant(self, peer: Peer, request: int, size: int) -> None:
        """``peer`` may fill ``size`` bytes more. Invariant: size <= self.free_bytes."""
        self.leased += size
        peer.leased += size
        self.head.reply(peer, Answer(request, {"granted": size}))

    @property
    def free_bytes(self) -> int:
        """Bytes that are neither leased nor in an object of a dead process."""
        return self.budget - self.leased

    def lease_return(self, peer: Peer, message: LeaseReturn) -> None:
        """``peer`` gives unused bytes back."""
        size = min(message.size, peer.leased)
        peer.leased -= size
        self.leased -= size

    def new_segment(self, peer: Peer, message: NewSegment) -> None:
        """``peer`` made a segment (its shell has put the descriptor aside already)."""
        self.segments[message.segment] = SegmentRecord(message.segment, message.size, peer.number)
        peer.segments[message.segment] = None

    def vouch(self, peer: Peer, *values: Value) -> None:
        """Raise InternalError, before anything is done about them, if one lies where ``peer`` cannot have put it."""
        for value in values:
            if value.extent is not None:
                self._vouch(peer, value.extent)

    def _vouch(self, peer: Peer, extent: Extent) -> None:
        segment = self.segments.get(extent.segment)
        whole = segment is not None and 0 <= extent.offset <= extent.offset + extent.size <= segment.size
        if segment is None or not whole or segment.owner != peer.number:
            raise InternalError(f"client {peer.number} has nothing at {extent}")
        if extent.offset in segment.extents or extent.offset in segment.spilled:
            raise InternalError(f"client {peer.number} has something else at {extent}")

    def adopt(self, extent: Extent) -> None:
        """An object lies there now."""
        segment = self.segments[extent.segment]
        segment.extents[extent.offset] = extent
        owner = self.head.peers.get(segment.owner)
        if owner is not None:
            owner.live_bytes += extent.size
        else:  # written by a process that is dead by now: its lease was dissolved
            self.orphaned += extent.size
            self.leased += extent.size

    def free(self, extent: Extent) -> None:
        """No object lies there any more."""
        segment = self.segments[extent.segment]
        del segment.extents[extent.offset]
        owner = self.head.peers.get(segment.owner)
        if owner is not None:
            owner.live_bytes -= extent.size
            cold = bool(self.head.room.queue)  # somebody else needs the bytes: the owner shall not keep them
            if cold:
                self._shrink(owner, reserved(extent.size))
            self.head.reply(owner, Freed((extent,), cold))
            return
        self.orphaned -= extent.size
        self.leased -= extent.size
        if segment.extents or segment.spilled:
            self.head.effects.append(PunchExtent(extent))
        else:
            self._drop(segment)

    def _shrink(self, owner: Peer, size: int) -> None:
        size = min(size, owner.leased - owner.live_bytes)
        owner.leased -= size
        self.leased -= size

    # -- what is on disk owns no memory, but its place stays its own: it comes back to where it lay

    def leave(self, extent: Extent) -> None:
        """The bytes of this live extent are on disk now, and its pages are the system's."""
        segment = self.segments[extent.segment]
        segment.spilled[extent.offset] = segment.extents.pop(extent.offset)
        owner = self.head.peers.get(segment.owner)
        if owner is not None:
            owner.live_bytes -= extent.size
            self._shrink(owner, reserved(extent.size))
        else:
            self.orphaned -= extent.size
            self.leased -= extent.size

    def come_back(self, extent: Extent) -> None:
        """The bytes will be in memory again. Invariant: reserved(extent.size) <= self.free_bytes."""
        segment = self.segments[extent.segment]
        segment.extents[extent.offset] = segment.spilled.pop(extent.offset)
        owner = self.head.peers.get(segment.owner)
        if owner is not None:
            size = reserved(extent.size)
            owner.leased += size
            owner.live_bytes += extent.size
            self.leased += size
        else:
            self.orphaned += extent.size
            self.leased += extent.size

    def free_spilled(self, extent: Extent) -> None:
        """Nobody wants any more what lay here and is on disk."""
        segment = self.segments[extent.segment]
        del segment.spilled[extent.offset]
        owner = self.head.peers.get(segment.owner)
        if owner is not None:
            self.head.reply(owner, Freed((extent,), cold=True))
        elif not segment.extents and not segment.spilled:
            self._drop(segment)

    def discard(self, value: Value) -> None:
        """A value that nobody wants came in."""
        if value.extent is not None:
            self.adopt(value.extent)
            self.free(value.extent)

    def show(self, peer: Peer, outbox: list[object], extent: Extent) -> None:
        """Make sure that ``peer`` has the segment's descriptor before a message in ``outbox`` mentions it."""
        record = self.segments[extent.segment]
        reply_link = outbox is peer.outbox
        # Links are not ordered among each other: what went over one may be unread when the other mentions it.
        shown = peer.segments if reply_link or peer.worker is None else peer.worker.segments
        if extent.segment in shown or record.owner == peer.number:
            return
        shown[extent.segment] = None
        self.head.effects.append(ShowSegment(peer.number, Segment(extent.segment, record.size), reply_link))

    def drop_client(self, peer: Peer) -> None:
        """``peer`` is dead: its unused lease is free, its live objects stay."""
        self.orphaned += peer.live_bytes
        self.leased -= peer.leased - peer.live_bytes
        peer.leased = peer.live_bytes = 0
        for number in peer.segments:
            segment = self.segments.get(number)
            if segment is not None and segment.owner == peer.number:
                segment.owner = 0
                if not segment.extents and not segment.spilled:
                    self._drop(segment)
        self.head.room.drop_client(peer.number)
        self.head.spilling.drop_client(peer.number)

    def _drop(self, segment: SegmentRecord) -> None:
        del self.segments[segment.segment]
        for peer in self.head.peers.values():
            peer.segments.pop(segment.segment, None)
            if peer.worker is not None:
                peer.worker.segments.pop(segment.segment, None)
        self.head.effects.append(DropSegment(segment.segment))
