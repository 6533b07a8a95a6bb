"""Alarms: what must happen at a time, if nothing prevents it first.

A binary heap of (when, number); what is called off stays in it until it comes up or until half of the heap is dead. An
alarm names a method and an id, never a record: a record that is gone is not found, and the head's records stay free of
cycles. An alarm that rings looks again whether there is still a reason.

This file may not know what alarms are for.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

#: Ring(ident): what an alarm calls.
Ring = Callable[[int], None]
#: Below this size the heap is not tidied.
SMALL: Final = 64


class Alarms:
    """Everything that waits for a time. Numbers are never reused; 0 is no alarm."""

    __slots__ = ("_heap", "_last", "_rings")

    # Invariant: set(self._rings) <= {number for _, number in self._heap}

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._rings: dict[int, tuple[Ring, int]] = {}
        self._last = 0

    def __len__(self) -> int:
        """Return how many alarms are set."""
        return len(self._rings)

    def is_set(self, number: int) -> bool:
        """Return whether an alarm will ring."""
        return number in self._rings

    def set(self, when: float, ring: Ring, ident: int) -> int:
        """Call ``ring(ident)`` in the first turn at or after ``when``. Returns the number to call it off with."""
        self._last = number = self._last + 1
        self._rings[number] = (ring, ident)
        heappush(self._heap, (when, number))
        return number

    def call_off(self, number: int) -> None:
        """Forget an alarm; one that has rung, and 0, are ignored."""
        if self._rings.pop(number, None) is not None and len(self._heap) > max(SMALL, 2 * len(self._rings)):
            self._heap = [entry for entry in self._heap if entry[1] in self._rings]
            heapify(self._heap)

    def due(self, now: float) -> None:
        """Ring everything that is due, in the order of its times; what is set meanwhile waits for the next turn."""
        last = self._last
        while (when := self.next()) is not None and when <= now and self._heap[0][1] <= last:
            _, number = heappop(self._heap)
            ring, ident = self._rings.pop(number)
            ring(ident)

    def next(self) -> float | None:
        """Return when the next alarm rings, None if none is set."""
        heap, rings = self._heap, self._rings
        while heap and heap[0][1] not in rings:
            heappop(heap)
        return heap[0][0] if heap else None
