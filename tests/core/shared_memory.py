"""Shared memory as readers see it: is what was written at a place still there?"""

from __future__ import annotations

from actorgrid.core.messages import Extent


class SharedMemory:
    """What was written where. No place is used twice, so that nothing that is read too late goes unnoticed."""

    def __init__(self) -> None:
        self._written: dict[tuple[int, int], bytes] = {}
        self._gone: set[tuple[int, int]] = set()

    def write(self, extent: Extent, data: bytes) -> None:
        """Somebody has filled a new place."""
        place = extent.segment, extent.offset
        assert place not in self._written
        self._written[place] = data

    def read(self, extent: Extent) -> bytes:
        """Read what must be there."""
        place = extent.segment, extent.offset
        assert place not in self._gone, f"{extent} was taken from under a reader"
        return self._written[place]

    def recall(self, extent: Extent) -> bytes:
        """Return what once was there."""
        return self._written[extent.segment, extent.offset]

    def free(self, extent: Extent) -> None:
        """Its writer fills it again, or the system has its pages."""
        place = extent.segment, extent.offset
        assert place in self._written
        assert place not in self._gone, f"{extent} was freed twice"
        self._gone.add(place)

    def drop(self, segment: int) -> None:
        """A whole segment is gone."""
        self._gone.update(place for place in self._written if place[0] == segment)
