"""What a program says of itself: always, eventually, sometimes.

This file may not know what a process is: it calls functions that are true or not, when the world says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Holds = Callable[[], Any]


class Promises:
    """The properties that one run was told of."""

    def __init__(self) -> None:
        #: What must hold after every event.
        self.always: list[tuple[str, Holds]] = []
        #: What must hold at rest, or already so many virtual seconds after ``settle`` began and the last thing broke.
        self.eventually: list[tuple[str, Holds, float | None]] = []
        #: What was said to be true at times, and whether it was.
        self.reached: dict[str, bool] = {}
        self._settling_since: float | None = None

    def check(self) -> None:
        """An event has happened. Raises AssertionError for what does not hold."""
        for name, holds in self.always:
            if not holds():
                self.always.clear()
                raise AssertionError(f"always: {name!r} does not hold")

    def settling(self, since: float | None) -> None:
        """``settle`` began at that time, or (None) is over."""
        self._settling_since = since

    def broke(self, now: float) -> None:
        """Something breaks: what must be true so many seconds later has that long from now on."""
        if self._settling_since is not None:
            self._settling_since = now

    def time_passes(self, until: float) -> None:
        """Nothing happens before the time ``until``. Raises AssertionError for what had to be true before it."""
        if self._settling_since is not None and self.eventually:
            passed = until - self._settling_since
            self._keep([each for each in self.eventually if each[2] is not None and each[2] < passed])

    def at_rest(self) -> None:
        """Everything has come to rest. Raises AssertionError for what does not hold."""
        self._keep(self.eventually)

    def _keep(self, due: list[tuple[str, Holds, float | None]]) -> None:
        self.eventually = [each for each in self.eventually if each not in due]
        for name, holds, within in due:
            if not holds():
                raise AssertionError(f"eventually: {name!r} does not hold" + (f" within {within} s" if within else ""))
