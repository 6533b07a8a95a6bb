"""Races of a run: the pairs of steps whose order mattered and could have been the other way round.

Source-DPOR (Abdulla, Aronis, Jonsson, Sagonas: Source Sets, JACM 2017): look at a finished run, find its races, and
have the search try, where the first of two racing steps was chosen, something that brings the second one forward.
Orders of which no race speaks need not be tried at all.

A step is known by its footprint (see ``footprint``) and by what came before it of necessity: the step in which its call
was submitted, those that made its arguments. "Before" is a set of steps, kept as the bits of an integer.

This file may not know how runs are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from actorgrid.sim.footprint import ALL, Footprint, race


@dataclass
class Step:
    """A step of a run."""

    key: Any
    #: The actor at which it starts a call.
    where: Any
    footprint: Footprint
    #: The steps that it could not do without: they submitted it, or made its arguments.
    causes: list[int] = field(default_factory=list)
    #: The keys of what could have happened instead.
    instead: frozenset[Any] = frozenset()


class Order:
    """What happened before what in a run."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        #: Of each step, what came before it of necessity; and all that came before it, and itself.
        self.needed: list[int] = []
        self.before: list[int] = []
        for number, step in enumerate(steps):
            needed = self._union(step.causes)
            before = needed | 1 << number
            for other in range(number):
                # What only some code that goes on in this step had to wait for does not keep the rest of it waiting.
                if not before >> other & 1 and race(steps[other].footprint, step.footprint):
                    before |= self.before[other]
            self.needed.append(needed)
            self.before.append(before)

    def _union(self, numbers: list[int]) -> int:
        bits = 0
        for number in numbers:
            bits |= self.before[number]
        return bits

    def races(self, first: int, pending: list[tuple[int, Step]]) -> Iterator[tuple[int, list[Any]]]:
        """Yield (i, keys) for each race of step ``i`` with one from ``first`` on, or with a call that never started.

        ``pending``: such calls, and the number of the step before which each could still have started: a kill or a
        cancellation may have been the last. Any of the keys, done instead of step ``i``, leads to the other order.
        """
        count = len(self.steps)
        for number in range(first, count):
            for other in self._racing(self.steps[number], self.needed[number], number):
                yield other, self._initials(other, number, [number])
        for until, call in pending:
            for other in self._racing(call, self._union(call.causes), until):
                yield other, [*self._initials(other, until, []), call.key]

    def too_early(self, pending: list[Step]) -> Iterator[tuple[int, list[Any]]]:
        """Yield (i, keys) for what could have happened before step ``i`` so that there is time left for such a call.

        ``pending``: calls that had not started when the program ended, and would not have been waited for. Behind all
        that they conflict with they can start only if something else ends the program.
        """
        count = len(self.steps)
        for call in pending:
            last = max((each for each in range(count) if race(self.steps[each].footprint, call.footprint)), default=-1)
            first = next((each for each in range(last) if not self.before[last] >> each & 1), last)
            if first != last:
                yield first, self._initials(first, last, [last])

    def _racing(self, step: Step, needed: int, number: int) -> list[int]:
        """Return the earlier steps that ``step`` races with, without those that come before another such.

        But if it could not have happened instead of that one (its actor was busy, say) it can only before them.
        """
        found: list[int] = []
        covered = needed
        for other in reversed(range(number)):
            if covered >> other & 1 or not race(self.steps[other].footprint, step.footprint):
                continue
            found.append(other)
            there = self.steps[other]
            if step.key in there.instead and (there.where == step.where or ALL in there.footprint):
                covered |= self.before[other]
        return found

    def _initials(self, other: int, until: int, racing: list[int]) -> list[Any]:
        """Return what may come first: ``racing``, or a step between ``other`` and ``until`` that needs neither."""
        free = [each for each in range(other + 1, until) if not self.before[each] >> other & 1] + racing
        bits = sum(1 << each for each in free)
        return [self.steps[each].key for each in free if not (self.before[each] & ~(1 << each)) & bits]
