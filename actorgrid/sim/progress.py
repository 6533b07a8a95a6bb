"""How far a search or a proof is, while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorgrid.sim.runner import Run


@dataclass
class Progress:
    """What was tried so far."""

    runs: int = 0
    #: Ways to fail that a search has found; runs of a proof that failed.
    failures: int = 0
    seconds: float = 0.0
    #: A file at which processes met in some run.
    met: str = ""
    _digests: set[str] = field(default_factory=set, repr=False)
    _pairs: set[tuple[str, str, str]] = field(default_factory=set, repr=False)
    _began: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def distinct(self) -> int:
        """Schedules in which different things happened."""
        return len(self._digests)

    @property
    def pairs(self) -> int:
        """Pairs of calls that an actor has started one right after the other: what a search has covered."""
        return len(self._pairs)

    @property
    def rate(self) -> float:
        """Schedules per second."""
        return self.runs / self.seconds if self.seconds else 0.0

    def saw(self, run: Run) -> None:
        """One more schedule was run."""
        self.runs += 1
        self.met = self.met or run.met
        self._digests.add(run.digest)
        for where, order in run.orders.items():
            self._pairs.update((where, first, second) for first, second in pairwise(order))
        self.seconds = time.perf_counter() - self._began

    def __str__(self) -> str:
        return f"{self.runs} schedules, {self.rate:.0f}/s, {self.pairs} delivery pairs, {self.failures} failures"
