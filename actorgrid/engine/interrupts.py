"""Ctrl-C without torn state.

A KeyboardInterrupt raised between two steps of our bookkeeping would leave a message half sent or a lock held. So our
SIGINT handler (installed only over Python's own, trio's idea) looks at the stack that it interrupts: if a function
marked ``@protected`` is on it, the interrupt waits. The reader thread is woken and signals the main thread again until
the interrupt lands outside. Marking a function costs nothing when it runs: only its code object is remembered.

A protected function never blocks for long: waiting happens outside, where the interrupt is raised at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_protected: Final[set[CodeType]] = set()


def protected(function: F) -> F:
    """Mark ``function``: a KeyboardInterrupt is not raised in it or in what it calls."""
    _protected.add(function.__code__)
    return function


def in_protected_code(frame: FrameType | None) -> bool:
    """Return whether a protected function is on the stack that ends in ``frame``."""
    while frame is not None:
        if frame.f_code in _protected:
            return True
        frame = frame.f_back
    return False


class Interrupts:
    """The SIGINT handler of a driver."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """``wake`` makes the reader thread notice ``pending`` and call ``redeliver`` a moment later, without a lock."""
        self._wake = wake
        #: An interrupt was put off.
        self.pending = False
        self._installed = False

    def install(self) -> None:
        """Put our handler over Python's default one; leave any other alone, and threads other than the main one."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self.handle)
            self._installed = True

    def uninstall(self) -> None:
        """Put Python's handler back if ours is still there."""
        if self._installed and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) == self.handle:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, or put it off if our bookkeeping is on the stack."""
        del number
        if in_protected_code(frame):
            self.pending = True
            self._wake()
            return
        self.pending = False
        raise KeyboardInterrupt

    def redeliver(self) -> None:
        """Signal the main thread again if an interrupt was put off. Called by the reader thread."""
        if self.pending:
            self.pending = False
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
