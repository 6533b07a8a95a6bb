"""Virtual time: a number that only moves when the world says so, and the timers that wait for it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

#: What a wall clock shows when a world begins: 2026-01-01 00:00:00 UTC, in seconds since the epoch.
EPOCH: Final = 1_767_225_600.0
#: What looking at the clock costs (seconds), so that a loop that waits for a time to come ends.
GLANCE: Final = 1e-7
#: After so many looks in a row it costs twice as much, and so on: an hour is over soon. (And who notes the time of each
#: line of a log does not look so often before something happens.)
DOUBLES: Final = 4000


class Timer:
    """Something that happens at a time, unless it is cancelled."""

    __slots__ = ("at", "cancelled", "fire", "label", "number")

    def __init__(self, at: float, number: int, fire: Callable[[], None], label: str) -> None:
        self.at = at
        self.number = number
        self.fire = fire
        self.label = label
        self.cancelled = False

    def __lt__(self, other: Timer) -> bool:
        return (self.at, self.number) < (other.at, other.number)

    def cancel(self) -> None:
        """It will not happen."""
        self.cancelled = True


class Clock:
    """The time of one world, in seconds since it began."""

    def __init__(self, glance: Callable[[], None]) -> None:
        """``glance`` is called before somebody is told the time."""
        self._glance = glance
        self.now = 0.0
        #: What the wall clock is ahead of (or behind) where it should be: a fault.
        self.jump = 0.0
        #: Whoever looked at it, or asked to be woken, has moved it or joined its queue: others can tell.
        self.touched = False
        #: How often somebody has looked at it since anything happened.
        self.looks = 0
        self._timers: list[Timer] = []
        self._number = 0

    def wall(self) -> float:
        """Return what ``time.time`` shows."""
        self._look()
        return EPOCH + self.now + self.jump

    def monotonic(self) -> float:
        """Return what ``time.monotonic`` shows."""
        self._look()
        return self.now

    def _look(self) -> None:
        self._glance()
        self.touched = True
        self.looks += 1
        self.now += GLANCE * (1 << min(self.looks // DOUBLES, 40))

    def at(self, when: float, fire: Callable[[], None], label: str) -> Timer:
        """Have ``fire`` called at ``when``."""
        self.touched = True
        self._number += 1
        timer = Timer(max(when, self.now), self._number, fire, label)
        heapq.heappush(self._timers, timer)
        return timer

    def next(self) -> Timer | None:
        """Return the timer that is due first, None if there is none."""
        timers = self._timers
        while timers and timers[0].cancelled:
            heapq.heappop(timers)
        return timers[0] if timers else None

    def advance(self, to: float) -> None:
        """Move on to ``to`` and fire what is due by then, in order."""
        while (timer := self.next()) is not None and timer.at <= to:
            heapq.heappop(self._timers)
            self.now = max(self.now, timer.at)
            timer.fire()
        self.now = max(self.now, to)
