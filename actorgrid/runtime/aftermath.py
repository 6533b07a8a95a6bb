"""What a task leaves behind in its process, put right before the next one: innocent tasks run there.

Nothing is looked at after a task that costs something to look at. The functions through which a process changes itself
say so before they do (``watched``), and what was there before is noted: where nothing is noted there is nothing to put
right. What cannot be put right ends the worker, and a new one takes its place.

What a module does while it is imported stays, as the module does: nobody would do it again. What an actor does stays:
its process is its own.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from actorgrid.engine.interrupts import is_under, is_untouchable
from actorgrid.runtime import watched
from actorgrid.runtime.output import MarkedStream

#: Run time (microseconds) in which tasks cannot open so many files that one need look.
GLIMPSE: Final = 500
#: The share of the descriptors it may have that a worker may keep.
SHARE: Final = 0.5

#: What of ``sys`` a task may change.
_look: Final = itemgetter("path", "argv", "stdout", "stderr")
_SYS: Final = vars(sys)
_dup: Final = os.dup
_tzset: Final = time.tzset


class Aftermath:
    """What tasks change in this process, and what was there before."""

    def __init__(self, streams: Callable[[], tuple[MarkedStream, MarkedStream]], probe: int) -> None:
        """``streams()`` makes standard output and error; ``probe`` is a descriptor that stays open."""
        self._streams = streams
        self._probe = probe
        self._most = int(watched.getlimit(resource.RLIMIT_NOFILE)[0] * SHARE)
        self._environ = os.environ
        self._path, self._argv = sys.path, sys.argv
        #: (what, which) -> what was there before the first change.
        self.noted: dict[tuple[str, Any], Any] = {}
        self._open_streams()
        self._modules = sys.modules
        #: Run time since descriptors were counted (microseconds).
        self._ran = 0
        self._remove: Callable[[], None] = lambda: None
        self.settle()

    def watch(self) -> None:
        """Note from now on what changes."""
        self._remove = watched.install(self._note)

    def retire(self) -> None:
        """Whatever changes from now on stays."""
        self._remove()

    def settle(self) -> None:
        """As this process is now, it is right."""
        self.noted.clear()
        self._loaded = len(self._modules)
        self.moved()

    def moved(self) -> None:
        """The folder, the path and the arguments are the driver's."""
        self.noted.pop(("folder", None), None)
        self._take_over(list(sys.path), list(sys.argv))

    def _take_over(self, path: list[str], argv: list[str]) -> None:
        """This is what ``sys`` is to hold."""
        self._right = path, argv, *self.streams

    def _open_streams(self) -> None:
        self.streams = sys.stdout, sys.stderr = self._streams()
        MarkedStream.shut = False

    def _note(self, what: str, which: Any, before: Callable[[], Any]) -> None:
        key = what, which
        if key not in self.noted and not is_under(sys._getframe(2), is_untouchable):  # noqa: SLF001  # who calls the stand-in
            self.noted[key] = before()

    # -- after each task

    def put_right(self, micros: int) -> str:
        """Put right what a task has left that ran so long. Returns why this process must go instead, "" if it may stay.

        Takes a third of a microsecond where there is nothing to do, and no system call.
        """
        self._ran += micros
        if (
            not self.noted
            and _look(_SYS) == self._right
            and len(self._modules) == self._loaded
            and os.environ is self._environ
            and not MarkedStream.shut
            and self._ran < GLIMPSE
        ):
            return ""
        return self._put_right()

    def _put_right(self) -> str:
        reason = self._put_back_sys() or self._put_back_noted()
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003  # it is the one that tells the system
        if self._ran >= GLIMPSE:
            self._ran = 0
            reason = reason or self._too_many_descriptors()
        return reason

    def _put_back_sys(self) -> str:
        loaded, self._loaded = self._loaded, len(self._modules)
        if self._loaded < loaded or sys.modules is not self._modules:
            return "a task has unloaded modules"
        path, argv = self._right[:2]
        if self._loaded > loaded:
            path = list(sys.path)  # what was imported may import more from there
        if MarkedStream.shut:
            self._open_streams()
        self._take_over(path, argv)
        if _look(_SYS) != self._right:
            self._path[:], self._argv[:] = path, argv
            sys.path, sys.argv, (sys.stdout, sys.stderr) = self._path, self._argv, self.streams
        return ""

    def _put_back_noted(self) -> str:
        noted, self.noted = self.noted, {}
        for (what, which), before in sorted(noted.items(), key=lambda item: watched.ORDER[item[0][0]]):
            try:
                watched.PUT_BACK[what](which, before)
            except Exception:  # noqa: BLE001  # it is not allowed, or gone: whatever it is, that cannot be put back
                return f"a task has changed the {what} for good"
        if ("environment", b"TZ") in noted:
            _tzset()
        return ""

    def _too_many_descriptors(self) -> str:
        """Say so: the lowest number that is free tells how many are taken, as far as that matters."""
        try:
            free = _dup(self._probe)
        except OSError:
            return "tasks that ran here keep every descriptor"
        watched.close(free)
        return "tasks that ran here keep many descriptors" if free > self._most else ""
