"""A worker's outbox, in memory shared with the launcher.

A result must not be lost because a later task crashes the process, and a system call per result would cost more than
a small task. So finished messages are encoded into a page shared with the launcher and sent in batches; if the
process dies, the launcher reads what is there and the head takes it as if it had been sent. The same page says which
task's user code is running, so that exactly that one is blamed.

Layout: ``current task (8 bytes) | body length (4) | 0xdd | count (4, big endian) | messages …``. From the length on,
these are the bytes of a frame: sending needs no copy. The length is stored last, and zeroed after the send: a death
in between makes the head see one frame twice, which it recognises (ids and attempts only grow).
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
from typing import Any, Final

from actorgrid.wire.codec import ACK_WANTED, LENGTH, encode_frame, encode_message

_BODY: Final = 12
_FIRST: Final = _BODY + 5
_COUNT: Final = struct.Struct(">I")
_CURRENT: Final = struct.Struct("<Q")


class Outbox:
    """Messages that are finished but not sent."""

    __slots__ = ("_count", "_end", "_memory", "_size", "_socket", "_view")

    def __init__(self, memory: mmap.mmap, link: socket.socket) -> None:
        self._memory = memory
        self._view = memoryview(memory)
        self._socket = link
        self._size = len(memory)
        self._end = _FIRST
        self._count = 0
        memory[_BODY] = 0xDD

    def set_current(self, task: int) -> None:
        """From now on ``task`` is to blame if the process dies (0: nobody)."""
        _CURRENT.pack_into(self._memory, 0, task)

    def __len__(self) -> int:
        return self._count

    def add(self, message: Any) -> None:
        """Append a message. It survives this process once this returns."""
        data = encode_message(message)
        end = self._end + len(data)
        if end > self._size:
            self.flush()
            end = self._end + len(data)
            if end > self._size:
                self._send(encode_frame([message]))
                return
        memory = self._memory
        memory[self._end : end] = data
        self._count += 1
        self._end = end
        _COUNT.pack_into(memory, _BODY + 1, self._count)
        LENGTH.pack_into(memory, 8, end - _BODY)

    def flush(self, *, ack_wanted: bool = False) -> None:
        """Send everything."""
        if not self._count:
            return
        if ack_wanted:
            frame = LENGTH.pack((self._end - _BODY) | ACK_WANTED) + self._view[_BODY : self._end]
            self._send(frame)
        else:
            self._send(self._view[8 : self._end])
        LENGTH.pack_into(self._memory, 8, 0)
        self._end = _FIRST
        self._count = 0

    def _send(self, frame: bytes | memoryview) -> None:
        """Send a frame whole, also where an event loop has made the socket one that does not block."""
        rest = memoryview(frame)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                room = select.poll()
                room.register(self._socket, select.POLLOUT)
                room.poll()
