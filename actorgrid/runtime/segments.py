"""The segments of shared memory, as the head has them: their descriptors, so that objects outlive who wrote them.

This file may not know what lies in them.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from contextlib import suppress

from actorgrid.core.extents import pages
from actorgrid.core.messages import Extent
from actorgrid.runtime.arenas import READ_WRITE, SEALS


class SegmentTable:
    """Every segment of a grid."""

    __slots__ = ("_segments",)

    def __init__(self) -> None:
        """Make an empty table."""
        #: Number to (descriptor, size).
        self._segments: dict[int, tuple[int, int]] = {}

    def add(self, segment: int, size: int, fd: int) -> None:
        """Take ownership of ``fd``. Raises ValueError (and closes it) if it could betray its readers or is known."""
        try:
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
        except OSError:
            sealed = False
        if segment in self._segments or not sealed or os.fstat(fd).st_size != size:
            os.close(fd)
            raise ValueError(f"segment {segment} of {size} bytes is already known, unsealed or of another size")
        self._segments[segment] = (fd, size)

    def miss(self, segment: int, size: int) -> None:
        """Know of a segment whose descriptor found no place here: its writer has it, and nobody can be shown it."""
        self._segments.setdefault(segment, (-1, size))

    def size(self, segment: int) -> int:
        """Return the size of a segment in bytes. Raises KeyError if it is unknown, as all below do."""
        return self._segments[segment][1]

    def descriptor(self, segment: int) -> int:
        """Return the table's own descriptor, to read from (spilling) but not to close. Raises OSError without one."""
        fd = self._segments[segment][0]
        if fd < 0:
            raise OSError(errno.EMFILE, "there was no place for the descriptor of this segment when it came")
        return fd

    def reader_descriptor(self, segment: int) -> int:
        """Return a new descriptor for a reader, which the caller closes. It cannot be mapped writable."""
        fd = self.descriptor(segment)
        with suppress(OSError):  # /proc may not be mounted; then readers are trusted to map read-only, as they do.
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        return os.dup(fd)

    def punch(self, extent: Extent) -> None:
        """Give the pages of an extent back to the system. Its writer is dead and its readers are done."""
        fd = self.descriptor(extent.segment)
        start, end = pages(extent)
        if start < end:
            # MADV_REMOVE on a passing mapping is fallocate(PUNCH_HOLE), for which Python has no call of its own.
            with mmap.mmap(fd, end - start, prot=READ_WRITE, offset=start) as memory:
                memory.madvise(mmap.MADV_REMOVE)

    def drop(self, segment: int) -> None:
        """Close the descriptor of a segment in which no object is left."""
        fd, _ = self._segments.pop(segment)
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        """Close every descriptor."""
        for segment in list(self._segments):
            self.drop(segment)
