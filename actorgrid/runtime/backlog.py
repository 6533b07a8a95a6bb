"""Bytes on their way to a descriptor that may take its time: a terminal that is stopped, a pipe that nobody reads.

Whoever writes never waits. What does not fit now is kept, and written by a thread that lives as long as there is
something to keep; whoever produces is told to stop when that is much, and to go on when it is little again.

A write of at most ``PIPE_BUF`` bytes after ``poll`` has promised room does not block, so nothing of ours ever hangs in
the kernel, or with a lock that the interpreter wants at its end.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

#: More than what a pipe holds by itself, and little memory.
MUCH: Final = 1 << 20
LITTLE: Final = MUCH // 4
#: How long the end of a program waits for a reader that does not read (milliseconds).
PATIENCE: Final = 300


class Backlog:
    """What is still to be written to one descriptor."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        """``hold(True)``: there is much; ``hold(False)``: go on. Called without any lock."""
        self._hold = hold
        self._lock = threading.Lock()
        self._data = bytearray()
        self._descriptor = -1
        self._held = False
        self._thread: threading.Thread | None = None

    def write(self, descriptor: int, data: bytes) -> None:
        """Write ``data`` after all that is waiting, now or later."""
        with self._lock:
            self._descriptor = descriptor
            self._data += data
            self._push()
            if self._data and self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="actorgrid-output", daemon=True)
                self._thread.start()
        self._tell()

    def finish(self) -> None:
        """Write what is left, as long as somebody reads."""
        while True:
            with self._lock:
                self._push()
                if not self._data:
                    return
                descriptor = self._descriptor
            if not _has_room(descriptor, PATIENCE):
                with self._lock:
                    self._data.clear()
                return

    def _drain(self) -> None:
        while True:
            with self._lock:
                self._push()
                if not self._data:
                    self._thread = None
                    break
                descriptor = self._descriptor
            self._tell()
            _has_room(descriptor, None)
        self._tell()

    def _push(self) -> None:
        """Write what fits. Called with the lock held."""
        data, descriptor = self._data, self._descriptor
        try:
            while data and _has_room(descriptor, 0):
                del data[: os.write(descriptor, data[: select.PIPE_BUF])]
        except OSError:  # closed, or its reader is gone: nobody will ever see it
            data.clear()

    def _tell(self) -> None:
        with self._lock:
            size = len(self._data)
            if size > MUCH and not self._held:
                self._held = True
            elif size < LITTLE and self._held:
                self._held = False
            else:
                return
            held = self._held
        self._hold(held)


def _has_room(descriptor: int, timeout: int | None) -> bool:
    """Return whether a write would not block, or would fail; wait for that for at most ``timeout`` milliseconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout))
