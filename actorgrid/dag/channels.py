"""What the processes of a compiled graph have between them: one piece of shared memory, and pipes.

::

    memory   a segment, as those of the object store: without a name, and of one size for ever
             page 0: byte 0 says whether it is over
             then for each step (0 is the input) as many slots as executions may be under way

    pipes    one for each step and each process that wants its result; what goes through it are tokens:
             (slot, kind, size) "the result for this slot lies there now"

A token is written after the bytes that it speaks of and read before them, by system calls: what a reader sees is whole
on every processor. Whoever waits sleeps in ``read``, and the write wakes it: one wake-up for each hop.

Nobody says that a slot has been read. An execution keeps its slot, in all steps, until the program has taken its last
result; every step contributes to some result, so all have read what they needed by then.

Invariant: no pipe is ever full. There is one token for each execution under way, of which there are at most
``MOST_INFLIGHT``, and a few that end it all; the smallest pipe that the system makes has room for 256.

Descriptors travel through /proc: whoever may start a grid may open what its processes have open. Each process opens its
own, so closing one closes no other's. All pipes are open for reading and writing everywhere: a writer's death is no end
of file, and a reader's no signal. Who has died is told by the grid.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Final, NamedTuple

from actorgrid.engine.serialize import Pickled
from actorgrid.wire import layout

MOST_INFLIGHT: Final = 200
#: There is always room for an error, however small values must be.
ROOM_FOR_ERRORS: Final = 4 << 20
_PAGE: Final = mmap.PAGESIZE

_TOKEN: Final = struct.Struct("<IIQ")
TOKEN_SIZE: Final = _TOKEN.size
unpack_token = _TOKEN.unpack
pack_token = _TOKEN.pack
#: Kinds of token.
VALUE: Final = 0
ERROR: Final = 1
STOP: Final = 2
STOP_TOKEN: Final = pack_token(0, STOP, 0)


class Descriptor(NamedTuple):
    """A descriptor of another process, and what it must be."""

    process: int
    number: int
    inode: int

    def open(self) -> int:
        """Return one of this process's own for the same thing. Raises OSError."""
        fd = os.open(f"/proc/{self.process}/fd/{self.number}", os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(fd).st_ino != self.inode:
            os.close(fd)
            raise OSError(f"descriptor {self.number} of process {self.process} is not what it was")
        return fd


def describe(fd: int) -> Descriptor:
    """Return a descriptor of this process in a form that others can open."""
    return Descriptor(os.getpid(), fd, os.fstat(fd).st_ino)


def make_pipe() -> int:
    """Return a descriptor for both ends of a new pipe, which does not block. Raises OSError."""
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{out}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(out)
        os.close(into)


class Shape(NamedTuple):
    """How large the memory is."""

    steps: int
    slots: int
    #: The largest value.
    limit: int

    @property
    def slot(self) -> int:
        """Bytes from slot to slot."""
        return -(-max(self.limit, ROOM_FOR_ERRORS) // _PAGE) * _PAGE

    @property
    def size(self) -> int:
        """Bytes of all. They are address space: memory is taken where something is written."""
        return _PAGE + self.steps * self.slots * self.slot


class Memory:
    """The memory as one process has it mapped."""

    __slots__ = ("_map", "_shape", "_slot")

    def __init__(self, fd: int, shape: Shape) -> None:
        """Map it; ``fd`` may be closed afterwards. Raises OSError, ValueError."""
        self._map = mmap.mmap(fd, shape.size)
        self._shape = shape
        self._slot = shape.slot

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done."""
        return self._map[0] != 0

    def end(self) -> None:
        """Nothing more is to be done."""
        self._map[0] = 1

    def write(self, step: int, slot: int, pickled: Pickled) -> None:
        """Put a value where it belongs; it fits."""
        start = self._place(step, slot)
        if not pickled.buffers:
            self._map[start : start + pickled.size] = pickled.data
            return
        with memoryview(self._map) as whole, whole[start : start + pickled.size] as place:
            layout.write(place, pickled.data, pickled.buffers)

    def write_bytes(self, step: int, slot: int, data: bytes) -> None:
        """Put an error where it belongs; it fits."""
        start = self._place(step, slot)
        self._map[start : start + len(data)] = data

    def read(self, step: int, slot: int, size: int) -> bytes:
        """Return what lies there: a copy, for the place is used again."""
        start = self._place(step, slot)
        return self._map[start : start + size]

    def _place(self, step: int, slot: int) -> int:
        return _PAGE + (step * self._shape.slots + slot) * self._slot

    def close(self) -> None:
        """Let go of it."""
        self._map.close()
