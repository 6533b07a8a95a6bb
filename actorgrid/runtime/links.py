"""Links: message streams over socket pairs, with descriptors.

``multiprocessing.Pipe()`` is ``socket.socketpair()`` behind a reader that blocks on a partial message; a peer stopped
in mid-frame would freeze the head. So the pair is used bare: reads and writes are non-blocking where the head does
them, and frames are put together here. (Importing ``multiprocessing.connection`` would also cost 10 ms of start-up.)

Descriptors ride (SCM_RIGHTS) on the first byte of the frame that announces them. Every read accepts ancillary data:
a plain ``recv`` of such a byte would silently lose the descriptor.
"""

from __future__ import annotations

import array
import os
import select
import socket
import stat
from collections import deque
from typing import Any, Final, Generic, TypeVar

from actorgrid.wire.codec import Decoder, encode_frame

T = TypeVar("T")

#: Bytes per read. From 128 KiB on, malloc would map, shrink and unmap memory for every read: three more system calls.
READ_SIZE: Final = 64 << 10
#: A peer that takes nothing for so many seconds is stopped, or has no CPU: whoever sends does not wait for it.
PATIENCE: Final = 0.1
#: Bytes that may wait for a client of the head before results for it wait in the machine instead.
CONGESTED: Final = 1 << 20
#: Stands for the descriptors of a frame for which this process had no place: the system has closed them.
LOST: Final = -1
_FD_SPACE: Final = socket.CMSG_SPACE(16 * 4)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class Link(Generic[T]):
    """One end of a message stream."""

    __slots__ = ("_pending", "decoder", "fds", "pending_bytes", "socket")

    def __init__(self, end: socket.socket, union: Any) -> None:
        """``union``: the messages that may arrive at this end."""
        self.socket = end
        self.decoder: Decoder[T] = Decoder(union)
        #: Descriptors that came with what was read, oldest first, or ``LOST``: those of a frame that is still to come
        #: in full must not be taken for those of the frame before it. Whoever handles the message claims them.
        self.fds: deque[int] = deque()
        #: Frames that the socket has not taken yet, with their descriptors.
        self._pending: deque[tuple[memoryview, list[int]]] = deque()
        self.pending_bytes = 0

    def fileno(self) -> int:
        """Return the descriptor, for polling."""
        return self.socket.fileno()

    def receive(self, flags: int = 0) -> list[T] | None:
        """Read once. Returns what arrived (perhaps []), None at the end of the stream.

        Blocks if the socket blocks, unless ``flags`` say MSG_DONTWAIT. Raises BlockingIOError if there is nothing.
        """
        try:
            data, ancillary, found, _ = self.socket.recvmsg(READ_SIZE, _FD_SPACE, flags | socket.MSG_CMSG_CLOEXEC)
        except (ConnectionResetError, BrokenPipeError):
            return None
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self.fds.extend(fds)
        if found & socket.MSG_CTRUNC:
            self.fds.append(LOST)
        if not data:
            return None
        return self.decoder.feed(data)

    def claim(self, count: int = 1) -> list[int]:
        """Take the descriptors that came with the message at hand; [] if this process had no place for all of them.

        Raises LookupError if fewer came.
        """
        claimed: list[int] = []
        while len(claimed) < count:
            if not self.fds or self.fds[0] == LOST:
                _close_all(claimed)
                if not self.fds:
                    raise LookupError(f"{count} descriptors should have come, and {len(claimed)} did")
                self.fds.popleft()
                return []
            claimed.append(self.fds.popleft())
        return claimed

    def decode_body(self, body: bytes) -> list[T]:
        """Return the messages of a frame body that did not come over the socket."""
        return list(self.decoder.body(body))

    def send(self, batch: list[Any], fds: list[int] | None = None, *, ack_wanted: bool = False) -> None:
        """Send a frame, blocking until the socket took it. Raises BrokenPipeError if the peer is gone."""
        data = memoryview(encode_frame(batch, ack_wanted=ack_wanted))
        if fds:
            sent = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
            data = data[sent:]
        if data:
            self.socket.sendall(data)

    def offer(self, batch: list[Any], fds: list[int] | None = None, *, ack_wanted: bool = False) -> bool:
        """Send a frame, blocking as long as the socket takes more of it; the rest waits for ``push``.

        Returns "all sent". Behind something that waits it waits, too. ``fds`` are closed once sent. Raises OSError.
        """
        data = memoryview(encode_frame(batch, ack_wanted=ack_wanted))
        waits = bool(self._pending)
        if not waits and not fds:
            try:
                sent = self.socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return True
            data = data[sent:]
        self._pending.append((data, fds or []))
        self.pending_bytes += len(data)
        return not waits and self.push(PATIENCE)

    def push(self, patience: float = 0.0) -> bool:
        """Send what waits until the socket takes nothing for so many seconds. Returns "all sent". Raises OSError."""
        while not self._send_pending():
            room = select.poll()
            room.register(self.fileno(), select.POLLOUT)
            if not room.poll(patience * 1000):
                return False
        return True

    def post(self, batch: list[Any], fds: list[int] | None = None) -> bool:
        """Send a frame without blocking; what the socket does not take waits for ``flush``. Returns "all sent".

        A dead peer is not an error here: its death is reported by whoever watches it. ``fds`` are closed once sent.
        """
        data = encode_frame(batch)
        if not self._pending and not fds:
            try:
                sent = self.socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            except OSError:
                return True
            if sent == len(data):
                return True
            rest = memoryview(data)[sent:]
        else:
            rest = memoryview(data)
        self._pending.append((rest, fds or []))
        self.pending_bytes += len(rest)
        return self.flush() if fds else False

    def flush(self) -> bool:
        """Send what waits, as far as the socket takes it. Returns "nothing waits any more"."""
        try:
            return self._send_pending()
        except OSError:
            self.drop()
            return True

    def _send_pending(self) -> bool:
        while self._pending:
            data, fds = self._pending[0]
            try:
                if fds:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                    sent = self.socket.sendmsg([data], rights, socket.MSG_DONTWAIT)
                    self._pending[0] = (data, [])
                    _close_all(fds)
                else:
                    sent = self.socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            self.pending_bytes -= sent
            if sent == len(data):
                self._pending.popleft()
            else:
                self._pending[0] = (data[sent:], [])
        return True

    def is_cut(self) -> bool:
        """Return whether user code has closed this end, and the descriptor is gone or something else by now."""
        try:
            return not stat.S_ISSOCK(os.fstat(self.fileno()).st_mode)
        except OSError:
            return True

    def drop(self) -> None:
        """Forget what waits: the peer is gone."""
        for _, fds in self._pending:
            _close_all(fds)
        self._pending.clear()
        self.pending_bytes = 0

    def close(self) -> None:
        """Close this end and every descriptor nobody took."""
        self.drop()
        _close_all([fd for fd in self.fds if fd != LOST])
        self.fds.clear()
        self.socket.close()


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
