"""Processes that have come through the door of a persistent grid and have not said yet what they want.

They have little time and room for that: whoever says nothing, or something else, is shown out, so that descriptors of
the head are not to be had by being silent.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actorgrid.runtime import door

if TYPE_CHECKING:
    from actorgrid.runtime.head import HeadProcess

#: Seconds that somebody has to say what he wants.
PATIENCE: Final = 2.0
#: So many may be about to; one more, and the first of them has had his time.
ROOM: Final = 64

#: Is given the socket of somebody who has said what he wants, his process, and what it is.
Admit = Callable[[socket.socket, int, door.Hello], None]


class _Newcomer:
    __slots__ = ("data", "end", "pid", "until")

    def __init__(self, end: socket.socket, pid: int, until: float) -> None:
        self.end = end
        self.pid = pid
        self.until = until
        self.data = b""


class Lobby:
    """Everybody who is about to say what he wants, by descriptor, in the order in which they came."""

    def __init__(self, shell: HeadProcess, admit: Admit) -> None:
        self._shell = shell
        self._admit = admit
        self.waiting: dict[int, _Newcomer] = {}

    def open(self, entrance: socket.socket) -> None:
        """Let processes come through ``entrance``."""
        entrance.setblocking(False)
        self._shell.listen(entrance.fileno(), lambda _: self._come_in(entrance))

    def until(self, deadline: float | None) -> float | None:
        """Show out whose time is over. Returns when the next one's is, or ``deadline`` if that is sooner."""
        now = time.monotonic()
        for newcomer in list(self.waiting.values()):
            if newcomer.until > now:
                return newcomer.until if deadline is None else min(deadline, newcomer.until)
            self._leave(newcomer).close()
        return deadline

    def _come_in(self, entrance: socket.socket) -> None:
        try:
            end, _ = entrance.accept()
        except OSError:  # gone already, or too many open files: whoever knocks is told by the end of its patience
            return
        try:
            pid = door.check_peer(end)
        except OSError:
            end.close()
            return
        if len(self.waiting) >= ROOM:
            self._leave(next(iter(self.waiting.values()))).close()
        end.setblocking(False)
        newcomer = self.waiting[end.fileno()] = _Newcomer(end, pid, time.monotonic() + PATIENCE)
        self._shell.listen(end.fileno(), lambda _: self._hear(newcomer))

    def _leave(self, newcomer: _Newcomer) -> socket.socket:
        fd = newcomer.end.fileno()
        del self.waiting[fd]
        self._shell.deafen_descriptor(fd)
        return newcomer.end

    def _hear(self, newcomer: _Newcomer) -> None:
        try:
            more = newcomer.end.recv(door.LONGEST_HELLO)
            newcomer.data += more
            hello = door.unpack(newcomer.data, door.Hello, door.LONGEST_HELLO) if more else None
        except BlockingIOError:
            return
        except (OSError, ValueError):
            more, hello = b"", None
        if more and hello is None:
            return
        end = self._leave(newcomer)
        if hello is None:
            end.close()
        else:
            self._admit(end, newcomer.pid, hello)
