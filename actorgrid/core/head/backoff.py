"""How long to rest before something is tried again: longer each time, and never the same for all.

The first retry comes at once. From the second on the pause doubles from ``FIRST`` to ``LONGEST`` seconds, times a
number between 1/2 and 1, so that tasks that failed together do not come back together ("equal jitter": Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog 2015). The numbers come from SplitMix64 (Steele, Lea, Flood,
OOPSLA 2014), whose seed is an input of the head: two heads with equal inputs rest equally long.
"""

from __future__ import annotations

from typing import Final

#: Seconds.
FIRST: Final = 0.01
LONGEST: Final = 5.0
#: The longest pause before an actor is restarted: a loop must be seen as one before its deaths are too far apart.
LONGEST_OF_ACTORS: Final = 0.25

_MASK: Final = (1 << 64) - 1


class Backoff:
    """Pauses, from a seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def pause(self, failures: int, longest: float = LONGEST) -> float:
        """Return how many seconds to rest after so many failures in a row (1: the first)."""
        if failures < 2:
            return 0.0
        full = min(FIRST * 2.0 ** min(failures - 2, 60), longest)
        return full * (0.5 + self._draw() / 2)

    def _draw(self) -> float:
        """Return a number from 0 to 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) / _MASK
