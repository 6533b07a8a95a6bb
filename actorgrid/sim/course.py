"""The course of a run: the calls that have started and ended, and which of those that may start next is the dull one.

This file may not know what else may happen, nor who chooses.
"""

from __future__ import annotations

import sys
from typing import Final

from actorgrid.sim.choices import Chain, Event

#: After so many events of one chain in a row another one is next.
FAIR: Final = 100


class Course:
    """How far a run has come."""

    def __init__(self, root: Chain) -> None:
        self._last_chain = root
        #: The place of the last call in the tree of calls.
        self._last_steps = [""]
        self._in_a_row = 0
        #: How many calls each chain made; which calls each actor started, in order.
        self.lengths: dict[str, int] = {}
        self.orders: dict[str, list[str]] = {}
        #: How many calls each actor has finished.
        self.finished: dict[str, int] = {}

    def goes_on(self, event: Event) -> None:
        """This happens next."""
        chain = event.chain
        if event.kind == "call" and chain is not None:
            self._last_steps = event.what.split(".")
            self.lengths[chain.label] = self.lengths.get(chain.label, 0) + 1
            self.orders.setdefault(event.where, []).append(event.what)
        if event.kind not in {"start", "turn"}:
            self._in_a_row = self._in_a_row + 1 if chain is self._last_chain else 0
        if chain is not None:
            self._last_chain = chain

    def ended(self, actor: str) -> None:
        """A call of an actor is over."""
        self.finished[actor] = self.finished.get(actor, 0) + 1

    def sort(self, events: list[Event]) -> None:
        """Put the dullest first: what is closest in the tree of calls to what ran last, then chains by age.

        Even the dullest run is fair: a chain that loops until others have done something lets them.
        """
        events.sort(key=self._fairness if self._in_a_row % FAIR == FAIR - 1 else self._distance)

    def _distance(self, event: Event) -> tuple[int, int, int]:
        if event.kind == "start":
            return -sys.maxsize, 0, event.age
        number = event.chain.number if event.chain is not None else 0
        return -_shared(self._last_steps, event.what.split(".")), number, event.age

    def _fairness(self, event: Event) -> tuple[int, int, int]:
        if event.kind == "start":
            return -sys.maxsize, 0, event.age
        number = event.chain.number if event.chain is not None else 0
        return int(event.chain is self._last_chain), number, event.age


def _shared(steps: list[str], others: list[str]) -> int:
    """Return how many steps from the root two places in the tree of calls have in common."""
    count = 0
    for step, other in zip(steps, others, strict=False):
        if step != other:
            break
        count += 1
    return count
