"""Shared memory on the real machine: memfd segments, who writes them, and who reads them (``segments``: who owns them).

::

    writer (driver, worker)               head                             reader (driver, worker)
    ArenaWriter ── announce(fd) ────────▶ SegmentTable ── descriptor ────▶ ArenaReader
      allocates, copies in                  holds the descriptors            maps once, read-only views
      ◀──────────── recycle(extents) ───────┘  punches for dead writers      ── on_release() when a view is gone

Rules for this file

* A segment has no name: it goes with the last descriptor and mapping, whoever dies in what order.
* A segment never shrinks (sealed), so no reader gets SIGBUS.
* A mapping is never unmapped by hand, only by the collector when no view is left. ``mmap.close`` does not see the
  views made through ctypes and would leave them dangling.

Things that do not work

* F_SEAL_FUTURE_WRITE, which would keep readers from mapping a segment writable: the kernel then refuses to punch holes
  too (EPERM), and memory could never be given back. Readers get a descriptor opened read-only instead.
* Populating fresh pages ahead (MADV_POPULATE_WRITE) or filling them by ``pwrite``: no faster than faulting them in.
* A weak reference to the view: it does not follow views made from it. A weak reference to the exporter, or a release
  in its ``__del__``: in a dead cycle both run before the finalizers of the user's objects, which may still read the
  memory, or even keep the view. See ``_Exporter``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import sys
import threading
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from actorgrid.core.extents import ExtentAllocator, align
from actorgrid.core.messages import Extent
from actorgrid.engine.interrupts import breathe, breathing, protected
from actorgrid.wire import layout

#: Segments have at least this many bytes. They are sparse: untouched bytes cost nothing.
SEGMENT: Final = 64 << 20
#: Sizes of segments are multiples of this (a huge page).
GRAIN: Final = 2 << 20
#: Growth stops here; only a larger object makes a larger segment.
LARGEST_STEP: Final = 16 << 30

SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
READ_WRITE: Final = mmap.PROT_READ | mmap.PROT_WRITE


class _PyBuffer(ctypes.Structure):
    """CPython's Py_buffer (stable ABI since 3.11)."""

    _fields_ = [  # type: ignore[mutable-override]  # the stub of ctypes is too narrow for mypy here
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


def _address_of(memory: mmap.mmap) -> int:
    """Return where ``memory`` is mapped."""
    buffer = _PyBuffer()
    # ``c_char.from_buffer`` would be shorter, but refuses read-only memory.
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), ctypes.byref(buffer), 0)
    address: int = buffer.buf
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return address


class Mapping:
    """A segment mapped into this process, for as long as anybody refers to this object or to a view."""

    __slots__ = ("address", "memory", "size")

    def __init__(self, fd: int, size: int, protection: int) -> None:
        """Map the first ``size`` bytes of ``fd``, which may be closed afterwards.

        Raises ValueError if the file is shorter, OSError if the kernel refuses.
        """
        if sys.version_info >= (3, 13):
            self.memory = mmap.mmap(fd, size, prot=protection, trackfd=False)
        else:
            self.memory = mmap.mmap(fd, size, prot=protection)
        self.size = size
        self.address = _address_of(self.memory)

    def slice(self, extent: Extent) -> memoryview:
        """Return the bytes of ``extent``, writable if the mapping is. Raises ValueError if it lies outside."""
        start, end = extent.offset, extent.offset + extent.size
        if not 0 <= start < end <= self.size:
            raise ValueError(f"{extent} lies outside of {self.size} bytes")
        return memoryview(self.memory)[start:end]


# ----------------------------------------------------------------------------------------------------- writing


