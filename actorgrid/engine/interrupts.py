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

#: How long after it was put off an interrupt is delivered again, and how long after that, if it did not land (seconds).
AT_FIRST: Final = 0.001
AGAIN: Final = 0.02

_protected: Final[set[CodeType]] = set()
_IMPORTLIB: Final = "<frozen importlib._bootstrap>"


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


def is_untouchable(frame: FrameType | None) -> bool:
    """Return whether our bookkeeping, or an import, is on the stack that ends in ``frame``.

    An import that is cut in half leaves submodules behind that their package does not know of, and whoever imports it
    next in this process, another task perhaps, gets a NameError.
    """
    while frame is not None:
        code = frame.f_code
        if code in _protected or code.co_filename == _IMPORTLIB:
            return True
        frame = frame.f_back
    return False


class Interrupts:
    """The SIGINT handler of a driver."""

    def __init__(self, wake: Callable[[], None], let_go: Callable[[], None]) -> None:
        """``wake`` makes the reader thread notice ``pending`` and call ``redeliver`` a moment later, without a lock.

        ``let_go`` is called before the interrupt is raised: what only unwinding would undo is undone for certain.
        """
        self._wake = wake
        self._let_go = let_go
        self._main = threading.main_thread().ident or 0
        #: An interrupt was put off.
        self.pending = False
        #: ... and was delivered again, to no avail so far.
        self._tried = False
        #: Nobody is left who would deliver what was put off.
        self._over = False

    def install(self) -> None:
        """Put our handler over Python's default one; leave any other alone, and threads other than the main one."""
        if threading.current_thread() is not threading.main_thread():
            return
        there = signal.getsignal(signal.SIGINT)
        # An earlier grid's handler is left over if another thread than the main one has ended that grid.
        if there is signal.default_int_handler or isinstance(getattr(there, "__self__", None), Interrupts):
            signal.signal(signal.SIGINT, self.handle)

    def uninstall(self) -> None:
        """Put Python's handler back if ours is still there; outside the main thread, make ours behave as Python's."""
        self._over = True
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) == self.handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, or put it off if our bookkeeping is on the stack."""
        self.pending = False  # first: from here on no more signals are on their way for an earlier one
        del number
        if not self._over and in_protected_code(frame):
            self.pending = True
            self._wake()
            return
        self._tried = False
        self._let_go()
        raise KeyboardInterrupt

    def patience(self) -> float | None:
        """Return how long to wait before ``redeliver`` (seconds), None if nothing was put off."""
        if not self.pending:
            return None
        return AGAIN if self._tried else AT_FIRST

    def redeliver(self) -> None:
        """Signal the main thread again if an interrupt was put off. Called by the reader thread.

        It stays put off until the handler runs: a signal that reaches the main thread just before it begins to sleep
        does not wake it.
        """
        self._tried = True
        if self.pending:  # no call between this and the next: the main thread cannot have taken it meanwhile
            signal.pthread_kill(self._main, signal.SIGINT)
