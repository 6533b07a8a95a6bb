"""Policies: ways to choose among what may happen next.

Each has a blind spot, so none is the default: the portfolio (``search``) takes turns. Sources: random walk; PCT
(Burckhardt et al., ASPLOS 2010), with one priority per message as in PCTCP (Ozkan et al., OOPSLA 2018); POS (Yuan,
Yang, Gu, CAV 2018); delay bounding (Emmi, Qadeer, Rakamaric, POPL 2011).
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from actorgrid.sim.choices import Event, Policy

#: How likely a random policy is to take a fault, or to let time pass, where it may: they would drown all else.
FAULT_RATE: Final = 0.1
TIME_RATE: Final = 0.1
RARE: Final = frozenset({"time", "poll", "kill", "jump", "memory"})


def split(events: Sequence[Event]) -> int:
    """Return how many of the events are calls: they stand in front."""
    count = len(events)
    while count and events[count - 1].kind in RARE:
        count -= 1
    return count


class _Randomized(Policy):
    """What the randomized policies share: rare events are rare, and other draws deviate now and then."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        calls = split(events)
        if calls < len(events) and (not calls or self.rng.random() < TIME_RATE):
            return calls + self.rng.randrange(len(events) - calls) if calls else self._rare(events)
        return self.among(events[:calls]) if calls > 1 else 0

    def _rare(self, events: Sequence[Event]) -> int:
        """Nothing but time, polls and faults may happen: mostly the first."""
        return 0 if self.rng.random() > FAULT_RATE else self.rng.randrange(len(events))

    @abstractmethod
    def among(self, events: Sequence[Event]) -> int:
        """Choose among calls."""

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        if kind == "kill":
            return int(self.rng.random() < FAULT_RATE)
        return self.rng.randrange(bound)


class RandomWalk(_Randomized):
    """Every call is as likely as any other."""

    def among(self, events: Sequence[Event]) -> int:
        """See ``_Randomized``."""
        return self.rng.randrange(len(events))


class Priorities(_Randomized):
    """PCT: every call has a random priority; at ``depth - 1`` random points the one that would go falls behind all."""

    def __init__(self, rng: random.Random, depth: int, length: int) -> None:
        """``length``: how many decisions a run has, about."""
        super().__init__(rng)
        self._priority: dict[Any, float] = {}
        self._changes = {rng.randrange(max(length, 1)) for _ in range(depth - 1)}
        self._step = -1
        self._lowest = 0.0

    def among(self, events: Sequence[Event]) -> int:
        """See ``_Randomized``."""
        self._step += 1
        priority, rng = self._priority, self.rng
        for event in events:
            if event.key not in priority:
                priority[event.key] = rng.random()
        best = max(range(len(events)), key=lambda index: priority[events[index].key])
        if self._step in self._changes and len(events) > 1:
            self._lowest -= 1.0
            priority[events[best].key] = self._lowest
            best = max(range(len(events)), key=lambda index: priority[events[index].key])
        return best


class PartialOrder(_Randomized):
    """POS: random priorities, drawn anew for whatever races with the call that was taken."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._priority: dict[Any, float] = {}

    def among(self, events: Sequence[Event]) -> int:
        """See ``_Randomized``."""
        priority, rng = self._priority, self.rng
        for event in events:
            if event.key not in priority:
                priority[event.key] = rng.random()
        best = max(range(len(events)), key=lambda index: priority[events[index].key])
        for event in events:
            if event is not events[best] and event.depends(events[best]):
                priority.pop(event.key, None)
        return best


class Uniform(_Randomized):
    """URW: a chain is taken as often as it has calls left, counted in an earlier run (ASPLOS 2025, and Shuttle)."""

    def __init__(self, rng: random.Random, lengths: dict[str, int]) -> None:
        """``lengths``: how many calls each chain made in an earlier run."""
        super().__init__(rng)
        self._left = dict(lengths)

    def among(self, events: Sequence[Event]) -> int:
        """See ``_Randomized``."""
        left = self._left
        weights = [max(left.get(event.chain.label if event.chain else "", 1), 1) for event in events]
        index = self.rng.choices(range(len(events)), weights)[0]
        chain = events[index].chain
        if chain is not None and left.get(chain.label, 0) > 1:
            left[chain.label] -= 1
        return index


class Delays(Policy):
    """Delay-bounded random: the dull way, left with probability ``rate`` at each decision."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self.rng = rng
        self.rate = rate

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        return self.rng.randrange(1, len(events)) if self.rng.random() < self.rate else 0

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind
        return self.rng.randrange(1, bound) if self.rng.random() < self.rate else 0