class ArenaWriter:
    """Makes segments and puts values into them. Safe for threads; a fork must not use its parent's."""

    __slots__ = ("_allocator", "_announce", "_lock", "_mappings", "_next_segment", "_reader", "_retire")

    # Invariant: the segments of _allocator are the keys of _mappings

    def __init__(
        self,
        announce: Callable[[int, int, int], None],
        next_segment: Callable[[], int],
        *,
        reader: ArenaReader | None = None,
        retire: Callable[[int], None] | None = None,
    ) -> None:
        """Make a writer without segments.

        ``announce(segment, size, fd)`` passes a new segment on, before anything is written there; it owns ``fd``.
        ``next_segment()`` gives its number. ``reader``: this process's reader, which then shares the mapping.
        ``retire(segment)`` says that a segment holds nothing and will not be used again; without it none is given up.
        All three run under the writer's lock and must not call back.
        """
        self._announce = announce
        self._next_segment = next_segment
        self._reader = reader
        self._retire = retire
        self._allocator = ExtentAllocator()
        self._mappings: dict[int, Mapping] = {}
        #: Users' threads allocate while the thread that reads the link recycles.
        self._lock = threading.RLock()

    @property
    def used_bytes(self) -> int:
        """Bytes reserved by extents in use."""
        return self._allocator.used_bytes

    @property
    def idle_warm(self) -> int:
        """Bytes of physical memory that this writer holds for reuse."""
        return self._allocator.idle_warm

    @protected
    def allocate(self, size: int) -> Extent:
        """Return ``size`` bytes of shared memory. Raises OSError if a segment is needed and cannot be made."""
        if self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # as threading.Condition does
            message = "a finalizer or signal handler that interrupted the allocation of shared memory wants some too"
            raise OSError(errno.EDEADLK, message)
        with self._lock:
            extent = self._allocator.allocate(size)
            if extent is None:
                self._add_segment(size)
                extent = self._allocator.allocate(size)
                assert extent is not None, f"a fresh segment does not hold {size} bytes"
            return extent

    def memory(self, extent: Extent) -> memoryview:
        """Return the writable bytes of an allocated extent."""
        return self._mappings[extent.segment].slice(extent)

    @breathing
    def write(self, pickled: bytes | memoryview, buffers: Sequence[memoryview]) -> Extent:
        """Lay a value out in shared memory (see ``wire.layout``) and return where. Raises OSError as ``allocate``."""
        extent = self.allocate(layout.size_of(pickled, buffers))
        try:
            layout.write(self.memory(extent), pickled, buffers, breathe)
        except BaseException:
            self.recycle((extent,))
            raise
        return extent

    @protected
    def recycle(self, extents: Iterable[Extent]) -> None:
        """Take extents back for reuse: nobody reads them any more. Their pages stay warm."""
        with self._lock:
            for extent in extents:
                self._allocator.free(extent)

    @protected
    def trim(self, limit: int) -> int:
        """Give idle memory beyond ``limit`` bytes back to the system, least recently used first; return how many.

        Raises OSError if the kernel refuses.
        """
        freed = 0
        with self._lock:
            for extent in self._allocator.cool(limit):
                self._mappings[extent.segment].memory.madvise(mmap.MADV_REMOVE, extent.offset, extent.size)
                freed += extent.size
            if self._retire is not None:
                for segment in self._allocator.empty_segments():
                    self._drop_segment(segment, self._retire)
        return freed

    def close(self) -> None:
        """Let go of every segment. Views stay valid; what was written lives on in the owner's descriptors."""
        with self._lock:
            self._allocator = ExtentAllocator()
            self._mappings.clear()

    def _add_segment(self, size: int) -> None:
        # A quarter of what there is: the number of segments, and of everyone's descriptors, grows with the logarithm.
        mapped = sum(mapping.size for mapping in self._mappings.values())
        wanted = align(max(SEGMENT, size, min(mapped // 4, LARGEST_STEP)), GRAIN)
        segment = self._next_segment()
        fd = make_segment(wanted)
        try:
            mapping = Mapping(fd, wanted, READ_WRITE)
        except BaseException:
            os.close(fd)
            raise
        self._announce(segment, wanted, fd)
        self._mappings[segment] = mapping
        self._allocator.add_segment(segment, wanted)
        if self._reader is not None:
            self._reader.share(segment, mapping)

    def _drop_segment(self, segment: int, retire: Callable[[int], None]) -> None:
        self._allocator.remove_segment(segment)
        del self._mappings[segment]
        if self._reader is not None:
            self._reader.detach(segment)
        retire(segment)


def make_segment(size: int) -> int:
    """Return the descriptor of ``size`` bytes of nameless, sparse shared memory that cannot change its size."""
    fd = os.memfd_create("actorgrid", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


# ----------------------------------------------------------------------------------------------------- reading


class _Pin:
    """Calls its function when the exporter that it hangs on is taken apart."""

    __slots__ = ("on_release",)

    def __init__(self, on_release: Callable[[], None]) -> None:
        self.on_release = on_release

    @protected
    def __del__(self) -> None:
        self.on_release()


class _Exporter(ctypes.Array[ctypes.c_char]):
    """Where all views of one object come from. It never touches memory by itself.

    One type for all sizes, longer than any of them, of which a view takes the first bytes: ctypes keeps every array
    type for ever, and a type per size would be a leak.
    """

    _type_ = ctypes.c_char
    _length_ = 1 << 47
    __slots__ = ("mapping", "on_release", "pin")

    mapping: Mapping
    on_release: Callable[[], None]
    pin: _Pin

    @protected
    def __del__(self) -> None:
        # Not yet the end: in a dead cycle the finalizers of the user's objects are still to run, and one of them may
        # bring the view back to life. A pin made now is not part of that cycle, so it goes only when this object does.
        self.pin = _Pin(self.on_release)


class ArenaReader:
    """Maps segments read-only, once each, and makes views of the objects in them."""

    __slots__ = ("_mappings",)

    def __init__(self) -> None:
        """Make a reader without segments."""
        self._mappings: dict[int, Mapping] = {}

    def __contains__(self, segment: int) -> bool:
        """Return whether ``segment`` is attached."""
        return segment in self._mappings

    def attach(self, segment: int, size: int, fd: int) -> None:
        """Map a segment of ``size`` bytes. ``fd`` is closed here in any case; a known segment is not mapped again.

        Raises ValueError if the file is shorter than ``size``, OSError if the kernel refuses.
        """
        try:
            if segment not in self._mappings:
                self._mappings[segment] = Mapping(fd, size, mmap.PROT_READ)
        finally:
            os.close(fd)

    def share(self, segment: int, mapping: Mapping) -> None:
        """Use the mapping that this process's writer has anyway."""
        self._mappings[segment] = mapping

    def detach(self, segment: int) -> None:
        """Forget a segment. Its views stay valid; it is unmapped when the last of them goes."""
        self._mappings.pop(segment, None)

    def keep(self, segments: Container[int]) -> None:
        """Forget every segment but these. Views stay valid."""
        for segment in [each for each in self._mappings if each not in segments]:
            self.detach(segment)

    def close(self) -> None:
        """Forget every segment. Views stay valid."""
        self._mappings.clear()

    def view(self, extent: Extent, on_release: Callable[[], None] | None) -> memoryview:
        """Return the bytes of ``extent``: not copied, read-only.

        ``on_release`` is called once, when neither this view nor anything made from it is left. That may happen in any
        thread and between any two instructions: it must only append to a deque.
        Raises KeyError for a segment that is not attached, ValueError for an extent that lies outside.
        """
        mapping = self._mappings[extent.segment]
        part = mapping.slice(extent)
        if on_release is None:
            return part.toreadonly()
        exporter = _Exporter.from_address(mapping.address + extent.offset)
        exporter.mapping = mapping
        exporter.on_release = on_release
        return memoryview(exporter).cast("B")[: extent.size].toreadonly()
