"""Cancelling what the main thread of a worker runs: KeyboardInterrupt, raised in exactly the call that is meant.

The reader thread aims at a call and signals the main thread, again and again until it has landed (``press``): a call
may not be inside user code yet. The handler raises only if that very call is (``exposed``), and behind an import that
it does.

This file may not know who cancels, nor what is answered.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

from actorgrid.core.worker import Running
from actorgrid.engine.interrupts import is_untouchable, raise_beyond


class Interruption:
    """The interrupt that is on its way to the main thread, if one is. Made on that thread."""

    def __init__(self, landing: Callable[[], None]) -> None:
        """``landing`` is called when an interrupt has landed, just before it is raised."""
        #: The call whose user code is on the stack now, so that it may be interrupted.
        self.exposed: Running | None = None
        #: The call that an interrupt is meant for.
        self.target: Running | None = None
        #: How often one was interrupted.
        self.strikes = 0
        self._landing = landing
        self._thread = threading.get_ident()

    def aim(self, running: Running) -> None:
        """Interrupt this call, which runs or is about to."""
        self.target = running
        signal.pthread_kill(self._thread, signal.SIGINT)

    def press(self, latest: Running | None) -> None:
        """Signal the main thread again: the interrupt did not find user code exposed yet. ``latest`` is what runs."""
        target = self.target
        if target is not None:
            if latest is not target:
                self.target = None
            else:
                signal.pthread_kill(self._thread, signal.SIGINT)

    def on_sigint(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt if exactly the call that is meant is inside user code; after an import that it does.

        A call that is not exposed yet will be: the reader thread signals again.
        """
        del number
        target = self.target
        if target is not None and self.exposed is target:
            raise_beyond(frame, partial(self._strike, target), is_untouchable)

    def _strike(self, target: Running) -> None:
        if self.target is target and self.exposed is target:
            self.target = None
            self.strikes += 1
            self._landing()
            raise KeyboardInterrupt
