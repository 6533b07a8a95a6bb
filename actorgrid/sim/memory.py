"""Shared memory of a simulated grid, and the disk behind it: bytes by extent, under the head's leases.

Where it lies is decided by the allocator of the real store, in one segment per process, as large as it likes. What is
written is copied once, so that writer and readers share nothing but what the real store would let them share.
"""

from __future__ import annotations

import ctypes
import gc
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.extents import ExtentAllocator, reserved
from actorgrid.exceptions import InternalError, ObjectStoreFullError
from actorgrid.wire import layout

if TYPE_CHECKING:
    from actorgrid.engine.serialize import Pickled
    from actorgrid.sim.host import SimHost

SEGMENT: Final = 1 << 46
#: How a copy fails (see ``Memory.fail``): from here on the process that makes it dies.
DIES: Final = 2


class _Pin:
    """Says so when the last view of an object goes."""

    __slots__ = ("on_release",)

    def __init__(self, on_release: Callable[[], None]) -> None:
        self.on_release = on_release

    def __del__(self) -> None:
        self.on_release()


class _Payload:
    """The bytes of one object, and how many views of them there are."""

    __slots__ = ("data", "views")

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.views = 0


class Memory:
    """What lies in the shared memory of one grid."""

    def __init__(self) -> None:
        self._payloads: dict[tuple[int, int], _Payload] = {}
        #: The spill file: payloads by offset.
        self.disk: dict[int, _Payload] = {}

    def store(self, extent: m.Extent, data: bytearray) -> None:
        """Keep a payload."""
        self._payloads[extent.segment, extent.offset] = _Payload(data)

    def free(self, extent: m.Extent) -> None:
        """Forget a payload; views of it stay valid."""
        self._payloads.pop((extent.segment, extent.offset), None)

    def view(self, extent: m.Extent, on_release: Callable[[], None]) -> memoryview:
        """Return a read-only view that pins its object."""
        payload = self._payloads[extent.segment, extent.offset]
        payload.views += 1

        def released() -> None:
            payload.views -= 1
            on_release()

        # A ctypes array is the one exporter of memory that can carry more, before Python 3.12 too (PEP 688).
        exporter: Any = (ctypes.c_char * len(payload.data)).from_buffer(payload.data)
        exporter.pin = _Pin(released)
        return memoryview(exporter).cast("B").toreadonly()

    def copy(self, order: m.SpillOut | m.SpillIn) -> list[m.Written | m.Emptied | m.Restored | m.SpillFailed]:
        """Copy a payload to the disk or back; return what the process that does so would say."""
        place = order.extent.segment, order.extent.offset
        if isinstance(order, m.SpillOut):
            if self._payloads[place].views:
                raise InternalError(f"{order.extent} goes to disk while somebody reads it")
            payload = self.disk[order.offset] = self._payloads.pop(place)
            return [m.Written(order.job, zlib.crc32(payload.data)), m.Emptied(order.job)]
        payload = self.disk[order.offset]
        self._payloads[place] = payload
        if zlib.crc32(payload.data) != order.checksum:
            return [m.SpillFailed(order.job, "what was read is not what was written")]
        return [m.Restored(order.job)]

    def fail(self, order: m.SpillOut | m.SpillIn, way: int) -> list[m.Written | m.Emptied | m.Restored | m.SpillFailed]:
        """Fail to copy: the disk does (1), or its process dies before (``DIES``) or after it has written.

        Returns what that process would say until then.
        """
        if way == DIES:
            return []
        if isinstance(order, m.SpillIn):
            return [m.SpillFailed(order.job, "what was read is not what was written")]
        if way < DIES:
            return [m.SpillFailed(order.job, "No space left on device")]
        payload = self.disk[order.offset] = self._payloads[order.extent.segment, order.extent.offset]
        return [m.Written(order.job, zlib.crc32(payload.data))]


class Store:
    """One process's part of it: its segment and its lease."""

    def __init__(self, host: SimHost, memory: Memory, budget: int) -> None:
        """``budget`` is the whole grid's, in bytes."""
        self._host = host
        self._memory = memory
        #: Leased bytes that no extent uses; how often extents came back; how much is kept for the next value.
        self._spare = 0
        self._frees = 0
        self._keep = budget // 8

    @cached_property
    def _allocator(self) -> ExtentAllocator:
        """What is where in its segments. Most processes never put anything there."""
        return ExtentAllocator()

    def write(self, pickled: Pickled) -> m.Extent:
        """Put a payload into shared memory. Raises ObjectStoreFullError."""
        size = reserved(pickled.size)
        if self._host.world.harm.breaks("store", f"the store has no room for {pickled.size} bytes"):
            raise ObjectStoreFullError(f"the object store has no room for {pickled.size} bytes (a simulated fault)")
        while self._spare < size:
            self._lease(size)
        self._spare -= size
        extent = self._place(pickled.size)
        payload = bytearray(pickled.size)
        layout.write(memoryview(payload), pickled.data, pickled.buffers)
        self._memory.store(extent, payload)
        self._host.world.payloads.store(payload)
        return extent

    def _place(self, size: int) -> m.Extent:
        extent = self._allocator.allocate(size)
        if extent is None:
            segment = self._host.client.take_ids(1)
            self._host.client.outbox.append(m.NewSegment(segment, SEGMENT))
            self._allocator.add_segment(segment, SEGMENT)
            extent = self._allocator.allocate(size)
            assert extent is not None, f"a fresh segment does not hold {size} bytes"
        self._check()
        return extent

    def _check(self) -> None:
        if not self._host.world.checks:
            return
        collects = gc.isenabled()
        gc.disable()  # a finalizer that stores something would change what is looked at
        try:
            self._allocator.check()
        finally:
            if collects:
                gc.enable()

    def _lease(self, size: int) -> None:
        frees = self._frees
        answer = self._host._ask(m.LeaseRequest(0, size), take=self._granted)  # noqa: SLF001  # one door for all requests
        if answer.error and self._frees == frees:  # else something was freed while we asked
            raise self._host.refusal(answer)

    def _granted(self, answer: m.Answer) -> None:
        """What is leased is there for the next value if whoever asked was interrupted."""
        if not answer.error:
            self._spare += answer.body["granted"]

    def freed(self, extents: tuple[m.Extent, ...], *, cold: bool = False) -> None:
        """Nobody uses these any more: fill them again, and give back what is too much to keep; all of it if cold."""
        for extent in extents:
            self._memory.free(extent)
            self._allocator.free(extent)
            if not cold:
                self._spare += reserved(extent.size)
        self._frees += 1
        if cold:
            self._allocator.cool(self._spare)
        if self._spare > self._keep:
            self._give_back(self._spare - self._keep)
        self._check()

    def squeeze(self) -> None:
        """Give back whatever is not used."""
        if self._spare:
            self._give_back(self._spare)

    def _give_back(self, size: int) -> None:
        self._spare -= size
        self._allocator.cool(self._spare)
        self._host.client.outbox.append(m.LeaseReturn(size))
        self._host.send(force=True)
