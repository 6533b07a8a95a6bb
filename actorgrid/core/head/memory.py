"""Shared memory, as the head sees it: who may fill how much, and what lies where.

The head never maps memory. It keeps a descriptor of every segment (its shell does), so that objects outlive their
writers; it grants bytes ahead (leases), so that writers allocate without a round trip; it tells a writer which of its
extents are unused again, so that warm pages are filled again.

This file may not know what an object is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.effects import DropSegment, PunchExtent, ShowSegment
from actorgrid.core.head.records import Peer, SegmentRecord
from actorgrid.core.messages import Answer, Extent, Freed, LeaseRequest, LeaseReturn, NewSegment, Segment, Value

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
        free = self.budget - self.leased
        ahead = min(32 << 20, self.budget // 16)
        granted = max(message.size, ahead) if free >= max(message.size, ahead) + self.budget // 2 else message.size
        if free < granted:
            error = (
                f"the object store is full: {message.size} bytes wanted, {free} of {self.budget} bytes free; "
                "drop references, or raise object_store_memory"
            )
            self.head.reply(peer, Answer(message.request, error=error))
            return
        self.leased += granted
        peer.leased += granted
        self.head.reply(peer, Answer(message.request, {"granted": granted}))

    def lease_return(self, peer: Peer, message: LeaseReturn) -> None:
        """``peer`` gives unused bytes back."""
        size = min(message.size, peer.leased)
        peer.leased -= size
        self.leased -= size

    def new_segment(self, peer: Peer, message: NewSegment) -> None:
        """``peer`` made a segment (its shell has put the descriptor aside already)."""
        self.segments[message.segment] = SegmentRecord(message.segment, message.size, peer.number)
        peer.segments[message.segment] = None

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
            self.head.reply(owner, Freed((extent,)))
            return
        self.orphaned -= extent.size
        self.leased -= extent.size
        if segment.extents:
            self.head.effects.append(PunchExtent(extent))
        else:
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
                if not segment.extents:
                    self._drop(segment)

    def _drop(self, segment: SegmentRecord) -> None:
        del self.segments[segment.segment]
        for peer in self.head.peers.values():
            peer.segments.pop(segment.segment, None)
            if peer.worker is not None:
                peer.worker.segments.pop(segment.segment, None)
        self.head.effects.append(DropSegment(segment.segment))
